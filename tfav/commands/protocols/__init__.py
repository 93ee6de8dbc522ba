"""The ways to evaluate a run: one object each, and one table of them (`table`)."""
