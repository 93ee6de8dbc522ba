"""How near to the golden vectors a port's answers must be, of each `.tflite` of an export."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfav.export.lite import precisions
from tfav.export.parity import golden
from tfav.inference import tflite_embedder

# What other kernels may move: those of ARM moved 8-bit answers by 2e-5 of cosine, floats by less.
_SLACK, _SLACK_8_BIT = 1e-4, 1e-3


def measure(
    vectors: Mapping[str, Any], directory: str, files: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Returns what each encoder's file answers to its golden vector, as it runs here.

    Args:
      vectors: what `golden.vectors` returns.
      directory: where the files are.
      files: name of each `.tflite` to its precision.

    Returns:
      File to signature to `cosine`, of the answer here to `embedding` of the vector, and
      `least_cosine`, below which a port of that file is wrong. Files that answer to rows of all
      modalities, and signatures of less than the vector's one second, are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, precision in files.items():
        embedder = tflite_embedder.TFLiteEmbedder(os.path.join(directory, name))
        slack = _SLACK_8_BIT if precisions.find(precision).quantised else _SLACK
        for modality in embedder.modalities:
            spec = embedder.items[modality]
            item, expected = golden.item(spec), np.array(vectors[modality]["embedding"])
            batch = spec.stack(modality, [item])
            found[name] = {}
            for signature, steps in embedder.lengths.items():
                if steps is not None and steps < len(item):
                    continue
                answer = embedder.embed(modality, batch, signature)[0].astype(np.float64)
                cosine = answer @ expected / np.linalg.norm(answer) / np.linalg.norm(expected)
                found[name][signature] = {
                    "cosine": round(float(cosine), 6),
                    "least_cosine": round(float(cosine) - slack, 6),
                }
    return {name: signatures for name, signatures in found.items() if signatures}
