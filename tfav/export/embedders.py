"""Embeddings from what was exported, one form for a SavedModel and a `.tflite`."""

import json
import os
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfav import compat, registry, typing
from tfav.data import augment
from tfav.export import saved_model, tflite


class Embedder(Protocol):
    """Embeds batches of the modalities it holds."""

    modalities: tuple[str, ...]
    image_size: int | None  # side in pixels of the images it expects; others are fitted to it

    def embed(self, modality: str, batch: typing.Batch) -> np.ndarray:
        """Returns embeddings [B, D] float32 of unit norm.

        Args:
          modality: one of `modalities`.
          batch: `audio` [B, T] float32, perhaps with `num_samples` [B] int32, or `image`
            [B, H, W, 3] uint8.

        Raises:
          UserError: a modality that was not exported here.
        """


def load(path: str) -> Embedder:
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
            with open(os.path.join(path, saved_model.FACTS_FILE), encoding="utf-8") as f:
                facts = json.load(f)
            self._model = tf.saved_model.load(path)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise registry.UserError(
                f"{path} is not a whole SavedModel of ours ({_first_line(error)}): export again."
            ) from error
        self.modalities = tuple(facts["modalities"])
        self.image_size = facts["image_size"]

    def embed(self, modality: str, batch: typing.Batch) -> np.ndarray:
        """See `Embedder.embed`."""
        _require(self, modality)
        if modality == "image":
            return self.run("embed_image", image=tf.constant(batch["image"]))
        waveform = tf.constant(batch["audio"])
        num_samples = batch.get("num_samples")
        if num_samples is None:
            num_samples = tf.fill(waveform.shape[:1], waveform.shape[1])
        return self.run("embed_audio", waveform=waveform, num_samples=tf.constant(num_samples))

    def run(self, signature: str, **inputs: tf.Tensor) -> np.ndarray:
        """Returns the `embedding` of a signature by its name."""
        return self._model.signatures[signature](**inputs)["embedding"].numpy()


class TFLite:
    """The signature of one encoder's `.tflite`, run clip by clip.

    A clip longer than the file's fixed length is cut into consecutive windows of that length, the
    last one shorter; its embedding is the mean of theirs, weighted by their samples, at unit norm.

    Args:
      path: the file.

    Raises:
      UserError: damaged, or not of our making.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            with open(path, "rb") as f:
                tflite.check_whole(f.read())
            self._interpreter = compat.lite_interpreter(path=path)
            name = next(iter(self._interpreter.get_signature_list()), "")
            if name not in ("embed_audio", "embed_image"):
                raise ValueError(f"its signature is {name!r}")
            self._runner = self._interpreter.get_signature_runner(name)
        except (OSError, ValueError, RuntimeError) as error:
            raise registry.UserError(
                f"{path} is not a whole .tflite of ours ({_first_line(error)}): export again."
            ) from error
        self.modalities = (name.removeprefix("embed_"),)
        shape = {n: t["shape"] for n, t in self._runner.get_input_details().items()}
        self.audio_samples = int(shape["waveform"][1]) if "waveform" in shape else None
        self.image_size = int(shape["image"][1]) if "image" in shape else None

    def embed(self, modality: str, batch: typing.Batch) -> np.ndarray:
        """See `Embedder.embed`."""
        _require(self, modality)
        values = np.asarray(batch[modality])
        if modality == "image":
            return np.stack([self._image(value) for value in values])
        num_samples = batch.get("num_samples")
        if num_samples is None:
            num_samples = [values.shape[1]] * len(values)
        return np.stack([self._clip(value[: int(n)]) for value, n in zip(values, num_samples)])

    def _image(self, image: np.ndarray) -> np.ndarray:
        if image.shape[:2] != (self.image_size, self.image_size):
            image = augment.fit(tf.constant(image), self.image_size).numpy()
        return self._runner(image=image[np.newaxis])["embedding"][0]

    def _clip(self, waveform: np.ndarray) -> np.ndarray:
        total = np.zeros([], np.float32)
        for start in range(0, max(len(waveform), 1), self.audio_samples):
            window = waveform[start : start + self.audio_samples]
            padded = np.zeros([1, self.audio_samples], np.float32)
            padded[0, : len(window)] = window
            num_samples = np.array([len(window)], np.int32)
            vector = self._runner(waveform=padded, num_samples=num_samples)["embedding"][0]
            if len(waveform) <= self.audio_samples:
                return vector
            total = total + len(window) * vector
        return total / np.maximum(np.linalg.norm(total), 1e-12)


def _version_folder(path: str) -> str:
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    versions = saved_model.versions(path)
    if not versions:
        raise registry.UserError(
            f"{path} holds neither saved_model.pb nor a version folder such as 1: "
            "name a folder that export wrote."
        )
    return os.path.join(path, str(versions[-1]))


def _require(embedder: Any, modality: str) -> None:
    if modality not in embedder.modalities:
        raise registry.UserError(
            f"{embedder.path} embeds {' and '.join(embedder.modalities)} and not {modality}: "
            "name the export that does."
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
