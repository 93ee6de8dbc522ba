"""A way to evaluate a run: one class, and its instance."""

import numpy as np

from tfav.commands.protocols import protocol
from tfav.evaluation import result
from tfav.evaluation.metric import Metric
from tfav.experiment import inputs
from tfav.recipes import outputs

SCORE = Metric("brier", "Brier score", lower_is_better=True)


class Brier(protocol.Protocol):
    """The mean square of what the probabilities of a test item's classes are off by."""

    metrics = (SCORE,)
    compares = "probabilities of classes"

    def fits(self, recipe, c):
        del c
        return outputs.classifies(recipe)

    def evaluate(self, context):
        found = []
        for tag in context.tags:
            part = context.index.select(tag)
            ids = part.id.tolist()
            batches = inputs.joint_batches(context.config, part.directory, ids, 4)
            probability = np.concatenate(
                [outputs.classify(context.run.recipe, b)["probability"] for b in batches]
            )
            truth = part.label[:, np.newaxis] == np.array(context.run.labels)
            off = np.square(probability - truth).sum(axis=1)
            found.append(
                result.measured(
                    protocol="brier",
                    stratum="unrestricted",
                    direction="fused",
                    n=None,
                    tag=tag,
                    metric=SCORE,
                    value=off.mean(),
                    chance=1 - 1 / len(context.run.labels),
                    replicates=np.array([off.mean()]),
                    num_trials=len(part),
                    num_identities=len(part),
                    resampled="nothing",
                )
            )
        return protocol.Evaluated(found)


BRIER = Brier()
