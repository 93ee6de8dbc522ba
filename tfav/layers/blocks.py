"""Building blocks of the encoders: dense layers, convolutions, and pooling over space.

Time masks: `valid` is [B, T, 1, 1], 1 where a position belongs to the clip and 0 where it is
padding. The mask is applied before every op that mixes positions, so padding acts like the zeros
beyond the end of a clip and never changes an embedding.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import layer
from tfav.ops import precision


def xavier_uniform(seed: int) -> keras.initializers.Initializer:
    """Returns the uniform initializer of Glorot and Bengio (AISTATS 2010)."""
    return keras.initializers.GlorotUniform(seed=seed)


def kaiming_normal(seed: int) -> keras.initializers.Initializer:
    """Returns the normal initializer of He et al. (ICCV 2015) for ReLU, by fan-out."""
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal", seed=seed
    )


# A row makes an initializer of a seed.
INITIALIZERS = {"xavier_uniform": xavier_uniform, "kaiming_normal": kaiming_normal}


def dense(units: int, seed: int, use_bias: bool = True, **kwargs: Any) -> keras.layers.Dense:
    """Returns a dense layer with seeded Xavier-uniform weights.

    Args:
      units: Size of the output.
      seed: Random seed of the initial weights.
      use_bias: Whether a bias is added.
      **kwargs: Further arguments of `keras.layers.Dense`.
    """
    return keras.layers.Dense(
        units, use_bias=use_bias, kernel_initializer=xavier_uniform(seed), **kwargs
    )


@keras.saving.register_keras_serializable("tfav")
class Conv(layer.Layer):
    """2-D convolution in PyTorch's geometry: (kernel - 1) / 2 zeros on every side.

    TensorFlow's SAME pads unevenly under a stride, which shifts the grid and ties it to the length
    of the clip.

    Args:
      filters: Number of output channels.
      kernel_size: Size of the kernel, (time or height, frequency or width), both odd.
      strides: Strides along the same two axes.
      seed: Random seed of the initial weights.
      init: Initializer of the kernel, a row of `INITIALIZERS` or a dotted path.
      use_bias: Whether a bias is added, which is zero at first.
      name: Name of the layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        *,
        seed: int,
        init: str = "xavier_uniform",
        use_bias: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.remember(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            seed=seed,
            init=init,
            use_bias=use_bias,
        )
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.seed = seed
        self.init = init
        self.use_bias = use_bias

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `kernel` [kh, kw, C_in, C_out] and, if asked for, `bias` [C_out]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=registry.lookup(INITIALIZERS, self.init, "initializer")(self.seed),
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
          x: Feature map [B, H, W, C].
          valid: Mask [B, H, 1, 1]; None means that every row counts.
        """
        x = mask(tf.cast(x, self.compute_dtype), valid)
        x, padding = _padded(x, self.kernel_size, self.strides)
        x = tf.nn.conv2d(x, tf.cast(self.kernel, x.dtype), self.strides, padding)
        return x + tf.cast(self.bias, x.dtype) if self.use_bias else x


@keras.saving.register_keras_serializable("tfav")
class DepthwiseConv(layer.Layer):
    """2-D convolution of each channel by itself, in the geometry of `Conv`, without bias.

    The kernel starts Kaiming-normal, with the fan-out of one channel's own kernel.

    Args:
      kernel_size: Size of the kernel, (time or height, frequency or width).
      stride: Stride of both axes.
      seed: Random seed of the initial weights.
      padded: Whether the input is padded as by `Conv`. Without padding even kernels are allowed,
        and one of the size of the map leaves one position: the global depthwise convolution of
        MobileFaceNet.
      name: Name of the layer.
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
        self.remember(kernel_size=kernel_size, stride=stride, seed=seed, padded=padded)
        self.kernel_size = tuple(kernel_size)
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
        """Returns [B, ceil(H / stride), ceil(W / stride), C]; without padding, as much less.

        Args:
          x: Feature map [B, H, W, C].
          valid: Mask [B, H, 1, 1]; None means that every row counts.
        """
        x = mask(tf.cast(x, self.compute_dtype), valid)
        strides, padding = (self.stride, self.stride), "VALID"
        if self.padded:
            x, padding = _padded(x, self.kernel_size, strides)
        kernel = tf.cast(self.kernel, x.dtype)
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding)


def _padded(
    x: tf.Tensor, kernel_size: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tf.Tensor, str]:
    """Returns [B, H, W, C] with a convolution's zeros, and the padding that TensorFlow shall add.

    Without a stride TensorFlow's own SAME is the same geometry, and needs no op.
    """
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
    """Returns the mask after a stride: n valid positions become ceil(n / stride), as in `Conv`."""
    return valid if valid is None or stride == 1 else valid[:, ::stride]


def max_pool(
    x: tf.Tensor, size: int, valid: tf.Tensor | None = None, partial: bool = True
) -> tf.Tensor:
    """Returns the largest values of windows at stride 2: [B, ceil(H / 2), ceil(W / 2), C].

    Args:
      x: Feature map [B, H, W, C] without negative values, as after a ReLU, so that zeros may stand
        for what is not there.
      size: Size of the window: 3, with PyTorch's border of one position, or 2, without a border.
      valid: Mask [B, H, 1, 1]; None means that every row counts.
      partial: Whether, for size 2, an odd last position makes a window; otherwise it is dropped.
    """
    x = mask(x, valid)
    if size == 3:  # not SAME: that would put the border of an even map on one side
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.nn.max_pool2d(x, size, 2, "SAME" if size == 2 and partial else "VALID")


def masked_max(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns the maximum of non-negative [B, T, W, C] over valid time and all of W, [B, C]."""
    return precision.full(tf.reduce_max(mask(x, valid), axis=[1, 2]))


def masked_mean(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns the mean of [B, T, W, C] over valid time and all of W, [B, C] in float32."""
    x = precision.full(x)
    if valid is None:
        return tf.reduce_mean(x, axis=[1, 2])
    valid = tf.cast(valid, x.dtype)  # Keras 3 autocasts every float argument of a block
    total = tf.reduce_sum(tf.reduce_mean(x * valid, axis=2), axis=1)
    return total / tf.reduce_sum(valid, axis=[1, 2])


def flatten(x: tf.Tensor) -> tf.Tensor:
    """Returns [B, H, W, C] with static H, W, C as [B, H * W * C], the size static too."""
    return tf.reshape(x, [-1, math.prod(x.shape[1:])])
