"""VGG-SS (Chen et al., CVPR 2021): frames of VGGSound with a box around each thing that sounds.

`--root` holds `vggss.json` (or `metadata/vggss.json`), `frames/<file>.jpg` and `audio/<file>.wav`.
An entry of the JSON list is `{"file": "zpWuikVorYg_000032", "class": "elk bugling", "bbox":
[[left, top, right, bottom], ..]}` in fractions of the image. Lists in `--split_csv`: one of ids
(`vggss_test.csv`) keeps those only; that of Extended VGG-SS (`vggss_test_plus_silent.csv`, see
`extended`) adds its pairs in which nothing sounds. Every row is `test`; its label is its class, or
`non-sounding`. Boxes without any area, of which the official file has some, are left out.
"""

import os

from absl import logging

from tfav import registry
from tfav.annotations import boxes
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import extended, marked, parts

NAME = "vggss"
FILE = "vggss.json"


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row per frame; the further column is `objects` (see `annotations.boxes`).

    Raises:
      UserError: a folder, list or annotation does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["frames"])
    carried = parts.columns(options, (boxes.OBJECTS,), NAME)
    path = os.path.join(root, FILE)
    path = path if os.path.exists(path) else os.path.join(root, "metadata", FILE)
    listed, negatives = extended.read(options.split_csv)
    entries = {str(e["file"]): e for e in marked.read(path, ("file", "class", "bbox"))}
    missing = sorted(listed - entries.keys())
    if missing:
        raise registry.UserError(
            f"{path} has no {missing[0]}, which --split_csv lists: give the list of that file."
        )
    found, flat = [], 0

    def add(name: str, image: str, audio: str, label: str, cell: str) -> None:
        row = manifest.Row(
            id=name,
            split="test",
            label=label,
            audio=parts.file(os.path.join(root, "audio", audio), "audio", ".wav"),
            image=parts.file(os.path.join(root, "frames", image), "image", ".jpg"),
            extra=dict.fromkeys(carried, cell),
            problem="" if cell else "has no box with an area",
        )
        manifest.check_words(row, path)
        found.append(row)

    for name, entry in entries.items():
        if listed and name not in listed:
            continue
        where = f"{path}: {name}"
        drawn = [marked.fractions(corners, 1.0, where) for corners in entry["bbox"]]
        kept = [box for box in drawn if box is not None]
        flat += len(drawn) - len(kept)
        add(name, name, name, str(entry["class"]), boxes.write(kept))
    for image, audio in negatives:
        add(extended.name(image, audio), image, audio, extended.SILENT, boxes.NOTHING)
    if flat:
        logging.warning("%d boxes of %s have no area and are left out", flat, path)
    return found
