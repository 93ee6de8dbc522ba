"""On-the-fly gradient modulation: holds back the modality that runs ahead (OGM, OGM-GE)."""

import zlib
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav import registry
from tfav.losses import multimodal

KINDS = ("off", "ogm", "ogm_ge")


class Modulation:
    """OGM and OGM-GE (Peng et al., CVPR 2022) on gradients that are summed over replicas.

    A factor, and the noise of GE, meet kernels alone (the released code: convolutions) and not
    biases and norms. The noise of a kernel has the deviation of its own gradient and falls on every
    modality, the held back and the others; it is a function of (seed, step).

    Args:
      kind: `ogm`, or `ogm_ge` with the noise; `off` changes nothing.
      num_modalities: at least 2.
      alpha: how much is held back.
      start_step: first step of the modulation.
      end_step: first step after it; None: it lasts. The released default ends it half-way.
      seed: Random seed of the noise.

    Raises:
      UserError: an unknown kind, fewer than two modalities, `alpha` not positive.
    """

    def __init__(
        self,
        kind: str,
        num_modalities: int,
        *,
        alpha: float = 0.1,
        start_step: int = 0,
        end_step: int | None = None,
        seed: int = 0,
    ):
        if kind not in KINDS:
            raise registry.UserError(f"modulation={kind!r}: choose one of {', '.join(KINDS)}.")
        if kind != "off" and (num_modalities < 2 or not alpha > 0):
            raise registry.UserError(
                f"modulation={kind!r} of {num_modalities} modalities with alpha={alpha}: it needs "
                "two modalities or more and a positive alpha, such as 0.1; or set it to 'off'."
            )
        self.kind = kind
        self._alpha = alpha
        self._start_step = start_step
        self._end_step = tf.int64.max if end_step is None else end_step
        self._seed = seed

    def __bool__(self) -> bool:
        """Says whether there is any."""
        return self.kind != "off"

    def __call__(
        self,
        gradients: Sequence[tf.Tensor],
        positions: Mapping[str, Sequence[int]],
        scores: Mapping[str, tf.Tensor],
        step: tf.Tensor,
    ) -> list[tf.Tensor]:
        """Returns the gradients, those of the encoders' kernels modulated.

        Args:
          gradients: Gradients of all weights.
          positions: modality to which of them are its encoder's.
          scores: modality to the mean over the global batch of `softmax(z^m)_y`, [].
          step: steps taken so far, int64 [].
        """
        factors = multimodal.modulation(tf.stack(list(scores.values())), self._alpha)
        kernels = [
            (i, factor)
            for modality, factor in zip(scores, tf.unstack(factors))
            for i in positions[modality]
            if gradients[i].shape.rank >= 2
        ]

        def modulated() -> list[tf.Tensor]:
            changed = list(gradients)
            for i, factor in kernels:
                changed[i] = factor * gradients[i]
                if self.kind == "ogm_ge":
                    changed[i] += self._noise(gradients[i], i, step)
            return changed

        active = tf.logical_and(step >= self._start_step, step < self._end_step)
        return tf.cond(active, modulated, lambda: [tf.identity(g) for g in gradients])

    def _noise(self, gradient: tf.Tensor, index: int, step: tf.Tensor) -> tf.Tensor:
        key = zlib.crc32(f"ogm_ge/{index}/{self._seed}".encode())
        draw = tf.random.stateless_normal(
            tf.shape(gradient), tf.stack([tf.constant(key, tf.int64), step])
        )
        count = tf.cast(tf.size(gradient), gradient.dtype)
        unbiased = tf.sqrt(tf.math.divide_no_nan(count, count - 1.0))  # as torch.std
        draw = tf.cast(draw, gradient.dtype)
        return draw * (tf.math.reduce_std(gradient) * unbiased + 1e-8)
