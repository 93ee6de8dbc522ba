"""The networks of keras.applications as image encoders that take the weights others have trained.

The networks themselves are Keras's own (`keras.applications`, `weights=None`). Of their layers the
batch norms are replaced by `normalization.BatchNorm`, so that N replicas train as one, and the
depthwise convolutions by `blocks.DepthwiseConv`, so that weights have one name on both dependency
sets. What scales pixels or drops paths is taken out: scaling is the encoder's, and the paths that
EfficientNet drops in training (stochastic depth) are all kept.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfav import compat, registry
from tfav.encoders import base
from tfav.layers import blocks, layer, normalization

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)


class Network(NamedTuple):
    """A network of keras.applications and the pixels that its ImageNet weights want.

    Attributes:
      create: makes it; a function of keras.applications.
      feature_size: channels of its last map.
      pixel_mean: taken away from the bytes of R, G and B.
      pixel_deviation: what they are then divided by.
      bgr: whether the channels come as B, G, R.
      shifted: whether a window at stride 2 of an even size lies around the second of its two pixels
        and not around the first.
    """

    create: Callable[..., keras.Model]
    feature_size: int
    pixel_mean: float | tuple[float, float, float] = 127.5
    pixel_deviation: float | tuple[float, float, float] = 127.5
    bgr: bool = False
    shifted: bool = True


_V3 = {"include_preprocessing": False}
NETWORKS = {
    "resnet50": Network(keras.applications.ResNet50, 2048, CAFFE_MEAN, 1.0, True, False),
    "efficientnet_b0": Network(
        keras.applications.EfficientNetB0,
        1280,
        (123.675, 116.28, 103.53),  # 255 times IMAGENET_MEAN and IMAGENET_DEVIATION
        (58.395, 57.12, 57.375),
    ),
    "mobilenet_v2": Network(keras.applications.MobileNetV2, 1280),
    "mobilenet_v3_large": Network(
        functools.partial(keras.applications.MobileNetV3Large, **_V3), 960
    ),
    "mobilenet_v3_small": Network(
        functools.partial(keras.applications.MobileNetV3Small, **_V3), 576
    ),
}


@keras.saving.register_keras_serializable("tfav")
class Applications(base.ImageEncoder):
    """ResNet50, EfficientNetB0, MobileNetV2 or V3 of keras.applications, averaged over the image.

    He et al. (CVPR 2016), Tan and Le (ICML 2019), Sandler et al. (CVPR 2018), Howard et al. (ICCV
    2019). Pixels are scaled as keras.applications scales them for the ImageNet weights of each.

    Args:
      network: Which network, a row of `NETWORKS`.
      embedding_size: Size D of the embedding: at the network's own size (2048, 1280, 1280, 960 and
        576) the averages themselves, otherwise a dense projection of them.
      image_size: Height and width of the images, at least 32; 224 in the original.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: no such network, or too small an image.
    """

    map_stride = 32

    def __init__(
        self,
        network: str,
        embedding_size: int = 1280,
        image_size: int = 224,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        if network not in NETWORKS:
            raise registry.UserError(
                f"unknown network {network!r}: choose one of {', '.join(NETWORKS)}."
            )
        if image_size < self.map_stride:
            raise registry.UserError(
                f"{network} cannot take images of {image_size} pixels: give them at least "
                f"{self.map_stride}."
            )
        self.remember(
            network=network, embedding_size=embedding_size, image_size=image_size, seed=seed
        )
        self.network, self.kind = network, NETWORKS[network]
        self.pixel_mean, self.pixel_deviation = self.kind.pixel_mean, self.kind.pixel_deviation
        self.map_offset = _offset(image_size) if self.kind.shifted else 0.0
        seeds = self.new_seeds(seed)
        model = _ours(self._original(include_top=False), seeds)
        # In the order of the network, which is the same in every version of Keras; names are not.
        self.body = [part for part in model.layers if part.weights]
        # Not the model itself: its weights would have a second name.
        self._run = functools.partial(model)
        self.projection = self.new_projection(self.kind.feature_size, seeds)
        self.create_weights()

    def _original(self, include_top: bool) -> keras.Model:
        """Returns Keras's own model with fresh weights; with classes it wants its own size."""
        side = 224 if include_top else self.image_size
        dtype = keras.mixed_precision.global_policy().variable_dtype
        pixels = keras.Input((side, side, 3), dtype=dtype)
        return self.kind.create(weights=None, include_top=include_top, input_tensor=pixels)

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 32, W / 32, C], rounded up."""
        return self._run(tf.reverse(pixels, [3]) if self.kind.bgr else pixels, training=training)

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the average over the image."""
        features = blocks.masked_mean(feature_map, None)
        for dense in self.projection:
            features = dense(features)
        return features

    def load_keras_weights(self, path: str) -> None:
        """Takes the weights of a file that keras.applications distributes or has saved.

        Args:
          path: Path of an `.h5` or `.weights.h5` file, with or without the classes on top.

        Raises:
          UserError: no such file, or one that holds something else; nothing is changed.
        """
        theirs = self._read(path)
        values = [part.get_weights() for part in theirs.layers if part.weights]
        if self.network == "efficientnet_b0":
            _check_normalization(path, *values.pop(0)[:2])
        values = values[: len(self.body)]
        for part in values:
            for value in part:
                if not np.isfinite(value).all():
                    raise registry.UserError(
                        f"{path} holds weights that are not finite: download it again."
                    )
        for part, arrays in zip(self.body, values):
            for variable, value in zip(part.weights, arrays):
                compat.raw(variable).assign(value)

    def _read(self, path: str) -> keras.Model:
        """Returns Keras's own model with the weights of a file."""
        why: Exception | None = None
        for include_top in (False, True):
            model = self._original(include_top)
            try:
                model.load_weights(path)
                return model
            except Exception as error:  # the bytes of the file choose what is raised
                why = why or error
        raise registry.UserError(
            f"{path} cannot be read as weights of {self.network} ({_gist(why)}): give the .h5 file "
            "of that network of keras.applications unchanged."
        ) from why


