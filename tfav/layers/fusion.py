"""Fusions: what each modality becomes of its and the others' features, before the head.

All of them are symmetric and return one vector per modality, so that the head's matrix still splits
into one part per modality (the "mid-concat" forms of MMCosine's code). Under `gated` and `film` the
vector of one modality depends on all inputs, so uni-modal read-outs are approximate there.

Of more than two modalities (ours; the paper has two) each one is modulated by the mean of what the
others say.
"""

import zlib
from collections.abc import Mapping

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import blocks, layer
from tfav.ops import precision, sums


@keras.saving.register_keras_serializable("tfav")
class Concat(layer.Layer):
    """Leaves the features as they are, so that the head sees them side by side; has no weights.

    Args:
      sizes: Size D_m of each modality's features.
      seed: Not used by this fusion.
      name: Name of the layer.
    """

    needs_all = False  # a modality may be absent

    def __init__(self, sizes: Mapping[str, int], seed: int = 0, name: str = "fusion"):
        super().__init__(name=name, dtype=precision.full_dtype())
        self.remember(sizes=dict(sizes), seed=seed)

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the features [B, D_m] float32 by modality."""
        return {m: precision.full(x) for m, x in features.items()}


@keras.saving.register_keras_serializable("tfav")
class Gated(layer.Layer):
    """`x_m' = p_m * mean_{k != m} sigmoid(p_k)` with `p_m = U_m x_m + c_m`.

    Of two modalities: `(sigmoid(q) * p, sigmoid(p) * q)` (Kiela et al. 2018, made symmetric).

    Args:
      sizes: Size D of each modality's features, the same for all.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two modalities, or their sizes differ.
    """

    needs_all = True

    def __init__(self, sizes: Mapping[str, int], seed: int = 0, name: str = "fusion"):
        super().__init__(name=name, dtype=precision.full_dtype())
        self.remember(sizes=dict(sizes), seed=seed)
        size = _common_size(sizes, "gated")
        self.projections = {m: _dense(size, size, m, seed) for m in sizes}

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns [B, D] float32 by modality; all modalities must be there."""
        projected = {m: dense(precision.full(features[m])) for m, dense in self.projections.items()}
        gates = {m: tf.sigmoid(p) for m, p in projected.items()}
        return {m: p * _mean_of_others(gates, m) for m, p in projected.items()}


@keras.saving.register_keras_serializable("tfav")
class FiLM(layer.Layer):
    """`x_m' = mean_{k != m} gamma_k * x_m + mean_{k != m} beta_k`, linear in x_k (Perez et al.).

    Of two modalities: `(gamma_v a + beta_v, gamma_a v + beta_a)`, made symmetric.

    Args:
      sizes: Size D of each modality's features, the same for all.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two modalities, or their sizes differ.
    """

    needs_all = True

    def __init__(self, sizes: Mapping[str, int], seed: int = 0, name: str = "fusion"):
        super().__init__(name=name, dtype=precision.full_dtype())
        self.remember(sizes=dict(sizes), seed=seed)
        size = _common_size(sizes, "film")
        self.modulators = {m: _dense(size, 2 * size, m, seed) for m in sizes}

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns [B, D] float32 by modality; all modalities must be there."""
        said = {
            m: tf.split(dense(precision.full(features[m])), 2, axis=1)
            for m, dense in self.modulators.items()
        }
        gamma = {m: halves[0] for m, halves in said.items()}
        beta = {m: halves[1] for m, halves in said.items()}
        return {
            m: _mean_of_others(gamma, m) * precision.full(features[m]) + _mean_of_others(beta, m)
            for m in said
        }


@keras.saving.register_keras_serializable("tfav")
class Convex(layer.Layer):
    """`x_m' = k_m * tanh(x_m)` with `k = softmax_m(U_m x_m + c_m)`, number by number (FOP).

    Of two modalities: `k = sigmoid(V [x_a, x_v] + c)` and `1 - k`, so that the sum of what is
    returned is the gated fusion of Saeed et al. (ICASSP 2022), with one dense layer as its gate.

    Args:
      sizes: Size D of each modality's features, the same for all.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two modalities, or their sizes differ.
    """

    needs_all = True

    def __init__(self, sizes: Mapping[str, int], seed: int = 0, name: str = "fusion"):
        super().__init__(name=name, dtype=precision.full_dtype())
        self.remember(sizes=dict(sizes), seed=seed)
        size = _common_size(sizes, "convex")
        self.gates = {m: _dense(size, size, m, seed) for m in sizes}

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns [B, D] float32 by modality; all modalities must be there."""
        full = {m: precision.full(features[m]) for m in self.gates}
        shares = tf.nn.softmax(tf.stack([self.gates[m](x) for m, x in full.items()]), axis=0)
        return {m: share * tf.tanh(full[m]) for m, share in zip(full, tf.unstack(shares))}


def _common_size(sizes: Mapping[str, int], name: str) -> int:
    if len(sizes) < 2:
        raise registry.UserError(
            f"fusion={name!r} needs two modalities or more and was given {', '.join(sizes)}: use "
            "fusion='concat'."
        )
    if len(set(sizes.values())) > 1:
        raise registry.UserError(
            f"fusion={name!r} needs embeddings of one size and was given {dict(sizes)}: give all "
            "encoders one embedding_size, or use fusion='concat'."
        )
    return next(iter(sizes.values()))


def _dense(size: int, units: int, modality: str, seed: int) -> keras.layers.Dense:
    own = zlib.crc32(f"fusion/{modality}/{seed}".encode()) % 2**30
    dense = blocks.dense(units, own, dtype=precision.full_dtype())
    dense.build((None, size))
    return dense


def _mean_of_others(values: Mapping[str, tf.Tensor], modality: str) -> tf.Tensor:
    others = [value for m, value in values.items() if m != modality]
    return sums.in_order(others) / len(others)


FUSIONS: dict[str, type[layer.Layer]] = {
    "concat": Concat,
    "gated": Gated,
    "film": FiLM,
    "convex": Convex,
}
