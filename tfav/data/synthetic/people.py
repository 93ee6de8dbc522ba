"""A corpus of invented people, for the demo and the tests: WAV and JPEG files that are of nobody.

Every identity has one latent vector that drives both how it speaks and how it looks, so a model
that learns the association on some people can match others it has never met, also within a gender.
"""

import csv
import dataclasses
import io
import os
import pathlib
import shutil
from typing import Any

import numpy as np
import soundfile

from tfav import registry
from tfav.data.synthetic import face, voice
from tfav.progress import bar

# What each number of the latent vector moves: in the voice, in the face.
# Five, not more: 140 training people cover a space of five dimensions well enough to interpolate.
LATENTS = {
    "size": "pitch and length of the vocal tract; width and length of the face",
    "breath": "breathiness; tone of the skin",
    "tempo": "syllables a second; colour of the hair",
    "diction": "legato or staccato, pitch of the fricatives; mouth, brows and hairline",
    "spread": "how far vowels lie apart; distance, size and colour of the eyes",
}
HEADER = ("VoxCeleb1_ID", "VGGFace1_ID", "Gender", "Nationality", "Set")
_SETS = {"train": "dev", "val": "val", "test": "test"}  # the Set column's words for our splits
# Same-gender lists need two of each gender in every split: three splits, two genders, two people.
_MIN_IDENTITIES = 12
_GIVEN_NAMES = {
    "m": ("Aldo", "Bruno", "Davor", "Emeric", "Falko", "Gorim", "Halvar", "Joram", "Keld"),
    "f": ("Alva", "Briska", "Dorka", "Elmira", "Fenna", "Gilda", "Hedda", "Jola", "Kirsa"),
}
_SYLLABLES = ("bel", "cor", "dal", "fen", "gar", "hol", "lin", "mar", "pel", "ros", "sil", "tar")
_ENDINGS = ("ander", "ett", "ic", "man", "ova", "sen", "strom", "wick")


@dataclasses.dataclass(frozen=True)
class Person:
    """One identity: everything about it follows from (seed, index)."""

    index: int
    voice_id: str  # the VoxCeleb1_ID, name of the folder under wav/
    face_id: str  # the VGGFace1_ID, name of the folder under faces/
    gender: str  # "m" or "f"
    latent: np.ndarray  # [5] in [-1, 1], in the order of LATENTS


