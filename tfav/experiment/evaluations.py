"""The store of a run's figures: each measurement in one place, under what it was measured on.

`WORKDIR/evaluations/` holds a file per measurement, named by its `Measured.key`, and `index.json`,
which lists them for a reader. The figures on the run's own terms (its own data and the lists beside
it, the tag test, the seed 0, the protocols of its config) are also what `WORKDIR/metrics.json`
holds. Whoever uses a figure asks for it by what it must have been measured on (`find`, `own`):
figures of other data, lists, settings or weights are never taken for it. The files are sealed, see
`states`: figures that were changed by hand are refused.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from tfav import config_file, files, registry, states
from tfav.evaluation import catalogue
from tfav.evaluation import result as results_lib
from tfav.evaluation.metric import Metric
from tfav.evaluation.result import Result
from tfav.experiment import measurement
from tfav.experiment.measurement import Measured
from tfav.training import environment, weights_file

FOLDER = "evaluations"
OWN = "metrics.json"
OWN_TAG, OWN_SEED = "test", 0
_INDEX = "index.json"
_FORM = {"about": {"*": object}, "results": [{"*": object}], "*": object}


class Evaluation(NamedTuple):
    """Figures with what they were measured on.

    Attributes:
      measured: of each protocol and tag.
      results: the figures of all of them.
      about: facts for a reader: `weights` (their step and metric), folders, seed.
    """

    measured: Sequence[Measured]
    results: Sequence[Result]
    about: Mapping[str, Any]


def path_of(workdir: str, key: str) -> str:
    """Returns the file of a measurement."""
    return os.path.join(workdir, FOLDER, f"{key}.json")


def write(
    workdir: str,
    evaluations: Sequence[Evaluation],
    pictures: Mapping[str, Mapping[str, bytes]],
    own: Evaluation | None = None,
) -> list[str]:
    """Writes measurements into a run's folder; returns the files that a user looks at.

    Args:
      workdir: the folder.
      evaluations: of one measurement each.
      pictures: place of a folder below `workdir` to name to PNG.
      own: the figures on the run's own terms, where all of them were measured.

    Raises:
      OSError: the folder cannot be written.
    """
    folder = os.path.join(workdir, FOLDER)
    os.makedirs(folder, exist_ok=True)
    with _alone(folder):
        paths = [path_of(workdir, evaluation.measured[0].key) for evaluation in evaluations]
        for path, evaluation in zip(paths, evaluations):
            files.write_text(path, to_json(evaluation))
        _write_index(folder)
        return paths + write_whole(workdir, own, pictures)


def write_whole(
    folder: str, evaluation: Evaluation | None, pictures: Mapping[str, Mapping[str, bytes]]
) -> list[str]:
    """Writes `metrics.json` and pictures into a folder; returns their paths.

    Args:
      folder: made when absent.
      evaluation: the figures; None: only pictures.
      pictures: place of a folder below it to name to PNG.

    Raises:
      OSError: the folder cannot be written.
    """
    written: list[str] = []
    for place, of_place in pictures.items():
        paths = files.write_pictures(of_place, os.path.join(folder, place))
        written += map(os.fspath, paths)
    if evaluation is not None:
        os.makedirs(folder, exist_ok=True)
        written.append(os.path.join(folder, OWN))
        files.write_text(written[-1], to_json(evaluation))
    return written


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Lets another evaluation into the same folder wait while this one writes."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write_index(folder: str) -> None:
    """Writes what the measurements of a folder are of, as their files say."""
    entries = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json") or name == _INDEX:
            continue
        try:
            found = read(os.path.join(folder, name))
            entries.append({"file": name, **found.measured[0].to_json(), "about": found.about})
        except registry.UserError as error:  # whoever asks for that measurement is told
            entries.append({"file": name, "damaged": str(error)})
    states.write(os.path.join(folder, _INDEX), {"evaluations": entries})


def to_json(evaluation: Evaluation) -> str:
    """Returns strict JSON with its seal: `about`, `definitions`, `metrics`, `results`.

    Raises:
      ValueError: a value is NaN or infinite.
    """
    metrics: dict[str, dict[str, Metric]] = {}
    for result in evaluation.results:
        metrics.setdefault(result.protocol, {})[result.metric.key] = result.metric
    every = [metric for of_protocol in metrics.values() for metric in of_protocol.values()]
    document = {
        "about": {**evaluation.about, "measured": [m.to_json() for m in evaluation.measured]},
        "definitions": {m.key: m.definition for m in every if m.definition},
        "metrics": {name: [m.to_json() for m in its.values()] for name, its in metrics.items()},
        "results": [result.to_json() for result in evaluation.results],
    }
    return json.dumps(states.sealed(document), indent=2, allow_nan=False) + "\n"


def read(path: str | os.PathLike) -> Evaluation:
    """Returns the figures of a file, also of one of before there was a store (`measured` empty).

    Raises:
      UserError: it cannot be read, or is damaged; names the file and how to make it again.
    """
    workdir = os.path.dirname(os.fspath(path))
    workdir = os.path.dirname(workdir) if os.path.basename(workdir) == FOLDER else workdir
    fix = f"delete it and make it again with tfav-eval --workdir={workdir}"
    document = states.read(path, _FORM, fix)
    try:
        return _parsed(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise registry.UserError(f"{path} is damaged ({error}): {fix}.") from error


def _parsed(document: Any) -> Evaluation:
    about = dict(document["about"])
    metrics = dict(catalogue.METRICS)
    for protocol, its in document.get("metrics", {}).items():
        metrics[protocol] = {entry["key"]: Metric(**entry) for entry in its}
    found = [results_lib.from_json(entry, metrics) for entry in document["results"]]
    places = [
        Measured(**{**entry, "tags": tuple(entry["tags"])}) for entry in about.pop("measured", ())
    ]
    return Evaluation(places, found, about)


def find(workdir: str, wanted: Measured) -> Evaluation | None:
    """Returns the figures measured on exactly what is wanted; None if nobody measured them.

    Raises:
      UserError: their file is damaged, or holds another measurement.
    """
    path = path_of(workdir, wanted.key)
    if not os.path.exists(path):
        return None
    found = read(path)
    if [m.to_json() for m in found.measured] != [wanted.to_json()]:
        raise registry.UserError(
            f"{path} holds another measurement than its name says: delete it and make it again "
            f"with tfav-eval --workdir={workdir}."
        )
    return found


def own(workdir: str) -> Evaluation | None:
    """Returns a run's figures on its own terms; None if it was never evaluated so.

    Raises:
      UserError: `metrics.json` is damaged, or is not of the run as it stands: of other data, lists,
        settings or weights.
    """
    path = os.path.join(workdir, OWN)
    if not os.path.exists(path):
        return None
    found = read(path)
    c = config_file.load(workdir)
    other = _other_terms(found, workdir, c) if found.measured else _before(found, workdir, c)
    if other:
        raise registry.UserError(
            f"{path} is of {other}, not of the run as it stands: evaluate it again with "
            f"tfav-eval --workdir={workdir}, or delete that file."
        )
    return found


def _other_terms(found: Evaluation, workdir: str, c: ml_collections.ConfigDict) -> str:
    """Returns in what the figures differ from the run's own terms; empty if in nothing."""
    starts = environment.starts(workdir)
    data = starts[-1]["data_sha256"] if starts else None
    weights = measurement.weights_sha256(workdir)
    if any(m.data != data for m in found.measured):
        return "other data"
    if any(m.weights != weights for m in found.measured):
        return "other weights"
    if any(m.settings != measurement.settings(c, m.protocol) for m in found.measured):
        return "other settings (config.eval)"
    return ""


def _before(found: Evaluation, workdir: str, c: ml_collections.ConfigDict) -> str:
    """Returns the same of figures of before there was a store, as far as they tell."""
    about = found.about
    directory = os.path.abspath(c.data.directory)
    if os.path.abspath(str(about.get("data"))) != directory:
        return f"the data {about.get('data')}"
    if os.path.abspath(str(about.get("lists"))) != os.path.join(directory, "lists"):
        return f"the lists {about.get('lists')}"
    facts = weights_file.read(os.path.join(workdir, weights_file.FILE))[1]
    if about.get("weights") != facts:
        return f"the weights {about.get('weights')}"
    for result in found.results:
        path = os.path.join(directory, "lists", result.list_name or "")
        if result.list_name and os.path.exists(path) and files.sha256(path) != result.sha256:
            return f"another {result.list_name}"
    return ""
