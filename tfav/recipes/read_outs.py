"""What a recipe that classifies by several modalities says: all together, and each alone."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import tensors
from tfav import weights as weights_lib
from tfav.encoders import encoder as encoders_base
from tfav.recipes import class_columns, modal_heads, recipe
from tfav.recipes import late_fusion as late_fusions

FUSED = "fused"


class Classifying(recipe.Recipe):
    """A recipe with a fusion and a classifier, whose logits are a sum of one term per modality.

    Args:
      encoders: by modality; their order is that of the head's columns.
      heads: those of `modal_heads.make`.
      tables: state besides that of the late fusion.
      num_classes: labels of the training split.
      fusion: name of the fusion of the features.
      late_fusion: how logits become those of all modalities, see `late_fusion.table`.
    """

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        heads: dict[str, keras.layers.Layer],
        tables: dict[str, Any],
        *,
        num_classes: int,
        fusion: str,
        late_fusion: str | Mapping[str, float],
    ):
        fused = late_fusions.table(late_fusion, tuple(encoders))
        super().__init__(encoders, heads=heads, tables={**tables, **fused})
        self.served_tables = tuple(fused)
        self.num_classes = num_classes
        self.fusion = fusion
        self.late_fusion = late_fusion
        # Names of the tables that a fresh start takes from another run.
        self.taken_tables = tuple(fused) if late_fusion == "taken" else ()
        self.needs_tables = bool(self.taken_tables)

    def taken_weights(self) -> dict[str, tf.Variable]:
        """Returns the variables of those tables by structural name."""
        found: dict[str, tf.Variable] = {}
        for name in self.taken_tables:
            found |= weights_lib.named_weights(self.tables[name], name)
        return found

    def features(self, batch: tensors.Batch, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns the embeddings [B, D_m] float32 of the modalities that the batch has."""
        return {m: self.embed(m, batch, training) for m in self.encoders if m in batch}

    def logits(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns `fused` and each modality's logits [B, C] float32, fused by `late_fusion`.

        Args:
          features: What `features` returned. A modality may lack where the fusion is `concat`: the
            others are fused without it.

        Raises:
          UserError: no modality, or one lacks and the fusion needs it.
        """
        fused = modal_heads.fuse(self.heads, features, self.encoders)
        logits = self._unimodal(fused)
        table = self.tables.get(late_fusions.TABLE)
        weights = None if table is None else table.weights()
        certain = self.late_fusion == "certainty"
        return {
            FUSED: late_fusions.fuse(logits, weights, certain),
            **logits,
        }

    @property
    def fits_fusion(self) -> bool:
        """Says whether a validation is to give `weigh` the weights of the modalities."""
        return self.late_fusion == "fitted"

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Takes the weights of the modalities that suit a validation."""
        self.tables[late_fusions.TABLE].assign(weights)

    def loss_logits(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the logits [B, C] that losses are of: those of a modality's own head, if any."""
        logits = self.logits(features)
        return {FUSED: logits[FUSED], **self._own(features)} if self._has_own else logits

    @property
    def _has_own(self) -> bool:
        return any(name.startswith("own_") for name in self.heads)

    def _own(
        self, features: Mapping[str, tf.Tensor], columns: class_columns.Columns | None = None
    ) -> dict[str, tf.Tensor]:
        return {
            m: modal_heads.read(self.heads, f"own_{m}", {m: features[m]}, columns)[m]
            for m in self.encoders
        }

    def _unimodal(
        self, fused: Mapping[str, tf.Tensor], columns: class_columns.Columns | None = None
    ) -> dict[str, tf.Tensor]:
        logits = modal_heads.read(self.heads, "classifier", fused, columns)
        return {m: logits[m] for m in self.encoders if m in logits}
