"""Embeddings and classes from what was exported, one form for a SavedModel and a `.tflite`."""

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfav import compat, registry, tensors
from tfav.data.input import crops
from tfav.inference import artefacts, tflite_metadata


class Embedder(Protocol):
    """Embeds batches of the modalities it holds."""

    modalities: tuple[str, ...]  # none: it classifies only
    image_size: Mapping[str, int]  # side in pixels of the pictures of each modality; others are fit
    embedding_space: str  # embeddings can be compared where it is the same

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """Returns embeddings [B, D] float32 of unit norm.

        Args:
          modality: one of `modalities`.
          batch: `audio` [B, T] float32, perhaps with `num_samples` [B] int32, or pictures
            [B, H, W, 3] or [B, F, H, W, 3] uint8. A single picture stands for all frames.

        Raises:
          UserError: a modality that was not exported here.
        """


def load(path: str) -> "SavedModel | TFLite":
    """Loads what export wrote.

    Args:
      path: a SavedModel folder, the folder of its versions (the newest is taken), or a `.tflite`.

    Raises:
      UserError: nothing of that kind there, or it is damaged.
    """
    if os.path.isdir(path):
        return SavedModel(_version_folder(path))
    if not os.path.isfile(path):
        raise registry.UserError(
            f"{path} does not exist: name a SavedModel folder or a .tflite file that export wrote."
        )
    if not path.endswith(".tflite"):
        raise registry.UserError(
            f"{path} is neither a SavedModel folder nor a .tflite file: name one that export wrote."
        )
    return TFLite(path)


