"""MMCosine's head with its cross-entropy, of several modalities.

The floor is three products per modality: its logits, and of their gradient the product with its
features and with its columns of the class weights.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks import gradients, timing
from tfav import compat
from tfav.layers import classifiers
from tfav.losses import softmax

SIZE, SCALE = 512, 10.0
# Batch, classes (VoxCeleb2's speakers, VGGSound's sounds), modalities, and the most of the floor.
CASES = ((256, 5_994, 2, 2.0), (256, 5_994, 3, 2.0), (64, 309, 2, None))


def rows() -> list[timing.Row]:
    """Returns a row per case; the small one has no target, since launches outweigh its products."""
    return [
        timing.row(
            "MMCosine head and loss, value and gradient",
            f"B = {batch}, C = {num_classes:,}, {modalities} modalities of D = {SIZE}",
            ours(batch, num_classes, modalities),
            {
                "three products per modality": floor(batch, num_classes, modalities),
                "released": released(batch, num_classes, modalities),
            },
            {} if most is None else {"three products per modality": most},
        )
        for batch, num_classes, modalities, most in CASES
    ]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the number of classes."""
    calls = {number: ours(256, number, 2) for number in (60, 190, 600, 1_897, 6_000)}
    return [timing.scale("MMCosine head and loss, value and gradient", "classes", calls, 1.0)]


def ours(batch: int, num_classes: int, modalities: int) -> Callable[[], object]:
    """Returns a call of our head and loss."""
    names = [f"modality{i}" for i in range(modalities)]
    head = classifiers.CosineClassifier(num_classes, dict.fromkeys(names, SIZE), scale=SCALE)

    def loss(*inputs: tf.Tensor) -> tf.Tensor:
        *features, _, label = inputs  # the layer reads the class weights
        return softmax.cross_entropy(
            tf.add_n(list(head(dict(zip(names, features))).values())), label
        )

    features, label = _inputs(batch, num_classes, modalities)
    return gradients.call(loss, [*features, compat.raw(head.kernel)], label)


def floor(batch: int, num_classes: int, modalities: int) -> Callable[[], object]:
    """Returns a call of the bare products."""
    return gradients.products([(batch, num_classes, SIZE)] * modalities)


def released(batch: int, num_classes: int, modalities: int) -> Callable[[], object]:
    """Returns a call of the released code's form: each modality's columns transposed, normalised.

    With the library's own cross-entropy, as released code has it.
    """

    def loss(*inputs: tf.Tensor) -> tf.Tensor:
        *features, kernel, label = inputs
        logits = []
        for i, x in enumerate(features):
            part = tf.transpose(kernel[:, i * SIZE : (i + 1) * SIZE])
            unit = tf.math.l2_normalize(x, axis=1), tf.math.l2_normalize(part, axis=0)
            logits.append(SCALE * tf.matmul(*unit))
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label, tf.add_n(logits))

    features, label = _inputs(batch, num_classes, modalities)
    kernel = gradients.normal(num_classes, SIZE * modalities)
    return gradients.call(loss, [*features, kernel], label)


def _inputs(batch: int, num_classes: int, modalities: int) -> tuple[list[tf.Tensor], tf.Tensor]:
    label = np.random.default_rng(9).integers(0, num_classes, batch)
    features = [gradients.normal(batch, SIZE, seed=i) for i in range(modalities)]
    return features, tf.constant(label, tf.int32)
