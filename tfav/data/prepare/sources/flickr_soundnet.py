"""The test of sound localisation on Flickr-SoundNet: 250 pairs, boxes of three annotators.

`--root` holds `Annotations/<id>.xml` and, in `frames/<id>.jpg` and `audio/<id>.wav` or in
`Data/<id>/<id>.jpg` and `.wav`, what they annotate. A list of ids (one per line; what follows a
comma does not count) in `--split_csv` keeps those only. The list of Extended Flickr-SoundNet in
`--split_csv` (see `extended`) adds its pairs of image and audio in which nothing sounds. Every row
is `test`, and its label is its id.
"""

import os

from tfav import registry
from tfav.annotations import boxes
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import extended, parts

NAME = "flickr_soundnet"
_PLACES = (("frames", "audio"), (os.path.join("Data", "{0}"),) * 2)


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row per pair; the further column is `annotations` (see `annotations.boxes`).

    Raises:
      UserError: a folder, list or annotation does not fit.
    """
    root = parts.folder(options.root, NAME, "root", ["Annotations"])
    carried = parts.columns(options, (boxes.ANNOTATIONS,), NAME)
    folder = os.path.join(root, "Annotations")
    there = sorted(n[: -len(".xml")] for n in os.listdir(folder) if n.endswith(".xml"))
    listed, negatives = extended.read(options.split_csv)
    missing = sorted(listed - set(there))
    if missing or not there:
        what = f"no {missing[0]}.xml, which --split_csv lists" if missing else "no annotation"
        raise registry.UserError(f"{folder} holds {what}: unpack the annotations there.")
    found = []
    for name in there:
        if listed and name not in listed:
            continue
        sight, sound = _place(root, name)
        drawn = boxes.write(boxes.read_annotation(os.path.join(folder, f"{name}.xml")))
        row = manifest.Row(
            id=name,
            split="test",
            label=name,
            audio=parts.file(os.path.join(sound, name), "audio", ".wav"),
            image=parts.file(os.path.join(sight, name), "image", ".jpg"),
            extra=dict.fromkeys(carried, drawn),
        )
        manifest.check_words(row, folder)
        found.append(row)
    for image, audio in negatives:
        name = extended.name(image, audio)
        row = manifest.Row(
            id=name,
            split="test",
            label=name,
            audio=parts.file(os.path.join(_place(root, audio)[1], audio), "audio", ".wav"),
            image=parts.file(os.path.join(_place(root, image)[0], image), "image", ".jpg"),
            extra=dict.fromkeys(carried, boxes.NOTHING),
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
