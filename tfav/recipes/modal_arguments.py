"""What each argument of `mmcosine.MMCosine` may be."""

from tfav import values
from tfav.recipes import argument_rows, gblend, scales
from tfav.recipes import modulation as modulations

ARGUMENTS: dict[str, values.Value] = {
    "head": values.text("a row of HEADS or a dotted path"),
    "fusion": values.text("a row of FUSIONS or a dotted path"),
    "scale": argument_rows.scale("of the cosines; None: the bound at `posterior`"),
    "sampled": argument_rows.SAMPLED,
    "sharded": values.FLAG,
    "sub_centers": argument_rows.SUB_CENTERS,
    **argument_rows.margin(),
    "posterior": values.number(0.0, 1.0, "above chance and below 1", above=True),
    "bound": values.choice(*scales.BOUNDS),
    "contrastive": values.text("a row of ALIGNMENT or a dotted path"),
    "contrastive_weight": argument_rows.weight("the term between fused features"),
    **argument_rows.alignment("contrastive_args"),
    "agreement_weight": argument_rows.weight("the agreement of uni-modal logits"),
    "balance": values.text("off, a row of BALANCES or a dotted path"),
    "balance_args.gamma": values.number(1.0, 100.0, "the factor of the encoders' gradients"),
    "balance_args.alpha": values.number(0.0, 1e6, "how strong it is", above=True),
    "balance_args.momentum": values.number(0.0, 1.0, "what a prototype keeps of itself"),
    "balance_args.penalty": argument_rows.weight("the entropy of the modality ahead"),
    "balance_args.penalty_steps": values.whole(0, 10**10, "steps with that penalty"),
    "balance_args.turn_steps": values.whole(1, 10**10, "steps of a turn"),
    "balance_args.fade_steps": values.whole(1, 10**10, "steps in which matching fades to 1 / e"),
    "balance_args.temperature": values.number(0.0, 100.0, "it divides the cosines", above=True),
    "late_fusion": values.text("sum, certainty, fitted, taken, or weights: audio=0.3,image=0.7"),
    "blending": values.choice(*gblend.CHOICES),
    "modulation": values.choice(*modulations.KINDS),
    "modulation_args.alpha": values.number(0.0, 1e6, "how much is held back", above=True),
    "modulation_args.start_step": values.whole(0, 10**10, "the first step modulated"),
    "modulation_args.end_step": values.whole(
        0, 10**10, "the first step after it; None: it lasts", or_none=True
    ),
}
