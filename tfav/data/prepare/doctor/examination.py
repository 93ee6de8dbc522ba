"""Decodes all files once, and gathers what is known of them."""

import threading
from collections.abc import Sequence

import numpy as np

from tfav.data import shards
from tfav.data.prepare import forms, manifest, queries, records, row_checks, tally
from tfav.data.prepare.dataset import results
from tfav.data.prepare.doctor import looks
from tfav.data.prepare.doctor.evidence import Evidence
from tfav.data.prepare.settings import Settings
from tfav.media import audio_files, video


def examine(rows: Sequence[manifest.Row], settings: Settings) -> tuple[Evidence, tally.Tally]:
    """Decodes every file of the rows, in parallel, and measures what comes out.

    Nothing is written. What is kept of a row has a fixed size, less than a kilobyte.

    Returns:
      all that is known of them, and the tally of what can and what cannot be used.

    Raises:
      UserError: what `prepare` would refuse before it decodes.
    """
    row_checks.check_rows(rows, settings.source)
    rows, given = row_checks.arrange(rows, settings)
    row_checks.vector_spaces(rows)
    count, good = tally.Tally(), []
    table = np.zeros(len(rows), looks.ROW)
    formats = [""] * len(rows)
    names: dict[str, str] = {}
    lock = threading.Lock()

    def look(number: int, row: manifest.Row, result: shards.Record | records.BadRow) -> None:
        if isinstance(result, records.BadRow):
            return
        looks.measure(result, table[number])
        if result.audio is not None:
            text = _format(row)
            with lock:  # one text for all files alike
                formats[number] = names.setdefault(text, text)

    kept = bool(settings.decoded)  # for prepare, or by an earlier check: not decoded again
    if kept:
        made = results(rows, settings)
    else:
        made = forms.checked(records.make_all(rows, settings.decoding, look))
    for number, (row, result) in enumerate(made):
        if kept:
            look(number, row, result)
        if isinstance(result, shards.Record):
            lacking = records.lacking(row, result, settings.decoding)
            count.add(result, lacking, formats[number], row.image_paths)
            good.append(row.id)
        else:
            count.bad.append(result)
    listed = queries.named(given)
    there = set(good)
    missing = [item for item in listed if item not in there]
    report = count.report() | {"missing_list_items": {"count": len(missing), "first": missing[:3]}}
    evidence = Evidence(rows, table, formats, count.bad, report, settings, missing, len(listed))
    return evidence, count


def _format(row: manifest.Row) -> str:
    """Describes the file that a usable row's audio comes from, by its header."""
    if row.audio:
        return audio_files.describe_audio(row.audio)
    return video.describe(row.video).audio if row.video else ""
