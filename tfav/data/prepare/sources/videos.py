"""Any folder of videos, without labels: pieces of 5 s of sound, each with its middle frame.

`--root` is walked in sorted order. Or it is laid out like Flickr-SoundNet: `train_videos.txt` (also
`val_videos.txt`, `test_videos.txt`) with a name a line, `frames/<name>/*.jpg`, one picture for
every 5 s, and the sound `<name>.wav` (for `a.mp4` also `a.wav`).

A video is cut into pieces of `--segment_seconds` as far as both sound and picture last. The last
piece is padded with zeros; shorter than half a second it is dropped. Without labels, the label is
the video, which nobody trains on, and a video is in one split: `--test_fraction` and
`--val_fraction` of the videos, drawn from `--seed`, where no list tells.
"""

import concurrent.futures
import contextlib
import math
import os
import urllib.parse
from fractions import Fraction
from typing import Any

import soundfile

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import container, decode

NAME = "videos"
SUFFIXES = (".avi", ".flv", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
SHORTEST_SECONDS = 0.5
_FLICKR_SECONDS = 5.0
_SPLITS = ("train", "val", "test")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a piece; the further columns are `video` and `start` (in seconds).

    A video that cannot be read has one row, so that it is counted as a bad one.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root")
    if not decode.MIN_SECONDS <= options.segment_seconds < math.inf:
        raise registry.UserError(
            f"--segment_seconds={options.segment_seconds}: give at least {decode.MIN_SECONDS}."
        )
    carried = parts.columns(options, ("video", "start"), NAME)
    lists = {s: os.path.join(root, f"{s}_videos.txt") for s in _SPLITS}
    lists = {split: path for split, path in lists.items() if os.path.isfile(path)}
    if lists:
        splits = _listed(lists)
    else:
        splits = dict.fromkeys(_walk(root), "train")
        if not splits:
            raise registry.UserError(
                f"--root={root} holds no video ({', '.join(SUFFIXES)}): mend the path."
            )
    if set(splits.values()) == {"train"}:
        splits = _drawn(splits, options)
    make = _flickr_pieces if lists else _video_pieces
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        pieces = pool.map(lambda name: make(root, name, options.segment_seconds), splits)
        found = []
        for (name, split), members in zip(splits.items(), pieces):
            shown = _word(name)
            for start, length, files in members:
                extra = {"video": shown, "start": f"{start:g}"}
                found.append(
                    manifest.Row(
                        id=f"{shown}@{start:g}",
                        split=split,
                        label=shown,
                        extra={column: extra[column] for column in carried},
                        start_seconds=start,
                        length_seconds=length,
                        padded=True,
                        **files,
                    )
                )
    return parts.ordered(found, list(dict.fromkeys(row.label for row in found)))


def _walk(root: str) -> list[str]:
    """Returns the paths of all videos below `root`, relative to it, sorted."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(SUFFIXES) and name[0] != "."
    )


def _listed(lists: dict[str, str]) -> dict[str, str]:
    """Returns each listed video's split."""
    splits: dict[str, str] = {}
    for split, path in lists.items():
        for number, name in parts.read_lines(path):
            if name in splits:
                raise registry.UserError(
                    f"{path} line {number} names {name} again ({splits[name]}): a video is in one "
                    "split, once."
                )
            splits[name] = split
    return splits


def _drawn(splits: dict[str, str], options: manifest.Options) -> dict[str, str]:
    """Returns `splits` with videos drawn for `test`, and of the others for `val`."""
    testing = parts.carve(dict.fromkeys(splits, "all"), options, "test_fraction")
    rest = {name: "all" for name in splits if name not in testing}
    held_out = parts.carve(rest, options)
    drawn = {**dict.fromkeys(testing, "test"), **dict.fromkeys(held_out, "val")}
    return {name: drawn.get(name, "train") for name in splits}


def _starts(seconds: float, length: float) -> list[float]:
    """Returns when the pieces of `length` start of what lasts so many seconds: one at least."""
    return [length * n for n in range(max(1, math.ceil((seconds - SHORTEST_SECONDS) / length)))]


def _video_pieces(root: str, name: str, length: float) -> list[tuple[float, float, dict]]:
    path = os.path.join(root, *name.split("/"))
    return [(start, length, {"video": path}) for start in _starts(_seconds(path), length)]


def _flickr_pieces(root: str, name: str, length: float) -> list[tuple[float, float, dict]]:
    """Lists the pictures of a video, each with its 5 s of sound, as far as the sound lasts."""
    del length  # the layout's own
    place = os.path.join(root, *name.split("/"))
    sounds = [f"{place}.wav", f"{os.path.splitext(place)[0]}.wav"]
    sound = next(filter(os.path.isfile, sounds), sounds[0])
    folder = os.path.join(root, "frames", *name.split("/"))
    try:
        seconds = soundfile.info(sound).duration
        pictures = decode.picture_files([folder])
    except (RuntimeError, OSError, decode.BadFile):
        return [(0.0, _FLICKR_SECONDS, {"audio": sound, "image": folder})]
    starts = _starts(seconds, _FLICKR_SECONDS)
    return [
        (start, _FLICKR_SECONDS, {"audio": sound, "image": picture})
        for start, picture in zip(starts, pictures)
    ]


def _seconds(path: str) -> float:
    """Returns how long both sound and picture last, by their packets; 0 when it cannot be told."""
    ends = []
    try:
        for kind in ("audio", "video"):
            with container.opened(path) as file:
                if container.stream(file, kind) is None:
                    continue
            with contextlib.closing(container.packets(path, kind, 0)) as packets:
                ends.append(max((_end(*packet) for packet in packets), default=0.0))
    except decode.BadFile:
        return 0.0
    return min(ends, default=0.0)


def _end(seconds: Fraction, packet: Any) -> float:
    return float(seconds + (packet.duration or 0) * packet.time_base)


def _word(name: str) -> str:
    """Returns a path as a word: what is no plain character of it is written as in a URL."""
    return "".join(
        c if c.isprintable() and c not in " %" else urllib.parse.quote(os.fsencode(c)) for c in name
    )
