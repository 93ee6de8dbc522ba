"""How good frozen features are: linear classifiers on them, scored as ESC-50 and DCASE2014 ask.

One-vs-all linear support vector machines from scikit-learn on standardised features. Their constant
C is chosen by cross-validation inside the training part; the test part is scored once. A clip may
come in several rows (subclips): their scores are averaged.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav import registry
from tfav.evaluation import bootstrap

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
    """

    clip: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    fold: np.ndarray
    constants: dict[str, float]


def check_folds(fold: Sequence[str], recording: Sequence[str], where: str) -> None:
    """Raises UserError unless there are two folds or more and no recording lies in two of them.

    Args:
      fold: [N] of each row.
      recording: [N] what each row was cut from.
      where: of the data, for the message.
    """
    fold, recording = np.asarray(fold), np.asarray(recording)
    if len(np.unique(fold)) < 2 or (fold == "").any():
        raise registry.UserError(
            f"{where} has no two folds in its column fold, or rows without one: give the official "
            "folds, as random ones share recordings."
        )
    pairs = np.unique(np.stack([recording, fold]), axis=1)
    names, count = np.unique(pairs[0], return_counts=True)
    if (count > 1).any():
        name = names[np.argmax(count > 1)]
        folds = ", ".join(pairs[1][pairs[0] == name])
        raise registry.UserError(
            f"{where}: cuts of the recording {name} lie in the folds {folds}, so a test would hear "
            "what was trained on: give the official folds."
        )


def parts(split: Sequence[str], fold: Sequence[str] | None) -> list[tuple[str, np.ndarray]]:
    """Returns the test parts: each fold, or the split `test` against `train`.

    Returns:
      (name, [N] int8: 0 = train, 1 = test, -1 = neither).

    Raises:
      UserError: neither folds nor the two splits.
    """
    if fold is not None:
        fold = np.asarray(fold)
        return [(name, (fold == name).astype(np.int8)) for name in np.unique(fold)]
    split = np.asarray(split)
    if not {"train", "test"} <= set(split):
        raise registry.UserError(
            f"a linear probe needs a column fold, or the splits train and test; the data has "
            f"{', '.join(np.unique(split))}: prepare it with either."
        )
    role = np.where(split == "train", 0, np.where(split == "test", 1, -1)).astype(np.int8)
    return [("test", role)]


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
      features: [N, D], one row a subclip.
      label: [N] int class.
      clip: [N] name of the clip; scores of its rows are averaged.
      tests: see `parts`.
      fold: [N] of each row: C is then chosen by leaving out one training fold after the other.
        None, or one training fold: by four parts of whole clips, drawn by class from `seed`.
      constants: to choose C from; ties go to the smaller.
      seed: of those parts and of the solver.

    Raises:
      UserError: a training part of one class only.
    """
    features = np.asarray(features, np.float64)
    found: list[tuple[np.ndarray, ...]] = []
    chosen = {}
    for name, role in tests:
        train, test = np.flatnonzero(role == 0), np.flatnonzero(role == 1)
        if len(np.unique(label[train])) < 2:
            raise registry.UserError(
                f"the training part of {name} has one class only: a classifier needs two."
            )
        groups = np.array([]) if fold is None else fold[train]
        if len(np.unique(groups)) < 2:
            groups = _draw(label[train], clip[train], seed)
        accuracies = []
        for constant in constants:
            right = [
                _right(features, label, clip, train[inner], train[outer], constant, seed)
                for inner, outer in _leave_one_out(groups)
            ]
            accuracies.append(np.concatenate(right).mean())
        chosen[name] = constants[int(np.argmax(accuracies))]
        clips, truth, guess = _predict(features, label, clip, train, test, chosen[name], seed)
        found.append((clips, truth, guess, np.full(len(clips), name)))
    return Probe(*(np.concatenate(column) for column in zip(*found)), chosen)


def _leave_one_out(groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for name in np.unique(groups):
        yield np.flatnonzero(groups != name), np.flatnonzero(groups == name)


def _draw(label: np.ndarray, clip: np.ndarray, seed: int) -> np.ndarray:
    """Returns [N] int: parts of whole clips, each class spread over all of them."""
    clips, first, inverse = np.unique(clip, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(clips))
    order = order[np.argsort(label[first][order], kind="stable")]
    part = np.empty(len(clips), int)
    part[order] = np.arange(len(clips)) % min(_INNER_PARTS, len(clips))
    return part[inverse]


def _right(features, label, clip, train, test, constant, seed) -> np.ndarray:
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


def figures(
    found: Probe, name: str, *, tag: str, num_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Returns mean accuracy (over the test parts) as a result row, see `protocols.evaluate`.

    Args:
      found: of `probe`.
      name: of the features, in the column of directions.
      tag: of the result.
      num_bootstrap: resamples of clips for the 95 % interval; 0 gives none.
      seed: of the resamples.
    """
    hit = (found.label == found.predicted).astype(np.float64)
    folds = np.unique(found.fold)
    value = float(np.mean([hit[found.fold == fold].mean() for fold in folds]))
    low, high = bootstrap.mean_interval(hit, np.arange(len(hit)), num_bootstrap, seed)
    return [
        {
            "tag": tag,
            "protocol": "linear_probe",
            "direction": name,
            "stratum": f"{len(folds)} folds" if len(folds) > 1 else "held out",
            "n": None,
            "metric": "probe_accuracy",
            "value": value,
            "chance": float(np.bincount(found.label).max() / len(found.label)),
            "low": low,
            "high": high,
            "num_trials": len(hit),
            "num_identities": len(hit),
            "list": None,
            "sha256": None,
            "folds": {fold: float(hit[found.fold == fold].mean()) for fold in folds},
            "constants": found.constants,
        }
    ]
