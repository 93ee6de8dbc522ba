"""Experiments: one short file each, variants by name."""
