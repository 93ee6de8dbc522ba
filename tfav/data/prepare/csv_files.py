"""CSV files that users wrote, read strictly: what is wrong is a sentence with file and line."""

import collections
import csv
import os
from collections.abc import Iterable

from tfav import registry

_SPREADSHEETS = {b"PK\x03\x04": ".xlsx or .ods", b"\xd0\xcf\x11\xe0": ".xls"}

# What a first line that begins so is of.
_NO_HEADER = {"{": "JSON", "[": "JSON", "<": "HTML or XML"}


def read(path: str | os.PathLike, required: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Reads a CSV file with a header (UTF-8, a byte-order mark is accepted).

    Args:
      path: of the file.
      required: columns it must have.

    Returns:
      line number and cells by column name, for every line that is not blank.

    Raises:
      UserError: missing, empty, a spreadsheet, not UTF-8, a missing or repeated column, or a line
        whose number of cells differs from the header's.
    """
    try:
        with open(path, "rb") as file:
            kind = _SPREADSHEETS.get(file.read(4))
        if kind:
            raise registry.UserError(
                f"{path} is a spreadsheet ({kind}) and no text: save it as CSV in UTF-8."
            )
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except FileNotFoundError as error:
        raise registry.UserError(f"{path} does not exist: correct the path.") from error
    except UnicodeDecodeError as error:
        raise registry.UserError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as CSV in UTF-8."
        ) from error
    except (OSError, csv.Error) as error:
        raise registry.UserError(
            f"{path} cannot be read as CSV ({error}): correct the file."
        ) from error
    if lines and ",".join(lines[0][1]).lstrip()[:1] in _NO_HEADER:
        kind = _NO_HEADER[",".join(lines[0][1]).lstrip()[0]]
        raise registry.UserError(f"{path} is {kind} and no CSV: save it as CSV with a header.")
    if len(lines) < 2:
        what = "has a header but no rows" if lines else "is empty"
        raise registry.UserError(f"{path} {what}: give a CSV file with a header and rows.")
    header = [name.strip() for name in lines[0][1]]
    missing = [name for name in required if name not in header]
    if missing:
        raise registry.UserError(
            f"{path} has no column {missing[0]!r}: its header must name "
            f"{', '.join(required)} and it is {','.join(header)!r}."
        )
    twice = [name for name, count in collections.Counter(header).items() if count > 1]
    if twice:
        raise registry.UserError(f"{path} has the column {twice[0]!r} twice: rename one of them.")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise registry.UserError(
                f"{path} line {number} has {len(cells)} cells and the header has {len(header)}: "
                "put cells that hold a comma in double quotes."
            )
    return [(number, dict(zip(header, map(str.strip, cells)))) for number, cells in lines[1:]]
