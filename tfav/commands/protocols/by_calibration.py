"""Evaluates how a run decides: thresholds and a calibration of `val`, their errors elsewhere.

They are fitted on the split val and on no other; of the splits that are evaluated, which one may
name by tags, only the errors at them are told. Of a classifier it is the temperature of its logits.
"""

import os
from collections.abc import Mapping

import ml_collections
from absl import logging

from tfav import registry
from tfav.annotations import lists
from tfav.commands.protocols import by_classes, pair_trials, protocol
from tfav.evaluation import classification, pair_calibration, temperature_scaling, thresholds
from tfav.evaluation.result import Result
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.reports import drawing, reliability

FITTED_ON = "val"


class Calibration(protocol.Protocol):
    """The splits that the tags name; a tag that is no split, as one of lists alone, has none."""

    metrics = pair_calibration.METRICS
    compares = "pairs of audio and image by a score, or logits of classes"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe compares audio with images, or tells classes apart."""
        return outputs.classifies(recipe) or pair_trials.fits(recipe, c)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits, with the reliability of each.

        A split that lacks what they are of gives none, and a sentence in the log says so: a run's
        own protocols may find more in other data than this one.
        """
        if outputs.classifies(context.run.recipe):
            return protocol.Evaluated(_of_classes(context))
        results: list[Result] = []
        pictures: dict[str, Mapping[str, bytes]] = {}
        compare = pair_trials.scorer(context.config, context.run.recipe)
        fitted = _pairs(context, compare, FITTED_ON)
        known = fitted if isinstance(fitted, str) else fitted.trials()
        for tag in context.tags:
            _require(context, tag)
            pairs = _pairs(context, compare, tag)
            if isinstance(pairs, str):
                logging.warning("no calibration of %s: %s", tag, pairs)
                continue
            found = _of_pairs(context, pairs, tag, known)
            results += found
            drawn = reliability.draw(found)
            if drawn is not None:
                pictures[tag] = {"pair_reliability": drawing.png(drawn)}
        return protocol.Evaluated(results, pictures)


def _require(context: protocol.Context, tag: str) -> None:
    """Refuses a tag that is neither a split nor one of query lists.

    Raises:
      UserError: that.
    """
    if tag in context.index.info["splits"]:
        return
    names = os.listdir(context.lists_dir) if os.path.isdir(context.lists_dir) else []
    if not any(lists.is_list(name) and f"_{tag}.txt" in name for name in names):
        context.index.select(tag)


def _pairs(
    context: protocol.Context, compare: pair_trials.Comparer, split: str
) -> pair_trials.PairTrials | str:
    """Returns the pairs of a split, or a clause that says why it has none."""
    try:
        part = context.index.select(split)
        return pair_trials.PairTrials(context.config, context.run.recipe, part, compare)
    except registry.UserError as error:
        return str(error).rstrip(".")


def _of_pairs(
    context: protocol.Context,
    pairs: pair_trials.PairTrials,
    tag: str,
    fitted: thresholds.Trials | str,
) -> list[Result]:
    """Returns the figures of the pairs of one split.

    Args:
      context: what is evaluated.
      pairs: of that split.
      tag: its name.
      fitted: the pairs that thresholds are fitted on, or a clause that says why there are none.
    """
    recipe = context.run.recipe
    groups, notes = pairs.groups()
    if tag == FITTED_ON:
        notes.append(f"{tag}: these are the pairs that thresholds and calibration were fitted on.")
    return pair_calibration.evaluate(
        None if isinstance(fitted, str) else fitted,
        pairs.trials(),
        score=pairs.score,
        tag=tag,
        resampled=pairs.resampled,
        why_not_fitted=fitted if isinstance(fitted, str) else "",
        groups=groups,
        notes=notes,
        taught=outputs.decision(recipe),
        about={
            "recipe": context.config.recipe,
            "embedding_space": outputs.embedding_space(recipe),
            "data": context.index.sha256,
        },
        num_bootstrap=context.num_bootstrap,
        seed=context.seed,
    )


def _of_classes(context: protocol.Context) -> list[Result]:
    """Returns the temperature that suits `val`, and the calibration error of each split by it."""
    results: list[Result] = []
    if FITTED_ON not in context.index.info["splits"]:
        logging.warning("no temperature: %s has no split %s", context.index.directory, FITTED_ON)
        return results
    fitted = by_classes.score(context, FITTED_ON)
    for tag in context.tags:
        scored = fitted if tag == FITTED_ON else by_classes.score(context, tag)
        both = [(its.logits[classification.FUSED], its.label) for its in (fitted, scored)]
        results += temperature_scaling.evaluate(*both, tag=tag, protocol=pair_calibration.PROTOCOL)
    return results
