"""Any folder of videos, without labels: pieces of 5 s of sound, each with its middle frame.

`--root` is walked in sorted order. Or it is laid out like Flickr-SoundNet: `train_videos.txt` (also
`val_videos.txt`, `test_videos.txt`) with one name per line, `frames/<name>/*.jpg`, one image for
every 5 s, and the sound `<name>.wav` (for `a.mp4` also `a.wav`), of any suffix of `media.formats`.

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

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import audio_files, bad_file, container, formats, image_folders, limits, mono

NAME = "videos"
SHORTEST_SECONDS = 0.5
_FLICKR_SECONDS = 5.0
_SPLITS = ("train", "val", "test")
Piece = tuple[float, float, dict[str, Any], str]  # start, length, files, what is wrong with them


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a piece; the further columns are `video` and `start` (in seconds).

    A video that cannot be read has one row, so that it is counted as a bad one.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    root = parts.folder(options.root, NAME, "root")
    if not mono.MIN_SECONDS <= options.segment_seconds < math.inf:
        raise registry.UserError(
            f"--segment_seconds={options.segment_seconds}: give at least {mono.MIN_SECONDS}."
        )
    carried = parts.columns(options, ("video", "start"), NAME)
    lists = {s: os.path.join(root, f"{s}_videos.txt") for s in _SPLITS}
    lists = {split: path for split, path in lists.items() if os.path.isfile(path)}
    _check_flags(options, lists)
    if lists:
        splits = _listed(lists)
    else:
        splits = dict.fromkeys(_walk(root), "train")
        if not splits:
            raise registry.UserError(
                f"--root={root} holds no video ({formats.listed('video')}): correct the path."
            )
    if set(splits.values()) == {"train"}:
        splits = _drawn(splits, options)
    make = _flickr_pieces if lists else _video_pieces
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        pieces = pool.map(lambda name: make(root, name, options), splits)
        found = []
        for (name, split), members in zip(splits.items(), pieces):
            shown = _word(name)
            for start, length, files, problem in members:
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
                        problem=problem,
                        **files,
                    )
                )
    return parts.ordered(found, list(dict.fromkeys(row.label for row in found)))


def _check_flags(options: manifest.Options, lists: dict[str, str]) -> None:
    """Refuses the flags that the lists of a layout make meaningless."""
    if not lists:
        return
    if options.segment_seconds != _FLICKR_SECONDS:
        raise registry.UserError(
            f"--segment_seconds={options.segment_seconds:g} means nothing beside "
            f"{next(iter(lists.values()))}: pieces are {_FLICKR_SECONDS:g} s long then; leave it "
            "out."
        )
    for flag in ("test_fraction", "val_fraction"):
        if getattr(options, flag) and set(lists) != {"train"}:
            raise registry.UserError(
                f"--{flag}={getattr(options, flag):g} means nothing beside "
                f"{', '.join(lists.values())}, which say what is in which split: leave it out."
            )


def _walk(root: str) -> list[str]:
    """Returns the paths of all videos below `root`, relative to it, sorted."""
    left_out = formats.LeftOut()
    found = []
    for path in formats.below(root):
        if formats.modality(path) == "video":
            found.append(path)
        else:
            left_out.add([path])
    left_out.warn(NAME)
    return found


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


def _video_pieces(root: str, name: str, options: manifest.Options) -> list[Piece]:
    path = os.path.join(root, *name.split("/"))
    length = options.segment_seconds
    try:
        starts = _starts(_seconds(path, options.bounds), length)
    except bad_file.BadFile as error:
        return [(0.0, length, {"video": path}, error.reason)]
    return [(start, length, {"video": path}, "") for start in starts]


def _flickr_pieces(root: str, name: str, options: manifest.Options) -> list[Piece]:
    """Lists the images of a video, each with its 5 s of sound, as far as the sound lasts."""
    place = os.path.join(root, *name.split("/"))
    stems = (place, os.path.splitext(place)[0])
    found = (formats.beside(stem, "audio") for stem in stems)
    sound = next(filter(None, found), f"{place}.wav")
    folder = os.path.join(root, "frames", *name.split("/"))
    try:
        starts = _starts(audio_files.duration(sound, options.bounds), _FLICKR_SECONDS)
        images = image_folders.image_paths([folder])
    except bad_file.BadFile:  # of either; decoding says of which
        return [(0.0, _FLICKR_SECONDS, {"audio": sound, "image": folder}, "")]
    return [
        (start, _FLICKR_SECONDS, {"audio": sound, "image": image}, "")
        for start, image in zip(starts, images)
    ]


def _seconds(path: str, bounds: limits.Limits) -> float:
    """Returns how long both sound and picture last, by their packets.

    Raises:
      BadFile: it cannot be opened, or lasts too long to be cut into pieces.
    """
    ends = []
    for kind in ("audio", "video"):
        with container.opened(path, bounds) as file:
            if container.stream(file, kind, bounds) is None:
                continue
        packets = container.Stream(path, kind, bounds).packets(Fraction(0))
        with contextlib.closing(packets):
            ends.append(max((_end(*packet) for packet in packets), default=0.0))
    seconds = min(ends, default=0.0)
    if seconds > bounds.max_hours * 3600:
        raise bad_file.BadFile(f"lasts longer than --max_hours={bounds.max_hours:g}")
    return seconds


def _end(seconds: Fraction, packet: Any) -> float:
    return float(seconds + (packet.duration or 0) * packet.time_base)


def _word(name: str) -> str:
    """Returns a path as a word: what is no plain character of it is written as in a URL."""
    return "".join(
        c if c.isprintable() and c not in " %" else urllib.parse.quote(os.fsencode(c)) for c in name
    )
