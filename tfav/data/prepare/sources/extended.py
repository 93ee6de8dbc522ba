"""The lists of Extended Flickr-SoundNet and Extended VGG-SS: images in which nothing sounds.

Mo and Morgado (NeurIPS 2022) pair images with audio of something that is not in view. Their lists,
`flickr_test_plus_silent.csv` and `vggss_test_plus_silent.csv`, have the header `video,audio,label`
and lines such as `10000130166,10437048305,non-sounding`: the name of a frame, the name of a clip.
"""

import os
from collections.abc import Sequence

from tfav import registry
from tfav.data.prepare import csv_files
from tfav.data.prepare.sources import parts

HEADER = ("video", "audio", "label")
SILENT = "non-sounding"


def read(paths: Sequence[str | os.PathLike]) -> tuple[set[str], list[tuple[str, str]]]:
    """Returns the ids that lists keep, and the pairs of image and audio in which nothing sounds.

    Args:
      paths: lists of `--split_csv`: extended ones, and others of an id per line, of which what
        follows a comma does not count.

    Raises:
      UserError: a list that cannot be read, is empty, or names a pair twice.
    """
    listed: set[str] = set()
    negatives: dict[tuple[str, str], None] = {}
    for path in paths:
        lines = parts.read_lines(path)
        if tuple(cell.strip() for cell in lines[0][1].split(",")) != HEADER:
            listed |= {line.split(",")[0].strip() for _, line in lines}
            continue
        for number, cells in csv_files.read(path, HEADER):
            pair = cells["video"], cells["audio"]
            if not all(pair):
                raise registry.UserError(
                    f"{path} line {number} names no video or no audio: fill in both."
                )
            if cells["label"] != SILENT:
                listed.add(cells["video"])
            elif pair in negatives:
                raise registry.UserError(
                    f"{path} line {number} names the pair {', '.join(pair)} again: name it once."
                )
            else:
                negatives[pair] = None
    return listed, list(negatives)


def name(image: str, audio: str) -> str:
    """Returns the id of a pair in which nothing sounds."""
    return f"{image}+{audio}"