@keras.saving.register_keras_serializable("tfav")
class ApplicationsNorm(normalization.BatchNorm):
    """`BatchNorm` that is called as Keras 3 clones the call of its own: with a mask, never used.

    Args:
      **kwargs: as for `normalization.BatchNorm`.
    """

    def call(self, x: tf.Tensor, training: bool = False, mask: None = None) -> tf.Tensor:
        """Returns what `BatchNorm` does."""
        return super().call(x, training=training)


def _ours(original: keras.Model, seeds: layer.Seeds) -> keras.Model:
    """Returns a network with our batch norms and seeded kernels, without scaling and dropping."""
    # Drawn here: each version of Keras clones in an order of its own.
    seed_of = {part.name: next(seeds) for part in original.layers if part.weights}

    def clone(part: keras.layers.Layer) -> keras.layers.Layer:
        config = part.get_config()
        if isinstance(part, keras.layers.BatchNormalization):
            kept: dict[str, Any] = {key: config[key] for key in ("epsilon", "momentum", "name")}
            return ApplicationsNorm(**kept)
        if isinstance(
            part, (keras.layers.Dropout, keras.layers.Rescaling, keras.layers.Normalization)
        ):
            return keras.layers.Activation("linear", name=config["name"])
        if isinstance(part, keras.layers.DepthwiseConv2D):  # whose weight has two names
            return blocks.DepthwiseConv(
                config["kernel_size"],
                config["strides"][0],
                seed=seed_of[part.name],
                padded=config["padding"] == "same",
                name=part.name,
            )
        new = type(part).from_config(config)
        if isinstance(part, keras.layers.Conv2D):
            new.kernel_initializer = blocks.kaiming_normal(seed_of[part.name])
        return new

    return keras.models.clone_model(original, clone_function=clone)


def _offset(size: int) -> float:
    """Returns the pixel that the first position looks at, after five strides of 2 over `size`."""
    offset, stride = 0, 1
    while stride < Applications.map_stride:
        offset += stride * (1 - size % 2)
        size, stride = -(-size // 2), 2 * stride
    return float(offset)


def _check_normalization(path: str, mean: np.ndarray, variance: np.ndarray) -> None:
    """Refuses an EfficientNet that scales pixels otherwise than Keras does for ImageNet weights.

    The released file has ImageNet's deviations where variances should stand, which Keras makes good
    by a second division (TensorFlow issue 49930): in all, pixels are divided by the deviations.
    """
    if not np.allclose([mean, variance], [IMAGENET_MEAN, IMAGENET_DEVIATION], atol=1e-3):
        raise registry.UserError(
            f"{path} scales pixels by mean {np.round(mean, 3).tolist()} and variance "
            f"{np.round(variance, 3).tolist()}, not as the ImageNet weights of keras.applications "
            f"({list(IMAGENET_MEAN)} and {list(IMAGENET_DEVIATION)}): give the file that they "
            "distribute."
        )


def _gist(error: Exception | None) -> str:
    """Returns the first sentence of what Keras says, which goes on for lines."""
    text = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    return text[:150] or type(error).__name__
