"""Query lists in the official text format of SSoS: what their names say and what their lines hold.

An item is a path-like id without white space. The formats (`data/list_wav` of the released code):

* `match[_g]_{v2f,f2v}_{N}_{tag}.txt`: `probe positive negative_1 .. negative_{N-1}`;
* `verify[_g]_{v2f,f2v}_{tag}.txt`: `probe candidate`, right when both are the same identity;
* `retrieval[_g]_{v2f,f2v}_{tag}.txt` (or `reterival`, as released): a line of probes, then a
  line of gallery items. Further pairs of lines are further galleries: one pair per gender in `_g`.

`_g` marks lists whose candidates share the probe's gender. Blank lines, CRLF and a UTF-8 mark are
tolerated. Any of them may be gzipped (`.txt.gz`). A task of one's own brings a `Form` of its own.
"""

import collections
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tfav import files, registry

STRATA = ("unrestricted", "same_gender", "same_nationality", "same_age", "same_all_three")
# Stratum to the mark in a file's name, and to the columns that all candidates share.
MARKS = dict(zip(STRATA, ("", "_g", "_n", "_a", "_gna")))
SHARED = dict(
    zip(
        STRATA,
        ((), ("gender",), ("nationality",), ("age",), ("gender", "nationality", "age")),
    )
)
DIRECTIONS = ("v2f", "f2v")
# The modality of the probes, then of the candidates.
MODALITIES = {"v2f": ("audio", "image"), "f2v": ("image", "audio")}

_REST = (
    r"(?P<mark>_g|_n|_a|_gna)?_(?P<direction>v2f|f2v){n}_(?P<tag>[A-Za-z0-9][A-Za-z0-9_.-]*)"
    r"\.txt(?:\.gz)?"
)


_STRATUM = {mark: stratum for stratum, mark in MARKS.items()}


class ListName(NamedTuple):
    """What a list's file name says.

    Attributes:
      protocol: `matching`, `verification` or `retrieval`.
      stratum: a row of `STRATA`: what all candidates share with the probe.
      direction: `v2f` (voice probes, face candidates) or `f2v`.
      n: candidates of one matching trial; None for the other protocols.
      tag: which part of the data (`test`, `val`, `seen`, ...).
    """

    protocol: str
    stratum: str
    direction: str
    n: int | None
    tag: str

    @property
    def file(self) -> str:
        """The file name in its one spelling, not gzipped."""
        prefix = FORMS[self.protocol].prefixes[0]
        stratum = MARKS[self.stratum]
        size = "" if self.n is None else f"_{self.n}"
        return f"{prefix}{stratum}_{self.direction}{size}_{self.tag}.txt"


class Gallery(NamedTuple):
    """One retrieval task: every probe is looked up in the whole gallery."""

    probes: list[str]
    gallery: list[str]


class Form(NamedTuple):
    """One kind of query list: what its files are called, and what their lines hold.

    Attributes:
      protocol: what such lists ask for, as `ListName.protocol`.
      prefixes: the first word of a file's name, in its one spelling first.
      numbered: whether the name tells the number of candidates, N.
      read: returns of a path the probes and the candidates that belong together.
    """

    protocol: str
    prefixes: tuple[str, ...]
    numbered: bool
    read: Callable[[str | os.PathLike], list[Gallery]]

    def __str__(self) -> str:
        number = "_<N>" if self.numbered else ""
        least = " (N >= 2)" if self.numbered else ""
        return f"{self.prefixes[0]}[_g]_{{v2f,f2v}}{number}_<tag>.txt{least}"


def is_list(filename: str | os.PathLike, forms: Mapping[str, Form] | None = None) -> bool:
    """Whether the file name begins like a query list's, well-formed or not."""
    name = pathlib.Path(filename).name
    return name.endswith((".txt", ".txt.gz")) and _form(name, forms or FORMS) is not None


def _form(name: str, forms: Mapping[str, Form]) -> Form | None:
    return next((f for f in forms.values() if name.split("_")[0] in f.prefixes), None)


