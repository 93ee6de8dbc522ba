"""Findings on rows: what cannot be used, what lacks, and how labels and genders are spread."""

import collections
from collections.abc import Sequence

import numpy as np

from tfav.data.prepare import identities, sources
from tfav.data.prepare.doctor.evidence import SHOWN, TEST, TRAIN, VAL, Evidence
from tfav.data.prepare.doctor.finding import GOOD, MISLEADS, NOTE, STOPS, Chart, Finding, one

_MOST_UNUSABLE_SHOWN = 1000
_REASONS = 3  # named in the sentence; every row is listed with its own
_UNEVEN = 10  # times the median that the largest label has
_FEW = 2  # rows of a label
_LOPSIDED = 0.35  # share of the rarer gender below which errors of its own are uncertain
_BARS = 20


def unusable(evidence: Evidence) -> Finding:
    """Says which files cannot be used, and why."""
    bad, total = evidence.bad, len(evidence.rows)
    allowed = evidence.settings.allowed(total)
    stops = len(bad) > allowed or len(bad) == total
    limit = f"--max_bad_fraction={evidence.settings.max_bad_fraction:g} allows {allowed}."
    reasons = collections.Counter(row.reason.split(" (")[0] for row in bad)
    common = "; ".join(f"{n} x: it {reason}" for reason, n in reasons.most_common(_REASONS))
    further = len(bad) - sum(n for _, n in reasons.most_common(_REASONS))
    common += f"; {further} for other reasons" if further else ""
    return one(
        "Files that cannot be used",
        len(bad),
        f"of {total} rows",
        f"cannot be used ({common}); {limit}",
        "Every file of every row can be read.",
        "Correct or replace each file that is listed, or take its row out of the manifest"
        + (
            "; prepare refuses the data as they are."
            if stops
            else "; prepare would leave these rows out and go on."
        ),
        level=STOPS if stops else NOTE,
        rows=[(row.id, f"{row.file} {row.reason}") for row in bad[:_MOST_UNUSABLE_SHOWN]],
    )


def list_items(evidence: Evidence) -> Finding | None:
    """Says which items of given query lists no row has."""
    if not evidence.num_listed:
        return None
    allowed = evidence.settings.allowed(evidence.num_listed)
    return one(
        "Items of query lists",
        len(evidence.missing),
        f"of {evidence.num_listed} items",
        f"of the given lists stand for no usable row; {allowed} may.",
        "Every item of the given query lists is a usable row.",
        "Give the lists of this data, whose items are the ids of usable rows.",
        level=STOPS if len(evidence.missing) > allowed else NOTE,
        rows=[(item, "in no row") for item in evidence.missing[:SHOWN]],
    )


def splits(evidence: Evidence) -> Finding:
    """Says which splits lack."""
    title = "Splits"
    if TRAIN not in evidence.splits:
        return Finding(
            STOPS,
            title,
            f"No usable row is of the split '{TRAIN}'.",
            f"Write {TRAIN} into the column split of the rows to train on.",
        )
    lacking = [split for split in (VAL, TEST) if split not in evidence.splits]
    if not lacking:
        return Finding(GOOD, title, "There are rows to train, to validate and to test on.")
    purpose = {VAL: "no checkpoint is chosen", TEST: "no figure is of unseen data"}
    return Finding(
        NOTE,
        title,
        f"There is no split {' and none called '.join(lacking)}: "
        f"{' and '.join(purpose[split] for split in lacking)}.",
        "Set some rows aside, of people or recordings that are in no other split.",
    )


def missing_modalities(evidence: Evidence) -> Finding | None:
    """Says which labels and videos lack audio or images where the data have both."""
    if not (evidence.has("audio").any() and evidence.has("image").any()):
        return None
    alone = {name.removesuffix("_only"): n for name, n in evidence.report["one_modality"].items()}
    rows = [
        (label, f"has {word} only") for word, found in alone.items() for label in found["first"]
    ]
    count = sum(found["count"] for found in alone.values())
    for name, found in evidence.report["videos_without"].items():
        count += found["count"]
        rows += [(row, f"is a video without {name}") for row in found["first"]]
    return one(
        "Missing modalities",
        count,
        "cases",
        ": a label or a video has one modality only, of which no pair can be made.",
        "Every label has audio and images.",
        "Add the other modality, or take these out: an association learns from labels that have "
        "both.",
        rows=rows,
    )


