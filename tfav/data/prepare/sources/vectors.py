"""Tables of vectors, one for each modality: what strong frozen networks have computed."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from tfav import registry
from tfav.data import kinds, shards
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import csv_manifest
from tfav.media import array_tables, bad_file

_SPLITS = ("test", "val")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row per id of the tables that `options.own` names, modality to `FILE[@NAME]`.

    NAME is that of the modality in a file of tfav-embed, where it is another. A row of several
    tables holds all their modalities. Label, split and further columns are those of
    `options.manifest` (columns id, split, label and any others), or else of the tables. Where
    neither has them, the label is the folder that an id begins with, and the splits are drawn:
    `options.val_fraction` and `options.test_fraction` of the labels, from `options.seed`.

    Raises:
      UserError: no table, one that cannot be read, or an id without label or split.
    """
    if not options.own:
        raise registry.UserError(
            "--source=vectors needs --source_option=NAME=FILE.npz, a table of each modality, such "
            "as audio=voices.npz."
        )
    places = {modality: array_tables.split(path) for modality, path in options.own.items()}
    tables = {modality: _table(modality, options.own[modality]) for modality in options.own}
    about = _of_manifest(options) if options.manifest else _of_tables(tables, options)
    names = list(next(iter(about.values())))
    reserved = [n for n in names if n in shards.COLUMNS[3:] or n.startswith(shards.FRAMES)]
    if reserved:
        logging.warning("left out: %s, columns that the index has itself", ", ".join(reserved))
    columns = [n for n in names if n not in (*manifest.REQUIRED, *reserved)]
    unknown = [name for name in options.columns or () if name not in columns]
    if unknown:
        raise registry.UserError(
            f"unknown column {unknown[0]!r} in --columns: there are {', '.join(columns) or 'none'}."
        )
    columns = columns if options.columns is None else list(options.columns)
    found = []
    for name in dict.fromkeys(name for table in tables.values() for name in table.place):
        if name not in about:
            raise registry.UserError(
                f"{options.manifest} has no line for the id {name!r} of a table: add it, with its "
                "split and label."
            )
        its = about[name]
        if not its["label"]:
            raise registry.UserError(f"the id {name!r} has an empty label: fill it in.")
        held = {m: places[m] for m, table in tables.items() if name in table.place}
        row = manifest.Row(
            id=name,
            split=its["split"],
            label=its["label"],
            extra={column: its[column] for column in columns},
            further={
                m: (array_tables.name_row(place.file, place.modality or m, name),)
                for m, place in held.items()
            },
            kinds=dict.fromkeys(held, kinds.ARRAY.name),
        )
        manifest.check_words(row, ", ".join(options.own[m] for m in held))
        found.append(row)
    unused = about.keys() - {row.id for row in found}
    if unused:
        logging.warning(
            "left out: %d lines of %s, whose ids no table has (first: %s)",
            len(unused),
            options.manifest,
            min(unused),
        )
    return found


def _table(modality: str, path: str) -> array_tables.Table:
    """Returns the table that is a modality's."""
    csv_manifest.check_name(modality, f"--source_option={modality}={path}")
    place = array_tables.split(path)
    try:
        found = array_tables.read(place.file, place.modality or modality)
    except bad_file.BadFile as error:
        raise registry.UserError(f"{place.file} {error.reason}.") from error
    if place.id or place.modality not in ("", found.modality):
        it, name = (found.modality, f"@{found.modality}") if found.modality else ("one table", "")
        raise registry.UserError(
            f"--source_option={modality}={path} names no table, as {place.file} holds {it}: write "
            f"--source_option={modality}={place.file}{name}."
        )
    if found.modality not in ("", modality, place.modality):
        logging.warning("%s holds %s, which is read as %s", path, found.modality, modality)
    return found


def _of_manifest(options: manifest.Options) -> dict[str, dict[str, str]]:
    lines = csv_manifest.read_lines(options.manifest or "")
    _refuse_fractions(options, f"{options.manifest} has a column `split`")
    return {cells["id"]: cells for _, cells in lines}


