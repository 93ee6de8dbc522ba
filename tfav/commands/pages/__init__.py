"""Pages that show a run."""
