"""MMCosine (Xu et al., ICASSP 2023): balanced classification with two, three or more modalities."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfav import registry, tensors
from tfav.encoders import encoder as encoders_base
from tfav.losses import alignment, multimodal
from tfav.ops import sums
from tfav.recipes import (
    balances,
    balancing,
    class_columns,
    gblend,
    modal_arguments,
    modal_heads,
    modality_scalars,
    read_outs,
    scales,
)
from tfav.recipes import modulation as modulations

FUSED = read_outs.FUSED


class MMCosine(read_outs.Classifying):
    """Every modality's cosine to its own class weights, summed; and what stacks on that.

    loss_i = cross_entropy(sum_m z^m_i, y_i) + contrastive_weight * contrastive_i
             + agreement_weight * agreement_i

    The last two are means over pairs of modalities, an earlier one before a later one. Under
    `gated` and `film` the uni-modal logits are approximate, and the authors advise a scale of about
    50 (issue 1 of their repository).

    Blending adds to each encoder a head of its own, which training alone uses:
    loss_i = w_fused * cross_entropy(fused) + sum_m w_m * cross_entropy(own head of m) + the rest.
    Uni-modal results are read from the common head in every case.

    Args:
      encoders: by modality; their order is that of the head's columns.
      num_classes: labels of the training split.
      head: a row of `classifiers.HEADS` or a dotted path: `cosine`, or `vanilla` to compare with.
      fusion: a row of `fusion.FUSIONS` or a dotted path.
      scale: Scale of the cosines; None takes the bound below.
      sampled: Share of the classes that a step compares with, beside those of its batch, see
        `class_sampling.ClassSampler`. What is logged in training is of these alone.
      sharded: Whether the replicas share the classes, see `class_shards`.
      sub_centers: Number of centres per class and modality, the nearest of which counts.
      margin_kind: Kind of margin on every modality's cosine in training: a row of `margins.MARGINS`
        or a dotted path. Read-outs and what is logged besides `loss` are without it.
      margin: Margin, in cosines or radians.
      margin_warmup_steps: Number of steps in which the margin grows from 0.
      posterior: that every class must be able to reach, which bounds the scale from below.
      bound: `paper` or `tight`, see `theory.cosine_scale_bound`.
      contrastive: a row of `alignment.ALIGNMENT` or a dotted path: the term between fused features.
      contrastive_weight: Weight of that term; the supplement's Table 3 has 1.
      contrastive_args: arguments of that row. MMCosine: temperature 0.1, one direction; CCL itself:
        `{"temperature": 0.5, "symmetric": True}` and `agreement_weight=0.5`.
      agreement_weight: Weight of `multimodal.agreement` between uni-modal logits.
      blending: of losses (G-Blend, Wang et al., CVPR 2020). `off`; `equal`: every loss weighs the
        same; `estimated`: weights that another run has found, see `config.first_phase`; or the
        weights themselves, of `fused` and each modality.
      modulation: of the encoders' gradients: `off`, `ogm`, or `ogm_ge` with noise (Peng et al.,
        CVPR 2022).
      modulation_args: `alpha`, `start_step` and `end_step` of `modulation.Modulation`.
      balance: Method that balances the modalities in training: `off`, a row of `balances.BALANCES`
        or a dotted path. With one of them, blending and modulation are `off`.
      balance_args: arguments of that row.
      late_fusion: how the modalities' logits become those of all together, outside of training:
        `sum`; `certainty` (each row weighs them by their entropy, as MLA does); `fitted`, the sum
        with a weight per modality that each validation fits on `val`; `taken`, likewise with the
        weights of the run that `train.tables_from` names; or the weights themselves.
      seed: Random seed of the weights and the noise.

    Raises:
      UserError: a value that makes no sense; names it and the fix.
    """

    arguments = modal_arguments.ARGUMENTS

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        num_classes: int,
        *,
        head: str = "cosine",
        fusion: str = "concat",
        scale: float | None = None,
        sampled: float = 1.0,
        sharded: bool = False,
        sub_centers: int = 1,
        margin_kind: str = "none",
        margin: float = 0.0,
        margin_warmup_steps: int = 0,
        posterior: float = 0.99,
        bound: str = "paper",
        contrastive: str = "contrastive",
        contrastive_weight: float = 0.0,
        contrastive_args: dict[str, Any] | None = None,
        agreement_weight: float = 0.0,
        blending: str | Mapping[str, float] = "off",
        modulation: str = "off",
        modulation_args: dict[str, Any] | None = None,
        balance: str = "off",
        balance_args: dict[str, Any] | None = None,
        late_fusion: str | Mapping[str, float] = "sum",
        seed: int = 0,
    ):
        sizes = {m: encoder.embedding_size for m, encoder in encoders.items()}
        if head == "cosine":
            scale = scales.cosine_scale(scale, num_classes, len(sizes), posterior, bound)
        class_columns.check(sharded, sampled, balance, agreement_weight)
        method = balances.make(balance, balance_args or {}, sizes, num_classes)
        heads = modal_heads.make(
            num_classes,
            sizes,
            head=head,
            fusion=fusion,
            scale=scale,
            sampled=sampled,
            sharded=sharded,
            sub_centers=sub_centers,
            margin={"kind": margin_kind, "margin": margin, "warmup_steps": margin_warmup_steps},
            own=balances.has_own_heads(balance, blending),
            seed=seed,
        )
        tables: dict[str, tf.Module] = {}
        if blending != "off":
            tables["blending"] = gblend.table(blending, (FUSED, *sizes))
        if method is not None:
            needs_all = heads["fusion"].needs_all
            balances.check(method, balance, head, fusion, needs_all, blending, modulation, sampled)
            tables["balance"] = method
        super().__init__(
            encoders,
            heads,
            tables,
            num_classes=num_classes,
            fusion=fusion,
            late_fusion=late_fusion,
        )
        self.balance = method
        self.taken_tables += ("blending",) if blending == "estimated" else ()
        self.needs_tables = bool(self.taken_tables)
        self.parts = () if method is None else method.parts
        self.contrastive_weight = modal_heads.pair_weight(
            "contrastive_weight", contrastive_weight, sizes
        )
        self.agreement_weight = modal_heads.pair_weight("agreement_weight", agreement_weight, sizes)
        self.contrastive = alignment.resolve(contrastive, **(contrastive_args or {}))
        self.modulation = registry.call(
            modulations.Modulation,
            "modulation_args:",
            modulation_args or {},
            kind=modulation,
            num_modalities=len(sizes),
            seed=seed,
        )
        self.scalars = self._scalar_names()

    def _scalar_names(self) -> tuple[str, ...]:
        names = ["loss"]
        if "blending" in self.tables:
            names += [f"{kind}_{k}" for kind in ("loss", "blend") for k in (FUSED, *self.encoders)]
        names += self.balance.scalars if self.balance is not None else []
        names += ["contrastive"] if self.contrastive_weight else []
        names += ["agreement"] if self.agreement_weight else []
        names += ["margin", "scale"] if "margin" in self.heads else []
        names += ["accuracy"]
        return (*names, *modality_scalars.names(tuple(self.encoders), bool(self.modulation)))

    @classmethod
    def reads_log(cls, arguments: Mapping[str, Any]) -> bool:
        """Says whether the weights of the losses are found in another run's log."""
        return arguments.get("blending") == "estimated"

    def read_log(self, lines: Sequence[Mapping[str, Any]], source: str) -> None:
        """Blends the losses by the first and the last validation of the run `source`."""
        if "blending" in self.taken_tables:
            gblend.assign(self.tables["blending"], lines, source)

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; `contrastive` and `agreement` before their weights."""
        label = batch["label"]
        features = self.features(batch, training)
        its = class_columns.of(self.heads, label, self.num_classes, training)
        fused = modal_heads.fuse(self.heads, features, self.encoders)
        unimodal = self._unimodal(fused, its)
        total = sums.in_order(list(unimodal.values()))
        hits = its.hits(total)
        losses = modal_heads.margin_scalars(self.heads, tf.ones_like(hits))
        harder = modal_heads.harder(self.heads, "margin", unimodal, its, training)
        losses["loss"] = its.cross_entropy(sums.in_order(list(harder.values())))
        own = self._own(features, its) if self._has_own else {}
        own_harder = modal_heads.harder(self.heads, "own_margin", own, its, training)
        if "blending" in self.tables:
            parts = {m: its.cross_entropy(z) for m, z in own_harder.items()}
            losses |= gblend.blend({FUSED: losses["loss"], **parts}, self.tables["blending"])
            if "margin" in self.heads:  # what blending estimates is compared with validations
                for m, z in {FUSED: total, **own}.items():
                    losses[f"loss_{m}"] = its.cross_entropy(z)
        if self.balance is not None:
            fused_loss = losses["loss"]
            seen = balancing.Seen(features, harder, own_harder, label, fused_loss, training)
            losses |= self.balance.losses(seen)
        pairs = list(itertools.combinations(self.encoders, 2))
        if self.contrastive_weight:
            terms = [self.contrastive(fused[a], fused[b], label) for a, b in pairs]
            losses["contrastive"] = sums.in_order(terms) / len(pairs)
            losses["loss"] += self.contrastive_weight * losses["contrastive"]
        if self.agreement_weight:
            terms = [multimodal.agreement(unimodal[a], unimodal[b]) for a, b in pairs]
            losses["agreement"] = sums.in_order(terms) / len(pairs)
            losses["loss"] += self.agreement_weight * losses["agreement"]
        losses["accuracy"] = hits
        norms = modal_heads.norms(self.heads["classifier"], its.weights.get("classifier"))
        return losses | modality_scalars.measure(unimodal, its, norms, bool(self.modulation))

    @classmethod
    def class_weights(
        cls, arguments: Mapping[str, Any], sizes: Mapping[str, int], num_classes: int
    ) -> list[tuple[int, int]]:
        """Returns the shapes of the weights of the common head, and of the modalities' own."""
        own = balances.has_own_heads(*(arguments.get(k, "off") for k in ("balance", "blending")))
        return modal_heads.class_weights(arguments, sizes, num_classes, own)

    def combine_gradients(
        self,
        gradients: Mapping[str, Sequence[tf.Tensor]],
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradients as the balance combines them."""
        if self.balance is None:
            return list(gradients["loss"])
        kernel = self.position(self.heads["classifier"].kernel)
        places = balancing.Places(self.encoder_positions(), kernel)
        return self.balance.combine(gradients, places, scalars)

    def adjust_gradients(
        self, gradients: list[tf.Tensor], scalars: dict[str, tf.Tensor], step: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the gradients, modulated where the modulation is on."""
        if not self.modulation:
            return gradients
        scores = {m: scalars[f"score_{m}"] for m in self.encoders}
        return self.modulation(gradients, self.encoder_positions(), scores, step)
