"""Made-up people, birds and scenes, as real files."""
