"""What went into a data set and what was left out, counted while it is decoded."""

import collections
import csv
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav import tensors
from tfav.data import shards
from tfav.data.prepare import manifest, records, sources
from tfav.media import formats

HELDOUT = "heldout"
_SPLIT_COLUMNS = ("rows", "identities", "audio", "hours", "image")


class Tally:
    """Counts rows as they come: `add` the good, put the others into `bad`, then `report`."""

    def __init__(self) -> None:
        self.bad: list[records.BadRow] = []
        self._rows: collections.Counter[str] = collections.Counter()
        # Split to lengths.
        self._samples: dict[str, list[int]] = collections.defaultdict(list)
        self._sides: list[int] = []  # shorter side of each image
        # Modality to split to rows.
        self._pictures: dict[str, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        # Modality to frames of each row, and to ids of the videos without it.
        self._frames: dict[str, list[int]] = collections.defaultdict(list)
        self._lacking: dict[str, list[str]] = collections.defaultdict(list)
        self._formats: collections.Counter[str] = collections.Counter()
        # (split, label) to its modalities.
        self._modalities: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
        # Digest to split, id and label that came first.
        self._contents: dict[bytes, tuple[str, str, str]] = {}
        # "train, test" to pairs of ids.
        self._same: dict[str, list[str]] = collections.defaultdict(list)
        self._relabelled: dict[str, list[str]] = collections.defaultdict(list)  # the same by split
        self._left_out = formats.LeftOut()

    def add(
        self,
        record: shards.Record,
        lacking: Sequence[str] = (),
        audio_format: str = "",
        folders: Sequence[str] = (),
    ) -> None:
        """Counts a decoded row.

        Args:
          record: what it became.
          lacking: modalities that its video should have given and has not.
          audio_format: describes its sound file.
          folders: paths that its images were taken from, if they are folders.
        """
        self._compare(record)
        for folder in filter(os.path.isdir, folders):
            self._left_out.add(
                os.path.join(folder, name)
                for name in sorted(os.listdir(folder))
                if formats.modality(name) != "image"
            )
        self._rows[record.split] += 1
        found = self._modalities[record.split, record.label]
        if record.audio is not None:
            found.add("audio")
            self._samples[record.split].append(len(record.audio))
            if audio_format:
                self._formats[audio_format] += 1
        for name, frames in record.frames.items():
            found.add(name)
            self._pictures[name][record.split] += 1
            self._frames[name].append(len(frames))
        if record.image:
            self._sides.append(min(record.height, record.width))
        for name in lacking:
            self._lacking[name].append(record.id)

    def _compare(self, record: shards.Record) -> None:
        """Counts a row whose sound or one of whose images another split or label has too."""
        sound: list[Any] = [] if record.audio is None else [np.ascontiguousarray(record.audio)]
        others: dict[str, str] = {}
        relabelled = ""
        for content in itertools.chain(sound, *record.frames.values()):
            digest = hashlib.blake2b(content, digest_size=12).digest()
            own = (record.split, record.id, record.label)
            split, name, label = self._contents.setdefault(digest, own)
            if split != record.split:
                others.setdefault(split, name)
            elif label != record.label:
                relabelled = relabelled or f"{name} ({label}) = {record.id} ({record.label})"
        if relabelled:
            self._relabelled[record.split].append(relabelled)
        for split, name in others.items():
            self._same[f"{split}, {record.split}"].append(f"{name} = {record.id}")

    def report(self) -> dict[str, Any]:
        """Returns all counts as a dict for JSON. Held-out rows do not count as an identity's."""
        hours = tensors.SAMPLE_RATE_HZ * 3600
        pictures = dict.fromkeys(["image", *self._pictures])
        splits = {
            split: {
                "rows": count,
                "identities": sum(s == split for s, _ in self._modalities),
                "audio": len(self._samples[split]),
                "hours": round(sum(self._samples[split]) / hours, 4),
                **{name: self._pictures[name][split] for name in pictures},
            }
            for split, count in self._rows.items()
        }
        kinds = collections.defaultdict(list)
        for (split, label), found in self._modalities.items():
            if split != HELDOUT and len(found) == 1:
                kinds[f"{min(found)}_only"].append(f"{split}/{label}")
        people = collections.defaultdict(set)
        for split, label in self._modalities:
            if split != HELDOUT:
                people[split].add(label)
        shared = {
            f"{a}, {b}": len(people[a] & people[b])
            for a, b in itertools.combinations(people, 2)
            if people[a] & people[b]
        }
        counts = itertools.chain(*self._samples.values())
        seconds = [n / tensors.SAMPLE_RATE_HZ for n in counts]
        return {
            "splits": splits,
            "bad_rows": len(self.bad),
            "one_modality": _counted(kinds),
            "videos_without": _counted(self._lacking),
            "identities_in_two_splits": shared,
            "contents_in_two_splits": _counted(self._same),
            "contents_under_two_labels": _counted(self._relabelled),
            "left_out_of_folders": str(self._left_out) if self._left_out else "",
            "seconds": _spread(seconds),
            "shorter_side": _spread(self._sides),
            "frames": {name: _spread(counts) for name, counts in self._frames.items()},
            "audio_formats": dict(sorted(self._formats.items())),
        }

    def write_bad_rows(self, path: str | os.PathLike) -> None:
        """Writes `bad_rows.csv`; its header alone when every row was good."""
        with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(records.BadRow._fields)
            writer.writerows(self.bad)


def counts(report: dict[str, Any], labels: str = sources.ANY) -> list[str]:
    """Returns the lines of a short table: rows, hours, images, spreads, formats, unusable rows.

    Args:
      report: of `Tally.report`.
      labels: what a label is, as `sources.Source.labels` says.
    """
    splits = report["splits"]
    further = [x for x in next(iter(splits.values()), {}) if x not in _SPLIT_COLUMNS]
    head = f"{'split':<10}{'rows':>9}{_people(labels):>12}{'audio':>9}{'hours':>9}{'images':>9}"
    lines = [head + "".join(f" {name:>8}" for name in further)]
    for split, n in splits.items():
        lines.append(
            f"{split:<10}{n['rows']:>9}{n['identities']:>12}{n['audio']:>9}{n['hours']:>9.2f}"
            f"{n['image']:>9}" + "".join(f" {n[name]:>8}" for name in further)
        )
    spreads = {"seconds per row": report["seconds"], "pixels, shorter side": report["shorter_side"]}
    spreads |= {f"frames of {x}": n for x, n in report["frames"].items() if n["max"] > 1}
    for unit, spread in spreads.items():
        if spread:
            low, middle, high = (f"{spread[k]:g}" for k in ("min", "median", "max"))
            lines.append(f"{unit}: {low} to {high}, median {middle}")
    lines += [f"{count} x {name}" for name, count in report["audio_formats"].items()]
    return [*lines, f"rows that cannot be used: {report['bad_rows']}"]


def summary(report: dict[str, Any], labels: str = sources.ANY) -> str:
    """Returns `report` as a short table and a few sentences.

    Args:
      report: of `Tally.report`, with `missing_list_items`.
      labels: what a label is, as `sources.Source.labels` says.
    """
    splits, lines = report["splits"], counts(report, labels)
    if report["left_out_of_folders"]:
        lines.append(f"in folders of images: {report['left_out_of_folders']}")
    for name, found in report["videos_without"].items():
        lines.append(f"videos without {name}: {found['count']} ({_some(found['first'])})")
    both = all(any(n[m] for n in splits.values()) for m in manifest.MODALITIES)
    for kind, found in report["one_modality"].items() if both else ():
        word = kind.removesuffix("_only")
        lines.append(
            f"{_people(labels)} with {word} only: {found['count']} ({_some(found['first'])})"
        )
    if report["missing_list_items"]["count"]:
        found = report["missing_list_items"]
        lines.append(f"list items not in the data: {found['count']} ({_some(found['first'])})")
    for pair, found in report["contents_in_two_splits"].items():
        lines.append(
            f"rows with the same audio or image in {_both(pair)}: {found['count']} (a leak; "
            f"{_some(found['first'])})"
        )
    for split, found in report["contents_under_two_labels"].items():
        lines.append(
            f"rows of {split} with the same audio or image under two labels: {found['count']} "
            f"({_some(found['first'])})"
        )
    meaning = {sources.ANY: "right for classes, a leak if they are identities"}
    for pair, count in report["identities_in_two_splits"].items():
        if labels != sources.CLASSES:
            lines.append(f"labels in {_both(pair)}: {count} ({meaning.get(labels, 'a leak')})")
    return "\n".join(lines)


def _people(labels: str) -> str:
    return sources.IDENTITIES if labels == sources.ANY else labels


def _both(pair: str) -> str:
    return "both " + pair.replace(", ", " and ")


def _counted(groups: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    return {name: {"count": len(items), "first": items[:3]} for name, items in groups.items()}


def _some(names: Sequence[str]) -> str:
    return "first " + ", ".join(names)


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "min": round(float(np.min(values)), 3),
        "median": round(float(np.median(values)), 3),
        "max": round(float(np.max(values)), 3),
    }
