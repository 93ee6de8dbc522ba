"""Evaluates what each modality is worth: Shapley values, and accuracy where rows lack one."""

from collections.abc import Mapping

import ml_collections
import numpy as np

from tfav import registry
from tfav.commands.protocols import by_classes, protocol
from tfav.evaluation import missing_modalities
from tfav.evaluation.result import Result
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.reports import drawing, missing_curves


class MissingModalities(protocol.Protocol):
    """The rows of the splits that the tags name, of those that hold every modality."""

    metrics = missing_modalities.METRICS
    compares = "logits of classes, with and without each of several modalities"
    page = "classes"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe classifies by several modalities, any of which may be absent."""
        return (
            outputs.classifies(recipe)
            and len(c.modalities) > 1
            and c.model.get("fusion", "concat") == "concat"
        )

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits, with a curve per modality."""
        found: list[Result] = []
        pictures: dict[str, Mapping[str, bytes]] = {}
        for tag in context.tags:
            of_tag = figures(context, tag, by_classes.score(context, tag))
            found += of_tag
            drawn = missing_curves.chart(of_tag).draw()
            pictures[tag] = {"missing_modalities": drawing.png(drawn)}
        return protocol.Evaluated(found, pictures)


def figures(context: protocol.Context, tag: str, scored: by_classes.Scored) -> list[Result]:
    """Returns the figures of a split.

    Raises:
      UserError: no row holds every modality.
    """
    recipe = context.run.recipe
    assert outputs.classifies(recipe), "`fits` has said so"
    names = tuple(context.config.modalities)
    whole = np.all([scored.present[m] for m in names], axis=0)
    rows = np.flatnonzero(whole)
    if not len(rows):
        raise registry.UserError(
            f"no row of the split {tag} holds {' and '.join(names)}, and what a modality is worth "
            "is told by rows that hold every one: evaluate another split."
        )
    logits = {
        subset: np.asarray(recipe.logits({m: scored.features[m][rows] for m in subset})["fused"])
        for subset in missing_modalities.subsets(names)
    }
    left_out = len(whole) - len(rows)
    notes = (f"{tag}: {left_out:,} of {len(whole):,} rows lack a modality and are left out.",)
    return missing_modalities.evaluate(
        logits,
        scored.label[rows],
        tag=tag,
        notes=notes if left_out else (),
        num_bootstrap=context.num_bootstrap,
        seed=context.seed,
    )
