"""What was measured as pages, tables, plots and films."""
