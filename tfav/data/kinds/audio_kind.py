"""Waveforms: PCM16 in a record, of which training hears a stretch and evaluation the beginning."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfav import items
from tfav.data.kinds import kind
from tfav.media import audio_files, formats, limits

if TYPE_CHECKING:
    import tensorflow as tf


class AudioKind(kind.Kind):
    """The kind of the modality `audio` alone; see `kind.Kind`."""

    name = "audio"
    suffixes = tuple(formats.SUFFIXES["audio"])
    subject = "waveform"

    def item(self, modality: str, section: Mapping[str, Any]) -> items.ItemSpec:
        """Returns that of waveforms."""
        del section
        return items.clip().of(modality)

    def encoder_arguments(self, modality: str, section: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of the front-end."""
        del modality
        return {"frontend": section["frontend"].to_dict()}

    def read(self, path: str | os.PathLike, bounds: limits.Limits) -> bytes:
        """Returns PCM16, little-endian, mono, 16 kHz."""
        return np.ascontiguousarray(_samples(path, bounds), "<i2").tobytes()

    def load(
        self, path: str | os.PathLike, spec: items.ItemSpec, bounds: limits.Limits
    ) -> np.ndarray:
        """Returns the waveform [T] float32, through PCM16 as `read` stores it."""
        del spec
        return _samples(path, bounds).astype(np.float32) / 32768.0

    def training(
        self, modality: str, item: kind.Item, audio_seconds: tuple[float, float]
    ) -> Callable[["tf.Tensor", Mapping[str, "tf.Tensor"]], kind.Tensors]:
        """Returns what gives the stretch [T] that is drawn: as long in all rows of a batch."""
        from tfav.data.input import augment
        from tfav.data.input import reader as reading

        chain = augment.resolve_one(item.augment, self.subject, modality)
        bounds = reading.stretch(audio_seconds)
        return lambda pcm, row: {modality: reading.sound(pcm[0], row, bounds, chain)}

    def evaluation(
        self, modality: str, item: kind.Item, bounds: tuple[int, int]
    ) -> Callable[["tf.Tensor"], kind.Tensors]:
        """Returns what gives the beginning [T] of a clip, and its samples."""
        import tensorflow as tf

        from tfav.data.input import reader as reading

        shortest, longest = bounds

        def make(pcm: tf.Tensor) -> kind.Tensors:
            heard = tf.strings.substr(pcm[0], 0, 2 * longest)
            size = tf.cast(tf.maximum(tf.strings.length(heard) // 2, shortest), tf.int64)
            waveform = reading.cut(heard, tf.constant(0, tf.int64), size)
            return {modality: waveform, item.spec.length: tf.size(waveform)}

        return make


def _samples(path: str | os.PathLike, bounds: limits.Limits) -> np.ndarray:
    """Returns [T] int16, mono, 16 kHz."""
    return audio_files.read_audio(path, bounds=bounds, dtype=np.int16)
