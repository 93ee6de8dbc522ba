"""Rows of a comparison that nobody trains: hand-made features, by the linear probe."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

import ml_collections
import numpy as np
from absl import logging

from tfav import files, registry, states, tensors
from tfav.commands.protocols import by_probe
from tfav.data import shards
from tfav.encoders import handmade
from tfav.evaluation import catalogue, linear_probe
from tfav.evaluation import result as results_lib
from tfav.evaluation.result import Result
from tfav.experiment import evaluations, measurement

ENSEMBLE = "ensemble"
ROWS = (*handmade.FEATURES, ENSEMBLE)
PROTOCOL = linear_probe.PROTOCOL
_FOLDER = "features"
_DIRECTION = "features"
_FORM = {"measured": {"*": object}, "results": [{"*": object}]}


def check(names: Sequence[str], protocols: Sequence[str]) -> None:
    """Refuses rows that do not exist, and rows beside figures that they do not have.

    Raises:
      UserError: that.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise registry.UserError(
            f"--features={','.join(names)}: there is no feature {unknown[0]}: choose from "
            f"{', '.join(ROWS)}."
        )
    if names and list(protocols) != [PROTOCOL]:
        raise registry.UserError(
            f"--features={','.join(names)} are measured by {PROTOCOL} and --protocols="
            f"{','.join(protocols)}: give --protocols={PROTOCOL}, or leave --features out."
        )


def named(names: Sequence[str], variants: Sequence[str]) -> list[str]:
    """Returns the rows that a comparison is sure to have, in their order."""
    return [*names, by_probe.STATISTICS, *variants] if names else list(variants)


def measure(
    names: Sequence[str], c: ml_collections.ConfigDict, directory: str, output: str
) -> dict[str, list[Result]]:
    """Returns the figures of hand-made features, each measured once.

    The ensemble is the vote of all of `handmade.FEATURES`; where they name three classes, the one
    that reaches most in Table 1 (`rnh`) has its way.

    Args:
      names: of `ROWS`.
      c: Config by which clips are heard.
      directory: Folder of the data.
      output: folder of the comparison, below which the figures are kept.

    Raises:
      UserError: data without folds or splits, or a file of before that is damaged.
    """
    if not names:
        return {}
    seed = evaluations.OWN_SEED
    data = measurement.data_sha256(directory)
    stamp = {
        "data": data,
        "code": files.sha256(handmade.__file__),
        "settings": measurement.settings(c, PROTOCOL),
        "seed": seed,
    }
    probes: dict[str, linear_probe.Probe] = {}

    def probe(name: str) -> linear_probe.Probe:
        if name == ENSEMBLE:
            return linear_probe.vote([probe(member) for member in reversed(handmade.FEATURES)])
        if name not in probes:
            logging.info("features %s of %s", name, directory)
            its = by_probe.clips(shards.Index.read(directory))
            probes[name] = its.probe(c, _each(handmade.FEATURES[name]), seed)
        return probes[name]

    found = {}
    for name in names:
        path = os.path.join(output, _FOLDER, f"{name}-{data[:16]}.json")
        kept = _kept(path, stamp)
        if kept is None:
            kept = linear_probe.evaluate(
                probe(name),
                _DIRECTION,
                tag=by_probe.TAG,
                num_bootstrap=c.eval.num_bootstrap,
                seed=seed,
            )
            os.makedirs(os.path.dirname(path), exist_ok=True)
            entries = [result.to_json() for result in kept]
            states.write(path, {"measured": stamp, "results": entries})
        found[name] = kept
    return found


def _each(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[str, tensors.Batch], np.ndarray]:
    """Returns what gives the features [B, D] of a batch of clips, each without its padding."""

    def features(modality: str, batch: tensors.Batch) -> np.ndarray:
        clips = zip(np.asarray(batch[modality]), np.asarray(batch["num_samples"]))
        return np.stack([function(clip[:length]) for clip, length in clips])

    return features


def _kept(path: str, stamp: Mapping[str, object]) -> list[Result] | None:
    """Returns what was measured before on just this; None if nothing was."""
    if not os.path.lexists(path):
        return None
    read = states.read(path, _FORM, "delete it, and the features are measured again")
    if read["measured"] != stamp:
        return None
    return [results_lib.from_json(entry, catalogue.METRICS) for entry in read["results"]]


def beside(
    handmade_rows: Sequence[Mapping[str, list[Result]]],
    trained: Mapping[str, list[list[Result]]],
) -> dict[str, list[list[Result]]]:
    """Returns one row per kind of features, all of one column.

    Of each variant its trained encoder and the same one untrained (where no variant before has that
    one), and the log-mel statistics once, with those of the hand-made rows.

    Args:
      handmade_rows: of each seed, what `measure` returned.
      trained: variant to the results of each seed, of the linear probe.
    """
    rows = {name: [of_seed[name] for of_seed in handmade_rows] for name in handmade_rows[0]}
    for kind, called in (
        (by_probe.STATISTICS, by_probe.STATISTICS),
        (by_probe.UNTRAINED, "{}, untrained"),
        (by_probe.TRAINED, "{}"),
    ):
        seen: list[list[float]] = []
        for variant, seeds in trained.items():
            of_kind = [[r for r in results if r.direction == kind] for results in seeds]
            values = [r.value for results in of_kind for r in results]
            if kind == by_probe.TRAINED or values not in seen:
                rows[called.format(variant)] = of_kind
            seen.append(values)
    return {
        name: [[dataclasses.replace(r, direction=_DIRECTION) for r in its] for its in seeds]
        for name, seeds in rows.items()
    }
