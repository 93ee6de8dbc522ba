"""UCF-101: videos of 101 human actions, with three official ways to part them.

`--root` holds `UCF-101/<Class>/v_*.avi` and `ucfTrainTestlist/` with `classInd.txt`,
`trainlist0K.txt` and `testlist0K.txt`, as unpacked; lists elsewhere are named in `--split_csv`.
`--split_number` is K, 1 to 3. Class order: that of `classInd.txt`, which is alphabetical.

A group (`g01` to `g25` of a class) holds the clips of one long video, so no group may be divided.
"""

import dataclasses
import os
import re

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts

NAME = "ucf101"
SPLITS = 3
_FOLDER = "ucfTrainTestlist"
_CLIP = re.compile(r"(?P<label>\w+)/(?P<id>v_\w+_(?P<group>g\d+)_c\d+)\.avi")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a video; the further column `group` is `<Class>_<group>`.

    `--val_fraction` holds that share of the training groups of each class out, as `val`.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["UCF-101"])
    number = parts.fold(options, SPLITS)
    classes = _classes(_list(options, root, "classInd.txt"))
    found: dict[str, manifest.Row] = {}
    carried = parts.columns(options, ("group",), NAME)
    groups = {}
    for split in ("train", "test"):
        path = _list(options, root, f"{split}list{number:02d}.txt")
        for line_number, line in parts.read_lines(path):
            match = _CLIP.fullmatch(line.split()[0])
            if not match or match["label"] not in classes or match["id"] in found:
                raise registry.UserError(
                    f"{path} line {line_number} is {line!r}: each line names a clip of a class of "
                    "classInd.txt once, in both lists together."
                )
            groups[match["id"]] = f"{match['label']}_{match['group']}"
            extra = {"group": groups[match["id"]]}
            found[match["id"]] = manifest.Row(
                id=match["id"],
                split=split,
                label=match["label"],
                extra={name: extra[name] for name in carried},
                video=os.path.join(root, "UCF-101", *match[0].split("/")),
            )
    training = {groups[row.id]: row.label for row in found.values() if row.split == "train"}
    held_out = parts.carve(training, options)
    return parts.ordered(
        [
            dataclasses.replace(row, split="val") if groups[row.id] in held_out else row
            for row in found.values()
        ],
        classes,
    )


def _list(options: manifest.Options, root: str, name: str) -> str:
    paths = [path for path in options.split_csv if os.path.basename(path) == name]
    paths.append(os.path.join(root, _FOLDER, name))
    found = [path for path in paths if os.path.exists(path)]
    if not found:
        raise registry.UserError(
            f"--source={NAME} finds no {name} in {os.path.join(root, _FOLDER)}: unpack the "
            "official lists there, or name the file in --split_csv."
        )
    return found[0]


def _classes(path: str) -> list[str]:
    """Reads lines `number name`; returns the names in the order of their numbers."""
    names = {}
    for number, line in parts.read_lines(path):
        cells = line.split()
        if len(cells) != 2 or not cells[0].isdecimal():
            raise registry.UserError(f"{path} line {number} is {line!r}: use '1 ApplyEyeMakeup'.")
        names[int(cells[0])] = cells[1]
    return [names[number] for number in sorted(names)]
