"""What a run decides by: thresholds and calibration, as its own evaluation has measured them."""

from typing import Any

import ml_collections

from tfav.evaluation import pair_calibration
from tfav.evaluation.result import Result
from tfav.experiment import evaluations, measurement
from tfav.training import environment


def results(workdir: str, c: ml_collections.ConfigDict) -> list[Result]:
    """Returns the figures of a run's decisions; none where nobody measured them.

    Those of the run's own data, of its weights and settings as they stand, evaluated on the split
    test with the seed 0: a measurement on anything else is another one.

    Args:
      workdir: Folder of the run.
      c: Config of the run.

    Raises:
      UserError: their file is damaged; names it and how to make it again.
    """
    starts = environment.starts(workdir)
    data = starts[-1].get("data_sha256") if starts else None
    if not data:
        return []
    place = measurement.measured(
        c,
        pair_calibration.PROTOCOL,
        tags=(evaluations.OWN_TAG,),
        data=data,
        lists={},
        weights=measurement.weights_sha256(workdir),
        seed=evaluations.OWN_SEED,
    )
    found = evaluations.find(workdir, place)
    return list(found.results) if found else []


def find(workdir: str, c: ml_collections.ConfigDict) -> dict[str, Any] | None:
    """Returns a run's decisions, as `evaluation.decisions` has them; see `results`."""
    for result in results(workdir, c):
        if pair_calibration.DECISIONS in result.details:
            return dict(result.details[pair_calibration.DECISIONS])
    return None
