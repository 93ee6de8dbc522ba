"""Batch norm whose statistics are those of the global batch, on one replica and on many."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfav import compat
from tfav.layers import layer
from tfav.ops import distributed, precision


@keras.saving.register_keras_serializable("tfav")
class BatchNorm(layer.Layer):
    """Batch norm over all axes but the last (Ioffe and Szegedy, ICML 2015), synchronized.

    `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, statistics in full precision. One
    formula serves any number of replicas: each takes the mean and the mean squared deviation from
    it of its own rows, and those of the global batch follow from theirs (Chan et al., 1979):
    `variance = mean_r(variance_r + (mean_r - mean)^2)`. Keras takes `E(x^2) - E(x)^2`, which
    cancels where a mean is large beside its deviation. Every replica holds the same number of rows.

    The moving statistics follow the biased variance, and every replica assigns the same values.

    Args:
      epsilon: Number added to the variance; PyTorch's by default.
      momentum: Share of the moving statistics that a step keeps; PyTorch's, counted as Keras does.
      gamma_initializer: Initializer of the gains.
      **kwargs: `name`, and `dtype` of the output; by default what the policy computes in.
    """

    def __init__(
        self,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ):
        output = kwargs.pop("dtype", None) or keras.mixed_precision.global_policy().compute_dtype
        # Inside the layer Keras 3 would round its weights to the type of the policy.
        super().__init__(dtype=precision.full_dtype(), autocast=False, **kwargs)
        self.output_dtype = output
        self.epsilon = epsilon
        self.momentum = momentum
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.remember(
            epsilon=epsilon,
            momentum=momentum,
            gamma_initializer=keras.initializers.serialize(self.gamma_initializer),
            dtype=output,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `gamma`, `beta`, `moving_mean` and `moving_variance`, [C] each."""
        rows = {
            "gamma": (self.gamma_initializer, True),
            "beta": ("zeros", True),
            "moving_mean": ("zeros", False),
            "moving_variance": ("ones", False),
        }
        for name, (initializer, trainable) in rows.items():
            weight = self.add_weight(
                name=name, shape=(input_shape[-1],), initializer=initializer, trainable=trainable
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [..., C] of the output's type; in training also moves the statistics.

        Args:
          x: Features [..., C] of any float dtype.
          training: Python bool, whether the statistics of the batch are used.
        """
        gamma, beta = compat.raw(self.gamma), compat.raw(self.beta)
        moving = compat.raw(self.moving_mean), compat.raw(self.moving_variance)
        if not training:
            y = tf.nn.batch_normalization(precision.full(x), *moving, beta, gamma, self.epsilon)
            return tf.cast(y, self.output_dtype)
        if gamma.dtype == tf.float64:  # the fused kernels do not take it
            y, *statistics = _normalize(x, gamma, beta, self.epsilon)
        elif distributed.num_replicas() > 1:
            y, *statistics = _on_rows(_synchronized, x, gamma, beta, self.epsilon)
        else:
            moved = (*(tf.identity(average) for average in moving), 1.0 - self.momentum)
            y, *ahead = _on_rows(_alone, x, gamma, beta, self.epsilon, *moved)
            for average, value in zip(moving, ahead):
                average.assign(tf.stop_gradient(value))
            return tf.cast(y, self.output_dtype)
        for average, value in zip(moving, statistics):
            average.assign_sub((1.0 - self.momentum) * (average - tf.stop_gradient(value)))
        return tf.cast(y, self.output_dtype)


def _normalize(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the output, the mean and the biased variance by the formula itself.

    What the fused kernels compute is held against it.
    """
    x = precision.full(x)
    mean, variance = global_moments(x)
    y = (x - mean) * (tf.math.rsqrt(variance + epsilon) * gamma) + beta
    return y, mean, variance


def _on_rows(function: Callable, x: tf.Tensor, *arguments: Any) -> tuple[tf.Tensor, ...]:
    """Returns what `function` gives of [..., C] as [B, H, W, C], which the fused kernels take."""
    if x.shape.rank == 4:
        return function(x, *arguments)
    rows = tf.reshape(x, tf.stack([-1, 1, 1, x.shape[-1]]))
    y, *rest = function(rows, *arguments)
    return tf.reshape(y, tf.shape(x)), *rest


def _alone(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
    moving_mean: tf.Tensor,
    moving_variance: tf.Tensor,
    share: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the output of one replica, and its moving statistics moved by `share`: one kernel.

    The kernel moves towards the unbiased variance, n / (n - 1) times the biased one of n rows.
    """
    rows = x.shape.num_elements()
    rows = tf.size(x) if rows is None else rows
    rows = rows // x.shape[-1]
    if tf.is_tensor(rows):
        rows = tf.cast(rows, moving_variance.dtype)
        biased = tf.maximum(rows - 1.0, 1.0) / rows
    else:
        biased = max(rows - 1, 1) / rows
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=moving_mean,
        variance=moving_variance / biased,
        epsilon=epsilon,
        exponential_avg_factor=share,
        is_training=True,
    )
    return y, mean, variance * biased


def _synchronized(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns what `_normalize` does, over all replicas: one gather forth and one sum back.

    With u = (x - mean) / sqrt(variance + epsilon), n rows on all replicas, and the sums over them
    G = sum(dy u), B = sum(dy): dx = gamma / sqrt(variance + epsilon) (dy - (B + u G) / n).
    """

    @tf.custom_gradient
    def run(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[Any, Callable]:
        mean, variance = global_moments(precision.full(x))
        options = {"epsilon": epsilon, "is_training": False}
        y, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, **options
        )

        def gradient(dy: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # As if the statistics were constants; then what follows from their moving with x.
            constant, at_gamma, at_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=dy,
                x=x,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=[],
                **options,
            )
            context = tf.distribute.get_replica_context()
            sums = tf.stack([at_gamma, at_beta])
            of_gamma, of_beta = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, sums))
            rows = tf.cast(tf.size(x) // x.shape[-1] * distributed.num_replicas(), mean.dtype)
            inverse = tf.math.rsqrt(variance + epsilon)
            share = gamma * inverse / rows
            # (x - mean) slope - share B, which is a batch norm too.
            correction, *_ = tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=-share * inverse * of_gamma,
                offset=-share * of_beta,
                mean=mean,
                variance=tf.ones_like(mean),
                epsilon=0.0,
                is_training=False,
            )
            return constant + correction, at_gamma, at_beta

        return (y, mean, variance), gradient

    return run(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def global_moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and biased variance [C] of [..., C] over the rows of all replicas.

    Args:
      x: Features, float32 or float64, the same number of rows on every replica.
    """
    mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
    if distributed.num_replicas() == 1:
        return mean, variance
    means, variances = tf.unstack(
        distributed.gather(tf.stack([mean, variance])[tf.newaxis]), axis=1
    )
    mean = tf.reduce_mean(means, axis=0)
    return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)
