"""The VGG trunks of Deep Multimodal Clustering: VGGish of audio, VGG16 of images."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfav import compat, registry
from tfav.encoders import base
from tfav.layers import blocks, frontend_table, layer

FEATURE_SIZE = 512
GLOBAL_POOLS = {"max": blocks.masked_max, "mean": blocks.masked_mean}
# What the ImageNet weights of keras.applications were trained on: BGR bytes less their means.
CAFFE_MEAN = (123.68, 116.779, 103.939)


@keras.saving.register_keras_serializable("tfav")
class Trunk(layer.Layer):
    """Stages of 3 x 3 convolutions with bias and ReLU, a 2 x 2 max-pool between two stages.

    Args:
      stages: Number of channels of each convolution of each stage.
      partial: Whether the last row of an odd map makes a pool's window; otherwise it is dropped.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        stages: tuple[tuple[int, ...], ...],
        partial: bool,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(stages=stages, partial=partial, seeds=seeds)
        self.partial = partial
        self.convs = [
            blocks.Conv(filters, (3, 3), seed=next(seeds), use_bias=True)
            for filters in itertools.chain(*stages)
        ]
        # The first convolution of each stage but the first.
        self.pool_before = [sum(map(len, stages[:i])) for i in range(1, len(stages))]

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns [B, H', W', 512] of [B, H, W, C]; `valid` [B, H, 1, 1] or None."""
        for i, conv in enumerate(self.convs):
            if i in self.pool_before:
                x = blocks.max_pool(x, 2, valid, self.partial)
                valid = blocks.subsample(valid, 2)
            x = tf.nn.relu(conv(x, valid))
        return x


@keras.saving.register_keras_serializable("tfav")
class VGGish(base.AudioEncoder):
    """The VGGish trunk without its last pool and dense layers, globally pooled: the ear of DMC.

    Args:
      embedding_size: Size D of the embedding: at 512 the pooled features themselves, otherwise a
        dense projection of them.
      frontend: Arguments of `layers.frontend_table.make`; by default the preset `dmc_25_10`.
      global_pool: Pool over valid time and frequency, `max` or `mean`.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: another global pool.
    """

    map_stride = 8
    default_frontend = frontend_table.PRESETS["dmc_25_10"]

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        frontend: Mapping[str, Any] | None = None,
        global_pool: str = "max",
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.global_pool = registry.lookup(GLOBAL_POOLS, global_pool, "global pool")
        self.remember(
            embedding_size=embedding_size,
            frontend=frontend,
            global_pool=global_pool,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.trunk = Trunk(((64,), (128,), (256, 256), (512, 512)), True, seeds)
        self.projection = self.new_projection(FEATURE_SIZE, seeds)
        self.create_weights()

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 8), ceil(bands / 8), 512] and its mask."""
        feature_map = self.trunk(tf.expand_dims(frames, 3), valid)
        return feature_map, blocks.subsample(valid, self.map_stride)

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the globally pooled map."""
        features = self.global_pool(feature_map, valid)
        for dense in self.projection:
            features = dense(features)
        return features


@keras.saving.register_keras_serializable("tfav")
class VGG16(base.ImageEncoder):
    """The VGG16 trunk without its last pool and dense layers, globally pooled: the eye of DMC.

    The map has H // 16 by W // 16 positions (pools drop an odd last row): 16 x 16 of 256 pixels.

    Args:
      embedding_size: Size D of the embedding: at 512 the pooled features themselves, otherwise a
        dense projection of them.
      image_size: Height and width of the images; 256 in the original, at least 16.
      global_pool: Pool over the image, `max` or `mean`.
      pixels: Scaling of the pixels: `scaled` to [-1, 1] as in DMC, or `caffe`, BGR less the mean of
        ImageNet, on which the ImageNet weights of keras.applications were trained.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: another global pool or scaling, or too small an image.
    """

    map_stride = 16
    map_offset = 7.5  # the middle of the 16 pixels that four pools join

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        image_size: int = 256,
        global_pool: str = "max",
        pixels: str = "scaled",
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        if image_size < self.map_stride:
            raise registry.UserError(
                f"vgg16 cannot take images of {image_size} pixels: give them at least "
                f"{self.map_stride}."
            )
        if pixels not in ("scaled", "caffe"):
            raise registry.UserError(f"unknown pixels {pixels!r}: choose one of scaled, caffe.")
        self.global_pool = registry.lookup(GLOBAL_POOLS, global_pool, "global pool")
        self.bgr = pixels == "caffe"
        if self.bgr:
            self.pixel_mean, self.pixel_deviation = CAFFE_MEAN, 1.0
        self.remember(
            embedding_size=embedding_size,
            image_size=image_size,
            global_pool=global_pool,
            pixels=pixels,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        stages = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
        self.trunk = Trunk(stages, False, seeds)
        self.projection = self.new_projection(FEATURE_SIZE, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H // 16, W // 16, 512]."""
        return self.trunk(tf.reverse(pixels, [3]) if self.bgr else pixels)

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the globally pooled map."""
        features = self.global_pool(feature_map, None)
        for dense in self.projection:
            features = dense(features)
        return features

    def load_keras_weights(self, path: str) -> None:
        """Takes the 13 convolutions of a VGG16 of keras.applications, by the order of its layers.

        Give its ImageNet weights an encoder of `pixels="caffe"`.

        Args:
          path: Path of an `.h5` or `.weights.h5` file, with or without the classes on top.

        Raises:
          UserError: no such file, or one that holds something else; nothing is changed.
        """
        kernels = _kernels_and_biases(path)[: len(self.trunk.convs)]
        theirs = [shape for pair in kernels for shape in (pair[0].shape, pair[1].shape)]
        ours = [tuple(v.shape) for conv in self.trunk.convs for v in (conv.kernel, conv.bias)]
        if theirs != ours:
            raise registry.UserError(
                f"{path} holds no VGG16: its first {len(kernels)} convolutions do not have the "
                f"shapes of VGG16's {len(self.trunk.convs)}; give the weights of "
                "keras.applications.VGG16 unchanged."
            )
        for conv, (kernel, bias) in zip(self.trunk.convs, kernels):
            compat.raw(conv.kernel).assign(kernel)
            compat.raw(conv.bias).assign(bias)


def _kernels_and_biases(path: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns kernel and bias of each convolution of a Keras HDF5 file, in the layers' order."""
    try:
        with h5py.File(path, "r") as file:
            if "layers" in file:  # Keras 3: layers/conv2d, layers/conv2d_1, ...
                groups = sorted(file["layers"].items(), key=_by_number)
                arrays = [[np.asarray(v) for v in g.get("vars", {}).values()] for _, g in groups]
            else:  # Keras 1 and 2; a whole model has its weights one level down
                root = file.get("model_weights", file)
                groups = [root[name] for name in root.attrs["layer_names"]]
                arrays = [[np.asarray(g[n]) for n in g.attrs["weight_names"]] for g in groups]
    except (OSError, KeyError, AttributeError) as error:
        raise registry.UserError(
            f"{path} cannot be read as Keras weights ({error}): give the .h5 file of "
            "keras.applications.VGG16."
        ) from error
    return [(a[0], a[1]) for a in arrays if len(a) == 2 and a[0].ndim == 4]


def _by_number(item: tuple[str, Any]) -> tuple[str, int]:
    name, _, number = item[0].rpartition("_")
    return (name, int(number)) if number.isdigit() else (item[0], 0)
