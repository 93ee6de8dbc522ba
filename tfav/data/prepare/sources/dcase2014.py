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

from absl import logging

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import audio_files, bad_file, formats

NAME = "dcase2014"
PIECES = 60
SECONDS = 5.0
_CLIP = re.compile(r"(?P<scene>[a-z_]+?)_?(?P<number>\d+)", re.IGNORECASE)


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns 60 rows a clip; the further columns are `clip` and `start` (in seconds).

    `--val_fraction` holds that share of the training clips of each scene out, as `val`.

    Raises:
      UserError: a folder or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root")
    carried = parts.columns(options, ("clip", "start"), NAME)
    scene, testing = {}, set()  # of each file, relative to the root
    left_out = formats.LeftOut()
    for file in formats.below(root):
        match = _CLIP.fullmatch(os.path.splitext(os.path.basename(file))[0])
        if not match or formats.modality(file) != "audio":
            left_out.add([file])
            continue
        scene[file] = match["scene"].lower()
        if any("test" in part.lower() for part in file.split("/")[:-1]):
            testing.add(file)
    left_out.warn(NAME)
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
        try:
            starts, problem = _starts(audio_files.duration(path, options.bounds)), ""
        except bad_file.BadFile as error:
            starts, problem = [0.0], error.reason  # one bad row, not sixty
        for number, start in enumerate(starts):
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
                    problem=problem,
                )
            )
    return parts.ordered(found, sorted(set(scene.values())))


def _starts(seconds: float) -> list[float]:
    """Returns when the pieces of a clip start."""
    last = max(0.0, seconds - SECONDS)
    return [last * number / (PIECES - 1) for number in range(PIECES)]
