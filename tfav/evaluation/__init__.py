"""Figures of merit, and what each of them is measured on: numbers only, in NumPy."""
