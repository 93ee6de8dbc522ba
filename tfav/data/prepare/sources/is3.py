"""IS3 (Senocak et al., 2024): made-up images of two sources, of which one sounds.

`--root` holds `IS3_annotation.json`, `images/` and `audio_wav/`. An entry of the JSON list is
`{"image": ".../accordion_female_10438_accordion.jpg", "audio": "....wav", "gt_box": [left, top,
right, bottom]}` in pixels of an image of 224; folders within its paths do not count. The last word
of a file's name is what sounds, and it is the label. An image comes once per source. Every row is
`test`.
"""

import os

from tfav.annotations import boxes
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import marked, parts

NAME = "is3"
FILE = "IS3_annotation.json"
SIDE = 224  # pixels of the images that boxes are of


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row per source; the further column is `objects` (see `annotations.boxes`).

    Raises:
      UserError: a folder or annotation does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["images"])
    carried = parts.columns(options, (boxes.OBJECTS,), NAME)
    path = os.path.join(root, FILE)
    found = []
    for entry in marked.read(path, ("image", "audio", "gt_box")):
        image, audio = (os.path.basename(str(entry[part])) for part in ("image", "audio"))
        name = os.path.splitext(image)[0]
        box = marked.fractions(entry["gt_box"], SIDE, f"{path}: {name}")
        row = manifest.Row(
            id=name,
            split="test",
            label=name.rpartition("_")[2],
            audio=os.path.join(root, "audio_wav", audio),
            image=os.path.join(root, "images", image),
            extra=dict.fromkeys(carried, boxes.write([box] if box else [])),
            problem="" if box else "has no box with an area",
        )
        manifest.check_words(row, path)
        found.append(row)
    return found