def person(seed: int, index: int) -> Person:
    """Returns identity `index` of the corpus of `seed`, however many there are."""
    gender = "mf"[index % 2]
    latent = _generator(seed, index, 0, 0).uniform(-1, 1, len(LATENTS))
    return Person(index, f"id{10001 + index}", _name(gender, index // 2), gender, latent)


def _name(gender: str, couple: int) -> str:
    """Returns `Given_Surname`, unlike that of any other couple."""
    rest, first = divmod(couple, len(_SYLLABLES))
    rest, second = divmod(rest, len(_SYLLABLES))
    number, third = divmod(rest, len(_ENDINGS))
    # Every digit also moves the later ones, so that neighbours in the list sound unlike.
    surname = _SYLLABLES[first] + _SYLLABLES[(second + 3 * first + 5) % len(_SYLLABLES)]
    surname += _ENDINGS[(third + first + second) % len(_ENDINGS)] + (str(number) if number else "")
    given = _GIVEN_NAMES[gender]
    return f"{given[couple % len(given)]}_{surname.capitalize()}"


def write_corpus(
    root: str | os.PathLike,
    *,
    num_identities: int = 200,
    seed: int = 0,
    utterances: int = 5,
    images: int = 5,
    seconds: float = 3.0,
    image_size: int = 112,
    progress: bool = True,
) -> dict[str, Any]:
    """Writes the corpus in the layout of VoxCeleb1 and VGGFace: same arguments, same bytes.

    `root/wav/<VoxCeleb1_ID>/<video>/<utterance>.wav` (16 kHz mono PCM16),
    `root/faces/<VGGFace1_ID>/<image>.jpg`, and `root/lists/{train,val,test}.csv` with the columns
    of the official split files. Identities of the three lists are disjoint, about 70, 10 and 20 %,
    each with as many women as men.

    Args:
      root: a folder that does not exist yet or is empty.
      num_identities: people in all three splits, an even number, at least 12.
      seed: chooses the people and everything that differs between their files.
      utterances: WAV files an identity.
      images: JPEG files an identity.
      seconds: length of each utterance.
      image_size: width and height of each image in pixels.
      progress: draws a progress bar when standard error is a terminal.

    Returns:
      `root`, `identities` (split to count), `audio` and `image` (numbers of files).

    Raises:
      UserError: a root that holds something, a number out of range, or a disk that is full.
    """
    root = pathlib.Path(root).absolute()
    _check(num_identities, seed, utterances, images, seconds, image_size)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise registry.UserError(
            f"{root} is not an empty folder: delete it or name another for the synthetic corpus."
        )
    # Written beside its place and renamed, so a corpus that is there is a whole one.
    staging = root.with_name(f".{root.name}.partial-{os.getpid()}")
    splits = split_people(num_identities, seed)
    everyone = [p for members in splits.values() for p in members]
    try:
        staging.mkdir(parents=True)
        _write_lists(staging / "lists", splits)
        silent = None if progress else True  # None: silent unless standard error is a terminal
        for someone in bar(everyone, desc="synthetic people", disable=silent):
            _write_person(staging, someone, seed, utterances, images, seconds, image_size)
        if root.exists():
            root.rmdir()
        staging.rename(root)
    except OSError as error:
        raise registry.UserError(
            f"{root}: the synthetic corpus could not be written ({error}): correct that or name "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {
        "root": str(root),
        "identities": {split: len(members) for split, members in splits.items()},
        "audio": num_identities * utterances,
        "image": num_identities * images,
    }


def split_people(num_identities: int, seed: int) -> dict[str, list[Person]]:
    """Returns the people of train, val and test: about 70, 10 and 20 %, in couples."""
    couples = num_identities // 2
    num_val, num_test = max(2, round(0.1 * couples)), max(2, round(0.2 * couples))
    edges = np.cumsum([0, couples - num_val - num_test, num_val, num_test]) * 2
    return {
        split: [person(seed, index) for index in range(start, stop)]
        for split, start, stop in zip(_SETS, edges[:-1], edges[1:])
    }


def _check(
    num_identities: int, seed: int, utterances: int, images: int, seconds: float, image_size: int
) -> None:
    if num_identities < _MIN_IDENTITIES or num_identities % 2:
        raise registry.UserError(
            f"--identities={num_identities}: give an even number of at least {_MIN_IDENTITIES}, "
            "so that train, val and test each hold two women and two men."
        )
    for name, value, least in (
        ("seed", seed, 0),
        ("utterances", utterances, 1),
        ("images", images, 1),
        ("seconds", seconds, 0.5),
        ("image_size", image_size, 32),
    ):
        if not value >= least:
            raise registry.UserError(
                f"{name}={value}: give at least {least} for the synthetic corpus."
            )


def _generator(seed: int, index: int, kind: int, file: int) -> np.random.Generator:
    """A stream of its own for each file: no file depends on how many came before it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, kind, file)))


def _write_person(
    root: pathlib.Path,
    someone: Person,
    seed: int,
    utterances: int,
    images: int,
    seconds: float,
    image_size: int,
) -> None:
    female = someone.gender == "f"
    manner = voice.manner(female, someone.latent)
    looks = face.looks(female, someone.latent)
    for number in range(utterances):
        folder = (
            root / "wav" / someone.voice_id / f"video{number // 2 + 1:02d}"
        )  # two from each recording
        folder.mkdir(parents=True, exist_ok=True)
        wave = voice.speak(manner, _generator(seed, someone.index, 1, number), seconds)
        file = io.BytesIO()  # a full disk ends soundfile in an assertion and not in an OSError
        soundfile.write(file, wave, voice.SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
        (folder / f"{number + 1:05d}.wav").write_bytes(file.getvalue())
    folder = root / "faces" / someone.face_id
    folder.mkdir(parents=True)
    for number in range(images):
        picture = face.portrait(looks, _generator(seed, someone.index, 2, number), image_size)
        picture.save(folder / f"{number + 1:04d}.jpg", quality=92)


def _write_lists(folder: pathlib.Path, splits: dict[str, list[Person]]) -> None:
    folder.mkdir()
    for split, members in splits.items():
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(
                [p.voice_id, p.face_id, p.gender, "nowhere", _SETS[split]] for p in members
            )