def _of_tables(
    tables: Mapping[str, array_tables.Table], options: manifest.Options
) -> dict[str, dict[str, str]]:
    """Returns id to what the tables say of it: label, split, and the columns that all ids have.

    Raises:
      UserError: an id without label or split, or tables that differ on one.
    """
    found: dict[str, dict[str, str]] = {}
    for modality, table in tables.items():
        for name, place in table.place.items():
            before = found.setdefault(name, {})
            for column, cells in table.columns.items():
                if before.setdefault(column, cells[place]) != cells[place]:
                    raise registry.UserError(
                        f"the id {name!r} has the {column} {before[column]!r} in one table and "
                        f"{cells[place]!r} in {options.own[modality]}: give both the same."
                    )
    for column in ("label", "split"):
        _check_all_or_none(column, found, tables, options.own)
    common = [
        column
        for column in dict.fromkeys(name for its in found.values() for name in its)
        if all(column in its for its in found.values())
    ]
    for modality, table in tables.items():
        odd = [column for column in table.columns if column not in common]
        if odd:
            logging.warning(
                "left out: the column %r of %s, which other tables lack for some ids",
                odd[0],
                options.own[modality],
            )
    found = {name: {column: its[column] for column in common} for name, its in found.items()}
    if "label" not in common:
        for modality, table in tables.items():
            for name in table.place:
                found[name]["label"] = _folder(name, options.own[modality])
    if "split" in common:
        _refuse_fractions(options, "the tables have an array `split`")
    else:
        split = _drawn(sorted({its["label"] for its in found.values()}), options)
        for its in found.values():
            its["split"] = split[its["label"]]
    return found


def _check_all_or_none(
    column: str,
    found: Mapping[str, Mapping[str, str]],
    tables: Mapping[str, array_tables.Table],
    own: Mapping[str, str],
) -> None:
    """Raises a `UserError` where some ids have a column and others do not."""
    without = [name for name, its in found.items() if column not in its]
    if not without or len(without) == len(found):
        return
    lacks = next(m for m, table in tables.items() if without[0] in table.place)
    has = next(m for m, table in tables.items() if column in table.columns)
    raise registry.UserError(
        f"{own[has]} has an array `{column}` and {own[lacks]} has none for the id {without[0]!r}: "
        "give both one, or --manifest=FILE.csv."
    )


def _folder(name: str, path: str) -> str:
    folder = os.path.dirname(name)
    if not folder:
        raise registry.UserError(
            f"the id {name!r} of {path} lies in no folder that could be its label: give the table "
            "an array `label` [N], or give --manifest=FILE.csv with the columns id, split, label."
        )
    return folder.split("/")[0]


def _refuse_fractions(options: manifest.Options, why: str) -> None:
    for name in _SPLITS:
        share = getattr(options, f"{name}_fraction")
        if share:
            raise registry.UserError(
                f"--{name}_fraction={share:g} draws nothing, as {why}: leave one of both out."
            )


def _drawn(labels: Sequence[str], options: manifest.Options) -> dict[str, str]:
    """Returns the split of each label."""
    shares = {"test": options.test_fraction, "val": options.val_fraction}
    bad = [name for name, share in shares.items() if not 0 <= share < 1]
    if bad or not any(shares.values()) or sum(shares.values()) >= 1:
        raise registry.UserError(
            "the tables name no split, and --val_fraction="
            f"{options.val_fraction:g} with --test_fraction={options.test_fraction:g} draws none: "
            "give both above 0 and below 1 together, an array `split` [N], or --manifest=FILE.csv."
        )
    order = np.random.default_rng(options.seed).permutation(len(labels))
    found = dict.fromkeys(labels, "train")
    first = 0
    for name in _SPLITS:
        count = round(shares[name] * len(labels))
        if shares[name] and not count:
            logging.warning(
                "--%s_fraction=%g draws none of %d labels", name, shares[name], len(labels)
            )
        found |= {labels[place]: name for place in order[first : first + count]}
        first += count
    return found
