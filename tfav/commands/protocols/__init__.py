"""Ways to evaluate a run."""
