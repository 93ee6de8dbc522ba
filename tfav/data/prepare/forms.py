"""Vectors of one modality are of one size: a row with another one is a bad row."""

from collections.abc import Iterable, Iterator

from tfav.data import kinds, shards
from tfav.data.prepare import manifest, records

Result = tuple[manifest.Row, shards.Record | records.BadRow]


def checked(results: Iterable[Result]) -> Iterator[Result]:
    """Yields rows with their records; a vector or sequence unlike the first one is a bad row.

    Args:
      results: rows in order, each with its record or with what is wrong.
    """
    first: dict[str, tuple[tuple[int | str, ...], str]] = {}
    for row, result in results:
        if isinstance(result, shards.Record):
            for name, path in row.others.items():
                form = kinds.find(row.kinds[name]).form(result.frames[name][0])
                wanted, where = first.setdefault(name, (form, row.id))
                if form != wanted:
                    reason = (
                        f"holds an array {_text(form)} as {name} of the row {row.id!r}, where the "
                        f"row {where!r} has {_text(wanted)}: give all rows one size"
                    )
                    result = records.BadRow(row.id, name, path, reason)
                    break
        yield row, result


def _text(form: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, form))}]"
