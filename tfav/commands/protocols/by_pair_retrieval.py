"""Evaluates a run by finding each row's own image, and its own audio, among all of a split."""

from collections.abc import Callable, Mapping

import ml_collections

from tfav.commands.protocols import by_pairs, protocol
from tfav.data import shards
from tfav.evaluation import pair_retrieval
from tfav.recipes import recipe as base


class PairRetrieval(by_pairs.Correspondence):
    """The rows with audio and image of the splits that the tags name, without their labels."""

    metrics = pair_retrieval.METRICS
    compares = "all pairs of audio and image by a score"

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits."""
        scorer = by_pairs.Scorer(context.config, context.run.recipe)
        results = []
        for tag in context.tags:
            part = by_pairs.paired(context.config, context.index.select(tag))
            results += pair_retrieval.evaluate(
                scorer.score(part),
                tag=tag,
                num_bootstrap=context.num_bootstrap,
                seed=context.seed,
            )
        return protocol.Evaluated(results)

    def validation(
        self, c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
    ) -> Callable[[], Mapping[str, float]]:
        """Returns a function that gives recall at 1 of `val`, mean of directions: `val/metric`."""
        scorer = by_pairs.Scorer(c, recipe)
        part = by_pairs.paired(c, index.select("val"))

        def validate() -> dict[str, float]:
            score = scorer.score(part)
            sides = [(pair_retrieval.ranks(s) == 1).mean() for s in (score, score.T)]
            return {"val/metric": float(sum(sides) / 2)}

        return validate
