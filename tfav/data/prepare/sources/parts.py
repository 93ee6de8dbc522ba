"""What the official layouts have in common: folders, lists, and parts that share no one."""

import os
import random
from collections.abc import Mapping, Sequence

from tfav import registry
from tfav.data.prepare import manifest
from tfav.media import formats

_SPLITS = ("train", "val", "test")


def folder(path: str | None, source: str, flag: str, holds: Sequence[str] = ()) -> str:
    """Returns `path`, the value of `--FLAG`, when it is a folder with one of `holds` in it.

    Raises:
      UserError: not given, no folder, or it holds none of them.
    """
    if not path:
        raise registry.UserError(f"--source={source} needs --{flag}=FOLDER.")
    if not os.path.isdir(path):
        raise registry.UserError(f"--{flag}={path} is not a folder: correct the path.")
    if holds and not any(os.path.exists(os.path.join(path, name)) for name in holds):
        raise registry.UserError(
            f"--{flag}={path} holds no {' or '.join(holds)}: give the folder that --source="
            f"{source} was unpacked to."
        )
    return path


def file(stem: str, modality: str, official: str) -> str:
    """Returns the path of a file whatever its suffix; the official one when there is none."""
    official_path = stem + official
    if os.path.isfile(official_path):
        return official_path
    return formats.beside(stem, modality) or official_path


def columns(options: manifest.Options, known: Sequence[str], source: str) -> list[str]:
    """Returns the further columns to carry: all `known` ones, or those of `--columns`.

    Raises:
      UserError: `--columns` names another one.
    """
    for name in options.columns or ():
        if name not in known:
            raise registry.UserError(
                f"unknown column {name!r} in --columns: {source} has {', '.join(known) or 'none'}."
            )
    return list(known if options.columns is None else options.columns)


def read_lines(path: str | os.PathLike) -> list[tuple[int, str]]:
    """Returns number and text of every line that is not blank (a byte-order mark is accepted).

    Raises:
      UserError: missing, empty, or not UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise registry.UserError(f"{path} cannot be read ({error}): correct the list.") from error
    if not lines:
        raise registry.UserError(f"{path} is empty: give the official list.")
    return lines


def shuffled(names: Mapping[str, str], seed: int) -> dict[str, list[str]]:
    """Returns each stratum's names in a random order.

    Args:
      names: name to its stratum.
      seed: of the order; a stratum's own does not depend on the other strata.
    """
    strata: dict[str, list[str]] = {}
    for name in sorted(names):
        strata.setdefault(names[name], []).append(name)
    for stratum, members in strata.items():
        random.Random(f"{seed} {stratum}").shuffle(members)
    return strata


def carve(
    names: Mapping[str, str], options: manifest.Options, flag: str = "val_fraction"
) -> set[str]:
    """Returns the names that go to `val`: `--val_fraction` of each stratum, drawn from `--seed`.

    At least one of each stratum with two or more; none of a stratum with one.

    Args:
      names: of what must not be divided (people, recordings), each with its stratum.
      options: of the source.
      flag: which of them is the fraction.

    Raises:
      UserError: a fraction that is none.
    """
    fraction = getattr(options, flag)
    if not 0 <= fraction < 1:
        raise registry.UserError(f"--{flag}={fraction} is no fraction: give 0 to below 1.")
    if not fraction:
        return set()
    taken: set[str] = set()
    for members in shuffled(names, options.seed).values():
        count = max(1, round(fraction * len(members)))
        taken.update(members[: min(count, len(members) - 1)])
    return taken


def fold(options: manifest.Options, count: int) -> int:
    """Returns `--split_number`, 1 to `count`. Raises UserError when it is not."""
    if not 1 <= options.split_number <= count:
        raise registry.UserError(f"--split_number={options.split_number}: give 1 to {count}.")
    return options.split_number


def ordered(rows: Sequence[manifest.Row], classes: Sequence[str]) -> list[manifest.Row]:
    """Returns `rows` split by split and class by class, else in their order.

    A class's index is its place among the first appearances in `train`. Sorted like this it is its
    place in `classes`, also where the first file of a class turns out to be unusable. Training
    draws rows at random, so their order on disk does not matter to it.
    """
    rank = {name: number for number, name in enumerate(classes)}
    order = {name: number for number, name in enumerate(_SPLITS)}
    return sorted(rows, key=lambda row: (order.get(row.split, len(order)), rank[row.label]))
