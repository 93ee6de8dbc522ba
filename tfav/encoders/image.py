"""Image encoders: uint8 RGB in, embedding out."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from tfav.encoders import applications, base, encoder, mobile, resnet, vgg
from tfav.layers import blocks, normalization, prelu, residual, tail
from tfav.layers import dropout as dropout_lib
from tfav.ops import precision


@keras.saving.register_keras_serializable("tfav", "ImageTiny")
class Tiny(base.ImageEncoder):
    """Four strided convolutions and two dense layers: demo, tests, phones.

    The last map is flattened, not averaged: where things are is what a face is told by. It has a
    position every 16 pixels: 48 x 48 pixels are 3 x 3 positions.

    Args:
      embedding_size: Size D of the embedding.
      image_size: Height and width of the images.
      dropout: Share of the embedding that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    map_stride = 16

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 48,
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        self.remember(
            embedding_size=embedding_size,
            image_size=image_size,
            dropout=dropout,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.convs = [
            blocks.Conv(filters, (3, 3), (2, 2), seed=next(seeds)) for filters in (16, 32, 64, 96)
        ]
        self.bns = [normalization.BatchNorm() for _ in self.convs]
        self.fc = blocks.dense(256, next(seeds), use_bias=False, dtype=precision.full_dtype())
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 16, W / 16, 96], rounded up."""
        x = pixels
        for conv, bn in zip(self.convs, self.bns):
            x = tf.nn.relu(bn(conv(x), training=training))
        return x

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the flattened map."""
        features = self.fc(blocks.flatten(feature_map))
        return self.tail(features, training=training)


@keras.saving.register_keras_serializable("tfav")
class TinyMap(base.ImageEncoder):
    """Three convolutions, each with a max-pool after it: to say where things are, in the demo.

    A position every 8 pixels, 22 pixels wide, in the middle of the part of the image that it
    stands for: pools keep it there. Convolutions with a stride, as those of `Tiny`, look half a
    position up and left of it.

    Args:
      embedding_size: Size D of the embedding.
      image_size: Height and width of the images.
      dropout: Share of the embedding that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    map_stride = 8
    map_offset = 3.5  # the middle of the 8 pixels that three pools join

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 64,
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        self.remember(
            embedding_size=embedding_size,
            image_size=image_size,
            dropout=dropout,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.convs = [blocks.Conv(filters, (3, 3), seed=next(seeds)) for filters in (16, 32, 64)]
        self.bns = [normalization.BatchNorm() for _ in self.convs]
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 8, W / 8, 64], rounded up."""
        x = pixels
        for conv, bn in zip(self.convs, self.bns):
            x = blocks.max_pool(tf.nn.relu(bn(conv(x), training=training)), 2, partial=True)
        return x

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the mean over positions."""
        features = tf.reduce_mean(precision.full(feature_map), axis=[1, 2])
        return self.tail(features, training=training)


@keras.saving.register_keras_serializable("tfav")
class IR50(base.ImageEncoder):
    """ArcFace's IR-50, the face encoder of Wen et al., CVPR 2021.

    Takes RGB. The released network was fed BGR: loading its weights means reversing the input
    channels of `conv1` and reordering `fc` from channel-major to channel-last.

    Args:
      embedding_size: Size D of the embedding.
      image_size: Height and width of the images; 112 in the original.
      dropout: Share of the last map and of the embedding that is dropped in training.
      se: Whether every block has squeeze-excite, which makes it IR-SE-50.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    map_stride = 16

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 112,
        dropout: float = 0.5,
        se: bool = False,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        self.remember(
            embedding_size=embedding_size,
            image_size=image_size,
            dropout=dropout,
            se=se,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(64, (3, 3), seed=next(seeds))
        self.bn1 = normalization.BatchNorm()
        self.prelu = prelu.PReLU()
        self.body = []
        channels = 64
        for filters, num_blocks in ((64, 3), (128, 4), (256, 14), (512, 3)):
            for i in range(num_blocks):
                stride = 2 if i == 0 else 1
                self.body.append(residual.IRBlock(channels, filters, stride, se, seeds))
                channels = filters
        self.bn2 = normalization.BatchNorm()
        self.dropout = dropout_lib.SeededDropout(dropout, next(seeds))
        self.fc = blocks.dense(512, next(seeds), dtype=precision.full_dtype())
        self.bn3 = normalization.BatchNorm(dtype=precision.full_dtype())
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 16, W / 16, 512], rounded up."""
        x = self.bn1(self.conv1(pixels), training=training)
        x = self.prelu(x, training=training)
        for block in self.body:
            x = block(x, training=training)
        return x

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map."""
        return self.tail(self.features(feature_map, training), training=training)

    def features(self, feature_map: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns what stands before the tail, [B, 512]: the output of the pre-trained backbone."""
        x = self.dropout(self.bn2(feature_map, training=training), training=training)
        return self.bn3(self.fc(blocks.flatten(x)), training=training)


IMAGE_ENCODERS: dict[str, Callable[..., encoder.Encoder]] = {
    "tiny": Tiny,
    "tiny_map": TinyMap,
    "mobile_facenet": mobile.MobileFaceNet,
    "ir50": IR50,
    "ir_se50": functools.partial(IR50, se=True),
    "resnet18": functools.partial(resnet.ImageResNet, num_blocks=(2, 2, 2, 2)),
    "resnet34": functools.partial(resnet.ImageResNet, num_blocks=(3, 4, 6, 3)),
    "vgg16": vgg.VGG16,
    "resnet50_keras": functools.partial(applications.Applications, network="resnet50"),
    "efficientnet_b0": functools.partial(applications.Applications, network="efficientnet_b0"),
    "mobilenet_v2": functools.partial(applications.Applications, network="mobilenet_v2"),
    "mobilenet_v3_large": functools.partial(
        applications.Applications, network="mobilenet_v3_large"
    ),
    "mobilenet_v3_small": functools.partial(
        applications.Applications, network="mobilenet_v3_small"
    ),
}
