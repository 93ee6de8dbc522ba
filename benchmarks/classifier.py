"""The shared classifier with its cross-entropy, and what its theory's line costs beside it.

The floor is three products: the logits, and of their gradient the product with the embeddings and
with the class weights.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks import gradients, memory, timing
from tfav import compat
from tfav.layers import shared_classifier
from tfav.losses import bounds, softmax
from tfav.ops import similarity

BATCH, SIZE = 256, 128


def rows() -> list[timing.Row]:
    """Returns rows of many classes, of few with the released form, and of the theory's line."""
    many, few = 100_000, 2_000
    return [
        timing.row(
            "shared classifier, value and gradient",
            f"B = {BATCH}, M = {many:,}, D = {SIZE}",
            ours(many),
            {"three products": floor(many)},
            {"three products": 1.5},
            _memory(many, ours),
        ),
        timing.row(
            "shared classifier, value and gradient",
            f"B = {BATCH}, M = {few:,}, D = {SIZE}",
            ours(few),
            {"three products": floor(few), "released": released(few)},
            {},
            _memory(few, ours, released),
        ),
        timing.row(
            "both modalities' classification with Proposition 1's floor",
            f"B = {BATCH}, M = {many:,}, D = {SIZE}",
            both(many, True),
            {"without the floor": both(many, False)},
            {"without the floor": 1.1},
            "without encoders, of which a step has two",
        ),
    ]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the number of identities."""
    calls = {number: ours(number) for number in (1_000, 3_162, 10_000, 31_623, 100_000)}
    return [timing.scale("shared classifier, value and gradient", "identities", calls, 1.0)]


def _memory(num_classes: int, *forms: Callable[[int], Callable[[], object]]) -> str:
    square = BATCH * num_classes * 4 / 2**20
    peaks = [f"{f.__name__} {memory.peak_mb(f, num_classes, warm=32) / square:.1f}" for f in forms]
    return f"peak in B x M of float32 ({square:.0f} MB): {', '.join(peaks)}"


def ours(num_classes: int) -> Callable[[], object]:
    """Returns a call of our head and loss, class weights and embeddings normalised."""
    layer = shared_classifier.SharedClassifier(num_classes, embedding_size=SIZE)

    def loss(x: tf.Tensor, kernel: tf.Variable, label: tf.Tensor) -> tf.Tensor:
        del kernel  # the layer reads it
        return softmax.cross_entropy(layer(x), label)

    inputs = [gradients.normal(BATCH, SIZE), compat.raw(layer.kernel)]
    return gradients.call(loss, inputs, _label(num_classes))


def both(num_classes: int, watched: bool) -> Callable[[], object]:
    """Returns a call of both modalities' losses, with or without the floor of Proposition 1."""
    layer = shared_classifier.SharedClassifier(num_classes, embedding_size=SIZE)

    def loss(voice: tf.Tensor, face: tf.Tensor, kernel: tf.Variable, label: tf.Tensor) -> tf.Tensor:
        del kernel
        found = tf.add_n([softmax.cross_entropy(layer(x), label) for x in (voice, face)])
        if watched:
            unit = [similarity.normalize(x) for x in (voice, face)]
            # Without gradient, and of the size of nothing: it is there to be computed.
            found += 1e-9 * bounds.implicit_floor(layer.largest_norm(), num_classes, *unit, label)
        return found

    inputs = [gradients.normal(BATCH, SIZE, seed=i) for i in range(2)]
    return gradients.call(loss, [*inputs, compat.raw(layer.kernel)], _label(num_classes))


def floor(num_classes: int) -> Callable[[], object]:
    """Returns a call of the three products."""
    return gradients.products([(BATCH, num_classes, SIZE)])


def released(num_classes: int) -> Callable[[], object]:
    """Returns a call of the released code's form, with its B x M x D tensor; nothing normalised."""

    def loss(x: tf.Tensor, kernel: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        logits = tf.reduce_sum(x[:, tf.newaxis] * kernel, axis=2)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)

    inputs = [gradients.normal(BATCH, SIZE), gradients.normal(num_classes, SIZE, seed=1)]
    return gradients.call(loss, inputs, _label(num_classes))


def _label(num_classes: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(2).integers(0, num_classes, BATCH), tf.int32)
