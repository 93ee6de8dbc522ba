"""VoxCeleb1 voices joined with VGGFace photographs by name, in the layout of SSoS's release.

`audio_root/<VoxCeleb1_ID>/**/*.wav`, `image_root/<VGGFace1_ID>/**/*.jpg` (or any other suffix of
`media.formats`), and split files with the columns
`VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set`. Of a file `..._train.csv`, `..._val.csv` or
`..._test.csv` all identities belong to that split: there `Set` is VoxCeleb1's own division for
speaker verification, and only its value `none` (no usable files: left out) matters. In a file of
any other name `Set` says the split: `dev` (train), `val` or `test`.
"""

import collections
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import logging

from tfav import registry
from tfav.data.prepare import csv_files, manifest
from tfav.media import formats

COLUMNS = ("VoxCeleb1_ID", "VGGFace1_ID", "Gender", "Nationality", "Set")
_SPLIT_OF_SET = {"dev": "train", "train": "train", "val": "val", "test": "test"}
_SPLIT_OF_FILE = re.compile(r"(?:^|[_.-])(train|val|test)\.csv$")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row an utterance and one row a photograph, identity by identity in CSV order.

    The id is the path relative to its root (as in the official lists), the label is VoxCeleb1_ID,
    the further columns are `gender` and `nationality`. Sound is read from the left channel.

    Raises:
      UserError: a flag is missing, a folder or CSV file cannot be read, an identity is in two
        splits, `Set` is unknown, an id is not unique, or nothing at all was found.
    """
    roots: dict[str, str] = {}
    for name in ("audio_root", "image_root"):
        folder = getattr(options, name)
        if not folder:
            raise registry.UserError(f"--source=voxceleb1 needs --{name}=FOLDER.")
        if not os.path.isdir(folder):
            raise registry.UserError(f"--{name}={folder} is not a folder: correct the path.")
        roots[name] = folder
    if not options.split_csv:
        raise registry.UserError(
            "--source=voxceleb1 needs --split_csv=FILE.csv (once for each of train, val and test)."
        )
    known = ("gender", "nationality")
    carried = known if options.columns is None else tuple(options.columns)
    for name in carried:
        if name not in known:
            raise registry.UserError(
                f"unknown column {name!r} in --columns: voxceleb1 has {', '.join(known)}."
            )
    found: list[manifest.Row] = []
    left_out = formats.LeftOut()
    without: dict[str, list[str]] = {"audio": [], "image": []}
    for person, split in identities(options.split_csv):
        extra = {name: person[name.capitalize()] for name in carried}
        for modality, column, root in (
            ("audio", "VoxCeleb1_ID", roots["audio_root"]),
            ("image", "VGGFace1_ID", roots["image_root"]),
        ):
            files, others = _listing(root, person[column], modality)
            left_out.add(others)
            if not files:
                without[modality].append(person[column])
            for name in files:
                media: dict[str, Any] = {modality: os.path.join(root, name)}
                row = manifest.Row(
                    id=name,
                    split=split,
                    label=person["VoxCeleb1_ID"],
                    extra=extra,
                    channel="left",
                    **media,
                )
                manifest.check_words(row, media[modality])
                found.append(row)
    if not found:
        raise registry.UserError(
            f"no file of any listed identity under --audio_root={options.audio_root} and "
            f"--image_root={options.image_root}: they must hold one folder for each VoxCeleb1_ID "
            "and each VGGFace1_ID."
        )
    twice = [name for name, count in collections.Counter(r.id for r in found).items() if count > 1]
    if twice:
        raise registry.UserError(
            f"{twice[0]!r} is listed twice: --audio_root and --image_root must differ, and no "
            "folder may serve two identities."
        )
    left_out.warn("voxceleb1")
    for modality, names in without.items():
        if names:
            logging.warning("%d identities have no %s, first %s", len(names), modality, names[0])
    return found


def identities(paths: Sequence[str]) -> list[tuple[dict[str, str], str]]:
    """Reads split files: one dict of the five columns and a split for each usable identity.

    Raises:
      UserError: see `csv_files.read`; an identity twice, or a `Set` that names no split.
    """
    people: list[tuple[dict[str, str], str]] = []
    seen: dict[tuple[str, str], str] = {}
    for path in paths:
        named = _SPLIT_OF_FILE.search(os.path.basename(path).lower())
        for number, cells in csv_files.read(path, COLUMNS):
            if cells["Set"] == "none":
                continue
            split = named[1] if named else _SPLIT_OF_SET.get(cells["Set"])
            if split is None:
                raise registry.UserError(
                    f"{path} line {number}: Set is {cells['Set']!r}: use dev, val, test or none, "
                    "or name the file ..._train.csv, ..._val.csv or ..._test.csv."
                )
            for column in COLUMNS[:2]:
                name = cells[column]
                if not name or name != os.path.basename(name) or name in (".", ".."):
                    raise registry.UserError(
                        f"{path} line {number}: {column} is {name!r}: give the name of a folder."
                    )
                if (column, name) in seen:
                    raise registry.UserError(
                        f"{path} line {number} repeats {name!r} of {seen[column, name]}: "
                        "an identity belongs to one split and is listed once."
                    )
                seen[column, name] = f"{path} line {number}"
            people.append((cells, split))
    if not people:
        raise registry.UserError(
            f"{', '.join(paths)}: every row has Set=none, so no identity is left to use."
        )
    return people


def _listing(root: str, name: str, modality: str) -> tuple[list[str], list[str]]:
    """Returns wanted files below `root/name`, and foreign ones, as paths relative to `root`.

    A foreign one is of neither modality: voices and faces may lie in the same folders.
    """
    folder = os.path.join(root, name)
    paths = [f"{name}/{path}" for path in (formats.below(folder) if os.path.isdir(folder) else ())]
    files = [path for path in paths if formats.modality(path) == modality]
    return files, [path for path in paths if formats.modality(path) not in manifest.MODALITIES]
