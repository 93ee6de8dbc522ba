"""What all encoders of waveforms have in common, and all encoders of images."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfav import items, tensors
from tfav.encoders import encoder
from tfav.layers import blocks, frontend_table
from tfav.layers import frontend as frontend_lib


class AudioEncoder(encoder.Encoder):
    """An encoder of waveforms that reads the first `num_samples` samples of each row, no others.

    n samples are `frontend.count_frames(n)` frames and those ceil(frames / map_stride) positions
    in time, whatever follows them. A subclass writes `frames_to_map`, what stands between the
    front-end's image and the pooling, and `pool`. In training with `num_samples` the batch norms'
    statistics do see what pads the batch: train on crops of one length.

    Args:
      embedding_size: Size D of the embedding.
      frontend: Arguments of `layers.frontend_table.make`; None means the encoder's own,
        `default_frontend`.
      name: Name of the layer.
    """

    modality = "audio"
    default_frontend: Mapping[str, Any] = {}

    def __init__(self, embedding_size: int, frontend: Mapping[str, Any] | None, name: str):
        super().__init__(embedding_size, name)
        self.frontend = frontend_table.make(self.default_frontend if frontend is None else frontend)

    @property
    def item_spec(self) -> items.ItemSpec:
        """Returns that of waveforms."""
        return items.clip()

    def call(
        self,
        waveform: tf.Tensor,
        num_samples: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns embeddings [B, D] float32, not normalised.

        Args:
          waveform: Clips [B, T] float32 in [-1, 1], 16 kHz.
          num_samples: Number of samples of each clip, [B] int32; None means all of T.
          training: Python bool.
        """
        feature_map, valid = self._encode(waveform, num_samples, training)
        with tf.name_scope(encoder.POOLING):
            return self.pool(feature_map, valid, training)

    def feature_map(
        self,
        waveform: tf.Tensor,
        num_samples: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the map before pooling, [B, time, frequency, C], zero beyond the clip."""
        feature_map, valid = self._encode(waveform, num_samples, training)
        return blocks.mask(feature_map, valid)

    def feature_positions(
        self, x: tf.Tensor, num_samples: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `feature_map` as [B, time * frequency, C], and [B, time * frequency], 1 if sound.

        Args:
          x: Clips [B, T] float32.
          num_samples: Number of samples of each clip, [B] int32; None means all of T.
          training: Python bool.
        """
        feature_map, valid = self._encode(x, num_samples, training)
        feature_map = blocks.mask(feature_map, valid)
        size = tf.shape(feature_map)
        whole = tf.ones(size[:3], self.variable_dtype)
        whole = whole if valid is None else whole * tf.squeeze(valid, 3)
        positions = size[1] * size[2]
        return (
            tf.reshape(feature_map, tf.stack([size[0], positions, feature_map.shape[3]])),
            tf.reshape(whole, tf.stack([size[0], positions])),
        )

    def _encode(
        self, waveform: tf.Tensor, num_samples: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        frames, num_frames = self.frontend(waveform, num_samples)
        valid = None
        if num_samples is not None or self.frontend.silence_db:
            mask = frontend_lib.frame_mask(num_frames, tf.shape(frames)[1], frames.dtype)
            valid = tf.expand_dims(mask, 3)
        with tf.name_scope(encoder.NETWORK):
            return self.frames_to_map(frames, valid, training)

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the feature map [B, T', F', C] of [B, T, bands] and its mask [B, T', 1, 1]."""
        raise NotImplementedError

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map and its mask."""
        raise NotImplementedError

    def example(self) -> tf.Tensor:
        """Returns a tenth of a second of silence, [1, 1600]."""
        return tf.zeros([1, tensors.SAMPLE_RATE_HZ // 10])


class ImageEncoder(encoder.Encoder):
    """An encoder of square images, or of several frames whose embeddings are averaged.

    A subclass writes `pixels_to_map` and `pool`, and may set what pixels are scaled by.

    Attributes:
      pixel_mean: Mean that is taken away from the bytes of R, G and B; one number, or three.
      pixel_deviation: Deviation that they are then divided by.
      map_offset: Pixel, counted from 0, that the first position of the feature map looks at.

    Args:
      embedding_size: Size D of the embedding.
      image_size: Height and width of the images.
      name: Name of the layer.
    """

    modality = "image"
    pixel_mean: float | tuple[float, float, float] = 127.5
    pixel_deviation: float | tuple[float, float, float] = 127.5
    map_offset: float = 0.0  # strided convolutions in PyTorch's geometry look at pixel stride * i

    def __init__(self, embedding_size: int, image_size: int, name: str):
        super().__init__(embedding_size, name)
        self.image_size = image_size

    @property
    def item_spec(self) -> items.ItemSpec:
        """Returns that of images of `image_size` pixels."""
        return items.image(self.image_size)

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns embeddings [B, D] float32, not normalised.

        Args:
          image: Images [B, H, W, 3] uint8 RGB with H = W = `image_size`, or [B, F, H, W, 3].
          training: Python bool.

        Raises:
          ValueError: another number of axes or another static size.
        """
        image = tf.convert_to_tensor(image)
        feature_map = self.feature_map(image, training)
        with tf.name_scope(encoder.POOLING):
            embedding = self.pool(feature_map, training)
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
        pixels = tf.cast(image, self.variable_dtype)
        pixels = (pixels - self.pixel_mean) / self.pixel_deviation
        pixels = tf.reshape(pixels, [-1, size, size, 3])
        with tf.name_scope(encoder.NETWORK):
            return self.pixels_to_map(pixels, training)

    def feature_positions(
        self, x: tf.Tensor, num_samples: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `feature_map` as [B, H' * W', C], and ones [B, H' * W']: all of an image counts.

        Args:
          x: Images as `call` takes them; of several frames, all positions of the first come first.
          num_samples: Not used: images have no samples.
          training: Python bool.
        """
        image = tf.convert_to_tensor(x)
        feature_map = self.feature_map(image, training)
        positions = feature_map.shape[1] * feature_map.shape[2]
        if image.shape.rank == 5:
            positions = positions * tf.shape(image)[1]
        features = tf.reshape(feature_map, tf.stack([-1, positions, feature_map.shape[3]]))
        return features, tf.ones(tf.shape(features)[:2], self.variable_dtype)

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the feature map [B, H', W', C] of scaled pixels [B, H, W, 3]."""
        raise NotImplementedError

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map."""
        raise NotImplementedError

    def example(self) -> tf.Tensor:
        """Returns one black image, [1, H, W, 3]."""
        return tf.zeros([1, self.image_size, self.image_size, 3], tf.uint8)
