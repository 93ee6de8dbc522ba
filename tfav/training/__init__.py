"""The trainer and what it needs: strategy, optimizers, checkpoints, log."""
