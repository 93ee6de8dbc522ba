"""Which typefaces draw the names of people, classes and files: they come in every script."""

import functools
import os
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

_SHAPED = range(0x0590, 0x1E00)  # Hebrew, Arabic, those of India and further ones up to Latin again
_NO_LETTERS = "Last Resort"  # a typeface of boxes, one for each script


class Typeface(NamedTuple):
    """One that is installed: the name of its family, and its file."""

    family: str
    path: str


@functools.cache
def own() -> Typeface:
    """Returns the typeface that comes with matplotlib: Latin, Greek, Cyrillic and a few more."""
    import matplotlib

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return Typeface("DejaVu Sans", path)


def lacking(text: str) -> set[str]:
    """Returns the characters of a text that our own typeface does not have."""
    seen = {one for one in text if one.isprintable() and not one.isspace()}
    return {one for one in seen if ord(one) not in _letters(own().path)}


def needs_browser(text: str) -> bool:
    """Says whether a browser draws a text better than matplotlib does.

    It has typefaces for what ours lacks, joins the letters of Arabic or Devanagari, and writes from
    right to left.
    """
    shaped = (ord(one) in _SHAPED and unicodedata.category(one)[0] in "LM" for one in text)
    return any(shaped) or bool(lacking(text))


def find(text: str) -> list[Typeface]:
    """Returns our own typeface and installed ones, few, that have the characters it lacks.

    Plain ones without serifs come first; what none has is left out.
    """
    found, missing = [own()], lacking(text)
    while missing:
        best = max(_installed(), key=lambda face: len(_held(face, missing)), default=own())
        held = _held(best, missing)
        if not held:
            break
        found.append(best)
        missing -= held
    return found


def unknown(text: str, faces: Iterable[Typeface]) -> set[str]:
    """Returns the characters of a text that none of some typefaces has."""
    return lacking(text).difference(*(_held(face, text) for face in faces))


def best(text: str) -> Typeface:
    """Returns the typeface that has the most characters of a text, our own rather than others."""
    seen = set(text)
    return max(find(text), key=lambda face: len(_held(face, seen)))


def _held(face: Typeface, characters: Iterable[str]) -> set[str]:
    letters = _letters(face.path)
    return {one for one in characters if ord(one) in letters}


@functools.cache
def _installed() -> list[Typeface]:
    from matplotlib import font_manager

    upright = {
        Typeface(entry.name, entry.fname)
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular")
    }
    usable = (face for face in upright if not face.family.startswith(_NO_LETTERS))
    return sorted(usable, key=_preference)


def _preference(face: Typeface) -> tuple[bool, bool, Typeface]:
    name = face.family.lower()
    return "mono" in name, "serif" in name and "sans" not in name, face


@functools.cache
def _letters(path: str) -> frozenset[int]:
    from matplotlib import ft2font

    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # the list of what is installed is older than the machine
        return frozenset()
