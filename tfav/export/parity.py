"""The certificate of an export: how far each artefact is from the checkpoint, over real inputs."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfav import registry
from tfav.export import agreement, answers, embedders, saved_model, tflite
from tfav.ops import similarity
from tfav.recipes import base

# modality -> (id, item): a waveform [T] float32 in [-1, 1], or a picture [S, S, 3] or its frames
# [F, S, S, 3] uint8.
Inputs = dict[str, Sequence[tuple[str, np.ndarray]]]
# (id, modality -> item): what is classified, or localised, together.
Rows = Sequence[tuple[str, dict[str, np.ndarray]]]

_BATCH_SIZE = 8


def certificate(
    recipe: base.Recipe,
    inputs: Inputs,
    directory: str,
    artefacts: dict[str, str],
    rows: Rows = (),
) -> dict[str, Any]:
    """Measures artefacts against the checkpoint's embeddings, and its logits or maps if it has any.

    Args:
      recipe: holds the checkpoint's weights.
      inputs: what to compare on; a `.tflite` takes the first samples that fit its fixed length.
      directory: where the artefacts are.
      artefacts: name (a version folder or `.tflite` file) to precision.
      rows: what to compare the classes or maps of.

    Returns:
      What `parity.json` says: software versions, the id of the embedding space, and for each
      artefact its files with bytes and SHA-256, precision, signatures, ops and, by signature, its
      parity. That of `classify` is of `logits`; `classify:<modality>_logits` stand beside it. That
      of `localize` is of `map`.
    """
    reference = _Reference(recipe, inputs, rows)
    return {
        "format": 2,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "embedding_space": answers.embedding_space(recipe),
        "artefacts": {
            name: _artefact(reference, directory, name, precision)
            for name, precision in artefacts.items()
        },
    }


def check(found: dict[str, Any], min_cosine: float) -> None:
    """Refuses a certificate with an answer too far from the checkpoint's, or of another class.

    A map must also be as near in each of its values.

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
            if parity.get("argmax_flips"):
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} takes "
                    f"{parity['argmax_flips'][0]} for another class than the checkpoint, whose "
                    "logits of the two are no tie: find out what it computes otherwise."
                )
            allowed = parity.get("max_error_allowed")  # maps alone have one
            if allowed is not None and not parity["max_abs_error"] <= allowed:
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} is "
                    f"{parity['max_abs_error']:.1e} away from the checkpoint's map of "
                    f"{parity['max_error_item']}, above {allowed}: find out what it computes "
                    "otherwise."
                )


class _Reference:
    """The checkpoint's own answers: eagerly, one item at a time, no padding."""

    def __init__(self, recipe: base.Recipe, inputs: Inputs, rows: Rows):
        self.inputs = inputs
        self.rows = rows
        self.names = [name for name, _ in rows]
        self.signatures = tuple(answers.joint(recipe))
        self._recipe = recipe
        self._known: dict[tuple[str, int | None], Any] = {}

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
        """Returns [N, D] float32 of unit norm for waveforms [T] or pictures [S, S, 3]."""
        batches = [{modality: tf.constant(item[np.newaxis])} for item in items]
        rows = [self._recipe.embed(modality, batch) for batch in batches]
        return similarity.normalize(tf.concat(rows, axis=0)).numpy()

    def joint(self, max_samples: int | None = None) -> list[dict[str, np.ndarray]]:
        """Returns the rows, clips cut to `max_samples`."""
        return [
            {m: item[: max_samples if m == "audio" else None] for m, item in row.items()}
            for _, row in self.rows
        ]

    def answered(self, name: str, max_samples: int | None = None) -> dict[str, np.ndarray]:
        """Returns what the recipe answers to the rows as the signature `name`, [N, ...] each."""
        key = (name, max_samples)
        if key not in self._known:
            answer = answers.joint(self._recipe)[name]
            found = [answer(_joint([row])) for row in self.joint(max_samples)]
            self._known[key] = _stacked(found)
        return self._known[key]


