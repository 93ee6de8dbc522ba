"""What every encoder is: one modality in, one embedding out."""

import itertools
import zlib
from collections.abc import Iterator

import keras
import tensorflow as tf


class Encoder(keras.layers.Layer):
    """One modality to an embedding [B, D] float32, not normalised.

    A subclass sets `modality`, makes its layers in `__init__` from `self.new_seeds(seed)`, ends
    that with `self.create_weights()`, and writes `feature_map` and `call`. So an encoder has all
    its weights from the start, and they land in the strategy's scope it was made in.

    Args:
      embedding_size: D.
      name: Keras name.
    """

    modality = ""

    def __init__(self, embedding_size: int, name: str):
        # Autocast would round a waveform to bfloat16 before the front-end sees it.
        super().__init__(name=name, autocast=False)
        self.embedding_size = embedding_size

    def build(self, *_: object) -> None:
        """Holds no weights of its own; keeps Keras 3 from tracing `call` to find some."""
        self.built = True

    def new_seeds(self, seed: int) -> Iterator[int]:
        """Returns a stream of seeds for the layers, another one for each modality."""
        return itertools.count(zlib.crc32(f"{self.modality}/{seed}".encode()) % 2**30)

    def create_weights(self) -> None:
        """Runs the encoder once on zeros, which creates every weight."""
        self(self.example())

    def example(self) -> tf.Tensor:
        """Returns the smallest batch of zeros the encoder takes."""
        raise NotImplementedError
