"""WAV files in a graph: read as the reader of files reads them, or refused with a sentence.

`tf.audio.decode_wav` knows neither the sizes that a pipe leaves open nor an odd chunk that nothing
pads. So the chunks are walked here, with TensorFlow's own ops.
"""

from collections.abc import Mapping

import tensorflow as tf

from tfav import items, tensors
from tfav.export.serving import requests
from tfav.ops import binary

_OPEN = 0x7F000000  # sizes from here on were left open by who could not go back to write them
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
    riff = (tf.strings.substr(file, 0, 4) == "RIFF") & (length >= 44)
    whole = f"{signature}: a file is not a whole WAV, {wanted}"
    with requests.in_order([lambda: requests.refuse_unless(riff, whole)]):
        content = tf.io.decode_raw(tf.identity(file), tf.uint8)
    form, start, size = _chunks(content)
    found = (form >= 0) & (start >= 0)
    with requests.in_order([lambda: requests.refuse_unless(found, whole)]):
        kind = binary.number(content, form, 2)
    kind = tf.where(kind == _EXTENSIBLE, binary.number(content, form + 24, 2), kind)
    channels, rate_hz = binary.number(content, form + 2, 2), binary.number(content, form + 4, 4)
    bits = binary.number(content, form + 14, 2)
    there = tf.size(content, tf.int64) - start
    is_open = size >= _OPEN
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
            taken > 0, f"{signature}: a file holds no samples, send at least one"
        ),
    ]
    with requests.in_order(checks):
        pcm = tf.strings.substr(file, start, taken)
    samples = tf.cast(tf.io.decode_raw(pcm, tf.int16, little_endian=True), tf.float32) / 32768.0
    return tf.reduce_mean(tf.reshape(samples, tf.stack([-1, channels])), axis=1)


def _chunks(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns where the format and the samples begin, and the bytes that the latter should have.

    Each int64 []; -1 where there is no such chunk. Chunks begin at even places, but some writers
    forget the byte that pads an odd one: then the next name stands one byte earlier.

    Args:
      content: [N] uint8.
    """
    total = tf.size(content, tf.int64)
    none = tf.constant(-1, tf.int64)

    def walking(place: tf.Tensor, form: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return (start < 0) & (place + 8 <= total)

    def step(
        place: tf.Tensor, form: tf.Tensor, start: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        found = binary.number(content, place + 4, 4)
        is_form, is_data = (binary.stands_at(content, place, name) for name in (b"fmt ", b"data"))
        body = place + 8
        after = body + found
        even = after + found % 2
        unpadded = (after < even) & ~_is_name(content, even) & _is_name(content, after)
        return (
            tf.where(unpadded, after, even),
            tf.where(is_form, body, form),
            tf.where(is_data, body, start),
            tf.where(is_data, found, size),
        )

    first = tf.constant(12, tf.int64)  # behind RIFF, its size and WAVE
    _, form, start, size = tf.while_loop(walking, step, [first, none, none, none])
    return form, start, size


def _is_name(content: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Says whether four printable characters stand at a place: the name of a chunk."""
    found = content[place : place + 4]
    return (tf.size(found) == 4) & tf.reduce_all((found >= 32) & (found < 127))
