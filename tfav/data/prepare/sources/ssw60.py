"""SSW60 (Sapsucker Woods 60): ten-second videos of 60 species of birds; the class is the species.

`--root` holds `video_ml.csv` and `video_ml/<asset_id>.mp4`, as unpacked, and perhaps `taxa.csv`.
Class order: the number in the column `label`, 0 to 59. The class is named by its `species_code`
where `taxa.csv` is there, else by the number.
"""

import os

from tfav import registry
from tfav.data.prepare import csv_files, manifest
from tfav.data.prepare.sources import parts

NAME = "ssw60"


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a video, in the split of its line; `reliable_audio` is a further column.

    `--val_fraction` holds that share of the training videos of each species out, as `val`. Videos
    without sound have no audio; `tfav-prepare` counts them.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["video_ml"])
    path = os.path.join(root, "video_ml.csv")
    lines = csv_files.read(path, ("asset_id", "label", "split"))
    for number, cells in lines:
        if not cells["label"].isdecimal():
            raise registry.UserError(
                f"{path} line {number}: label is {cells['label']!r}: give the number of a species."
            )
    numbers = sorted({int(cells["label"]) for _, cells in lines})
    names = _names(os.path.join(root, "taxa.csv"), numbers)
    held_out = parts.carve(
        {cells["asset_id"]: cells["label"] for _, cells in lines if cells["split"] == "train"},
        options,
    )
    known = [name for name in ("reliable_audio",) if name in lines[0][1]]
    carried = parts.columns(options, known, NAME)
    found = []
    for number, cells in lines:
        row = manifest.Row(
            id=cells["asset_id"],
            split="val" if cells["asset_id"] in held_out else cells["split"],
            label=names[int(cells["label"])],
            extra={name: cells[name] for name in carried},
            video=parts.file(os.path.join(root, "video_ml", cells["asset_id"]), "video", ".mp4"),
        )
        manifest.check_words(row, f"{path} line {number}")
        found.append(row)
    return parts.ordered(found, [names[number] for number in numbers])


def _names(path: str, numbers: list[int]) -> dict[int, str]:
    if not os.path.exists(path):
        return {number: str(number) for number in numbers}
    lines = csv_files.read(path, ("label", "species_code"))
    names = {cells["label"]: cells["species_code"] for _, cells in lines}
    missing = [number for number in numbers if str(number) not in names]
    if missing:
        raise registry.UserError(
            f"{path} lacks the label {missing[0]}: correct or remove the file."
        )
    return {number: names[str(number)] for number in numbers}
