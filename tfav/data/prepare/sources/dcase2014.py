"""Acoustic scenes as DMC, L3 and SoundNet test them: 10 scenes, 20 clips of 30 s each.

It is the set of the challenge of 2013, which those papers call DCASE2014. `--root` holds what the
organisers published, `scenes_stereo/<scene>NN.wav` (training) and `scenes_stereo_testset/` (test),
at any depth: a file is of the test when a folder above it has `test` in its name. Where no folder
has, half of the clips of each scene, drawn from `--seed`, are the test.

A clip becomes 60 pieces of 5 s that start evenly spaced from its first second to 5 s before its
end; the column `clip` joins them again.
"""

import os
import re

import soundfile
from absl import logging

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts

NAME = "dcase2014"
PIECES = 60
SECONDS = 5.0
_CLIP = re.compile(r"(?P<scene>[a-z_]+?)_?(?P<number>\d+)\.wav", re.IGNORECASE)


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns 60 rows a clip; the further columns are `clip` and `start` (in seconds).

    `--val_fraction` holds that share of the training clips of each scene out, as `val`.

    Raises:
      UserError: a folder or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root")
    carried = parts.columns(options, ("clip", "start"), NAME)
    scene, testing = {}, set()  # of each file, relative to the root
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            match = _CLIP.fullmatch(name)
            if match:
                file = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
                scene[file] = match["scene"].lower()
                if any("test" in part.lower() for part in file.split("/")[:-1]):
                    testing.add(file)
    if len(set(scene.values())) < 2:
        raise registry.UserError(
            f"--root={root} holds no <scene>NN.wav of two scenes or more: unpack scenes_stereo and "
            "scenes_stereo_testset there."
        )
    if not testing:
        testing = {
            file
            for files in parts.shuffled(scene, options.seed).values()
            for file in files[: len(files) // 2]
        }
        logging.info("%s: no folder of a test set, so half of the clips are drawn for it", NAME)
    held_out = parts.carve({f: s for f, s in scene.items() if f not in testing}, options)
    found = []
    for file in sorted(scene):
        path = os.path.join(root, *file.split("/"))
        clip = os.path.splitext(file)[0]
        training = "val" if file in held_out else "train"
        for number, start in enumerate(_starts(path)):
            extra = {"clip": clip, "start": f"{start:.3f}"}
            found.append(
                manifest.Row(
                    id=f"{clip}@{number:02d}",
                    split="test" if file in testing else training,
                    label=scene[file],
                    audio=path,
                    extra={name: extra[name] for name in carried},
                    start_seconds=start,
                    length_seconds=SECONDS,
                )
            )
    return parts.ordered(found, sorted(set(scene.values())))


def _starts(path: str) -> list[float]:
    """Returns when the pieces of a clip start; a file that is no sound has one (a bad row)."""
    try:
        last = max(0.0, soundfile.info(path).duration - SECONDS)
    except (RuntimeError, OSError):
        return [0.0]
    return [last * number / (PIECES - 1) for number in range(PIECES)]
