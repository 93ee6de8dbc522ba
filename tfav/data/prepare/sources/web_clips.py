"""VGGSound and Kinetics-Sounds: ten seconds of web videos, listed by video and second.

Videos vanish from the web, so what a list names and nobody has is left out and counted.
"""

import csv
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import logging

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import formats

_SPLITS = {"train": "train", "test": "test", "val": "val", "validate": "val", "validation": "val"}


class _Clip(NamedTuple):
    """A line of a list: what the clip is called, where it may be, its class and its split."""

    id: str
    stems: tuple[str, ...]
    label: str
    split: str


def vggsound(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a clip of VGGSound.

    `--split_csv` names `vggsound.csv` (video, second, class, `train` or `test`; no header), and
    `--root` holds `<video>_<second, six digits>.mp4`, whatever the suffix, in any one folder below.

    Raises:
      UserError: a folder, list or flag does not fit, or no clip is there.
    """
    return _rows(options, "vggsound", _of_vggsound)


def kinetics_sounds(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a clip of Kinetics-Sounds, a part of Kinetics-400.

    `--split_csv` names lists of Kinetics with the header `label,youtube_id,time_start,time_end,
    split`, cut down to the classes that are meant (which of them changed over the years, so none
    are built in), and `--root` holds `<split>/<class>/<video>_<start>_<end>.mp4`, of six digits
    each, whatever the suffix; the class may be written with `_` for blanks, and either folder may
    be left out.

    Raises:
      UserError: a folder, list or flag does not fit, or no clip is there.
    """
    return _rows(options, "kinetics_sounds", _of_kinetics)


def _rows(
    options: manifest.Options, name: str, read: Callable[[str], Iterator[_Clip]]
) -> list[manifest.Row]:
    root = parts.folder(options.root, name, "root")
    if not options.split_csv:
        raise registry.UserError(f"--source={name} needs --split_csv=FILE.csv, the official list.")
    clips: dict[str, _Clip] = {}
    for clip in (clip for path in options.split_csv for clip in read(path)):
        if clips.setdefault(clip.id, clip) != clip:
            raise registry.UserError(
                f"the lists of {name} name the clip {clip.id} as {clips[clip.id].label!r} and as "
                f"{clip.label!r}: correct them."
            )
    there = {os.path.splitext(path)[0]: path for path in formats.below(root) if _is_video(path)}
    by_name = {os.path.basename(stem): path for stem, path in there.items()}
    files = {}
    for clip in clips.values():
        places = (there.get(stem) or by_name.get(stem) for stem in clip.stems)
        path = next(filter(None, places), None)
        if path:
            files[clip.id] = os.path.join(root, path)
    if not files:
        first = next(iter(clips.values())).stems[0]
        raise registry.UserError(
            f"--root={root} holds none of the {len(clips)} clips of the lists, such as {first}.mp4 "
            f"({formats.listed('video')}): correct the path."
        )
    if len(files) < len(clips):
        logging.warning("%s: %d of %d clips are there", name, len(files), len(clips))
    parts.columns(options, (), name)
    training = {x: clips[x].label for x in files if clips[x].split == "train"}
    val = parts.carve(training, options)
    found = []
    for clip_id, path in files.items():
        clip = clips[clip_id]
        row = manifest.Row(clip_id, "val" if clip_id in val else clip.split, clip.label, video=path)
        manifest.check_words(row, path)
        found.append(row)
    return parts.ordered(found, sorted({row.label for row in found}))


def _is_video(path: str) -> bool:
    return formats.modality(path) == "video"


def _of_vggsound(path: str) -> Iterator[_Clip]:
    for number, line in parts.read_lines(path):
        cells = next(csv.reader([line]))
        wrong = ""
        if len(cells) != 4:
            wrong = f"has {len(cells)} fields"
        elif not cells[1].isdecimal():
            wrong = f"has the second {cells[1]!r}, which is no whole number"
        elif cells[3] not in _SPLITS:
            wrong = f"has the split {cells[3]!r}, which is none of {', '.join(_SPLITS)}"
        if wrong:
            raise registry.UserError(
                f"{path} line {number} {wrong} ({line}): each is video,second,class,split; correct "
                "it."
            )
        name = f"{cells[0]}_{int(cells[1]):06d}"
        yield _Clip(name, (name,), cells[2], _SPLITS[cells[3]])


def _of_kinetics(path: str) -> Iterator[_Clip]:
    lines = parts.read_lines(path)
    header = next(csv.reader([lines[0][1]]))
    wanted = ("label", "youtube_id", "time_start", "time_end", "split")
    missing = [name for name in wanted if name not in header]
    if missing:
        raise registry.UserError(
            f"{path} has no column {missing[0]!r}: its header must name {', '.join(wanted)}."
        )
    for number, line in lines[1:]:
        its = dict(zip(header, next(csv.reader([line]))))
        seconds = its.get("time_start", ""), its.get("time_end", "")
        right = {name: its.get(name, "").isdecimal() for name in ("time_start", "time_end")}
        right["split"] = its.get("split") in _SPLITS
        wrong = [name for name, holds in right.items() if not holds]
        if wrong:
            raise registry.UserError(
                f"{path} line {number} has the {wrong[0]} {its.get(wrong[0], '')!r} ({line}): "
                "times are whole seconds, and the split is one of "
                f"{', '.join(_SPLITS)}; correct it."
            )
        name = f"{its['youtube_id']}_{int(seconds[0]):06d}_{int(seconds[1]):06d}"
        folders = (its["label"], its["label"].replace(" ", "_"))
        stems = [f"{folder}/{name}" for folder in folders]
        stems = [f"{its['split']}/{stem}" for stem in stems] + stems + [name]
        yield _Clip(name, tuple(stems), its["label"], _SPLITS[its["split"]])
