"""Commands on a disk that is full, read-only, slow, or gone in the middle of their writing."""
