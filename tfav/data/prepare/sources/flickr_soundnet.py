"""The test of sound localisation on Flickr-SoundNet: 250 pairs, boxes of three annotators.

`--root` holds `Annotations/<id>.xml` and, in `frames/<id>.jpg` and `audio/<id>.wav` or in
`Data/<id>/<id>.jpg` and `.wav`, what they annotate. A list of ids (one a line; what follows a comma
does not count) in `--split_csv` keeps those only. Every row is `test`, and its label is its id.
"""

import os

from tfav import registry
from tfav.annotations import boxes
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts

NAME = "flickr_soundnet"
_PLACES = (("frames", "audio"), (os.path.join("Data", "{0}"),) * 2)


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a pair; the further column is `boxes` (see `tfav.annotations.boxes`).

    Raises:
      UserError: a folder, list or annotation does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["Annotations"])
    carried = parts.columns(options, ("boxes",), NAME)
    folder = os.path.join(root, "Annotations")
    there = sorted(n[: -len(".xml")] for n in os.listdir(folder) if n.endswith(".xml"))
    lines = [line for path in options.split_csv for _, line in parts.read_lines(path)]
    listed = {line.split(",")[0].strip() for line in lines}
    missing = sorted(listed - set(there))
    if missing or not there:
        what = f"no {missing[0]}.xml, which --split_csv lists" if missing else "no annotation"
        raise registry.UserError(f"{folder} holds {what}: unpack the annotations there.")
    found = []
    for name in there:
        if listed and name not in listed:
            continue
        sight, sound = _place(root, name)
        extra = {"boxes": boxes.write(boxes.read_annotation(os.path.join(folder, f"{name}.xml")))}
        row = manifest.Row(
            id=name,
            split="test",
            label=name,
            audio=parts.file(os.path.join(sound, name), "audio", ".wav"),
            image=parts.file(os.path.join(sight, name), "image", ".jpg"),
            extra={column: extra[column] for column in carried},
        )
        manifest.check_words(row, folder)
        found.append(row)
    return found


def _place(root: str, name: str) -> tuple[str, str]:
    """Returns the folders of the picture and of the sound: the first that are there."""
    places = [
        (os.path.join(root, sight.format(name)), os.path.join(root, sound.format(name)))
        for sight, sound in _PLACES
    ]
    return next((p for p in places if all(map(os.path.isdir, p))), places[0])
