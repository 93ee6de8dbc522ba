"""How good frozen features are: linear classifiers on them, scored as ESC-50 and DCASE2014 ask.

One-vs-all linear support vector machines from scikit-learn on standardised features. Their constant
C is chosen by cross-validation inside the training part; the test part is scored once. A clip may
come in several rows (subclips): their scores are averaged.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfav import registry
from tfav.evaluation import bootstrap
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "linear_probe"
ACCURACY = Metric(
    "probe_accuracy",
    "linear probe",
    definition="A linear probe is a one-vs-all linear SVM on frozen features, its constant chosen "
    "on the training folds; accuracy is the mean over the test folds.",
)
METRICS = (ACCURACY,)
CONSTANTS = (1e-3, 1e-2, 1e-1, 1e0, 1e1)
_INNER_PARTS = 4  # of a training part that has no folds of its own


class Probe(NamedTuple):
    """What the classifiers of all test parts said.

    Attributes:
      clip: [N] str, the clips that were tested.
      label: [N] int, their classes.
      predicted: [N] int.
      fold: [N] str, the test part each belongs to.
      constants: fold to the C that was chosen.
      notes: sentences on classes that cannot be named.
    """

    clip: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    fold: np.ndarray
    constants: dict[str, float]
    notes: tuple[str, ...] = ()


def probe(
    features: np.ndarray,
    label: np.ndarray,
    clip: np.ndarray,
    tests: Sequence[tuple[str, np.ndarray]],
    fold: np.ndarray | None = None,
    constants: Sequence[float] = CONSTANTS,
    seed: int = 0,
) -> Probe:
    """Trains and tests linear classifiers, part by part.

    Args:
      features: [N, D], one row per subclip.
      label: [N] int class.
      clip: [N] name of the clip; scores of its rows are averaged.
      tests: Test parts, as `probe_parts.parts` returns them.
      fold: [N] of each row: C is then chosen by leaving out one training fold after the other.
        None, or one training fold: by four parts of whole clips, drawn by class from `seed`.
      constants: to choose C from; ties go to the smaller.
      seed: Random seed of those parts and of the solver.

    Raises:
      UserError: a training part of one class only, or without any class that is tested.
    """
    # Imported late: it is slow.
    from sklearn import model_selection

    features = np.asarray(features, np.float64)
    found: list[tuple[np.ndarray, ...]] = []
    chosen: dict[str, float] = {}
    notes: list[str] = []
    for name, role in tests:
        train, test = np.flatnonzero(role == 0), np.flatnonzero(role == 1)
        if len(np.unique(label[train])) < 2:
            raise registry.UserError(
                f"the training part of {name} has one class only: a classifier needs two."
            )
        notes += _unseen(name, label[test], label[train])
        groups = np.array([]) if fold is None else fold[train]
        if len(np.unique(groups)) < 2:
            groups = _draw(label[train], clip[train], seed)
        accuracies = []
        inner_folds = list(model_selection.LeaveOneGroupOut().split(train, groups=groups))
        for constant in constants:
            right = [
                _right(features, label, clip, train[inner], train[outer], constant, seed)
                for inner, outer in inner_folds
            ]
            accuracies.append(np.concatenate(right).mean())
        chosen[name] = constants[int(np.argmax(accuracies))]
        clips, truth, guess = _predict(features, label, clip, train, test, chosen[name], seed)
        found.append((clips, truth, guess, np.full(len(clips), name)))
    clips, truth, guess, fold = (np.concatenate(column) for column in zip(*found))
    return Probe(clips, truth, guess, fold, chosen, tuple(notes))


def _unseen(name: str, tested: np.ndarray, trained: np.ndarray) -> list[str]:
    """Returns a note where some of the tested classes do not come in training.

    Raises:
      UserError: none of them does.
    """
    classes = np.unique(tested)
    unseen = np.setdiff1d(classes, trained)
    if len(unseen) == len(classes):
        raise registry.UserError(
            f"none of the {len(classes)} classes tested in {name} comes in its training part, so "
            "that no classifier can name them: give folds or splits that share their classes, "
            "which disjoint identities do not."
        )
    if not len(unseen):
        return []
    return [
        f"{len(unseen)} of the {len(classes)} classes tested in {name} do not come in its training "
        "part: their clips count as wrong."
    ]


def _draw(label: np.ndarray, clip: np.ndarray, seed: int) -> np.ndarray:
    """Returns [N] int: parts of whole clips, each class spread over all of them.

    Not scikit-learn's `StratifiedGroupKFold`, whose parts are others: the constants they choose,
    and with them published figures, would move.
    """
    clips, first, inverse = np.unique(clip, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(clips))
    order = order[np.argsort(label[first][order], kind="stable")]
    part = np.empty(len(clips), int)
    part[order] = np.arange(len(clips)) % min(_INNER_PARTS, len(clips))
    return part[inverse]


def _right(
    features: np.ndarray,
    label: np.ndarray,
    clip: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    constant: float,
    seed: int,
) -> np.ndarray:
    _, truth, guess = _predict(features, label, clip, train, test, constant, seed)
    return truth == guess


def _predict(
    features: np.ndarray,
    label: np.ndarray,
    clip: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    constant: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the clips of the test rows, their classes and what was predicted."""
    # Imported late: it is slow.
    from sklearn import exceptions, multiclass, pipeline, preprocessing, svm

    classifier = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        multiclass.OneVsRestClassifier(svm.LinearSVC(C=constant, dual=True, random_state=seed)),
    )
    with warnings.catch_warnings():
        # A large C on separable features stops at the iteration limit; choosing C sees the result.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        classifier.fit(features[train], label[train])
    scores = classifier.decision_function(features[test])
    if scores.ndim == 1:  # two classes: one score
        scores = np.stack([-scores, scores], axis=1)
    clips, first, inverse = np.unique(clip[test], return_index=True, return_inverse=True)
    total = np.zeros((len(clips), scores.shape[1]))
    np.add.at(total, inverse, scores)  # the number of rows does not change which is the largest
    classes = np.unique(label[train])
    return clips, label[test][first], classes[np.argmax(total, axis=1)]


