"""Evaluates how a run decides: thresholds and a calibration of `val`, their errors elsewhere.

They are fitted on the split val and on no other; of the splits that are evaluated, which one may
name by tags, only the errors at them are told. Of a classifier it is the temperature of its logits.
"""

from collections.abc import Mapping
from typing import NamedTuple

import ml_collections
from absl import logging

from tfav import registry
from tfav.commands.protocols import by_classes, pair_trials, protocol
from tfav.evaluation import classification, pair_calibration, temperature_scaling, thresholds
from tfav.evaluation.result import Result
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.reports import drawing, reliability

FITTED_ON = "val"


class _Fitted(NamedTuple):
    """The pairs that thresholds are fitted on, or a clause that says why there are none."""

    trials: thresholds.Trials | None
    why_not: str


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
        fitted = _fitted(context)
        for tag in context.tags:
            try:
                found = _of_pairs(context, tag, fitted)
            except registry.UserError as error:
                logging.warning("no calibration of %s: %s", tag, error)
                continue
            results += found
            drawn = reliability.draw(found)
            if drawn is not None:
                pictures[tag] = {"pair_reliability": drawing.png(drawn)}
        return protocol.Evaluated(results, pictures)


def _fitted(context: protocol.Context) -> _Fitted:
    index = context.index
    if FITTED_ON not in index.info["splits"]:
        return _Fitted(None, f"{index.directory} has no split {FITTED_ON}")
    c, recipe = context.config, context.run.recipe
    try:
        pairs = pair_trials.PairTrials(c, recipe, index.select(FITTED_ON))
    except registry.UserError as error:
        return _Fitted(None, str(error).rstrip("."))
    return _Fitted(pairs.trials(), "")


def _of_pairs(context: protocol.Context, tag: str, fitted: _Fitted) -> list[Result]:
    """Returns the figures of pairs of one split.

    Raises:
      UserError: no such split, or one without right and wrong pairs.
    """
    recipe = context.run.recipe
    pairs = pair_trials.PairTrials(context.config, recipe, context.index.select(tag))
    groups, notes = pairs.groups()
    if tag == FITTED_ON:
        notes.append(f"{tag}: these are the pairs that thresholds and calibration were fitted on.")
    return pair_calibration.evaluate(
        fitted.trials,
        pairs.trials(),
        score=pairs.score,
        tag=tag,
        resampled=pairs.resampled,
        why_not_fitted=fitted.why_not,
        groups=groups,
        notes=notes,
        taught=outputs.decision(recipe),
        about={
            "recipe": context.config.recipe,
            "embedding_space": outputs.embedding_space(recipe),
            "data": context.index.info["index_sha256"],
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