def balance(evidence: Evidence) -> Finding | None:
    """Says how many rows the labels have, where rows share labels by design."""
    if evidence.settings.labels == sources.CLIPS:
        return None
    chosen = evidence.usable & (evidence.split == TRAIN)
    names, counts = np.unique(evidence.label[chosen], return_counts=True)
    title = "Balance of labels"
    if not len(names):  # `splits` says so
        return None
    order = np.argsort(-counts, kind="stable")
    median = float(np.median(counts))
    if len(names) <= _BARS:
        chart = Chart(
            "label",
            evidence.counts(evidence.label, evidence.usable, names[order].tolist()),
            names=names[order].tolist(),
        )
    else:
        edges = np.unique(np.geomspace(1, counts.max() + 1, 20).round())
        shown = np.histogram(counts, edges)[0].tolist()
        chart = Chart("rows per label", {TRAIN: shown}, edges=edges.tolist(), counted="labels")
    few = names[counts < _FEW]
    spread = f"Labels in train: {len(names)}, of {counts.min()} to {counts.max()} rows, median "
    uneven = counts.max() > _UNEVEN * median
    if not (uneven or len(few) or len(names) < 2):
        return Finding(GOOD, title, f"{spread}{median:g}.", chart=chart)
    said = [f"{spread}{median:g}"]
    advice = []
    if len(names) < 2:
        said.append("there is nothing to tell it from")
        advice.append("add rows of a second label")
    if uneven:
        said.append(f"the largest has more than {_UNEVEN} times the median")
        advice.append("take fewer rows of the largest, or weight the loss by label")
    if len(few):
        said.append(f"{len(few)} labels have a single row")
        advice.append("add rows to labels that have one, which gives no second view to compare")
    rows = [(str(names[k]), f"{counts[k]} rows") for k in [*order[:3], *order[-7:]] if uneven]
    rows += [] if uneven else [(str(name), "1 row") for name in few[:SHOWN]]
    level = MISLEADS if uneven or len(names) < 2 else NOTE
    return Finding(
        level,
        title,
        _sentence(said),
        _sentence(advice),
        len(few),
        rows,
        chart,
    )


def unseen_classes(evidence: Evidence) -> Finding | None:
    """Says which classes of other splits are not trained."""
    if evidence.settings.labels != sources.CLASSES:
        return None
    trained = set(evidence.label[evidence.usable & (evidence.split == TRAIN)].tolist())
    rest = evidence.usable & np.isin(evidence.split, [s for s in evidence.splits if s != TRAIN])
    strange = sorted(set(evidence.label[rest].tolist()) - trained)
    return one(
        "Classes that are not trained",
        len(strange),
        "labels",
        ": other splits have rows of it and train has none, so they always count as wrong.",
        "Every class is trained.",
        "Add training rows of them, or take them out of the other splits.",
        rows=[(name, f"is not in {TRAIN}") for name in strange[:SHOWN]],
    )


def gender(evidence: Evidence) -> Finding | None:
    """Says how genders are spread, and which labels have two."""
    column = evidence.column(identities.GENDER)
    there = evidence.usable & (column != "")
    if not there.any():
        return None
    title, names = "Balance of genders", np.unique(column[there]).tolist()
    of_label: dict[str, set[str]] = collections.defaultdict(set)
    for label, name in zip(evidence.label[evidence.usable].tolist(), column[evidence.usable]):
        of_label[label].add(str(name))
    several = sorted(label for label, found in of_label.items() if len(found) > 1)
    counts = evidence.counts(column, there, names)
    chart = Chart("gender", counts, names=names)
    people = evidence.settings.labels != sources.CLASSES
    rows, said, advice = [], [], []
    if several and people:
        having = "1 label has" if len(several) == 1 else f"{len(several)} labels have"
        said.append(f"{having} rows of two genders, or of one and of none")
        advice.append("write one gender into all rows of a label, or same-gender lists lack it")
        rows = [(x, " and ".join(sorted(n or "none" for n in of_label[x]))) for x in several]
    for split, found in counts.items():
        share = min(found) / max(1, sum(found)) if len(names) > 1 else 0.0
        if sum(found) and share < _LOPSIDED * 2 / max(2, len(names)):
            told = ", ".join(f"{n} {name}" for name, n in zip(names, found))
            said.append(f"{split} has {told}")
    if len(said) > bool(rows):
        advice.append(
            "add rows of the rarer gender, and read error rates by gender, whose mean hides its own"
        )
    if not said:
        return Finding(GOOD, title, "No split has much more of one gender.", chart=chart)
    return Finding(
        MISLEADS if rows else NOTE,
        title,
        _sentence(said),
        _sentence(advice),
        len(several) if people else 0,
        rows[:SHOWN],
        chart,
    )


def left_out(evidence: Evidence) -> Finding | None:
    """Says what in folders of images is no image."""
    found = evidence.report["left_out_of_folders"]
    if not found:
        return None
    return Finding(
        NOTE,
        "Files beside images",
        f"In folders of images: {found}.",
        "Convert what should be images to a format that is read, such as PNG or JPEG.",
    )


def _sentence(parts: Sequence[str]) -> str:
    """Returns clauses as one sentence."""
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
