"""Raw sound files straight into tf.data: decoded and resampled by tensorflow-io (addons line only).

The header of each file is read once when the data set is built, which is also when an unusable file
is named; the samples are decoded in C++ while batches are made.
"""

import math
import os
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import soundfile
import tensorflow as tf

from tfav import compat, registry, tensors
from tfav.data.input import pipeline

# What libsndfile calls a file -> how tensorflow-io decodes it, and its full scale. 32-bit PCM is
# left out: tensorflow-io takes its bits for floats.
_DECODERS = {
    ("WAV", "PCM_U8"): ("decode_wav", tf.uint8, 2.0**7),
    ("WAV", "PCM_16"): ("decode_wav", tf.int16, 2.0**15),
    ("WAV", "PCM_24"): ("decode_wav", tf.int32, 2.0**31),
    ("WAV", "FLOAT"): ("decode_wav", tf.float32, 1.0),
    ("FLAC", "PCM_S8"): ("decode_flac", tf.uint8, 2.0**7),
    ("FLAC", "PCM_16"): ("decode_flac", tf.int16, 2.0**15),
    ("FLAC", "PCM_24"): ("decode_flac", tf.int32, 2.0**31),
    ("MP3", "MPEG_LAYER_III"): ("decode_mp3", tf.float32, 1.0),
}
_KINDS = list(_DECODERS)

# The resampling filter of tensorflow-io (Speex) has this many taps, more when it lowers the rate.
_FILTER_TAPS = 64


def file_batches(
    paths: Sequence[str | os.PathLike],
    *,
    batch_size: int,
    max_seconds: float,
    ids: Sequence[str] | None = None,
) -> tf.data.Dataset:
    """Reads sound files of any rate as 16 kHz mono, in the order given.

    Args:
      paths: local WAV (8, 16, 24 bit, float), FLAC or MP3 files of any rate and number of channels;
        channels are averaged.
      batch_size: rows of a batch; the last one may be smaller.
      max_seconds: only that much from the start of each file.
      ids: names of the rows; the paths when absent.

    Returns:
      Batches {`id` [b] string, `audio` [b, T] float32 in [-1, 1], zero padded to the longest,
      `num_samples` [b] int32}: the form of `pipeline.evaluation_batches`.

    Raises:
      UserError: tensorflow-io is not installed (the sentence names the extra), or a file is
        missing, empty or of another format.
    """
    tfio = compat.tensorflow_io("streaming decode")
    names = [os.fspath(path) for path in paths]
    headers = [_read_header(name) for name in names]
    kinds = np.array([kind for kind, _ in headers], np.int32)
    rates = np.array([rate for _, rate in headers], np.int64)
    longest = max(1, round(max_seconds * tensors.SAMPLE_RATE_HZ))

    def load(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        content = tf.io.read_file(row["path"])
        branches = [lambda kind=kind: _decode(tfio, content, kind) for kind in _KINDS]
        waveform = tf.switch_case(row["kind"], branches)
        with tf.control_dependencies(
            [
                tf.debugging.Assert(
                    tf.reduce_all(tf.math.is_finite(waveform)), ["NaN or Inf in", row["path"]]
                )
            ]
        ):
            waveform = tf.cond(
                row["rate"] == tensors.SAMPLE_RATE_HZ,
                lambda: tf.identity(waveform),
                lambda: _resample(tfio, waveform, row["rate"], row["zeros"], row["delay"]),
            )
        waveform = tf.clip_by_value(tf.ensure_shape(waveform, [None])[:longest], -1.0, 1.0)
        return {"id": row["id"], "audio": waveform, "num_samples": tf.size(waveform)}

    leads = [_lead(int(rate)) for rate in rates]
    rows = {
        "id": names if ids is None else list(ids),
        "path": names,
        "kind": kinds,
        "rate": rates,
        "zeros": np.array([zeros for zeros, _ in leads], np.int64),
        "delay": np.array([delay for _, delay in leads], np.int64),
    }
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return pipeline.finish(dataset.padded_batch(batch_size))


def _read_header(path: str) -> tuple[int, int]:
    """Returns which decoder a file needs, and its sample rate."""
    try:
        info = soundfile.info(path)
    except (OSError, RuntimeError) as error:
        raise registry.UserError(
            f"{path} cannot be read as sound ({error}): correct or remove the file."
        ) from error
    # WAVEX: WAVE_FORMAT_EXTENSIBLE, which differs in its header only.
    kind = (info.format.replace("WAVEX", "WAV"), info.subtype)
    if kind not in _DECODERS:
        known = ", ".join(f"{container} {subtype}" for container, subtype in _KINDS)
        raise registry.UserError(
            f"{path} is {info.format} {info.subtype} and tensorflow-io decodes {known}: convert "
            "it, or make a data set with tfav-prepare, which reads all that libsndfile reads."
        )
    if info.frames < 1:
        raise registry.UserError(f"{path} holds no samples: remove the file.")
    return _KINDS.index(kind), info.samplerate


def _decode(tfio: ModuleType, content: tf.Tensor, kind: tuple[str, str]) -> tf.Tensor:
    """Returns the mean of the channels [T] float32, full scale at 1."""
    decoder, dtype, scale = _DECODERS[kind]
    dtypes = {} if decoder == "decode_mp3" else {"dtype": dtype}
    samples = tf.cast(getattr(tfio.audio, decoder)(content, **dtypes), tf.float32)
    offset = scale if dtype == tf.uint8 else 0.0  # unsigned samples rest at half their range
    return tf.reduce_mean((samples - offset) / scale, axis=1)


def _resample(
    tfio: ModuleType, waveform: tf.Tensor, rate: tf.Tensor, zeros: tf.Tensor, delay: tf.Tensor
) -> tf.Tensor:
    """Returns `waveform` [T] at 16 kHz, in step with the input and with its tail."""
    target = tf.constant(tensors.SAMPLE_RATE_HZ, tf.int64)
    size = (tf.size(waveform, tf.int64) * target + rate // 2) // rate
    # The filter is causal: what comes out is late by half its length, and the end never comes out.
    padded = tf.pad(waveform, [[zeros, zeros + rate]])
    resampled = tfio.audio.resample(padded[:, tf.newaxis], rate, target)[:, 0]
    return resampled[delay : delay + size]


def _lead(rate: int) -> tuple[int, int]:
    """Returns the zeros to put before a sound at `rate`, and the samples to drop at 16 kHz.

    Half the filter need not last a whole number of output samples; with the zeros, it does.
    """
    target = tensors.SAMPLE_RATE_HZ
    common = math.gcd(rate, target)
    taps = _FILTER_TAPS
    if rate > target:
        taps = -(-(taps * (rate // common) // (target // common)) // 8) * 8
    period = rate // common  # input samples that last a whole number of output samples
    zeros = -(taps // 2) % period
    return zeros, (zeros + taps // 2) * target // rate
