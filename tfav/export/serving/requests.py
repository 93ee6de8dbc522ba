"""What a server is sent: refused with a sentence where it cannot be embedded, fitted where it can.

Every check names the signature and the input, and comes before the encoder, which would fail on
shapes that mean nothing to the caller.
"""

from collections.abc import Mapping

import tensorflow as tf

from tfav import tensors
from tfav.data.input import crops


def shapes(
    signature: str, inputs: Mapping[str, tf.Tensor], specs: Mapping[str, tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """Returns inputs as they came, once they are known to have rows and the shapes of `specs`.

    Python compares shapes before it calls; the C++ session of a server does not, and would answer
    from embeddings of any size.
    """
    found = {}
    for name, value in inputs.items():
        value = tf.ensure_shape(value, specs[name].shape)
        none = f"{signature}: {name} has no rows, send at least one"
        with tf.control_dependencies([_assert(tf.shape(value)[0] > 0, none)]):
            found[name] = tf.identity(value)
    return found


def waveform(
    signature: str, waveform: tf.Tensor, num_samples: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns clips [B, T] and their lengths [B] as they came, once they are known to be sound."""
    rows, length = tf.unstack(tf.shape(waveform))
    checks = [
        tf.debugging.assert_positive(
            length,
            f"{signature}: waveform has no samples, send at least one (16000 are a second)",
        ),
        tf.debugging.assert_equal(
            rows,
            tf.size(num_samples),
            f"{signature}: send one num_samples for each row of waveform",
        ),
        tf.debugging.assert_positive(
            num_samples, f"{signature}: num_samples counts a clip's true samples, at least 1"
        ),
        tf.debugging.assert_less_equal(
            num_samples, length, f"{signature}: num_samples is more than the waveform holds"
        ),
        tf.debugging.assert_all_finite(
            waveform,
            f"{signature}: waveform holds NaN or infinite samples, decode the clip again",
        ),
    ]
    with tf.control_dependencies([c for c in checks if c is not None]):
        return tf.identity(waveform), tf.identity(num_samples)


def wav(signature: str, files: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the clips [B, T] float32 of sound files and their lengths [B] int32.

    Channels are averaged, as the reader does.

    Args:
      signature: what was called.
      files: [B] bytes of RIFF files, PCM of 16 bits at 16 kHz. What else TensorFlow's decoder
        cannot read (a file cut short), it refuses with a sentence of its own.
    """
    longest = tf.reduce_max(tf.strings.length(files)) // 2  # two bytes a sample, and a header

    def decode(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies(_header(signature, file)):
            sound, rate_hz = tf.audio.decode_wav(tf.identity(file))
        length = tf.shape(sound)[0]
        right = tensors.SAMPLE_RATE_HZ
        checks = [
            _assert(rate_hz == right, f"{signature}: a file has", rate_hz, f"Hz, send {right} Hz"),
            _assert(length > 0, f"{signature}: a file holds no samples, send at least one"),
        ]
        with tf.control_dependencies(checks):
            clip = tf.reduce_mean(sound, axis=1)
        return tf.pad(clip, [[0, longest - length]]), length

    specs = (tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32))
    clips, lengths = tf.map_fn(decode, files, fn_output_signature=specs)
    return clips[:, : tf.reduce_max(lengths)], lengths


def _header(signature: str, file: tf.Tensor) -> list[tf.Operation]:
    """Returns checks of how a sound file begins, in words that its sender understands."""
    wanted = "send RIFF (.wav) files of 16-bit PCM"
    length = tf.strings.length(file)
    riff = (tf.strings.substr(file, 0, 4) == "RIFF") & (length >= 44)
    checks = [_assert(riff, f"{signature}: a file is not a whole WAV, {wanted}")]
    with tf.control_dependencies(checks):
        # "fmt ", its size, format (1: PCM) and channels, rate, bytes a second and a row, bits,
        # "data", its size. Where other chunks come between, the decoder's own checks must do.
        start = tf.strings.substr(file, 12, 32)
    words = tf.cast(tf.io.decode_raw(start, tf.uint16), tf.int32)
    size = tf.io.decode_raw(start, tf.int32)[7]
    is_format = tf.strings.substr(start, 0, 4) == "fmt "
    is_data = tf.strings.substr(start, 24, 4) == "data"
    return [
        *checks,
        _assert(
            ~is_format | ((words[4] == 1) & (words[11] == 16)),
            f"{signature}: a file has",
            words[11],
            "bits a sample in the WAV format",
            words[4],
            f"(PCM is 1), {wanted}",
        ),
        _assert(
            ~(is_format & is_data) | ((size >= 0) & (size <= length - 44)),
            f"{signature}: a file is cut short, its header tells of",
            size,
            "bytes of sound and there are",
            length - 44,
        ),
    ]


def _assert(condition: tf.Tensor, *words: str | tf.Tensor) -> tf.Operation:
    """Refuses with a sentence of words and numbers."""
    texts = [w if isinstance(w, str) else tf.strings.as_string(w) for w in words]
    return tf.debugging.Assert(condition, [tf.strings.join(texts, " ")])


def candidates(signature: str, probe: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns probes [B, D] and the candidates of each [B, N, D], once there are any."""
    none = f"{signature}: a probe has no candidates, send at least one in every row of candidates"
    with tf.control_dependencies([_assert(tf.shape(candidates)[1] > 0, none)]):
        return {"probe": probe, "candidates": tf.identity(candidates)}


def embeddings(signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns embeddings [..., D] as they came, once they are known to be finite."""
    return {
        name: tf.debugging.assert_all_finite(
            value, f"{signature}: {name} holds NaN or infinite values, embed again"
        )
        for name, value in inputs.items()
    }


def pictures(signature: str, name: str, pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Returns pictures fitted to a square as the reader fits them.

    Args:
      signature: what was called.
      name: of the input.
      pixels: [B, H, W, 3] uint8, or frames [B, F, H, W, 3].
      size: side of the square.

    Returns:
      [B, size, size, 3] or [B, F, size, size, 3] uint8.
    """
    shape = tf.shape(pixels)
    lacking = "pixels, send" if pixels.shape.rank == 4 else "frames or no pixels, send one frame of"
    check = tf.debugging.assert_positive(
        shape[1:-1], f"{signature}: {name} has no {lacking} at least 1 x 1"
    )
    with tf.control_dependencies([] if check is None else [check]):
        flat = tf.reshape(pixels, tf.concat([[tf.reduce_prod(shape[:-3])], shape[-3:]], axis=0))
    fitted = tf.cond(
        tf.reduce_all(shape[-3:-1] == size),
        lambda: flat,
        lambda: tf.map_fn(lambda one: crops.fit(one, size), flat),
    )
    fitted = tf.reshape(fitted, tf.concat([shape[:-3], [size, size, 3]], axis=0))
    return tf.ensure_shape(fitted, [*pixels.shape[:-3], size, size, 3])


def rows(signature: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns inputs as they came, once they are known to hold the same number of rows."""
    first, *others = sorted(inputs.keys() - {"num_samples"})
    checks = [
        tf.debugging.assert_equal(
            tf.shape(inputs[first])[0],
            tf.shape(inputs[other])[0],
            f"{signature}: {first} and {other} hold different numbers of rows, send one of each "
            "for every row",
        )
        for other in others
    ]
    with tf.control_dependencies([c for c in checks if c is not None]):
        return {name: tf.identity(value) for name, value in inputs.items()}
