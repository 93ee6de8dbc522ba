"""CREMA-D: 7442 clips of 91 actors who speak 12 sentences in 6 emotions; the class is the emotion.

The lists are those of MMCosine's release, `train.csv` and `test.csv` with lines `clip_id,LABEL`
(6698 and 744 clips). **All 91 actors are in both**, so their test measures emotions of known
speakers; with `--speaker_disjoint` (which needs `VideoDemographics.csv` of the official repository)
no actor is in two splits.

`--root` holds `AudioWAV/<clip>.wav`, and the pictures in `image/<clip>.jpg` (one frame a clip), or
`Image-01-FPS/<clip>/*.jpg`, or `VideoFlash/<clip>.flv`, the first of these that is there.

Class order: ANG, DIS, FEA, HAP, NEU, SAD, sorted, as MMCosine has it. OGM-GE, which shares the
lists, has that of `stat.csv` (NEU, HAP, SAD, FEA, DIS, ANG): name that file in `--split_csv` too.
"""

import glob
import os
import re
from typing import Any

from absl import logging

from tfav import registry
from tfav.data.prepare import csv_files, manifest
from tfav.data.prepare.sources import parts

NAME = "crema_d"
FOLDS = 5  # of the speaker-disjoint split: each tests a fifth of the actors
_FILES = {
    "train": "train.csv",
    "test": "test.csv",
    "stat": "stat.csv",
    "demographics": "VideoDemographics.csv",
}
_CLIP = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z]{1,2}")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a clip; the further columns are `actor`, and `gender` when it is known.

    `--val_fraction` holds that share of the actors of each sex out of `train`, as `val`.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    kinds = ("AudioWAV", "VideoFlash")
    root = parts.folder(options.root, NAME, "root", kinds)
    pictures = [
        name
        for name in ("image", *_frame_folders(root), "VideoFlash")
        if os.path.isdir(os.path.join(root, name))
    ]
    if not pictures:
        raise registry.UserError(
            f"--root={root} holds no image, Image-01-FPS or VideoFlash: put the faces there."
        )
    files = _lists(options, root)
    clips = {split: _read_list(files[split]) for split in ("train", "test")}
    labels = clips["train"] | clips["test"]
    twice = sorted(set(clips["train"]) & set(clips["test"]))
    if twice:
        raise registry.UserError(
            f"{twice[0]!r} is in both {files['train']} and {files['test']}: correct the lists."
        )
    actors = {clip: clip.split("_")[0] for clip in labels}
    gender = _genders(files["demographics"]) if "demographics" in files else {}
    unknown = sorted(set(actors.values()) - set(gender))
    if gender and unknown:
        raise registry.UserError(f"{files['demographics']} lacks actor {unknown[0]}: correct it.")
    if options.split_number != 1 and not options.speaker_disjoint:
        raise registry.UserError(
            f"--split_number={options.split_number} needs --speaker_disjoint: the official split "
            "is one."
        )
    if options.speaker_disjoint:
        testing = _testing(options, gender, set(actors.values()))
        split = {clip: "test" if actors[clip] in testing else "train" for clip in labels}
    else:
        split = {clip: name for name in clips for clip in clips[name]}
    training = {actors[clip] for clip in labels if split[clip] == "train"}
    held_out = parts.carve({actor: gender.get(actor, "") for actor in training}, options)
    _warn(training - held_out, {actors[clip] for clip in labels if split[clip] == "test"})
    carried = parts.columns(options, ("actor", "gender") if gender else ("actor",), NAME)
    found = []
    for clip, label in labels.items():
        extra = {"actor": actors[clip], "gender": gender.get(actors[clip], "")}
        found.append(
            manifest.Row(
                id=clip,
                split="val" if split[clip] == "train" and actors[clip] in held_out else split[clip],
                label=label,
                extra={name: extra[name] for name in carried},
                **_media(root, clip, pictures[0]),
            )
        )
    return parts.ordered(found, _classes(files, set(labels.values())))


