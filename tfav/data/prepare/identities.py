"""One spelling per label and gender: text that looks alike is one name, or a warning says so."""

import collections
import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence

from absl import logging

from tfav.data.prepare import manifest

GENDER = "gender"
_GENDERS = {"female": "f", "male": "m"}


def unified(rows: Sequence[manifest.Row]) -> list[manifest.Row]:
    """Returns `rows` with one spelling of each label and of each gender.

    A label that comes in several Unicode forms (`é` as one character, or as two) is one identity,
    written in NFC. Genders that differ in case, or as `female` and `f` do, are the one that comes
    first. Both are logged. Labels that differ in case, spaces or invisible characters stay apart,
    and a warning names some.
    """
    label = _labels(row.label for row in rows)
    gender = _one_gender(row.extra[GENDER] for row in rows if GENDER in row.extra)
    _warn_of_lookalikes(label.get(row.label, row.label) for row in rows)
    if not label and not gender:
        return list(rows)
    found = []
    for row in rows:
        extra = dict(row.extra)
        if GENDER in extra:
            extra[GENDER] = gender.get(extra[GENDER], extra[GENDER])
        found.append(dataclasses.replace(row, label=label.get(row.label, row.label), extra=extra))
    return found


def _labels(labels: Iterable[str]) -> dict[str, str]:
    """Returns what labels become that have another spelling in the same characters."""
    spellings: dict[str, dict[str, None]] = collections.defaultdict(dict)
    for label in labels:
        spellings[unicodedata.normalize("NFC", label)][label] = None
    several = {name: forms for name, forms in spellings.items() if len(forms) > 1}
    if several:
        logging.warning(
            "%d labels come in several Unicode forms, first %r: each is one label",
            len(several),
            next(iter(several)),
        )
    return {form: name for name, forms in several.items() for form in forms}


def _one_gender(values: Iterable[str]) -> dict[str, str]:
    """Returns what genders become that are written in several ways."""
    spellings: dict[str, dict[str, None]] = collections.defaultdict(dict)
    for value in values:
        key = value.casefold()
        spellings[_GENDERS.get(key, key)][value] = None
    several = [list(forms) for forms in spellings.values() if len(forms) > 1]
    for forms in several:
        logging.warning(
            "the column 'gender' writes one gender as %s: all of them are taken for %r",
            " and ".join(map(repr, forms)),
            forms[0],
        )
    return {form: forms[0] for forms in several for form in forms}


def _warn_of_lookalikes(labels: Iterable[str]) -> None:
    alike: dict[str, dict[str, None]] = collections.defaultdict(dict)
    for label in labels:
        alike[_skeleton(label)][label] = None
    several = [list(forms) for forms in alike.values() if len(forms) > 1]
    if several:
        logging.warning(
            "%d labels differ from another in case, spaces or invisible characters alone, such as "
            "%s: they count as different identities",
            sum(len(forms) - 1 for forms in several),
            " and ".join(map(ascii, several[0][:2])),
        )


def _skeleton(label: str) -> str:
    """Returns what of a label one sees at a glance."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c) != "Cf")
