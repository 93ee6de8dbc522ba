"""Rows in, a data set on disk out: all of it, or nothing."""

import collections
import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfav import folders, registry
from tfav.data import shards
from tfav.data.prepare import beam, chunks, manifest, queries, records, tally
from tfav.media import decode, motion, video

ROWS_PER_SHARD = 4000


@dataclasses.dataclass(frozen=True)
class Settings:
    """How rows become a data set.

    Attributes:
      output: folder to make.
      source: name of the source, for the record.
      lists: folder of query lists to use instead of seeded ones, or None.
      shards: files a split; 0 takes one for every 4000 rows.
      max_bad_fraction: share of rows that may be unusable, and of list items that may be missing.
      max_image_side: longest side in pixels that images keep.
      num_frames: frames to take of every video, evenly spaced.
      fps: when above 0, frames a second to take of every video instead.
      derive: rows of `motion.DERIVED` to make of every video, each a further modality.
      draw_lists: whether lists are drawn where none are given.
      galleries_per_probe: queries a probe in seeded lists.
      seed: of the seeded lists.
      overwrite: replace a data set at `output`, once the new one is complete.
      decoded: folder that keeps decoded rows until the data set is complete: what a killed run left
        there is not decoded again. Empty: none are kept.
      runner: of Apache Beam, which decodes into that folder; empty: this process decodes.
      beam_options: flags for Beam and its runner.
    """

    output: str
    source: str = "manifest"
    lists: str | None = None
    shards: int = 0
    max_bad_fraction: float = 0.01
    max_image_side: int = 512
    num_frames: int = 1
    fps: float = 0.0
    derive: Sequence[str] = ()
    draw_lists: bool = True
    galleries_per_probe: int = queries.GALLERIES_PER_PROBE
    seed: int = 0
    overwrite: bool = False
    decoded: str = ""
    runner: str = ""
    beam_options: Sequence[str] = ()


