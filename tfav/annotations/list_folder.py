"""The query lists in a folder: which there are, whether they are the ones that were written.

Where a `lists.json` lies beside the lists, those that it names must be there and have the SHA-256
that it says.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from tfav import files, registry, states
from tfav.annotations import lists

HASHES = "lists.json"


def find(
    folder: str | os.PathLike, tag: str | None = None, forms: Mapping[str, lists.Form] | None = None
) -> list[tuple[lists.ListName, pathlib.Path]]:
    """Returns the lists of a tag in the order protocol, stratum, n, direction, tag.

    Args:
      folder: what to look through; other files in it do not matter.
      tag: which lists; None: those of all tags.
      forms: the kinds of lists to find, by protocol; None: `lists.FORMS`.

    Raises:
      UserError: no such folder on this machine, no list of the tag, two lists for one question, a
        misnamed list, or a list that is missing or is not the one that `lists.json` names.
    """
    if "://" in os.fspath(folder):
        raise registry.UserError(
            f"{folder} is no folder of this machine, and query lists are read from one: copy them "
            "here and name their folder with --lists=DIR."
        )
    folder, forms = pathlib.Path(folder), forms or lists.FORMS
    if not folder.is_dir():
        raise registry.UserError(
            f"{folder} is no folder: name the one that holds the query lists by --lists, or "
            "prepare the data with lists."
        )
    paths = [path for path in sorted(folder.iterdir()) if lists.is_list(path, forms)]
    named = [(lists.parse_name(path, forms), path) for path in paths]
    found: dict[lists.ListName, pathlib.Path] = {}
    for name, path in named:
        if tag not in (None, name.tag):
            continue
        if name in found:
            raise registry.UserError(
                f"{found[name]} and {path.name} answer the same question: remove one of them."
            )
        found[name] = path
    if not named:
        raise registry.UserError(
            f"{folder} holds no query list: they are called match_v2f_2_test.txt, "
            "verify_g_f2v_test.txt, retrieval_v2f_test.txt, ..."
        )
    if not found:
        tags = ", ".join(sorted({name.tag for name, _ in named}))
        raise registry.UserError(
            f"{folder} holds no query list of tag {tag!r}; tags there: {tags}."
        )
    _check_hashes(folder, found, tag)
    protocols = list(forms)

    def place(item: tuple[lists.ListName, pathlib.Path]) -> tuple[int | str, ...]:
        name = item[0]
        keys = protocols.index(name.protocol), lists.STRATA.index(name.stratum), name.n or 0
        return *keys, lists.DIRECTIONS.index(name.direction), name.tag

    return sorted(found.items(), key=place)


def _check_hashes(
    folder: pathlib.Path, found: Mapping[lists.ListName, pathlib.Path], tag: str | None
) -> None:
    """Raises UserError where a list of the tag is not what `lists.json`, if any, says of it."""
    path = folder / HASHES
    if not path.exists():
        return
    fix = "restore it from where the lists come from, or make the data set again"
    form = {"*": {"sha256": str, "*": object}}
    for file, entry in states.read(path, form, fix).items():
        try:
            name = lists.parse_name(file)
        except registry.UserError as error:
            raise registry.UserError(
                f"{path} is damaged ({file} is not the name of a query list): {fix}."
            ) from error
        if tag not in (None, name.tag):
            continue
        if name not in found:
            raise registry.UserError(
                f"{folder / file} is missing, and {HASHES} beside it names it: restore it, or "
                f"remove its entry from {HASHES}."
            )
        if files.sha256(found[name]) != entry["sha256"]:
            raise registry.UserError(
                f"{found[name]} is not the list whose SHA-256 is in {HASHES}: restore it, or "
                f"remove its entry from {HASHES} if you changed it on purpose."
            )


def hashed(folder: str | os.PathLike) -> list[str]:
    """Returns the names of the lists that `lists.json` tells, and its own; none without it."""
    path = pathlib.Path(folder, HASHES)
    try:
        return [HASHES, *json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def items(
    found: Sequence[tuple[lists.ListName, pathlib.Path]],
    forms: Mapping[str, lists.Form] | None = None,
) -> dict[str, list[str]]:
    """Returns the ids that lists name, by modality, each once and in order of appearance.

    Args:
      found: lists, as `find` returns them.
      forms: their kinds, by protocol; None: `lists.FORMS`.

    Raises:
      UserError: a list cannot be read or is malformed.
    """
    ids: dict[str, dict[str, None]] = {"audio": {}, "image": {}}
    for name, path in found:
        probe, candidate = (ids[modality] for modality in lists.MODALITIES[name.direction])
        for probes, candidates in (forms or lists.FORMS)[name.protocol].read(path):
            probe.update(dict.fromkeys(probes))
            candidate.update(dict.fromkeys(candidates))
    return {modality: list(names) for modality, names in ids.items() if names}
