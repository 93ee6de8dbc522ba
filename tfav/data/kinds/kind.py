"""What a kind of modality is: how its files become items, and its stored records batches."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfav import items, registry, values
from tfav.media import limits

if TYPE_CHECKING:  # who reads a file for a `.tflite` needs no TensorFlow
    import tensorflow as tf

Tensors = dict[str, "tf.Tensor"]


class Kind:
    """What all modalities of a kind share, from the config's section to the batch.

    A kind outside the library is an instance named by its dotted path, in a config's section, in
    `--modalities` and in what an encoder declares. The modality `audio` is of the kind `audio`,
    `image` of `image`, and a further one of what its section says, `image` where it says nothing.

    Attributes:
      name: by which `kinds.find` finds it: its row of `KINDS`, or its dotted path.
      suffixes: of its files' names, in small letters.
      subject: the name of the first argument of its augmentations; empty: it has none.
      fields: what the config's section holds of it, beside `kind`, `encoder`, `arguments` and
        `augment`: name to row.
    """

    name = ""
    suffixes: tuple[str, ...] = ()
    subject = ""
    fields: Mapping[str, values.Value] = {}

    def item(self, modality: str, section: Mapping[str, Any]) -> items.ItemSpec:
        """Returns what one item of a modality is.

        Args:
          modality: its name.
          section: of the config, which holds `fields`.
        """
        raise NotImplementedError

    def encoder_arguments(self, modality: str, section: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the section gives to the constructor of the encoder, beside `arguments`."""
        raise NotImplementedError

    def read(self, path: str | os.PathLike, bounds: limits.Limits) -> bytes:
        """Returns a file as a data set stores it.

        Raises:
          BadFile: it cannot be used.
        """
        raise NotImplementedError

    def form(self, content: bytes) -> tuple[int | str, ...]:
        """Returns what all stored items of one modality must share, as its shape; empty: nothing.

        Args:
          content: as `read` returns it.
        """
        del content
        return ()

    def load(
        self, path: str | os.PathLike, spec: items.ItemSpec, bounds: limits.Limits
    ) -> np.ndarray:
        """Returns the item in a file, the one that evaluation makes of the stored record.

        Raises:
          BadFile: it cannot be used, or is no such item.
        """
        raise NotImplementedError

    def training(
        self, modality: str, item: "Item", audio_seconds: tuple[float, float]
    ) -> Callable[["tf.Tensor", Mapping[str, "tf.Tensor"]], Tensors]:
        """Returns what makes a row of a training batch.

        Args:
          modality: its name.
          item: what is asked of it.
          audio_seconds: shortest and longest stretch of audio.

        Returns:
          A function of what a record stores, [n] string, and of what `sampling` has drawn for the
          row. It gives the item by the modality's name, and its length where the item is padded.

        Raises:
          UserError: an augmentation of something else.
        """
        raise NotImplementedError

    def evaluation(
        self, modality: str, item: "Item", bounds: tuple[int, int]
    ) -> Callable[["tf.Tensor"], Tensors]:
        """Returns what makes a row of an evaluation batch of what a record stores, [n] string.

        Args:
          modality: its name.
          item: what is asked of it.
          bounds: least and most samples of a clip: a shorter one repeats, a longer one is cut.
        """
        raise NotImplementedError


class Item(NamedTuple):
    """What a batch is to hold of a modality.

    Attributes:
      kind: of the modality.
      spec: what one item is.
      augment: names of the augmentations in training, in order.
    """

    kind: Kind
    spec: items.ItemSpec
    augment: Sequence[str] = ()


def find(table: Mapping[str, Kind], name: str) -> Kind:
    """Returns a row of the table of kinds, or what a dotted path leads to.

    Raises:
      UserError: an unknown name, or a path that leads to no kind.
    """
    return registry.lookup(table, name, "kind of modality", registry.instance(Kind))
