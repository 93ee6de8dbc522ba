"""Findings on what two splits share, or two labels: people, files, decoded content."""

import os

from tfav.data.prepare import sources
from tfav.data.prepare.doctor.evidence import SHOWN, Evidence
from tfav.data.prepare.doctor.finding import GOOD, MISLEADS, NOTE, Finding, one
from tfav.media import array_tables

_BY_MODALITY = {"audio": "clip", "image": "image"}


def people(evidence: Evidence) -> Finding | None:
    """Says which labels two splits share, where labels are or may be identities."""
    kind = evidence.settings.labels
    if kind in (sources.CLASSES, sources.CLIPS) or len(evidence.splits) < 2:
        return None
    title = "Identities in two splits"
    shared = evidence.shared(evidence.label, evidence.usable)
    some = sorted({label for labels in shared.values() for label in labels})
    if not some:
        return Finding(GOOD, title, "No label is in two splits.")
    where = "; ".join(f"{len(x)} in both {_and(pair)}" for pair, x in shared.items())
    every = len(some) == len(set(evidence.label[evidence.usable].tolist()))
    rows = [(label, "is in two splits") for label in some[:SHOWN]]
    if kind == sources.ANY and every:
        return Finding(
            NOTE,
            title,
            f"All labels are in two splits ({where}), as is right for classes.",
            "If labels are people, give each of them one split: figures on people seen in training "
            "say nothing of others.",
            len(some),
            rows,
        )
    return Finding(
        MISLEADS,
        title,
        f"Labels are shared by two splits: {where}.",
        "Give each identity one split: figures on people seen in training say nothing of others.",
        len(some),
        rows,
    )


def groups(evidence: Evidence) -> Finding | None:
    """Says which speakers, recordings and the like two splits share, by further columns."""
    columns = evidence.group_columns()
    if not columns or len(evidence.splits) < 2:
        return None
    title, said, rows, count = "Speakers and recordings in two splits", [], [], 0
    for name in columns:
        values = evidence.column(name)
        for pair, found in evidence.shared(values, values != "").items():
            count += len(found)
            said.append(f"{len(found)} of column {name} in both {_and(pair)}")
            rows += [(value, f"{name} in {pair}") for value in found]
    looked = f"columns looked at: {', '.join(columns)}"
    if not said:
        return Finding(GOOD, title, f"No speaker or recording is in two splits ({looked}).")
    return Finding(
        MISLEADS,
        title,
        f"Columns that tell who or what was recorded have values in two splits: {'; '.join(said)}.",
        "Split by that column (all rows of one value in one split), or say beside every figure "
        "that its speakers or recordings were heard in training.",
        count,
        rows[:SHOWN],
    )


def files(evidence: Evidence) -> Finding | None:
    """Says which files rows of two splits are made of."""
    if len(evidence.splits) < 2:
        return None
    users: dict[str, dict[str, str]] = {}
    for row, usable in zip(evidence.rows, evidence.usable):
        if usable and row.split in evidence.splits:
            rows = [path for path in row.others.values() if array_tables.split(path).id]
            tables = {array_tables.split(path).file for path in rows}
            files = [os.path.realpath(path) for path in row.paths if path not in tables]
            for path in (*files, *rows):  # a row of a table is what a file is elsewhere
                users.setdefault(path, {}).setdefault(row.split, row.id)
    shared = {path: of for path, of in users.items() if len(of) > 1}
    return one(
        "Files in two splits",
        len(shared),
        "files",
        ": rows of two splits read the file, such as two parts of one recording.",
        "No file is read by rows of two splits.",
        "Put all rows of a file into one split: parts of one recording are alike in room, "
        "microphone and noise.",
        rows=[
            (os.path.basename(path), ", ".join(f"{name} ({split})" for split, name in of.items()))
            for path, of in [*shared.items()][:SHOWN]
        ],
    )


def copies(evidence: Evidence) -> Finding | None:
    """Says which decoded content is in two splits, whatever its files are called."""
    if len(evidence.splits) < 2:
        return None
    pairs = [(m, *pair) for m in _BY_MODALITY for pair in evidence.copies(m, "split")]
    return one(
        "Same content in two splits",
        len(pairs),
        "rows",
        ": a row of another split has the same decoded audio or image, sample by sample.",
        "No decoded audio or image is in two splits.",
        "Delete one of each pair: a model that has seen it in training is not tested by it.",
        rows=[_pair(evidence, *pair) for pair in pairs[:SHOWN]],
    )


def near_copies(evidence: Evidence) -> Finding | None:
    """Says which content of two splits is nearly the same: encoded anew, resized, made louder."""
    if len(evidence.splits) < 2:
        return None
    rows, said, skipped = [], [], 0
    for modality, word in _BY_MODALITY.items():
        pairs, partly = evidence.near_copies(modality)
        skipped += partly
        if pairs:
            said.append(f"{len(pairs)} {word} pair{'s' * (len(pairs) > 1)}")
        rows += [
            _pair(evidence, modality, a, b, f", correlation {value:.3f}") for a, b, value in pairs
        ]
    note = f" {skipped} rows were compared with a part of the others alone." if skipped else ""
    title = "Nearly the same content in two splits"
    if not rows:
        return Finding(GOOD, title, f"No audio or image is nearly that of another split.{note}")
    return Finding(
        MISLEADS,
        title,
        f"Outlines of {' and '.join(said)} of two splits are nearly equal, as after encoding "
        f"anew, resizing or a change of level.{note}",
        "Look at or listen to each pair that is named, and delete one of it where both are of one "
        "recording or photograph.",
        len(rows),
        rows[:SHOWN],
    )


def two_labels(evidence: Evidence) -> Finding:
    """Says which decoded content stands under two labels of one split."""
    pairs = [(m, *pair) for m in _BY_MODALITY for pair in evidence.copies(m, "label")]
    return one(
        "Same content under two labels",
        len(pairs),
        "rows",
        ": another label of the split has the same decoded audio or image.",
        "No decoded audio or image stands under two labels.",
        "Find out which label is right and delete the other row: a training cannot do right by "
        "both.",
        rows=[_pair(evidence, *pair) for pair in pairs[:SHOWN]],
    )


def _and(pair: str) -> str:
    return pair.replace(", ", " and ")


def _pair(
    evidence: Evidence, modality: str, place: int, other: int, more: str = ""
) -> tuple[str, str]:
    one_row, other_row = evidence.rows[place], evidence.rows[other]
    told = [f"{row.id} ({row.split}, {row.label})" for row in (one_row, other_row)]
    return told[0], f"{modality} as of {told[1]}{more}"
