"""Rows in, a data set on disk out: all of it, or nothing."""

import collections
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfav import folders, registry
from tfav.data import shards
from tfav.data.prepare import beam, chunks, forms, manifest, queries, records, row_checks, tally
from tfav.data.prepare.settings import Settings

ROWS_PER_SHARD = 4000


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
    row_checks.check_output(settings.output, settings.overwrite)
    row_checks.check_rows(rows, settings.source)
    row_checks.check_inside(rows, settings.output)
    rows, given = row_checks.arrange(rows, settings)
    spaces = row_checks.vector_spaces(rows)
    missing = _missing(given, (row.id for row in rows))
    if len(missing) > settings.allowed(len(queries.named(given))):
        raise _too_many_missing(missing, given, settings)
    counts = collections.Counter(row.split for row in rows)
    if settings.shards > max(counts.values()):
        raise registry.UserError(
            f"--shards={settings.shards}: no split has more than {max(counts.values())} rows: give "
            "no more shards than that, or leave it out."
        )
    count = tally.Tally()
    with folders.folder(settings.output) as folder:
        writer = shards.Writer(
            folder,
            source=settings.source,
            planned=counts,
            shards={s: settings.shards or -(-n // ROWS_PER_SHARD) for s, n in counts.items()},
            columns=list(rows[0].extra),
            modalities=_further(rows, settings),
            vector_spaces=spaces,
        )
        with writer:
            for number, (row, result) in enumerate(results(rows, settings), 1):
                if isinstance(result, shards.Record):
                    writer.add(result)
                    lacking = records.lacking(row, result, settings.decoding)
                    count.add(result, lacking, folders=row.image_paths)
                    continue
                count.bad.append(result)
                if len(count.bad) > settings.allowed(len(rows)) or len(count.bad) == len(rows):
                    raise _too_many_bad(count.bad, number, len(rows), settings)
        index = shards.Index.read(folder)
        missing = _missing(given, index.id.tolist())
        if len(missing) > settings.allowed(len(queries.named(given))):
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


def results(
    rows: Sequence[manifest.Row], settings: Settings
) -> Iterator[tuple[manifest.Row, chunks.Result]]:
    """Yields each row with its record, or with what is wrong; decoded rows are kept if wanted."""
    if not settings.decoded:
        return forms.checked(records.make_all(rows, settings.decoding))
    cut = chunks.cut(rows, settings.decoding, settings.decoded)
    if settings.runner:
        beam.fill(cut, settings.decoding, settings.runner, settings.beam_options)
    return forms.checked(chunks.make_all(cut, settings.decoding))


def _further(rows: Sequence[manifest.Row], settings: Settings) -> list[str]:
    """Returns the modalities beside audio and image: those that rows give, then the derived."""
    given = itertools.chain.from_iterable(row.further for row in rows)
    return list(dict.fromkeys(itertools.chain(given, settings.derive)))


def _missing(given: dict[str, queries.Given], ids: Iterable[str]) -> list[str]:
    there = set(ids)
    return [item for item in queries.named(given) if item not in there]


def _report(count: tally.Tally, missing: Sequence[str]) -> dict[str, Any]:
    return count.report() | {"missing_list_items": {"count": len(missing), "first": missing[:3]}}


def _too_many_bad(
    bad: Sequence[records.BadRow], number: int, total: int, settings: Settings
) -> registry.UserError:
    so_far = "" if number == total else f" the first {number} of"
    return registry.UserError(
        f"{len(bad)} of{so_far} {total} rows cannot be used; --max_bad_fraction="
        f"{settings.max_bad_fraction:g} allows {settings.allowed(total)}. The first: "
        f"{bad[0].file} {bad[0].reason}. Correct or drop such files (--check lists them all) or "
        "raise the fraction."
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
