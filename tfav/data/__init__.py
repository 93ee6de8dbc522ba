"""From files to batches: manifests, sources, shards, readers, query lists."""
