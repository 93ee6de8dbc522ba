"""The explicit loss, value and gradient, against bare products and the released code's tensor.

The floor is three products of B x B x D: the cosines, which both directions share, and of a
gradient of B x B the product with either side. Any implementation must do them.
"""

from collections.abc import Callable

import tensorflow as tf

from benchmarks import gradients, memory, timing
from tfav.losses import alignment
from tfav.ops import similarity

SIZE = 128
# Beyond this the floor goes in slices of rows: one B x B is 1 GB at 16,384.
SLICE = 2_048


def rows() -> list[timing.Row]:
    """Returns a row per batch size; the released form only where it fits into memory."""
    return [
        timing.row(
            "explicit loss, value and gradient",
            f"B = {batch:,}, D = {SIZE}",
            ours(batch),
            {"three products": floor(batch), **({"released": released(batch)} if small else {})},
            targets,
            _memory(batch, small),
        )
        for batch, small, targets in (
            (512, True, {}),
            (2_048, False, {"three products": 2.0}),
            (16_384, False, {}),
        )
    ]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the batch, whose pairs are what the work counts."""
    calls = {batch: ours(batch) for batch in (64, 256, 1_024, 4_096, 8_192)}
    return [timing.scale("explicit loss, value and gradient", "rows of a batch", calls, 2.0)]


def _memory(batch: int, small: bool) -> str:
    square = batch * batch * 4 / 2**20
    peaks = {"ours": memory.peak_mb(ours, batch, warm=32)}
    if small:
        peaks["released"] = memory.peak_mb(released, batch, warm=32)
    said = [f"{name} {peak / square:.1f}" for name, peak in peaks.items()]
    return f"peak in B x B of float32 ({square:.0f} MB): {', '.join(said)}"


def ours(batch: int) -> Callable[[], object]:
    """Returns a call of our loss."""
    return gradients.call(alignment.explicit, *_inputs(batch))


def floor(batch: int) -> Callable[[], object]:
    """Returns a call of the three products."""
    part = min(batch, SLICE)
    once = gradients.products([(part, batch, SIZE)])
    return lambda: [once() for _ in range(batch // part)][-1]


def released(batch: int) -> Callable[[], object]:
    """Returns a call of the released code's form, with its B x B x D tensor in each direction."""

    def direction(anchor: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        products = tf.reduce_sum(anchor[:, tf.newaxis] * similarity.normalize(other), axis=2)
        excess = products - tf.linalg.diag_part(products)[:, tf.newaxis]
        return tf.math.log(1.0 + 3.4 + tf.reduce_sum(tf.exp(excess), axis=1))

    def loss(voice: tf.Tensor, face: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        del label  # every other row is a negative
        return 0.5 * (direction(voice, face) + direction(face, voice))

    return gradients.call(loss, *_inputs(batch))


def _inputs(batch: int) -> tuple[list[tf.Tensor], tf.Tensor]:
    return [gradients.normal(batch, SIZE, seed=i) for i in range(2)], tf.range(batch)
