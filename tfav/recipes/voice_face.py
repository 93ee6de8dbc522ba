"""Seeking the Shape of Sound (Wen et al., CVPR 2021): voice-face association."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder
from tfav.layers import class_sampling, identity, shared_classifier
from tfav.losses import alignment as alignments
from tfav.losses import bounds
from tfav.ops import distributed, similarity, sums
from tfav.recipes import argument_rows, class_columns, paired, recipe, scales

REWEIGHTING = ("off", "grow", "frozen")


class VoiceFace(recipe.Recipe):
    """A shared classifier aligns both modalities implicitly, a pairwise loss explicitly.

    loss_i = w_i * (implicit_weight * (l_face_i + l_voice_i) + explicit_weight * l_explicit_i)

    A classifier that neither the loss nor a table asks for is not computed and has no scalars.

    Args:
      encoders: `audio` (voice) and `image` (face) encoders of one embedding size.
      num_classes: identities of the training split.
      normalized: unit class weights and embeddings, logits = scale * cosine. False: the released
        code's plain inner products.
      scale: Scale of the normalised logits; None: sqrt(2) ln(M - 1).
      sampled: Share of the identities that a step compares with, beside those of its batch, see
        `class_sampling.ClassSampler`. Implicit loss, floor and accuracy are of these alone.
      sharded: Whether the replicas share the identities, see `class_shards`.
      sub_centers: Number of centres per identity, the nearest of which counts.
      margin_kind: Kind of margin on the normalised logits in training: a row of `margins.MARGINS`
        or a dotted path. Accuracy and the hardness of identities are without it.
      margin: Margin, in cosines or radians.
      margin_warmup_steps: Number of steps in which the margin grows from 0.
      alignment: a row of `alignment.ALIGNMENT`.
      alignment_args: arguments of that loss, such as `{"m": 5.4}`.
      implicit_weight: factor of the two classification terms.
      explicit_weight: factor of the alignment term.
      reweighting: of identities. `off`: w = 1. `grow`: the table grows from the easiest on while
        training. `frozen`: the table another run has grown, see `config.first_phase`.
      reweighting_args: arguments of `identity.IdentityWeights`.
      grow_from: step of the first growth (`grow`).
      grow_every: steps between two growths.
      legacy_weighting: the released code's mistake: the implicit loss is averaged over the batch
        before it is weighted.
      seed: Random seed of the classifier's weights.

    Raises:
      UserError: an unknown `reweighting`, no term with a weight; what the classifier, the table or
        the loss refuse.
    """

    arguments = {
        "normalized": values.FLAG,
        "scale": argument_rows.scale("of the normalised logits; None: sqrt(2) ln(M - 1)"),
        "sampled": argument_rows.SAMPLED,
        "sharded": values.FLAG,
        "sub_centers": argument_rows.SUB_CENTERS,
        **argument_rows.margin(),
        "alignment": values.text("a row of ALIGNMENT or a dotted path"),
        **argument_rows.alignment("alignment_args"),
        "implicit_weight": argument_rows.weight("the two classification terms"),
        "explicit_weight": argument_rows.weight("the alignment term"),
        "reweighting": values.choice(*REWEIGHTING),
        "reweighting_args.initial_hardness": values.number(
            0.0, 1e6, "a loss in nats; None: that of chance", or_none=True
        ),
        "reweighting_args.momentum": argument_rows.share("of the old hardness"),
        "reweighting_args.first_fraction": argument_rows.share("of the identities"),
        "reweighting_args.growth_fraction": argument_rows.share("of the identities"),
        "reweighting_args.decay": argument_rows.share("of a weight that stays"),
        "reweighting_args.final_ratio": argument_rows.share("of the identities"),
        "grow_from": values.whole(0, 10**10, "the step of the first growth"),
        "grow_every": values.whole(1, 10**10, "steps between two growths"),
        "legacy_weighting": values.FLAG,
    }

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int,
        *,
        normalized: bool = True,
        scale: float | None = None,
        sampled: float = 1.0,
        sharded: bool = False,
        sub_centers: int = 1,
        margin_kind: str = "none",
        margin: float = 0.0,
        margin_warmup_steps: int = 0,
        alignment: str = "explicit",
        alignment_args: dict[str, Any] | None = None,
        implicit_weight: float = 1.0,
        explicit_weight: float = 1.0,
        reweighting: str = "off",
        reweighting_args: dict[str, Any] | None = None,
        grow_from: int = 500,
        grow_every: int = 100,
        legacy_weighting: bool = False,
        seed: int = 0,
    ):
        paired.check_modalities(encoders)
        class_columns.check(sharded, sampled)
        classifier = shared_classifier.SharedClassifier(
            num_classes,
            embedding_size=encoders["audio"].embedding_size,
            normalized=normalized,
            scale="auto" if scale is None else scale,
            sub_centers=sub_centers,
            sharded=sharded,
            seed=seed,
        )
        heads: dict[str, keras.layers.Layer] = {"classifier": classifier}
        heads |= class_sampling.make(num_classes, sampled, seed)
        made = scales.margin(
            margin_kind, margin, margin_warmup_steps, classifier.scale if normalized else None
        )
        if made is not None:
            heads["margin"] = made
        if reweighting not in REWEIGHTING:
            raise registry.UserError(
                f"reweighting={reweighting!r}: choose one of {', '.join(REWEIGHTING)}."
            )
        if not implicit_weight and not explicit_weight:
            raise registry.UserError(
                "implicit_weight=0 and explicit_weight=0 leave no loss: give one of them a weight."
            )
        tables = {}
        if reweighting != "off":
            tables["identity"] = registry.call(
                identity.IdentityWeights,
                "reweighting_args:",
                reweighting_args or {},
                num_identities=num_classes,
                num_compared=math.ceil(sampled * num_classes),
            )
        super().__init__(encoders, heads=heads, tables=tables)
        self.alignment = alignments.resolve(alignment, **(alignment_args or {}))
        self.hinge_m = (alignment_args or {}).get("m", 5.4) if alignment == "explicit" else None
        self.implicit_weight = implicit_weight
        self.explicit_weight = explicit_weight
        self.reweighting = reweighting
        self.needs_tables = reweighting == "frozen"
        self.legacy_weighting = legacy_weighting
        self.grow_from = grow_from
        if reweighting == "grow":
            self.host_every = grow_every
        # A product with all identities is most of a small step.
        self.classifies = bool(implicit_weight or tables)
        # The proposition's logits are linear in the embedding, the largest of several is not.
        self.has_floor = self.classifies and sub_centers == 1
        self.scalars = ("loss", *(("implicit",) if self.classifies else ()))
        self.scalars += (("implicit_floor",) if self.has_floor else ()) + ("explicit",)
        self.scalars += ("explicit_hinge",) if self.hinge_m else ()
        self.scalars += ("accuracy",) if self.classifies else ()
        self.scalars += ("active",) if tables else ()
        self.scalars += ("margin", "scale") if self.classifies and "margin" in heads else ()

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; `implicit` and `explicit` weighted, as in `loss`."""
        label = batch["label"]
        voice = self.embed("audio", batch, training)
        face = self.embed("image", batch, training)
        of_classes = (voice, face, label, training)
        losses, weight = self._classification(*of_classes) if self.classifies else ({}, None)

        def weighted(term: tf.Tensor) -> tf.Tensor:
            return term if weight is None else weight * term

        losses["explicit"] = weighted(self.alignment(voice, face, label))
        terms = (self.implicit_weight, "implicit"), (self.explicit_weight, "explicit")
        losses["loss"] = sums.in_order([w * losses[name] for w, name in terms if w])
        if self.hinge_m:
            hinge = bounds.explicit_hinge(voice, face, label, self.hinge_m)
            losses["explicit_hinge"] = weighted(hinge)
        return losses

    def _classification(
        self, voice: tf.Tensor, face: tf.Tensor, label: tf.Tensor, training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns each scalar of the shared classifier as [b], and the weight of each row [b]."""
        classifier = self.heads["classifier"]
        its = class_columns.of(self.heads, label, classifier.num_classes, training)
        rows = its.weights.get("classifier")
        logits = {
            m: classifier(its.everyone(x), rows) for m, x in (("audio", voice), ("image", face))
        }
        hardness = implicit = sums.in_order([its.cross_entropy(z) for z in logits.values()])
        drop = margin = None
        if "margin" in self.heads:
            margin = self.heads["margin"].current()
            harder = self.heads["margin"](logits, its.column, training=training, here=its.here)
            implicit = sums.in_order([its.cross_entropy(z) for z in harder.values()])
            drop = sums.in_order([its.own(logits[m] - z) for m, z in harder.items()])
        weight = tf.ones_like(implicit)
        if self.tables:
            weight = self.tables["identity"].observe(label, hardness=hardness)
        if self.legacy_weighting:
            mean = tf.reduce_mean(distributed.gather(implicit))
            implicit = tf.fill(tf.shape(implicit), mean)
        hits = [its.hits(z) for z in logits.values()]
        losses = {"implicit": weight * implicit, "accuracy": sums.in_order(hits) / len(hits)}
        if self.has_floor:
            floor = self._floor(voice, face, its, weight, drop)
            losses["implicit_floor"] = tf.ones_like(weight) * floor
        if margin is not None:
            losses["margin"] = margin * tf.ones_like(weight)
            losses["scale"] = classifier.scale * tf.ones_like(weight)
        if self.tables:
            losses["active"] = tf.cast(weight > 0, weight.dtype)
        return losses, weight

    def _floor(
        self,
        voice: tf.Tensor,
        face: tf.Tensor,
        columns: class_columns.Columns,
        weight: tf.Tensor,
        drop: tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns the floor of the implicit loss (Proposition 1, Corollary 1), []."""
        classifier, label = self.heads["classifier"], columns.label
        norm = classifier.largest_norm(columns.weights.get("classifier"))
        classes = columns.largest(norm), columns.count
        if classifier.normalized:
            voice, face = similarity.normalize(voice), similarity.normalize(face)
        if self.legacy_weighting:
            # Its loss is the mean weight times the mean loss, which Corollary 1 says nothing of.
            mean = tf.reduce_mean(distributed.gather(tf.stop_gradient(weight)))
            return mean * bounds.implicit_floor(*classes, voice, face, label, drop=drop)
        return bounds.implicit_floor(*classes, voice, face, label, weight, drop)

    @classmethod
    def class_weights(
        cls, arguments: Mapping[str, Any], sizes: Mapping[str, int], num_classes: int
    ) -> list[tuple[int, int]]:
        """Returns the shape of the shared classifier's weights."""
        return [(num_classes * arguments.get("sub_centers", 1), min(sizes.values()))]

    def between_calls(self, step: int) -> None:
        """Grows the set of active identities where it is due, before iteration `step`."""
        if self.reweighting == "grow" and step >= self.grow_from and step % self.host_every == 0:
            self.tables["identity"].update()