def _frame_folders(root: str) -> list[str]:
    """Returns the folders of frames that OGM-GE's preparation makes, slowest rate first."""
    return sorted(map(os.path.basename, glob.glob(os.path.join(glob.escape(root), "Image-*-FPS"))))


def _media(root: str, clip: str, pictures: str) -> dict[str, Any]:
    """Returns the row's files; the video as well where it is there, for what is derived of it."""
    media: dict[str, Any] = {}
    if os.path.isdir(os.path.join(root, "AudioWAV")):
        media["audio"] = parts.file(os.path.join(root, "AudioWAV", clip), "audio", ".wav")
    if pictures != "VideoFlash":
        place = os.path.join(root, pictures, clip)
        media["image"] = parts.file(place, "image", ".jpg") if pictures == "image" else place
    video = parts.file(os.path.join(root, "VideoFlash", clip), "video", ".flv")
    if len(media) < 2 or os.path.isfile(video):
        media["video"] = video
    return media


def _lists(options: manifest.Options, root: str) -> dict[str, str]:
    """Returns the lists that are given or lie in `root`, by what they are."""
    found = {}
    for path in options.split_csv:
        kinds = [kind for kind in _FILES if kind in os.path.basename(path).lower()]
        if len(kinds) != 1 or kinds[0] in found:
            raise registry.UserError(
                f"--split_csv={path}: give one file each whose name holds train, test, stat or "
                "VideoDemographics."
            )
        found[kinds[0]] = path
    for kind in ("train", "test", "demographics"):
        path = os.path.join(root, _FILES[kind])
        if kind not in found and os.path.exists(path):
            found[kind] = path
    for kind in ("train", "test"):
        if kind not in found:
            raise registry.UserError(
                f"--source={NAME} needs --split_csv=train.csv,test.csv (MMCosine's lists), or "
                f"both in --root={root}: {kind}.csv is missing."
            )
    return found


def _read_list(path: str) -> dict[str, str]:
    """Reads lines `clip_id,LABEL`: clip to label, in order."""
    labels = {}
    for number, line in parts.read_lines(path):
        clip, _, label = map(str.strip, line.partition(","))
        match = _CLIP.fullmatch(clip)
        if not match or match[2] != label or clip in labels:
            raise registry.UserError(
                f"{path} line {number} is {line!r}: each line names a clip once, with its emotion, "
                "as in 1041_TIE_NEU_XX,NEU."
            )
        labels[clip] = label
    return labels


def _genders(path: str) -> dict[str, str]:
    lines = csv_files.read(path, ("ActorID", "Sex"))
    genders = {cells["ActorID"]: cells["Sex"][:1].lower() for _, cells in lines}
    for number, cells in lines:
        if genders[cells["ActorID"]] not in ("f", "m"):
            raise registry.UserError(
                f"{path} line {number}: Sex is {cells['Sex']!r}: use Female or Male."
            )
    return genders


def _testing(options: manifest.Options, gender: dict[str, str], actors: set[str]) -> set[str]:
    """Returns the actors of the test part of a speaker-disjoint split, a fifth of each sex."""
    if not gender:
        raise registry.UserError(
            "--speaker_disjoint needs VideoDemographics.csv of the official CREMA-D repository: "
            "name it in --split_csv or put it in --root."
        )
    first = parts.fold(options, FOLDS) - 1
    strata = parts.shuffled({actor: gender[actor] for actor in actors}, options.seed)
    return {actor for members in strata.values() for actor in members[first::FOLDS]}


def _warn(training: set[str], testing: set[str]) -> None:
    shared = training & testing
    if shared:
        logging.warning(
            "%s: %d of the %d actors of test are in train too, so the test measures emotions of "
            "known speakers: --speaker_disjoint keeps them apart",
            NAME,
            len(shared),
            len(testing),
        )


def _classes(files: dict[str, str], labels: set[str]) -> list[str]:
    if "stat" not in files:
        return sorted(labels)
    classes = [line for _, line in parts.read_lines(files["stat"])]
    missing = sorted(labels - set(classes))
    if missing:
        raise registry.UserError(f"{files['stat']} lacks the class {missing[0]!r}: add it.")
    return classes
