"""How an embedding space is judged. NumPy only."""
