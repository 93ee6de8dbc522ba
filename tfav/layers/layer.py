"""What every layer of the library is: a Keras layer that can be made again from its config."""

import types
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from tfav.ops import precision


class Seeds(Iterator[int]):
    """A stream of seeds that remembers those it has given, which is what a config can hold.

    A layer of many weights takes one seed per random draw from the stream of the encoder that it
    is a part of. Made again from its config, it takes the same seeds from a list.

    Args:
      source: Seeds to give, in order; another stream serves too.
    """

    def __init__(self, source: Iterable[int]):
        self._source = iter(source)
        self._given: list[int] = []

    def __next__(self) -> int:
        seed = next(self._source)
        self._given.append(seed)
        return seed

    @property
    def given(self) -> list[int]:
        """The seeds given so far, in order."""
        return list(self._given)


class Layer(keras.layers.Layer):
    """A Keras layer that its config describes completely.

    The constructor of a subclass hands its arguments to `remember`. The subclass is registered by
    `@keras.saving.register_keras_serializable("tfav")`, so that `keras.models.load_model` finds it.

    The config also holds the Keras policy under which the layer was made, because a layer passes
    it on to the layers inside it: a model that was saved under `mixed_bfloat16` is loaded as such,
    whatever policy holds then.

    Args:
      **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._made_under = keras.mixed_precision.global_policy().name
        self.remember()

    def remember(self, **arguments: Any) -> None:
        """Keeps all arguments of the constructor but `name` for `get_config`.

        Args:
          **arguments: Values as JSON can hold them, or `Seeds`, of which those given are kept.
        """
        # A namespace, because Keras would take a dict for one of layers and wrap it.
        self._arguments = types.SimpleNamespace(**arguments)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to make the layer again, without its weights."""
        arguments = {
            name: value.given if isinstance(value, Seeds) else value
            for name, value in vars(self._arguments).items()
        }
        own = {"name": self.name, "trainable": self.trainable, "policy": self._made_under}
        return {**own, **arguments}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the weights of a layer that has its own; one made of layers waits for a call.

        Keras 3 would take such a layer for built, with a warning, while those inside it are not.
        """
        if type(self).build is not keras.layers.Layer.build:
            super().build_from_config(config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """Returns a layer with the initial weights of the one that gave the config."""
        arguments = dict(config)
        trainable = arguments.pop("trainable")
        with precision.policy(arguments.pop("policy")):
            layer = cls(**arguments)
        layer.trainable = trainable
        return layer
