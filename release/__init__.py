"""What `make release` and `make audit` run."""
