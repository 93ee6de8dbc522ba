"""Voice-face association without identities: CMPC and self-lifting, by clusters of the batch.

Both papers cluster the embeddings of the whole training set between epochs. Here the clusters are
those of the global batch of each step: nothing is kept between steps, so that a resumed run and any
number of replicas find the same ones. Labels are never read; they say which rows a batch is drawn
from (`data.sampling`), and `rows` draws without them.
"""

from typing import Any

import tensorflow as tf

from tfav import tensors, values
from tfav.encoders import encoder
from tfav.losses import alignment as alignments
from tfav.losses import pairs, prototypes
from tfav.recipes import argument_rows, paired, recipe

_CLUSTERS = {
    "num_clusters": values.whole(2, 10**6, "clusters of a batch, at most its rows"),
    "num_rounds": values.whole(1, 1000, "rounds of k-means in each step"),
}


class CMPC(recipe.Recipe):
    """Cross-modal prototype contrast (Zhu et al., IJCAI 2022), beside the contrast of instances.

    loss_i = instance_weight * `pairs.info_nce` + prototype_weight * `prototypes.prototype_contrast`
    The paper's re-weighting of instances and prototypes that look wrong is not here.

    Args:
      encoders: `audio` and `image` encoders of one embedding size.
      num_classes: ignored.
      num_clusters: Number of clusters of each modality in a batch.
      num_rounds: Number of rounds of k-means.
      temperature: Divisor of the cosines.
      instance_weight: factor of the contrast of instances.
      prototype_weight: factor of the contrast of prototypes.
      seed: ignored; nothing is drawn.

    Raises:
      UserError: other modalities.
    """

    arguments = {
        **_CLUSTERS,
        "temperature": values.number(0.0, 100.0, "it divides the cosines", above=True),
        "instance_weight": argument_rows.weight("the contrast of instances"),
        "prototype_weight": argument_rows.weight("the contrast of prototypes"),
    }
    scalars = (
        *("loss", "instance", "prototype"),
        *("similarity_matched", "similarity_mismatched", "matched_wins"),
    )

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int = 0,
        *,
        num_clusters: int = 16,
        num_rounds: int = 4,
        temperature: float = 0.1,
        instance_weight: float = 1.0,
        prototype_weight: float = 1.0,
        seed: int = 0,
    ):
        del num_classes, seed
        paired.check_modalities(encoders)
        super().__init__(encoders, {})
        self.num_clusters, self.num_rounds = num_clusters, num_rounds
        self.least_batch = num_clusters
        self.temperature = temperature
        self.instance_weight, self.prototype_weight = instance_weight, prototype_weight

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; the similarities are cosines."""
        audio, image = (self.embed(m, batch, training) for m in paired.MODALITIES)
        instance = pairs.info_nce(audio, image, 1.0 / self.temperature)
        prototype = prototypes.prototype_contrast(
            audio, image, self.num_clusters, self.temperature, self.num_rounds
        )
        return {
            "loss": self.instance_weight * instance + self.prototype_weight * prototype,
            "instance": instance,
            "prototype": prototype,
            **paired.cosine_matches(audio, image),
        }


class SelfLifting(recipe.Recipe):
    """Self-lifting (Chen et al., ICMR 2022): clusters are the labels of a supervised loss.

    loss_i = the row `alignment` of `ALIGNMENT` with `prototypes.pseudo_labels` as labels, so that
    rows of one cluster are no negatives of each other.

    Args:
      encoders: `audio` and `image` encoders of one embedding size.
      num_classes: ignored.
      num_clusters: Number of clusters in a batch.
      num_rounds: Number of rounds of k-means.
      alignment: a row of `alignment.ALIGNMENT`.
      alignment_args: arguments of that loss.
      seed: ignored; nothing is drawn.

    Raises:
      UserError: other modalities, or what the loss refuses.
    """

    arguments = {
        **_CLUSTERS,
        "alignment": values.text("a row of ALIGNMENT or a dotted path"),
        **argument_rows.alignment("alignment_args"),
    }
    scalars = ("loss", "clusters", "similarity_matched", "similarity_mismatched", "matched_wins")

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int = 0,
        *,
        num_clusters: int = 16,
        num_rounds: int = 4,
        alignment: str = "supervised_contrastive",
        alignment_args: dict[str, Any] | None = None,
        seed: int = 0,
    ):
        del num_classes, seed
        paired.check_modalities(encoders)
        super().__init__(encoders, {})
        self.num_clusters, self.num_rounds = num_clusters, num_rounds
        self.least_batch = num_clusters
        self.alignment = alignments.resolve(alignment, **(alignment_args or {}))

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; `clusters` is how many of them have a row."""
        audio, image = (self.embed(m, batch, training) for m in paired.MODALITIES)
        label = prototypes.pseudo_labels(audio, image, self.num_clusters, self.num_rounds)
        loss = self.alignment(audio, image, label)
        found = prototypes.num_present(label, self.num_clusters)
        return {
            "loss": loss,
            "clusters": tf.cast(found, loss.dtype) * tf.ones_like(loss),
            **paired.cosine_matches(audio, image),
        }