def _artefact(reference: _Reference, directory: str, name: str, precision: str) -> dict[str, Any]:
    path = os.path.join(directory, name)
    embedder = embedders.load(path)
    if os.path.isdir(path):
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)
        described, parity = saved_model.describe(path), _served(reference, embedder, precision)
    else:
        with open(path, "rb") as f:
            content = f.read()
        files, described = [path], tflite.describe(content)
        parity = _on_phone(reference, embedder, precision)
    return {
        "precision": precision,
        "bytes": sum(os.path.getsize(f) for f in files),
        "files": {os.path.relpath(f, directory): _fingerprint(f) for f in files},
        **described,
        "parity": parity,
    }


def _served(
    reference: _Reference, embedder: embedders.SavedModel, precision: str
) -> dict[str, Any]:
    """Compares in batches, clips padded to the longest of each: what a server does."""
    parity = {}
    for modality in embedder.modalities:
        chunks = _chunks(reference.items(modality))
        found = [embedder.embed(modality, _batch(modality, chunk)) for chunk in chunks]
        parity[f"embed_{modality}"] = agreement.compare(
            reference.ids(modality), reference.expected(modality), np.concatenate(found)
        )
    if embedder.num_frames.get("image") == 1:
        jpegs = [tf.io.encode_jpeg(item, quality=95) for item in reference.items("image")]
        found = [embedder.run("embed_jpeg", jpeg=jpeg[tf.newaxis])["embedding"] for jpeg in jpegs]
        decoded = [tf.io.decode_jpeg(jpeg, channels=3).numpy() for jpeg in jpegs]
        parity["embed_jpeg"] = agreement.compare(
            reference.ids("image"), reference.embed("image", decoded), np.concatenate(found)
        )
    chunks = [_joint(chunk) for chunk in _chunks(reference.joint())]
    if "classify" in reference.signatures:
        found = [embedder.classify(chunk) for chunk in chunks]
        parity |= _classified(reference, found, None, precision)
    if "localize" in reference.signatures:
        maps = np.concatenate([embedder.localize(chunk) for chunk in chunks])
        expected = reference.answered("localize")["map"]
        parity["localize"] = agreement.compare_maps(reference.names, expected, maps)
    return parity


def _on_phone(reference: _Reference, embedder: embedders.TFLite, precision: str) -> dict[str, Any]:
    """Compares item by item, clips cut or padded to the fixed length."""
    samples = embedder.audio_samples
    if not embedder.modalities:
        found = [embedder.classify(_joint([row])) for row in reference.joint(samples)]
        return _classified(reference, found, samples, precision)
    (modality,) = embedder.modalities
    items = reference.items(modality, samples)
    found = [embedder.embed(modality, _batch(modality, [item])) for item in items]
    expected = reference.expected(modality, samples)
    return {
        f"embed_{modality}": agreement.compare(
            reference.ids(modality), expected, np.concatenate(found)
        )
    }


def _classified(
    reference: _Reference,
    found: Sequence[Mapping[str, Any]],
    max_samples: int | None,
    precision: str,
) -> dict[str, Any]:
    ids, answered = reference.names, _stacked(found)
    expected = reference.answered("classify", max_samples)
    return {
        "classify" if name == "logits" else f"classify:{name}": agreement.compare_logits(
            ids, expected[name], answered[name], precision
        )
        for name in expected
        if name != "probability"
    }


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[i : i + _BATCH_SIZE] for i in range(0, len(items), _BATCH_SIZE)]


def _stacked(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _joint(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    batch: dict[str, np.ndarray] = {}
    for modality in rows[0]:
        batch |= _batch(modality, [row[modality] for row in rows])
    return batch


def _batch(modality: str, items: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    if modality != "audio":
        return {modality: np.stack(items)}
    num_samples = np.array([len(item) for item in items], np.int32)
    waveform = np.zeros([len(items), num_samples.max()], np.float32)
    for row, item in zip(waveform, items):
        row[: len(item)] = item
    return {"audio": waveform, "num_samples": num_samples}


def _fingerprint(path: str) -> dict[str, Any]:
    with open(path, "rb") as f:
        content = f.read()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
