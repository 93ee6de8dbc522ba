"""Encoders: one modality in, one embedding out."""
