"""What every encoder is: one modality in, one embedding out."""

import itertools
import zlib

import keras
import tensorflow as tf

from tfav import items
from tfav.layers import blocks, layer
from tfav.ops import precision

# Scopes of what stands behind the front-end, up to the feature map and from there on: the names of
# tensors tell a quantiser by them what it may touch.
NETWORK, POOLING = "network", "pooling"


class Encoder(layer.Layer):
    """One modality to an embedding [B, D] float32, not normalised.

    A subclass sets `modality` and `map_stride`; its `__init__` hands its arguments to
    `self.remember`, makes its layers from `self.new_seeds(seed)` and ends with
    `self.create_weights()`; and it writes `item_spec`, `feature_map`, `feature_positions` and
    `call`. So an encoder has all its weights from the start, and they land in the strategy's scope
    that it was made in. To be saved in a `.keras` file it is registered as well, see
    `layers.layer.Layer`.

    Attributes:
      modality: Kind of input, `audio`, `image` (which any modality of images is), `array` or a
        kind of its own.
      map_stride: Frames (audio) or pixels (image) from one position of the feature map to the next;
        n of them are ceil(n / map_stride) positions where the encoder does not say otherwise.
      weights_exist: Whether `create_weights` has run.

    Args:
      embedding_size: Size D of the embedding.
      name: Name of the layer, which is that of the modality where a recipe has several of a kind.
    """

    modality = ""
    map_stride = 1
    weights_exist = False

    def __init__(self, embedding_size: int, name: str):
        # Autocast would round a waveform to bfloat16 before the front-end sees it.
        super().__init__(name=name, autocast=False)
        self.embedding_size = embedding_size

    @property
    def item_spec(self) -> items.ItemSpec:
        """Returns what one item is, of which `call` takes a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it takes")

    def build(self, *_: object) -> None:
        """Holds no weights of its own; keeps Keras 3 from tracing `call` to find some."""
        self.built = True

    def feature_positions(
        self, x: tf.Tensor, num_samples: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the feature map as a list of positions, and which of them count.

        Args:
          x: Input as `call` takes it.
          num_samples: Number of samples of each clip, [B] int32; images have none.
          training: Python bool.

        Returns:
          features: [B, P, C], in the order of the map's axes; zeros where nothing counts.
          valid: [B, P] float32, 1 where a position is part of the input, 0 where it is padding.
        """
        raise NotImplementedError

    def new_seeds(self, seed: int) -> layer.Seeds:
        """Returns a stream of seeds for the layers, another one for each name."""
        return layer.Seeds(itertools.count(zlib.crc32(f"{self.name}/{seed}".encode()) % 2**30))

    def new_projection(self, feature_size: int, seeds: layer.Seeds) -> list[keras.layers.Layer]:
        """Returns the layers from features [B, feature_size] to the embedding.

        Args:
          feature_size: Size of the features. Where it is `embedding_size`, the features are the
            embedding and there is no layer; otherwise there is one dense layer without bias.
          seeds: Random seeds of the initial weights.
        """
        if self.embedding_size == feature_size:
            return []
        return [
            blocks.dense(
                self.embedding_size, next(seeds), use_bias=False, dtype=precision.full_dtype()
            )
        ]

    def create_weights(self) -> None:
        """Runs the encoder once on zeros, which creates every weight."""
        self(self.example())
        self.weights_exist = True

    def example(self) -> tf.Tensor:
        """Returns the smallest batch of zeros the encoder takes."""
        raise NotImplementedError
