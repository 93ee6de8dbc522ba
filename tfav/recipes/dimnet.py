"""Disjoint mapping (DIMNet, Wen et al., ICLR 2019): voice and face by what they have in common."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder
from tfav.layers import covariates as covariates_lib
from tfav.layers import shared_classifier
from tfav.losses import softmax
from tfav.ops import sums
from tfav.recipes import argument_rows, paired, recipe


class DIMNet(recipe.Recipe):
    """Classifiers that both modalities share, of the identity and of each covariate.

    loss_i = identity_weight * (l_audio + l_image) + covariate_weight * sum_c (l_c,audio +
    l_c,image), each `l` the cross-entropy of a linear classifier of the embedding. A row whose
    identity lacks a covariate adds nothing to that term. Without `identity_weight` it is DIMNet-G
    or DIMNet-N, without covariates DIMNet-I, which is the implicit loss of `voice_face`.

    Args:
      encoders: `audio` and `image` encoders of one embedding size.
      num_classes: identities of the training split.
      covariates: column of the data to its number of classes, such as `{"gender": 2}`.
      identity_weight: factor of the identity's term.
      covariate_weight: factor of the covariates' terms.
      normalized: Whether logits are scaled cosines (AdaCos); False: the paper's inner products.
      seed: Random seed of the classifiers' weights.

    Raises:
      UserError: other modalities, or no term with a weight.
    """

    arguments = {
        **{
            f"covariates.{column}": values.whole(2, 10**6, "classes of the column")
            for column in ("gender", "nationality", "age")
        },
        "identity_weight": argument_rows.weight("the identity's term"),
        "covariate_weight": argument_rows.weight("the covariates' terms"),
        "normalized": values.FLAG,
    }

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int,
        *,
        covariates: Mapping[str, int],
        identity_weight: float = 1.0,
        covariate_weight: float = 1.0,
        normalized: bool = False,
        seed: int = 0,
    ):
        paired.check_modalities(encoders)
        if not identity_weight and not (covariate_weight and covariates):
            raise registry.UserError(
                "identity_weight=0 leaves no loss without a covariate whose covariate_weight is "
                "above 0: give one of them a weight, such as covariate_weight=1 with "
                "covariates={'gender': 2}."
            )
        counts = {"identity": num_classes, **covariates}
        heads: dict[str, keras.layers.Layer] = {
            f"classifier_{name}": shared_classifier.SharedClassifier(
                count,
                embedding_size=encoders["audio"].embedding_size,
                normalized=normalized,
                seed=paired.seed_of(name, seed),
                name=f"classifier_{name}",
            )
            for name, count in counts.items()
        }
        table = covariates_lib.Covariates(num_classes, covariates)
        super().__init__(encoders, heads, tables={"covariates": table})
        self.columns = tuple(covariates)
        self.weight = {"identity": identity_weight, **dict.fromkeys(covariates, covariate_weight)}
        self.scalars = ("loss", *self.weight, *(f"{name}_accuracy" for name in self.weight))

    def read_columns(self, columns: Mapping[str, Sequence[str]]) -> None:
        """Sets what is known of each identity."""
        self.tables["covariates"].fill(columns)

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; a covariate's accuracy is 0 where it is not known."""
        embedded = [self.embed(name, batch, training) for name in paired.MODALITIES]
        found: dict[str, tf.Tensor] = {}
        hits: dict[str, tf.Tensor] = {}
        for name in self.weight:
            label = batch["label"]
            if name != "identity":
                label = self.tables["covariates"].of(name, label)
            known, target = label != covariates_lib.UNKNOWN, tf.maximum(label, 0)
            logits = [self.heads[f"classifier_{name}"](x) for x in embedded]
            entropy = sums.in_order([softmax.cross_entropy(z, target) for z in logits])
            right = [
                tf.cast(tf.equal(tf.argmax(z, 1, label.dtype), label), z.dtype) for z in logits
            ]
            found[name] = tf.where(known, entropy, 0.0)
            hits[f"{name}_accuracy"] = sums.in_order(right) / len(right)
        # A term without a weight takes no backward pass.
        loss = sums.in_order([w * found[name] for name, w in self.weight.items() if w])
        return {"loss": loss, **found, **hits}
