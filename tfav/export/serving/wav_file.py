"""WAV files in a graph: read as the reader of files reads them, or refused with a sentence.

`tf.audio.decode_wav` knows neither the sizes that a pipe leaves open nor an odd chunk that nothing
pads. So the chunks are walked here, with TensorFlow's own ops.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfav import items, tensors
from tfav.export.serving import requests
from tfav.media import riff
from tfav.ops import binary

_EXTENSIBLE = 0xFFFE  # the format proper stands in the first bytes of a GUID, 24 bytes on


def read(signature: str, spec: items.ItemSpec, files: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """Returns the clips of WAV files as the inputs of a modality, padded to the longest.

    Channels are averaged, as the reader does.

    Args:
      signature: what was called.
      spec: What one item of the modality is.
      files: [B] bytes of RIFF files, PCM of 16 bits at 16 kHz.
    """
    longest = tf.reduce_max(tf.strings.length(files)) // 2  # two bytes per sample, and a header

    def decode(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        clip = _samples(signature, file)
        length = tf.shape(clip)[0]
        return tf.pad(clip, [[0, longest - length]]), length

    specs = (tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32))
    clips, lengths = tf.map_fn(decode, files, fn_output_signature=specs)
    inputs = {spec.tensor: clips[:, : tf.reduce_max(lengths)], spec.length: lengths}
    return requests.item(signature, spec, inputs)


def _samples(signature: str, file: tf.Tensor) -> tf.Tensor:
    """Returns the samples [T] float32 of one file []."""
    wanted = "send RIFF (.wav) files of 16-bit PCM"
    length = tf.strings.length(file)
    is_riff = (tf.strings.substr(file, 0, 4) == "RIFF") & (length >= 44)
    whole = f"{signature}: a file is not a whole WAV, {wanted}"
    with requests.in_order([lambda: requests.refuse_unless(is_riff, whole)]):
        content = tf.io.decode_raw(tf.identity(file), tf.uint8)
    chunks = _chunks(content)
    form, start, size = chunks.form, chunks.start, chunks.size
    found = (form >= 0) & (start >= 0)
    with requests.in_order([lambda: requests.refuse_unless(found, whole)]):
        kind = binary.number(content, form, 2)
    kind = tf.where(kind == _EXTENSIBLE, binary.number(content, form + 24, 2), kind)
    channels, rate_hz = binary.number(content, form + 2, 2), binary.number(content, form + 4, 4)
    byte_rate, bits = binary.number(content, form + 8, 4), binary.number(content, form + 14, 2)
    there = tf.size(content, tf.int64) - start
    is_open = size >= riff.OPEN
    taken = tf.where(is_open, there, size) // tf.maximum(2 * channels, 1) * 2 * channels
    right = tensors.SAMPLE_RATE_HZ
    checks = [
        lambda: requests.refuse_unless(
            (kind == 1) & (bits == 16) & (channels > 0),
            *(f"{signature}: a file has", bits, "bits per sample in the WAV format", kind),
            f"(PCM is 1), {wanted}",
        ),
        lambda: requests.refuse_unless(
            tf.equal(rate_hz, right), f"{signature}: a file has", rate_hz, f"Hz, send {right} Hz"
        ),
        lambda: requests.refuse_unless(
            is_open | (size <= there),
            *(f"{signature}: a file is cut short, its header tells of", size),
            *("bytes of audio and there are", there, ": send the whole file"),
        ),
        lambda: requests.refuse_unless(
            ~chunks.joined,
            f"{signature}: a file holds another recording behind its end: send one after the other",
        ),
        lambda: requests.refuse_unless(
            ~chunks.twice,
            f"{signature}: a file has two chunks of samples, of which readers take one or the "
            "other: send it with one of them",
        ),
        lambda: requests.refuse_unless(
            taken > 0, f"{signature}: a file holds no samples, send at least one"
        ),
        lambda: requests.refuse_unless(
            ~_is_more_behind(content, chunks.end, byte_rate),
            f"{signature}: a file holds",
            tf.size(content, tf.int64) - chunks.end,
            "bytes behind the end that its header tells of: write its header anew",
        ),
    ]
    with requests.in_order(checks):
        pcm = tf.strings.substr(file, start, taken)
    samples = tf.cast(tf.io.decode_raw(pcm, tf.int16, little_endian=True), tf.int32)
    total = tf.reduce_sum(tf.reshape(samples, tf.stack([-1, channels])), axis=1)
    # Rounded to PCM16, as the reader keeps it: a mean of two channels that nearly cancel each other
    # is told from another by that.
    mean = tf.round(tf.cast(total, tf.float64) / tf.cast(channels, tf.float64))
    return tf.cast(mean, tf.float32) / 32768.0


class _Chunks(NamedTuple):
    """Where things lie in a WAV file, each int64 []; -1 where they do not.

    Attributes:
      form: the format; of several the first.
      start: the samples; `size`: the bytes that they should have.
      end: what is no chunk.
      joined: whether another file follows; `twice`: whether there are two chunks of samples. [].
    """

    form: tf.Tensor
    start: tf.Tensor
    size: tf.Tensor
    end: tf.Tensor
    joined: tf.Tensor
    twice: tf.Tensor


def _chunks(content: tf.Tensor) -> _Chunks:
    """Walks the chunks of a file [N] uint8 as `media.riff` does.

    Chunks begin at even places, but some writers forget the byte that pads an odd one: then the
    next name stands one byte earlier.
    """
    total = tf.size(content, tf.int64)
    none, no = tf.constant(-1, tf.int64), tf.constant(False)

    def walking(found: _Chunks) -> tf.Tensor:
        length = binary.number(content, found.end + 4, 4)
        fits = (found.start < 0) | (found.end + 8 + length <= total) | (length >= riff.OPEN)
        return (found.end + 8 <= total) & _is_name(content, found.end) & fits & ~found.joined

    def step(found: _Chunks) -> tuple[_Chunks]:
        place, length = found.end, binary.number(content, found.end + 4, 4)
        is_form, is_data, is_riff = (
            binary.stands_at(content, place, name) for name in (b"fmt ", b"data", b"RIFF")
        )
        there = found.start >= 0
        body = place + 8
        after = body + length
        even = after + length % 2
        unpadded = (after < even) & ~_is_name(content, even) & _is_name(content, after)
        after = tf.where(unpadded, after, even)
        return (
            _Chunks(
                tf.where(is_form & (found.form < 0), body, found.form),
                tf.where(is_data & ~there, body, found.start),
                tf.where(is_data & ~there, length, found.size),
                tf.where(is_data & (length >= riff.OPEN), total, after),
                is_riff & there,
                found.twice | (is_data & there),
            ),
        )

    first = tf.constant(12, tf.int64)  # behind RIFF, its size and WAVE
    return tf.while_loop(walking, step, [_Chunks(none, none, none, first, no, no)])[0]


def _is_more_behind(content: tf.Tensor, end: tf.Tensor, byte_rate: tf.Tensor) -> tf.Tensor:
    """Whether more than zeros lies behind the chunks, and much of it; see `riff.check_rest`."""
    least = tf.cast(tf.cast(byte_rate, tf.float64) * riff.LEAST_LEFT_SECONDS, tf.int64)
    left = tf.size(content, tf.int64) - end
    return (left >= tf.maximum(least, 1)) & tf.reduce_any(content[tf.maximum(end, 0) :] != 0)


def _is_name(content: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Says whether four printable characters stand at a place: the name of a chunk."""
    found = content[place : place + 4]
    return (tf.size(found) == 4) & tf.reduce_all((found >= 32) & (found < 127))
