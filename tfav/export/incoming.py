"""What a server is sent: refused with a sentence where it cannot be embedded, fitted where it can.

Every check names the signature and the input, and comes before the encoder, which would fail on
shapes that mean nothing to the caller.
"""

from collections.abc import Mapping

import tensorflow as tf

from tfav.data import crops


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
