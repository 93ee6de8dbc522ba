"""The certificate of an export: how far each artefact is from the checkpoint, over real inputs."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfav import registry
from tfav.export import embedders, saved_model, tflite
from tfav.ops import similarity
from tfav.recipes import base

# modality -> (id, item): a waveform [T] float32 in [-1, 1], or an image [H, W, 3] uint8.
Inputs = dict[str, Sequence[tuple[str, np.ndarray]]]

_BATCH_SIZE = 8


def certificate(
    recipe: base.Recipe, inputs: Inputs, directory: str, artefacts: dict[str, str]
) -> dict[str, Any]:
    """Measures artefacts against the checkpoint's embeddings.

    Args:
      recipe: holds the checkpoint's weights.
      inputs: what to compare on; a `.tflite` takes the first samples that fit its fixed length.
      directory: where the artefacts are.
      artefacts: name (a version folder or `.tflite` file) to precision.

    Returns:
      What `parity.json` says: software versions, and for each artefact its files with bytes and
      SHA-256, precision, signatures, ops and, by signature, its parity.
    """
    reference = _Reference(recipe, inputs)
    return {
        "format": 1,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "artefacts": {
            name: _artefact(reference, directory, name, precision)
            for name, precision in artefacts.items()
        },
    }


def check(found: dict[str, Any], min_cosine: float) -> None:
    """Refuses a certificate with an embedding too far from the checkpoint's.

    Raises:
      UserError: names the artefact, the worst item, its cosine and the switch.
    """
    for name, artefact in found["artefacts"].items():
        for signature, parity in artefact["parity"].items():
            if not parity["cosine_min"] >= min_cosine:  # NaN is no parity either
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} has cosine "
                    f"{parity['cosine_min']:.6f} to the checkpoint on {parity['worst_item']} (mean "
                    f"{parity['cosine_mean']:.6f}), below {min_cosine}: find out why, or set "
                    "--min_cosine to what you accept."
                )


def compare(ids: Sequence[str], reference: np.ndarray, artefact: np.ndarray) -> dict[str, Any]:
    """Returns the agreement of two sets of embeddings.

    Args:
      ids: N names, for the worst of them.
      reference: [N, D] float32.
      artefact: [N, D] float32.

    Returns:
      `cosine_mean`, `cosine_min`, `worst_item` (its id), `max_abs_error`, `num_items`.
    """
    a, b = (np.asarray(x, np.float64) for x in (reference, artefact))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, 1e-24)
    worst = int(np.argmin(np.where(np.isfinite(cosine), cosine, -np.inf)))
    return {
        "cosine_mean": float(cosine.mean()),
        "cosine_min": float(cosine[worst]),
        "worst_item": ids[worst],
        "max_abs_error": float(np.abs(a - b).max()),
        "num_items": len(ids),
    }


class _Reference:
    """The checkpoint's own embeddings: eagerly, one item at a time, no padding."""

    def __init__(self, recipe: base.Recipe, inputs: Inputs):
        self.inputs = inputs
        self._recipe = recipe
        self._known: dict[tuple[str, int | None], np.ndarray] = {}

    def items(self, modality: str, max_samples: int | None = None) -> list[np.ndarray]:
        """Returns the inputs of a modality, clips cut to `max_samples`."""
        cut = slice(max_samples if modality == "audio" else None)
        return [item[cut] for _, item in self.inputs[modality]]

    def ids(self, modality: str) -> list[str]:
        """Returns their names."""
        return [name for name, _ in self.inputs[modality]]

    def expected(self, modality: str, max_samples: int | None = None) -> np.ndarray:
        """Returns their embeddings [N, D] float32 of unit norm."""
        key = (modality, max_samples)
        if key not in self._known:
            self._known[key] = self.embed(modality, self.items(modality, max_samples))
        return self._known[key]

    def embed(self, modality: str, items: Sequence[np.ndarray]) -> np.ndarray:
        """Returns [N, D] float32 of unit norm for waveforms [T] or images [S, S, 3]."""
        batches = [{modality: tf.constant(item[np.newaxis])} for item in items]
        rows = [self._recipe.embed(modality, batch) for batch in batches]
        return similarity.normalize(tf.concat(rows, axis=0)).numpy()


def _artefact(reference: _Reference, directory: str, name: str, precision: str) -> dict[str, Any]:
    path = os.path.join(directory, name)
    embedder = embedders.load(path)
    if os.path.isdir(path):
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)
        described, parity = saved_model.describe(path), _served(reference, embedder)
    else:
        with open(path, "rb") as f:
            content = f.read()
        files, described, parity = [path], tflite.describe(content), _on_phone(reference, embedder)
    return {
        "precision": precision,
        "bytes": sum(os.path.getsize(f) for f in files),
        "files": {os.path.relpath(f, directory): _fingerprint(f) for f in files},
        **described,
        "parity": parity,
    }


def _served(reference: _Reference, embedder: embedders.SavedModel) -> dict[str, Any]:
    """Compares in batches, clips padded to the longest of each: what a server does."""
    parity = {}
    for modality in embedder.modalities:
        items = reference.items(modality)
        chunks = [items[i : i + _BATCH_SIZE] for i in range(0, len(items), _BATCH_SIZE)]
        found = [embedder.embed(modality, _batch(modality, chunk)) for chunk in chunks]
        parity[f"embed_{modality}"] = compare(
            reference.ids(modality), reference.expected(modality), np.concatenate(found)
        )
    if "image" in embedder.modalities:
        jpegs = [tf.io.encode_jpeg(item, quality=95) for item in reference.items("image")]
        found = [embedder.run("embed_jpeg", jpeg=jpeg[tf.newaxis]) for jpeg in jpegs]
        decoded = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
        parity["embed_jpeg"] = compare(
            reference.ids("image"), reference.embed("image", decoded), np.concatenate(found)
        )
    return parity


def _on_phone(reference: _Reference, embedder: embedders.TFLite) -> dict[str, Any]:
    """Compares item by item, clips cut or padded to the fixed length."""
    (modality,) = embedder.modalities
    items = reference.items(modality, embedder.audio_samples)
    found = [embedder.embed(modality, _batch(modality, [item])) for item in items]
    expected = reference.expected(modality, embedder.audio_samples)
    return {f"embed_{modality}": compare(reference.ids(modality), expected, np.concatenate(found))}


def _batch(modality: str, items: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    if modality == "image":
        return {"image": np.stack(items)}
    num_samples = np.array([len(item) for item in items], np.int32)
    waveform = np.zeros([len(items), num_samples.max()], np.float32)
    for row, item in zip(waveform, items):
        row[: len(item)] = item
    return {"audio": waveform, "num_samples": num_samples}


def _fingerprint(path: str) -> dict[str, Any]:
    with open(path, "rb") as f:
        content = f.read()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
