"""A recipe is one paper: named encoders, heads, and how the losses add up."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfav import compat, tensors, values, weights
from tfav import hearing as hearing_lib
from tfav.encoders import encoder as encoders_base
from tfav.layers import class_sampling, class_shards


class Recipe:
    """What the trainer, the evaluator and the exporter know of a paper.

    Encoders and heads have all their weights from construction, so a recipe made in a strategy's
    scope is ready to train, to restore into, or to export.

    Subclasses set `scalars`, whose first name is `loss`, and `arguments`, and write
    `compute_losses`.

    Attributes:
      hearing: how much of a clip its embeddings are of, see `outputs.embedding`; who makes a
        recipe from a config sets it. Training hears what its batches hold.
      vector_spaces: modality to the id of the embedding space of the vectors that it was trained
        on, where they named one; who loads a run sets it.
      traced: functions that were traced of it, for whoever asks again; they read its weights when
        they run.

    Args:
      encoders: modality to encoder.
      heads: name to layer, of weights that serve training only.
      tables: name to module, of state that no gradient moves.
    """

    scalars: tuple[str, ...] = ("loss",)
    # What each argument of the constructor may be: dotted names below one that is a dict.
    arguments: Mapping[str, values.Value] = {}
    # The trainer returns to the host at every multiple of this many steps; 0: when it likes.
    host_every: int = 0
    # Rows that a global batch needs.
    least_batch: int = 1
    # Whether the cosine of two embeddings of unlike modalities says how well they fit.
    shares_space: bool = True
    # Columns of the data that `read_columns` is to be told of each class.
    columns: tuple[str, ...] = ()
    # Whether a fresh start must take `taken_weights` from another run.
    needs_tables: bool = False
    # Names of the tables that what it answers to rows is read from.
    served_tables: tuple[str, ...] = ()
    # Names of scalars, parts of the loss, whose gradients `combine_gradients` is given beside that
    # of the loss: one more backward pass each.
    parts: tuple[str, ...] = ()
    hearing = hearing_lib.Hearing()
    vector_spaces: Mapping[str, str] = {}

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        heads: dict[str, keras.layers.Layer],
        tables: dict[str, tf.Module] | None = None,
    ):
        self.encoders = encoders
        self.heads = heads
        self.tables = tables or {}
        self.traced: dict[Hashable, tf.types.experimental.GenericFunction] = {}

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns one per-example tensor [b] for each of `scalars`.

        The trainer sums each over this replica's rows and divides by the global batch, so a loss
        that compares examples must take its candidates from the global batch. AutoGraph does not
        rewrite it nor the encoders: what depends on a tensor's value is `tf.where` or `tf.cond`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how its losses add up")

    def combine_gradients(
        self,
        gradients: Mapping[str, Sequence[tf.Tensor]],
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradient that `adjust_gradients` gets; by default that of the loss.

        Called on every replica with the same values, and must return the same on each.

        Args:
          gradients: Gradients of `trainable_weights`, summed over replicas, by `loss` and `parts`.
          scalars: Means of `scalars` over the global batch, [].
        """
        del scalars
        return list(gradients["loss"])

    def adjust_gradients(
        self, gradients: list[tf.Tensor], scalars: dict[str, tf.Tensor], step: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the gradients to clip and apply; by default those of the loss.

        Called on every replica with the same values, and must return the same on each: what is
        random is a function of a seed and `step`.

        Args:
          gradients: What `combine_gradients` returned.
          scalars: Means of `scalars` over the global batch, [].
          step: steps taken so far, int64 [].
        """
        del scalars, step
        return gradients

    def between_calls(self, step: int) -> None:
        """Does what must happen between two calls of the training function; by default nothing."""

    @classmethod
    def reads_log(cls, arguments: Mapping[str, Any]) -> bool:
        """Says whether a fresh start with these arguments asks for another run's log."""
        del arguments
        return False

    def read_log(self, lines: Sequence[Mapping[str, Any]], source: str) -> None:
        """Sets what the log of the run that the tables come from tells; by default nothing.

        Args:
          lines: Lines of its `scalars.jsonl`, in order.
          source: that run, for the messages.
        """

    def read_columns(self, columns: Mapping[str, Sequence[str]]) -> None:
        """Sets what the data say of each class; by default nothing.

        Args:
          columns: each of `self.columns` to the text of each class; empty where rows differ.
        """

    def embed(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the embeddings [B, D] float32 of one modality of a batch."""
        encoder = self.encoders[modality]
        length = encoder.item_spec.length
        if length:
            return encoder(batch[modality], batch.get(length), training=training)
        return encoder(batch[modality], training=training)

    def facts(self) -> Mapping[str, Any]:
        """Returns what an artefact says of what was learnt beside its weights; by default nothing.

        Numbers and texts, by names that `artefacts.Facts` has.
        """
        return {}

    @property
    def embedding_size(self) -> dict[str, int]:
        """Returns D of what `embed` returns for each modality."""
        return {name: encoder.embedding_size for name, encoder in self.encoders.items()}

    @property
    def layers(self) -> dict[str, keras.layers.Layer]:
        """Returns encoders and heads by name."""
        return {**self.encoders, **self.heads}

    @property
    def trainable_weights(self) -> list:
        """Returns the weights that gradients move, in a fixed order."""
        return [w for _, layer in sorted(self.layers.items()) for w in layer.trainable_weights]

    def encoder_positions(self) -> dict[str, list[int]]:
        """Returns which of `trainable_weights` belong to each encoder."""
        position = {id(w): i for i, w in enumerate(self.trainable_weights)}
        return {
            name: [position[id(w)] for w in encoder.trainable_weights if id(w) in position]
            for name, encoder in self.encoders.items()
        }

    def position(self, weight: Any) -> int:
        """Returns which of `trainable_weights` one is."""
        return [compat.raw(w) is compat.raw(weight) for w in self.trainable_weights].index(True)

    def named_weights(self) -> dict[str, Any]:
        """Returns every variable, trained or not, by its structural name.

        One that the replicas share is a `class_shards.Spread`, which is read and assigned alike.
        """
        names: dict[str, Any] = {}
        for name, layer in sorted(self.layers.items()):
            names.update(weights.named_weights(layer, name))
        for i, rows in self.sharded().items():
            kernel = compat.raw(self.trainable_weights[i])
            (name,) = (name for name, variable in names.items() if variable is kernel)
            names[name] = class_shards.Spread(kernel, rows)
        return names | self.table_weights()

    def table_weights(self) -> dict[str, tf.Variable]:
        """Returns the variables of the tables by structural name."""
        names: dict[str, tf.Variable] = {}
        for name, table in sorted(self.tables.items()):
            names.update(weights.named_weights(table, name))
        return names

    def taken_weights(self) -> dict[str, tf.Variable]:
        """Returns what a fresh start takes from the run that `train.tables_from` names.

        By structural name; by default the weights of the tables where `needs_tables`, else nothing.
        """
        return self.table_weights() if self.needs_tables else {}

    def encoder_weights(self) -> dict[str, tf.Variable]:
        """Returns the variables of the encoders by structural name."""
        names: dict[str, tf.Variable] = {}
        for name, encoder in sorted(self.encoders.items()):
            names.update(weights.named_weights(encoder, name))
        return names

    def sampled(self) -> list[bool]:
        """Says for each of `trainable_weights` whether a step reads only some of its rows.

        Its gradient is then that of these rows, the same ones on every replica and each once.
        """
        heads = [self.heads[name] for name in class_sampling.sampled(self.heads)]
        found = {id(w) for head in heads for w in head.trainable_weights}
        return [id(w) in found for w in self.trainable_weights]

    def sharded(self) -> dict[int, int]:
        """Returns which of `trainable_weights` the replicas share, and the rows of each in all.

        Its gradient on a replica is that of the replica's own rows, of the loss of all replicas.
        """
        heads = [self.heads[name] for name in class_shards.spread(self.heads)]
        return {self.position(head.kernel): head.num_rows for head in heads}

    @classmethod
    def class_weights(
        cls, arguments: Mapping[str, Any], sizes: Mapping[str, int], num_classes: int
    ) -> list[tuple[int, int]]:
        """Returns the shape of the class weights of each head, before any is made; by default none.

        Args:
          arguments: of the constructor.
          sizes: Size D_m of each modality's embeddings.
          num_classes: Number of classes.
        """
        del arguments, sizes, num_classes
        return []

    def decayed(self) -> list[bool]:
        """Says for each of `trainable_weights` whether weight decay applies: kernels alone."""
        return [len(compat.raw(w).shape) >= 2 for w in self.trainable_weights]
