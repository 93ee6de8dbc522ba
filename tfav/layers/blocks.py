"""Building blocks of the encoders: batch norm, dropout, convolutions and pools.

Time masks: `valid` is [B, T, 1, 1], 1 where a position is sound. It is applied before every op
that mixes positions, so what pads a clip acts like the zeros beyond its end and never changes an
embedding.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfav.layers import normalization
from tfav.ops import distributed, precision

Initializer = Callable[[int], keras.initializers.Initializer]


def dense(units: int, seed: int, use_bias: bool = True, **kwargs: Any) -> keras.layers.Dense:
    """Returns a dense layer with seeded Xavier-uniform weights.

    Args:
      units: size of the output.
      seed: of the initial weights.
      use_bias: whether a bias is added.
      **kwargs: further arguments of `keras.layers.Dense`.
    """
    initializer = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, **kwargs)


class SeededDropout(keras.layers.Layer):
    """Dropout whose mask depends on (seed, number of calls) and not on the number of replicas.

    The mask is drawn for the global batch; each replica takes its rows. Keras's own layer gives
    every replica the same mask and keeps its state out of checkpoints. `calls` counts training
    calls and is a weight, so a resumed run continues with the masks it would have drawn.

    Args:
      rate: share of values set to zero, in [0, 1).
      seed: of the masks.
      **kwargs: name and dtype, as for any Keras layer.
    """

    def __init__(self, rate: float, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.calls = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="calls",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `x` [b, ...] with values dropped in training, the rest divided by `1 - rate`."""
        if not training or self.rate == 0.0:
            return x
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.identity(self.calls)])
        self.calls.assign_add(1)
        rows = tf.shape(x)[0]
        shape = tf.concat([[rows * distributed.num_replicas()], tf.shape(x)[1:]], axis=0)
        first = rows * distributed.replica_id()
        draw = tf.random.stateless_uniform(shape, seed)[first : first + rows]
        keep = tf.cast(draw >= self.rate, x.dtype)
        return x * keep * tf.cast(1.0 / (1.0 - self.rate), x.dtype)


def xavier_uniform(seed: int) -> keras.initializers.Initializer:
    """Returns Glorot and Bengio's uniform initial weights (AISTATS 2010)."""
    return keras.initializers.GlorotUniform(seed=seed)


def kaiming_normal(seed: int) -> keras.initializers.Initializer:
    """Returns He et al.'s normal initial weights (ICCV 2015), fan-out, for ReLU."""
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal", seed=seed
    )


class Conv(keras.layers.Layer):
    """2-D convolution in PyTorch's geometry: (kernel - 1) / 2 zeros on every side.

    TensorFlow's SAME pads unevenly under a stride, which shifts the grid and ties it to the length
    of the clip. Odd kernels only.

    Args:
      filters: output channels.
      kernel_size: (time or height, frequency or width).
      strides: likewise.
      seed: of the initial weights.
      init: seed to the kernel's initializer.
      use_bias: whether a bias is added, zero at first.
      name: Keras name.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        *,
        seed: int,
        init: Initializer = xavier_uniform,
        use_bias: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.seed = seed
        self.init = init
        self.use_bias = use_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `kernel` [kh, kw, C_in, C_out] and, if asked for, `bias` [C_out]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=self.init(self.seed),
            trainable=True,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros", trainable=True
            )
        self.built = True

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), filters].

        Args:
          x: [B, H, W, C].
          valid: [B, H, 1, 1], or None when every row is sound.
        """
        x = mask(tf.cast(x, self.compute_dtype), valid)
        x, padding = _padded(x, self.kernel_size, self.strides)
        x = tf.nn.conv2d(x, tf.cast(self.kernel, x.dtype), self.strides, padding)
        return x + tf.cast(self.bias, x.dtype) if self.use_bias else x


