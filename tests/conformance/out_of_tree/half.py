"""A precision of a `.tflite`: one row."""

from tfav.export.lite import conversion, precisions

HALF = precisions.Precision(
    lambda source: conversion.convert(source.model, list(source.functions), half=True),
    bytes_per_weight=2,
    gate=precisions.FLOAT,
    tie_share=1e-2,
)