def vote(found: Sequence[Probe]) -> Probe:
    """Returns what most of several probes of the same clips say; the first's where a vote is tied.

    Args:
      found: What `probe` returned for each of several features.
    """
    said = np.stack([its.predicted for its in found])
    votes = (said[:, np.newaxis] == said).sum(axis=0)  # [M, N]: how many agree with each
    winner = np.argmax(votes, axis=0)[np.newaxis]
    predicted = np.take_along_axis(said, winner, axis=0)[0]
    return found[0]._replace(predicted=predicted, constants={})


def evaluate(
    found: Probe, name: str, *, tag: str, num_bootstrap: int, seed: int
) -> list[results.Result]:
    """Returns mean accuracy over the test parts.

    Args:
      found: What `probe` returned.
      name: Name of the features, for the column of directions.
      tag: which part of the data, for the record.
      num_bootstrap: resamples of clips for the 95 % interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    hit = (found.label == found.predicted).astype(np.float64)
    folds = np.unique(found.fold)
    accuracy = {str(fold): float(hit[found.fold == fold].mean()) for fold in folds}
    return [
        results.measured(
            float(np.mean(list(accuracy.values()))),
            np.bincount(found.label).max() / len(found.label),
            bootstrap.mean(hit, np.arange(len(hit)), num_bootstrap, seed),
            protocol=PROTOCOL,
            stratum=f"{len(folds)} folds" if len(folds) > 1 else "held out",
            metric=ACCURACY,
            direction=name,
            tag=tag,
            num_trials=len(hit),
            num_identities=len(hit),
            resampled="clips",
            notes=found.notes,
            details={"folds": accuracy, "constants": found.constants},
        )
    ]
