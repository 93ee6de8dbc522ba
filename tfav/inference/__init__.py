"""Embeddings from whatever holds an encoder: a run, a SavedModel, a `.tflite`."""
