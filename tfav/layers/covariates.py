"""What is known of each identity, such as gender: a table that no gradient moves."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry

UNKNOWN = -1


class Covariates(tf.Module):
    """Class of every identity in each covariate; -1 where it is not known.

    Args:
      num_identities: Number M of identities.
      sizes: covariate to its number of classes.
      name: Name of the module.
    """

    def __init__(self, num_identities: int, sizes: Mapping[str, int], name: str = "covariates"):
        super().__init__(name=name)
        self.sizes = dict(sizes)
        self.classes = {
            covariate: tf.Variable(
                tf.fill([num_identities], UNKNOWN),
                trainable=False,
                name=covariate,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for covariate in self.sizes
        }

    def fill(self, columns: Mapping[str, Sequence[str]]) -> None:
        """Sets the classes from texts: those of a column in sorted order; empty ones are unknown.

        Args:
          columns: covariate to the text of each identity, in the order of the identities.

        Raises:
          UserError: a column with more texts than classes, or with one alone.
        """
        for covariate, size in self.sizes.items():
            names = sorted({text for text in columns[covariate] if text})
            if not 2 <= len(names) <= size:
                raise registry.UserError(
                    f"the column {covariate!r} has {len(names)} different values "
                    f"({', '.join(names[:4])}) and --config.model.covariates gives {size}: set it "
                    "to their number, which must be 2 or more."
                )
            rank = {text: number for number, text in enumerate(names)}
            found = [rank.get(text, UNKNOWN) for text in columns[covariate]]
            self.classes[covariate].assign(np.array(found, np.int32))

    def of(self, covariate: str, identity: tf.Tensor) -> tf.Tensor:
        """Returns the class of each row's identity, [b] int32; -1 where it is not known."""
        return tf.gather(self.classes[covariate], identity)