class SavedModel:
    """The signatures of a SavedModel.

    Args:
      path: its folder, the one with `saved_model.pb`.

    Raises:
      UserError: damaged, or not of our making.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            with open(os.path.join(path, artefacts.FACTS_FILE), encoding="utf-8") as f:
                facts = _known(json.load(f))
            self._model = tf.saved_model.load(path)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise registry.UserError(
                f"{path} is not a whole SavedModel of ours ({_first_line(error)}): export again."
            ) from error
        self.modalities = tuple(facts["modalities"])
        self.image_size = facts["image_size"]
        self.num_frames = facts["num_frames"]
        self.embedding_space = facts["embedding_space"]
        self.classes = tuple(facts["classes"])

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """See `Embedder.embed`."""
        _require(self, modality)
        return self.run(f"embed_{modality}", **self._inputs(modality, batch))["embedding"]

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns the outputs [B, C] of the signature `classify` on rows of all modalities."""
        return self.run("classify", **self._rows(batch))

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """Returns where the sounds of rows of all modalities come from, [B, H', W'] in [0, 1].

        Raises:
          UserError: it says no such thing.
        """
        if "localize" not in self._model.signatures:
            raise registry.UserError(
                f"{self.path} does not say where a sound comes from: name the export of a dmc run."
            )
        return self.run("localize", **self._rows(batch))["map"]

    def run(self, signature: str, **inputs: tf.Tensor) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by its name."""
        outputs = self._model.signatures[signature](**inputs)
        return {name: value.numpy() for name, value in outputs.items()}

    def _rows(self, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        each = [self._inputs(modality, batch) for modality in self.modalities]
        return {name: value for inputs in each for name, value in inputs.items()}

    def _inputs(self, modality: str, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        values = tf.constant(batch[modality])
        if modality != "audio":
            alone = values.shape.rank == 4 and self.num_frames[modality] > 1
            return {modality: values[:, tf.newaxis] if alone else values}
        num_samples = batch.get("num_samples")
        if num_samples is None:
            num_samples = tf.fill(values.shape[:1], values.shape[1])
        return {"waveform": values, "num_samples": tf.constant(num_samples)}


class TFLite:
    """The signatures of a `.tflite`, run row by row.

    A file of sounds takes clips of one length, of several (a signature each; a clip goes to the
    shortest that holds it) or of any. To embed, a clip longer than the longest is cut into
    consecutive windows of that length, the last one shorter; its embedding is the mean of theirs,
    weighted by their samples, at unit norm. To classify, it is refused.

    Attributes:
      lengths: signature to the samples of its waveform; None: any number of them, or no waveform.

    Args:
      path: the file.

    Raises:
      UserError: damaged, or not of our making.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            with open(path, "rb") as f:
                known = _known(tflite_metadata.read_facts(f.read()))
            self._interpreter = compat.lite_interpreter(path=path)
            names = self._interpreter.get_signature_list()
            self._runners = {n: self._interpreter.get_signature_runner(n) for n in names}
            modality = artefacts.modality_of(list(names))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise registry.UserError(
                f"{path} is not a whole .tflite of ours ({_first_line(error)}): export again."
            ) from error
        self.modalities = () if modality is None else (modality,)
        self.embedding_space = known["embedding_space"]
        self.classes = tuple(known["classes"])
        shapes: dict[str, list[int]] = {}
        lengths: dict[str, int | None] = {}
        for name, runner in self._runners.items():
            found = runner.get_input_details()
            shapes |= {n: t["shape_signature"].tolist() for n, t in found.items()}
            samples = shapes["waveform"][1] if "waveform" in found else -1
            lengths[name] = samples if samples > 0 else None
        self.lengths = dict(sorted(lengths.items(), key=lambda item: item[1] or 0))
        self._hears = "waveform" in shapes
        self._shapes = {n: shape for n, shape in shapes.items() if len(shape) > 2}
        self.image_size = {name: shape[-2] for name, shape in self._shapes.items()}

    def embed(self, modality: str, batch: tensors.Batch, signature: str = "") -> np.ndarray:
        """See `Embedder.embed`.

        Args:
          modality: the one of the file.
          batch: as there.
          signature: of a file of sounds, the one to take; empty: as the clips want it.

        Raises:
          UserError: also a clip longer than `signature` takes, or no such signature.
        """
        _require(self, modality)
        if modality != "audio":
            (runner,) = self._runners.values()
            pictures = [self._picture(modality, value) for value in np.asarray(batch[modality])]
            return np.stack([runner(**{modality: x})["embedding"][0] for x in pictures])
        clips = _clips(batch)
        if signature:
            return np.stack([self._embed_by(signature, clip) for clip in clips])
        return np.stack([self._embed_clip(clip) for clip in clips])

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """Returns the outputs [B, C] of the signature `classify` on rows of all modalities.

        Raises:
          UserError: a clip longer than the file takes.
        """
        columns = {m: np.asarray(batch[m]) for m in self._shapes}
        clips = _clips(batch) if self._hears else []
        found = []
        for row in range(len(clips or next(iter(columns.values())))):
            inputs = {m: self._picture(m, values[row]) for m, values in columns.items()}
            if clips:
                inputs |= self._clip("classify", clips[row])
            found.append(self._runners["classify"](**inputs))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _picture(self, modality: str, value: np.ndarray) -> np.ndarray:
        """Returns a picture, or frames of one, in the shape of the input."""
        shape = self._shapes[modality]
        size = shape[-2]
        if value.shape[-3:-1] != (size, size):
            flat = value.reshape([-1, *value.shape[-3:]])
            flat = np.stack([crops.fit(tf.constant(one), size).numpy() for one in flat])
            value = flat.reshape([*value.shape[:-3], size, size, 3])
        if value.ndim == 3 and len(shape) == 5:
            value = np.broadcast_to(value, shape[1:])
        return np.ascontiguousarray(value[np.newaxis])

    def _clip(self, signature: str, clip: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the inputs of a signature for a clip [T], padded with zeros.

        Raises:
          UserError: it is longer than that.
        """
        length = self.lengths[signature]
        if length is not None and len(clip) > length:
            longer = [n for n, samples in self.lengths.items() if (samples or 0) >= len(clip)]
            use = f"use {longer[0]}, " if longer else ""
            flag = "--config.export.audio_seconds" if signature == "classify" else "--durations"
            raise registry.UserError(
                f"waveform has {len(clip):,} samples; signature {signature} of {self.path} takes "
                f"{length:,}: {use}cut the clip, or export longer ones with {flag}=..."
            )
        padded = np.zeros([1, length or max(len(clip), 1)], np.float32)
        padded[0, : len(clip)] = clip
        return {"waveform": padded, "num_samples": np.array([len(clip)], np.int32)}

    def _embed_by(self, signature: str, clip: np.ndarray) -> np.ndarray:
        if signature not in self._runners:
            raise registry.UserError(
                f"{self.path} has no signature {signature}: choose from {', '.join(self.lengths)}."
            )
        return self._runners[signature](**self._clip(signature, clip))["embedding"][0]

    def _embed_clip(self, clip: np.ndarray) -> np.ndarray:
        longest = list(self.lengths.values())[-1]
        if longest is None or len(clip) <= longest:
            return self._embed_by(self._shortest(clip), clip)
        total = np.zeros([], np.float32)
        for start in range(0, len(clip), longest):
            window = clip[start : start + longest]
            total = total + len(window) * self._embed_by(self._shortest(window), window)
        return total / np.maximum(np.linalg.norm(total), 1e-12)

    def _shortest(self, clip: np.ndarray) -> str:
        """Returns the signature with the shortest waveform that holds a clip."""
        return next(
            n for n, length in self.lengths.items() if length is None or length >= len(clip)
        )


def _clips(batch: tensors.Batch) -> list[np.ndarray]:
    """Returns the clips of a batch without what pads them."""
    waveform, num_samples = np.asarray(batch["audio"]), batch.get("num_samples")
    if num_samples is None:
        return list(waveform)
    return [clip[: int(n)] for clip, n in zip(waveform, num_samples)]


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    if facts["format"] != artefacts.FACTS_FORMAT:
        raise ValueError("another version of tfav made it")
    return facts


def _version_folder(path: str) -> str:
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    versions = artefacts.versions(path)
    if not versions:
        raise registry.UserError(
            f"{path} holds neither saved_model.pb nor a version folder such as 1: "
            "name a folder that export wrote."
        )
    return os.path.join(path, str(versions[-1]))


def _require(embedder: Any, modality: str) -> None:
    if modality not in embedder.modalities:
        raise registry.UserError(
            f"{embedder.path} embeds {' and '.join(embedder.modalities) or 'nothing'} and not "
            f"{modality}: name the export that does."
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