def prepare(rows: Sequence[manifest.Row], settings: Settings) -> dict[str, Any]:
    """Decodes all rows and writes shards, index, query lists and reports to `settings.output`.

    A row is left out when any of its files cannot be used. A row of the training split that a given
    list names goes to the split `heldout`: an item of an evaluation list never trains. The same
    rows and settings give the same bytes.

    Returns:
      the report that is also written as `report.json`.

    Raises:
      UserError: a setting out of range, an output that exists, too many unusable rows or missing
        list items, or a full disk. Nothing is written then, and an old data set stays as it was.
    """
    check_output(settings.output, settings.overwrite)
    _check_inside(rows, settings.output)
    rows, given = _arrange(rows, settings)
    missing = _missing(given, (row.id for row in rows))
    if len(missing) > _allowed(len(queries.named(given)), settings):
        raise _too_many_missing(missing, given, settings)
    counts = collections.Counter(row.split for row in rows)
    count = tally.Tally()
    with folders.folder(settings.output) as folder:
        writer = shards.Writer(
            folder,
            source=settings.source,
            planned=counts,
            shards={s: settings.shards or -(-n // ROWS_PER_SHARD) for s, n in counts.items()},
            columns=list(rows[0].extra),
            modalities=_further(rows, settings),
        )
        with writer:
            for number, (row, result) in enumerate(_results(rows, settings), 1):
                if isinstance(result, shards.Record):
                    writer.add(result)
                    count.add(result, records.lacking(row, result, _options(settings)))
                    continue
                count.bad.append(result)
                if len(count.bad) > _allowed(len(rows), settings) or len(count.bad) == len(rows):
                    raise _too_many_bad(count.bad, number, len(rows), settings)
        index = shards.Index.read(folder)
        missing = _missing(given, index.id.tolist())
        if len(missing) > _allowed(len(queries.named(given)), settings):
            raise _too_many_missing(missing, given, settings)
        report = _report(count, missing)
        report["lists"] = {}
        if given or settings.draw_lists:
            report["lists"] = queries.write(
                os.path.join(folder, "lists"),
                index,
                given,
                set(missing),
                seed=settings.seed,
                galleries_per_probe=settings.galleries_per_probe,
            )
        count.write_bad_rows(os.path.join(folder, "bad_rows.csv"))
        _write_json(os.path.join(folder, "report.json"), report)
        folders.publish(folder, settings.output)
        if settings.decoded:
            chunks.remove(settings.decoded)
    return report


def check_output(output: str, overwrite: bool) -> None:
    """Checks that a data set may be written to `output`.

    Raises:
      UserError: something is there, and `overwrite` is off or it is no data set.
    """
    if not os.path.lexists(output) or (os.path.isdir(output) and not os.listdir(output)):
        return
    if not overwrite:
        raise registry.UserError(
            f"--output={output} exists: name another folder, or pass --overwrite to replace it "
            "once the new data set is complete."
        )
    if not os.path.exists(os.path.join(output, "dataset.json")):
        raise registry.UserError(
            f"--output={output} is no prepared data set, so --overwrite does not delete it: name "
            "another folder."
        )


def check(rows: Sequence[manifest.Row], settings: Settings) -> dict[str, Any]:
    """Decodes all rows and reports, without making a data set.

    Writes `OUTPUT-check.json` and `OUTPUT-bad_rows.csv` beside the place of the data set.

    Returns:
      the report, with `acceptable`: whether `prepare` would take these rows and lists.
    """
    rows, given = _arrange(rows, settings)
    count, good = tally.Tally(), []
    for row, result in records.make_all(rows, _options(settings)):
        if isinstance(result, shards.Record):
            count.add(result, records.lacking(row, result, _options(settings)), _sound(row))
            good.append(row.id)
        else:
            count.bad.append(result)
    missing = _missing(given, good)
    report = _report(count, missing)
    report["acceptable"] = bool(good) and (
        len(count.bad) <= _allowed(len(rows), settings)
        and len(missing) <= _allowed(len(queries.named(given)), settings)
    )
    with folders.folder(settings.output) as folder:
        files = {name: os.path.join(folder, name) for name in ("check.json", "bad_rows.csv")}
        _write_json(files["check.json"], report)
        count.write_bad_rows(files["bad_rows.csv"])
        for name, path in files.items():
            os.replace(path, f"{os.path.normpath(settings.output)}-{name}")
    return report


def _check_inside(rows: Sequence[manifest.Row], output: str) -> None:
    """Refuses to replace a folder that holds files to be read."""
    inside = os.path.realpath(output) + os.sep
    for path in (path for row in rows for path in row.paths):
        if os.path.realpath(path).startswith(inside):
            raise registry.UserError(
                f"--output={output} holds {path}, which is to be read: name another folder."
            )


def _arrange(
    rows: Sequence[manifest.Row], settings: Settings
) -> tuple[list[manifest.Row], dict[str, queries.Given]]:
    """Checks what can be checked at once; returns the rows split by split, and the given lists."""
    if "://" in settings.output:
        raise registry.UserError(
            f"--output={settings.output} is not a local folder: prepare locally, then copy."
        )
    if not 0 <= settings.max_bad_fraction <= 1:
        raise registry.UserError(
            f"--max_bad_fraction={settings.max_bad_fraction} is no fraction: give 0 to 1."
        )
    least = {"shards": 0, "max_image_side": decode.MIN_SIDE, "num_frames": 1, "fps": 0, "seed": 0}
    for name, value in least.items():
        if not value <= getattr(settings, name) < math.inf:
            raise registry.UserError(f"--{name}={getattr(settings, name)}: give at least {value}.")
    if settings.runner and not settings.decoded:
        raise registry.UserError(
            f"--runner={settings.runner} needs --decoded=FOLDER, which all its workers can reach."
        )
    derive = list(settings.derive)
    if not set(derive) <= set(motion.DERIVED) or len(set(derive)) < len(derive):
        raise registry.UserError(
            f"--derive={','.join(derive)}: name each once, of {', '.join(motion.DERIVED)}."
        )
    if derive and not any(row.video for row in rows):
        raise registry.UserError(
            f"--derive={','.join(derive)} needs videos, and the source "
            f"{settings.source!r} names none: drop the flag or add a column 'video'."
        )
    if not rows:
        raise registry.UserError(f"the source {settings.source!r} lists no rows: nothing to do.")
    twice = [x for x, n in collections.Counter(row.id for row in rows).items() if n > 1]
    if twice:
        raise registry.UserError(f"the id {twice[0]!r} is given twice: every row needs its own.")
    given = queries.read_given(settings.lists) if settings.lists else {}
    named = set(queries.named(given))
    rows = [
        dataclasses.replace(row, split=tally.HELDOUT)
        if row.split == "train" and row.id in named
        else row
        for row in rows
    ]
    order = {split: rank for rank, split in enumerate(dict.fromkeys(row.split for row in rows))}
    order |= {tally.HELDOUT: len(order)}
    return sorted(rows, key=lambda row: order[row.split]), given


def _options(settings: Settings) -> records.Options:
    return records.Options(
        settings.max_image_side, settings.num_frames, settings.fps, settings.derive
    )


def _results(
    rows: Sequence[manifest.Row], settings: Settings
) -> Iterator[tuple[manifest.Row, chunks.Result]]:
    """Yields each row with its record, or with what is wrong."""
    if not settings.decoded:
        return records.make_all(rows, _options(settings))
    cut = chunks.cut(rows, _options(settings), settings.decoded)
    if settings.runner:
        beam.fill(cut, _options(settings), settings.runner, settings.beam_options)
    return chunks.make_all(cut, _options(settings))


def _further(rows: Sequence[manifest.Row], settings: Settings) -> list[str]:
    """Returns the picture modalities beside `image`: those that rows give, then the derived."""
    given = itertools.chain.from_iterable(row.further for row in rows)
    return list(dict.fromkeys(itertools.chain(given, settings.derive)))


def _sound(row: manifest.Row) -> str:
    """Describes the file that a usable row's sound comes from."""
    if row.audio:
        return decode.describe_audio(row.audio)
    return video.describe(row.video).audio if row.video else ""


def _missing(given: dict[str, queries.Given], ids: Iterable[str]) -> list[str]:
    there = set(ids)
    return [item for item in queries.named(given) if item not in there]


def _allowed(total: int, settings: Settings) -> int:
    return math.floor(settings.max_bad_fraction * total + 1e-9)


def _report(count: tally.Tally, missing: Sequence[str]) -> dict[str, Any]:
    return count.report() | {"missing_list_items": {"count": len(missing), "first": missing[:3]}}


def _too_many_bad(
    bad: Sequence[records.BadRow], number: int, total: int, settings: Settings
) -> registry.UserError:
    so_far = "" if number == total else f" the first {number} of"
    return registry.UserError(
        f"{len(bad)} of{so_far} {total} rows cannot be used; --max_bad_fraction="
        f"{settings.max_bad_fraction:g} allows {_allowed(total, settings)}. The first: "
        f"{bad[0].file} {bad[0].reason}. Mend or drop such files (--check lists them all) or raise "
        "the fraction."
    )


def _too_many_missing(
    missing: Sequence[str], given: dict[str, queries.Given], settings: Settings
) -> registry.UserError:
    return registry.UserError(
        f"{len(missing)} of {len(queries.named(given))} items of the lists in {settings.lists} "
        f"are not in the data, more than --max_bad_fraction={settings.max_bad_fraction:g} allows "
        f"(first: {', '.join(missing[:3])}). Give the lists of this data, whose items are the ids "
        "of usable rows, or raise the fraction."
    )


def _write_json(path: str, value: Any) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=1) + "\n")