def parse_name(filename: str | os.PathLike, forms: Mapping[str, Form] | None = None) -> ListName:
    """Returns what the file name of a query list says.

    Args:
      filename: the file's name or path.
      forms: the kinds of lists there are, by protocol; None: `FORMS`.

    Raises:
      UserError: the name is of none of the forms, or N is below 2.
    """
    forms = forms or FORMS
    name = pathlib.Path(filename).name
    form = _form(name, forms)
    found = None
    if form is not None:
        rest = _REST.replace("{n}", r"_(?P<n>[0-9]+)" if form.numbered else "")
        found = re.fullmatch(rest, name[len(name.split("_")[0]) :])
    if form is None or found is None or (form.numbered and int(found["n"]) < 2):
        *names, last = map(str, forms.values())
        raise registry.UserError(
            f"{name} is not the name of a query list: rename it to {', '.join(names)} or {last}."
        )
    return ListName(
        protocol=form.protocol,
        stratum=_STRATUM[found["mark"] or ""],
        direction=found["direction"],
        n=int(found["n"]) if form.numbered else None,
        tag=found["tag"],
    )


def read_matching(path: str | os.PathLike) -> list[list[str]]:
    """Returns `[probe, positive, negative_1, .., negative_{N-1}]` of every trial; N is in the name.

    Raises:
      UserError: the name is no matching list's, the file cannot be read or is empty, or a line is
        malformed.
    """
    n = parse_name(path).n
    if n is None:
        raise registry.UserError(
            f"{path} is not named as a matching list: match_..., not verify or retrieval."
        )
    expected = f"{n + 1} items: probe, positive and {n - 1} negative{'s' if n > 2 else ''}"
    return [_checked(path, number, items, n + 1, expected) for number, items in _lines(path)]


def read_verification(path: str | os.PathLike) -> list[list[str]]:
    """Returns one `[probe, candidate]` per trial.

    Raises:
      UserError: the file cannot be read or is empty, or a line is malformed.
    """
    return [
        _checked(path, number, items, 2, "2 items: probe and candidate")
        for number, items in _lines(path)
    ]


def read_retrieval(path: str | os.PathLike) -> list[Gallery]:
    """Returns the galleries with their probes; the official lists hold one.

    Raises:
      UserError: the file cannot be read or is empty, a line of probes has no line of gallery
        items after it, or an item is named twice on one line.
    """
    lines = list(_lines(path))
    for number, items in lines:
        if len(set(items)) < len(items):
            twice = collections.Counter(items).most_common(1)[0][0]
            raise registry.UserError(
                f"{path} line {number}: {twice} is named twice; expected every item of a line once."
            )
    if len(lines) % 2:
        raise registry.UserError(
            f"{path} line {lines[-1][0]}: probes without a gallery; expected a line of gallery "
            "items after every line of probes."
        )
    return [Gallery(probes, gallery) for (_, probes), (_, gallery) in zip(lines[::2], lines[1::2])]


def _lines(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number from 1, items) of every line that is not blank."""
    try:
        text = files.content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise registry.UserError(
            f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8."
        ) from error
    empty = True
    for number, line in enumerate(text.split("\n"), start=1):
        items = line.split()
        if items:
            empty = False
            yield number, items
    if empty:
        raise registry.UserError(f"{path} is empty: expected a query list, one trial per line.")


def _checked(
    path: str | os.PathLike, number: int, items: list[str], num_items: int, expected: str
) -> list[str]:
    if len(items) != num_items:
        raise registry.UserError(
            f"{path} line {number} has {len(items)} item{'s' if len(items) > 1 else ''}, "
            f"expected {expected}."
        )
    return items


def _trials(read: Callable[[str | os.PathLike], list[list[str]]]) -> Callable:
    """Returns a reader of lines `probe candidate ..` as `Form.read` gives them."""
    return lambda path: [Gallery(line[:1], line[1:]) for line in read(path)]


FORMS = {
    form.protocol: form
    for form in (
        Form("matching", ("match",), True, _trials(read_matching)),
        Form("verification", ("verify",), False, _trials(read_verification)),
        Form("retrieval", ("retrieval", "reterival"), False, read_retrieval),
    )
}
