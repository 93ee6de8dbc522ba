"""Image encoders: uint8 RGB in, embedding out."""

import functools

import tensorflow as tf

from tfav.encoders import base
from tfav.layers import blocks, residual


class ImageEncoder(base.Encoder):
    """An encoder of square images, or of several frames whose embeddings are averaged.

    A subclass writes `pixels_to_map` and `pool`.

    Args:
      embedding_size: D.
      image_size: height and width it expects.
      name: Keras name.
    """

    modality = "image"

    def __init__(self, embedding_size: int, image_size: int, name: str):
        super().__init__(embedding_size, name)
        self.image_size = image_size

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns embeddings [B, D] float32, not normalised.

        Args:
          image: [B, H, W, 3] uint8 RGB with H = W = `image_size`, or [B, F, H, W, 3].
          training: Python bool.

        Raises:
          ValueError: another number of axes or another static size.
        """
        image = tf.convert_to_tensor(image)
        embedding = self.pool(self.feature_map(image, training), training)
        if image.shape.rank == 5:
            frames = tf.stack([-1, tf.shape(image)[1], self.embedding_size])
            embedding = tf.reduce_mean(tf.reshape(embedding, frames), axis=1)
        return embedding

    def feature_map(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the map before pooling, [B, H', W', C] ([B * F, ...] of several frames)."""
        image, size = tf.convert_to_tensor(image), self.image_size
        if image.shape.rank not in (4, 5):
            raise ValueError(f"image must be [B, H, W, 3] or [B, F, H, W, 3], got {image.shape}")
        if not image.shape[-3:].is_compatible_with([size, size, 3]):
            raise ValueError(f"{self.name} takes images of {size} x {size} x 3, got {image.shape}")
        pixels = (tf.cast(image, tf.float32) - 127.5) / 127.5
        return self.pixels_to_map(tf.reshape(pixels, [-1, size, size, 3]), training)

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the feature map [B, H', W', C] of pixels [B, H, W, 3] in [-1, 1]."""
        raise NotImplementedError

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map."""
        raise NotImplementedError

    def example(self) -> tf.Tensor:
        """Returns one black image, [1, H, W, 3]."""
        return tf.zeros([1, self.image_size, self.image_size, 3], tf.uint8)


class Tiny(ImageEncoder):
    """Four strided convolutions and two dense layers: demo, tests, phones.

    The last map is flattened, not averaged: where things are is what a face is told by.

    Args:
      embedding_size: D.
      image_size: height and width it expects.
      dropout: share of the embedding dropped in training.
      seed: of the weights and the dropout.
      name: Keras name.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 48,
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        seeds = self.new_seeds(seed)
        self.convs = [
            blocks.Conv(filters, (3, 3), (2, 2), seed=next(seeds)) for filters in (16, 32, 64, 96)
        ]
        self.bns = [blocks.batch_norm() for _ in self.convs]
        self.fc = blocks.dense(256, next(seeds), use_bias=False, dtype="float32")
        self.tail = blocks.Tail(embedding_size, dropout, seeds)
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


class IR50(ImageEncoder):
    """ArcFace's IR-50, the face encoder of Wen et al., CVPR 2021.

    Takes RGB. The released network was fed BGR: loading its weights means reversing the input
    channels of `conv1` and reordering `fc` from channel-major to channel-last.

    Args:
      embedding_size: D.
      image_size: height and width it expects; 112 in the original.
      dropout: in training, of the last map and of the embedding.
      se: squeeze-excite in every block, which makes it IR-SE-50.
      seed: of the weights and the dropout.
      name: Keras name.
    """

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
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(64, (3, 3), seed=next(seeds))
        self.bn1 = blocks.batch_norm()
        self.prelu = blocks.prelu()
        self.body = []
        channels = 64
        for filters, num_blocks in ((64, 3), (128, 4), (256, 14), (512, 3)):
            for i in range(num_blocks):
                stride = 2 if i == 0 else 1
                self.body.append(residual.IRBlock(channels, filters, stride, se, seeds))
                channels = filters
        self.bn2 = blocks.batch_norm()
        self.dropout = blocks.SeededDropout(dropout, next(seeds))
        self.fc = blocks.dense(512, next(seeds), dtype="float32")
        self.bn3 = blocks.batch_norm(dtype="float32")
        self.tail = blocks.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 16, W / 16, 512], rounded up."""
        x = self.prelu(self.bn1(self.conv1(pixels), training=training))
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


IMAGE_ENCODERS = {"tiny": Tiny, "ir50": IR50, "ir_se50": functools.partial(IR50, se=True)}