class DepthwiseConv(keras.layers.Layer):
    """2-D convolution of each channel by itself, in the geometry of `Conv`, without bias.

    Args:
      kernel_size: (time or height, frequency or width).
      stride: of both axes.
      seed: of the initial weights: Kaiming-normal, of which fan-out is a channel's own kernel.
      padded: whether the input is padded as by `Conv`; if not, any kernel will do, and one of the
        size of the map leaves one position, the global depthwise convolution of MobileFaceNet.
      name: Keras name.
    """

    def __init__(
        self,
        kernel_size: tuple[int, int],
        stride: int = 1,
        *,
        seed: int,
        padded: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.kernel_size = kernel_size
        self.stride = stride
        self.seed = seed
        self.padded = padded

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `kernel` [kh, kw, C, 1]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], 1),
            initializer=kaiming_normal(self.seed),
            trainable=True,
        )
        self.built = True

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), C], not padded as much less as it takes.

        Args:
          x: [B, H, W, C].
          valid: [B, H, 1, 1], or None when every row is sound.
        """
        x = mask(tf.cast(x, self.compute_dtype), valid)
        strides, padding = (self.stride, self.stride), "VALID"
        if self.padded:
            x, padding = _padded(x, self.kernel_size, strides)
        kernel = tf.cast(self.kernel, x.dtype)
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding)


def _padded(
    x: tf.Tensor, kernel_size: tuple[int, int], strides: tuple[int, int]
) -> tuple[tf.Tensor, str]:
    """Returns [B, H, W, C] with a convolution's zeros, or what its padding is called instead."""
    if strides == (1, 1):
        return x, "SAME"
    height, width = (size // 2 for size in kernel_size)
    if height or width:
        x = tf.pad(x, [[0, 0], [height, height], [width, width], [0, 0]])
    return x, "VALID"


def mask(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns `x` [B, T, W, C] with the positions where `valid` [B, T, 1, 1] is 0 zeroed."""
    return x if valid is None else x * tf.cast(valid, x.dtype)


def subsample(valid: tf.Tensor | None, stride: int) -> tf.Tensor | None:
    """Returns the mask after a stride: n sound positions become ceil(n / stride), as in `Conv`."""
    return valid if valid is None or stride == 1 else valid[:, ::stride]


def max_pool(
    x: tf.Tensor, size: int, valid: tf.Tensor | None = None, partial: bool = True
) -> tf.Tensor:
    """Returns the largest values of windows at stride 2: [B, ceil(H / 2), ceil(W / 2), C].

    Args:
      x: [B, H, W, C], none negative, as after a ReLU: so zeros may stand for what is not there.
      size: 3, with PyTorch's border of one position, or 2, without a border.
      valid: [B, H, 1, 1], or None when every row is sound.
      partial: of size 2, whether an odd last position makes a window; else it is dropped.
    """
    x = mask(x, valid)
    if size == 3:  # not SAME: that would put the border of an even map on one side
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.nn.max_pool2d(x, size, 2, "SAME" if size == 2 and partial else "VALID")


def masked_max(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns the largest of non-negative [B, T, W, C], sound time and all of W: [B, C] float32."""
    return precision.full(tf.reduce_max(mask(x, valid), axis=[1, 2]))


def masked_mean(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns the mean of [B, T, W, C] over sound time and all of W: [B, C] float32."""
    x = precision.full(x)
    if valid is None:
        return tf.reduce_mean(x, axis=[1, 2])
    valid = tf.cast(valid, x.dtype)  # Keras 3 autocasts every float argument of a block
    total = tf.reduce_sum(tf.reduce_mean(x * valid, axis=2), axis=1)
    return total / tf.reduce_sum(valid, axis=[1, 2])


def flatten(x: tf.Tensor) -> tf.Tensor:
    """Returns [B, H, W, C] with static H, W, C as [B, H * W * C], the size static too."""
    return tf.reshape(x, [-1, math.prod(x.shape[1:])])


class PReLU(keras.layers.Layer):
    """One slope per channel below zero (He et al., ICCV 2015), 0.25 at first.

    In training its gradient is written out: Keras's form keeps and moves twice as many bytes.
    Elsewhere the form is Keras's, which the TFLite converter knows as one op.

    Args:
      name: Keras name.
    """

    def __init__(self, name: str | None = None):
        super().__init__(name=name)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `alpha` [1, 1, C]."""
        self.alpha = self.add_weight(
            name="alpha",
            shape=(1, 1, input_shape[-1]),
            initializer=keras.initializers.Constant(0.25),
            trainable=True,
        )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `x` [B, H, W, C] where it is positive, elsewhere `alpha * x`."""
        alpha = tf.cast(self.alpha, x.dtype)
        return _prelu(x, alpha) if training else tf.nn.relu(x) - alpha * tf.nn.relu(-x)


@tf.custom_gradient
def _prelu(x: tf.Tensor, alpha: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    positive = x > 0
    y = tf.where(positive, x, alpha * x)

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        below = tf.where(positive, tf.zeros([], dy.dtype), dy)
        if x.dtype == tf.float64:
            change, at_alpha = (alpha - 1) * below, tf.reduce_sum(below * x, axis=[0, 1, 2])
        else:
            # The gradient of a batch norm with mean 0 and variance 1: (alpha - 1) below, and the
            # sum of below x for each channel, in one pass over both.
            slope = tf.reshape(precision.full(alpha) - 1, [-1])
            change, at_alpha, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=below,
                x=x,
                scale=slope,
                reserve_space_1=tf.zeros_like(slope),
                reserve_space_2=tf.ones_like(slope),
                reserve_space_3=[],
                epsilon=0.0,
                is_training=False,
            )
        return dy + change, tf.cast(at_alpha, alpha.dtype)[tf.newaxis, tf.newaxis]

    return y, gradient


class Tail(keras.layers.Layer):
    """The end of every encoder: BN, ReLU, dense without bias, dropout (Wen et al., CVPR 2021).

    Computes in float32 under every policy.

    Args:
      embedding_size: D.
      dropout: share of the embedding dropped in training.
      seeds: numbers for the initial weights and the dropout.
      name: Keras name.
    """

    def __init__(
        self, embedding_size: int, dropout: float, seeds: Iterator[int], name: str | None = None
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
        self.bn = normalization.BatchNorm(dtype=precision.full_dtype())
        self.dense = dense(
            embedding_size, next(seeds), use_bias=False, dtype=precision.full_dtype()
        )
        self.dropout = SeededDropout(dropout, next(seeds), dtype=precision.full_dtype())

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns embeddings [B, D] float32 of features [B, C]."""
        x = tf.nn.relu(self.bn(x, training=training))
        return self.dropout(self.dense(x), training=training)
