"""Damaged media files, all of a kind at once, through prepare, embed and `tfav.load`.

What is used must be what is there. A file that was cut gives the beginning of what it held; one
that has a checksum (FLAC, PNG) gives what it held; of the others, which nothing can check, no more
is asked than that nothing is left out: as long, or as large, as another reader finds them.
"""

import io
import os
import pathlib
import random
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image

from tests.cases import waves
from tests.hostile import REFUSAL, RIGHT, SILENT, Attempt, damage, place
from tfav.data import shards
from tfav.data.input import reader
from tfav.media import formats

_CHECKED = (".flac", ".png")
_LEAST_SHARE = 0.8  # of what a cut file holds: the last block goes with its end
_SAME_SHARE = 0.95  # codecs fill their last frame
_MOST_DIFFERENCE = 12.0  # of 255, in the mean, of an image that was encoded anew
_ODD = (
    "a b",
    "ä",
    "a'b",
    'a"b',
    "-x",
    "a%d{}",
    "a#b",
    "a;b",
    "a\tb",
    "a\nb",
    "a,b",
    "é\u0301",
    "*?",
)


class File(NamedTuple):
    """A bad file.

    Attributes:
      path: of it.
      suffix: of what it is, whatever it is called.
      content: that was intact.
      share: of `content` that is left.
    """

    path: pathlib.Path
    suffix: str
    content: bytes
    share: float


def _sound(suffix: str) -> bytes:
    file = io.BytesIO()
    kinds = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
    soundfile.write(file, waves.voice(seconds=2.0), waves.RATE_HZ, format=kinds[suffix])
    return file.getvalue()


def _image(suffix: str) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, [6, 5, 3], np.uint8)
    image = Image.fromarray(coarse).resize((90, 120), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, {".jpg": "JPEG"}.get(suffix, suffix[1:].upper()))
    return file.getvalue()


SOUNDS, IMAGES = (".wav", ".flac", ".ogg", ".mp3"), (".jpg", ".png", ".webp", ".bmp", ".gif")


def write_intact(folder: pathlib.Path) -> None:
    """Writes a recording and an image for the doors of artefacts."""
    folder.mkdir()
    (folder / "voice.wav").write_bytes(_sound(".wav"))
    (folder / "face.png").write_bytes(_image(".png"))


def _damaged(change: Callable) -> Callable:
    def make(folder: pathlib.Path, number: int, draw: random.Random) -> File:
        suffix = draw.choice([*SOUNDS, *IMAGES])
        intact = (_sound if suffix in SOUNDS else _image)(suffix)
        content = change(intact, draw)
        path = folder / f"{number}{suffix}"
        path.write_bytes(content)
        return File(path, suffix, intact, len(content) / len(intact))

    return make


def _odd_name(folder: pathlib.Path, number: int, draw: random.Random) -> File:
    suffix = draw.choice([".wav", ".png"])
    intact = (_sound if suffix in SOUNDS else _image)(suffix)
    name = draw.choice([*_ODD, "x" * 240, "caf\udce9"])
    below = folder / str(number)
    below.mkdir()
    path = below / f"{name}{suffix}"
    path.write_bytes(intact)
    return File(path, suffix, intact, 1.0)


def _wrong_suffix(folder: pathlib.Path, number: int, draw: random.Random) -> File:
    suffix = draw.choice([*SOUNDS, *IMAGES])
    intact = (_sound if suffix in SOUNDS else _image)(suffix)
    path = folder / f"{number}{draw.choice([x for x in (*SOUNDS, *IMAGES) if x != suffix])}"
    path.write_bytes(intact)
    return File(path, suffix, intact, 1.0)


MAKERS = {
    **{name: _damaged(change) for name, change in damage.OF_MEDIA.items()},
    "odd name": _odd_name,
    "wrong suffix": _wrong_suffix,
}


def attempts(its: place.Place, name: str, count: int, seed: int) -> list[Attempt]:
    """Makes files of a kind and brings them to each door."""
    draw = place.draw_of(seed, name)
    folder = its.folder / f"media {name}"
    folder.mkdir()
    made = [MAKERS[name](folder, number, draw) for number in range(count)]
    kind = f"media: {name}"
    return [
        *_prepared(its, kind, made, folder),
        *_embedded(its, kind, made, folder, "embed"),
        *_embedded(its, kind, made[: max(2, count // 8)], folder, "tfav.load"),
    ]


def _prepared(its, kind, made, folder) -> list[Attempt]:
    # A manifest is text: a name that is none cannot stand in it.
    made = [file for file in made if not any("\ud800" <= c <= "\udfff" for c in file.path.name)]
    output = pathlib.Path(f"{folder}-set")
    rows = [("good", "train", "x", str(its.media / "voice.wav"))]
    rows += [(str(k), "train", "x", os.fspath(file.path)) for k, file in enumerate(made)]
    told = pathlib.Path(f"{folder}.csv")
    lines = ["id,split,label,audio,image"]
    for number, split, label, path in rows:
        cell = '"{}"'.format(path.replace('"', '""'))
        audio = formats.modality(os.path.basename(path)) == "audio"
        lines.append(f"{number},{split},{label},{cell if audio else ''},{'' if audio else cell}")
    told.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    flags = (f"--manifest={told}", f"--output={output}", "--max_bad_fraction=1", "--lists=none")
    done = its.command("prepare", *flags)
    outcome, said = place.ended(done)
    if outcome:  # of all of them at once
        return [Attempt(kind, "prepare", file.path.name, outcome, said) for file in made]
    bad = (output / "bad_rows.csv").read_text(encoding="utf-8")
    checked = its.command("prepare", *flags, "--check")
    outcome, said = place.ended(checked)
    if outcome is None:  # it finds what prepare finds
        same = pathlib.Path(f"{output}-bad_rows.csv").read_text(encoding="utf-8") == bad
        outcome, said = (RIGHT, "") if same else (SILENT, "other bad rows than prepare has")
    index = shards.Index.read(str(output))
    rows_of = {name: row for row, name in enumerate(index.id.tolist())}
    rows = reader.Reader(index)
    found = [Attempt(kind, "prepare --check", file.path.name, outcome, said) for file in made]
    for number, file in enumerate(made):
        what = f"{file.path.name} ({file.suffix})"
        row = rows_of.get(str(number))
        if row is None:
            reason = re.search(rf"^{number},.*$", bad, re.MULTILINE)
            outcome, said = (REFUSAL, reason[0]) if reason else (SILENT, "left out without a word")
        elif index.num_samples[row]:
            pcm = reader.decode_audio(rows.read(tf.constant(row), ("audio",))["audio"][0]).numpy()
            outcome, said = _check_sound(kind, file, pcm)
        else:
            jpeg = rows.read(tf.constant(row), ("image",))["image"][0]
            outcome, said = _check_image(kind, file, tf.io.decode_jpeg(jpeg).numpy())
        found.append(Attempt(kind, "prepare", what, outcome, said))
    return found


def _embedded(its, kind, made, folder, door) -> list[Attempt]:
    """Compares embeddings with those of what prepare made: the table asks for no second truth."""
    found = []
    if door == "tfav.load":
        for number, file in enumerate(made):
            output = pathlib.Path(f"{folder}-{number}.npz")
            done = its.command("load", its.run, output, file.path)
            outcome, said = place.ended(done)
            if outcome is None:
                outcome = RIGHT if place.arrays(output) else SILENT
            found.append(Attempt(kind, door, file.path.name, outcome, said))
        return found
    output = pathlib.Path(f"{folder}.npz")
    flags = (f"--inputs={folder},{its.media}", f"--output={output}", "--max_bad_fraction=1")
    done = its.command("embed", f"--model={its.run}", *flags)
    outcome, said = place.ended(done)
    arrays = {} if outcome else place.arrays(output)
    names = {n for m in ("audio", "image") for n in arrays.get(f"{m}_id", np.array([])).tolist()}
    for file in made:
        name = os.path.relpath(file.path, folder)
        shown = os.fspath(file.path).encode("utf-8", "backslashreplace").decode()
        result, words = outcome, said
        if result is None and f"left out {shown}: " in done.stdout:
            result, words = REFUSAL, "left out"
        elif result is None:
            result, words = (RIGHT, "") if name in names else (SILENT, "left out without a word")
        found.append(Attempt(kind, door, file.path.name, result, words))
    return found


def _check_sound(kind: str, file: File, found: np.ndarray) -> tuple[str, str]:
    right, rate = soundfile.read(io.BytesIO(file.content), dtype="float32")
    assert rate == waves.RATE_HZ
    told = f"{len(found)} of {len(right)} samples"
    if kind.endswith("cut"):
        least = (file.share - 1 + _LEAST_SHARE) * len(right)
        whole = len(found) >= min(least, _other_length(file.path))
        near = np.abs(found[: len(right)] - right[: len(found)]).mean() < 0.02
        return (RIGHT, "") if whole and near else (SILENT, told)
    if len(found) == len(right) and np.abs(found - right).max() < 1e-3:
        return RIGHT, ""
    if file.suffix in _CHECKED and "header" not in kind:
        return SILENT, f"{told}, of other values"
    lengths = [len(right), _other_length(file.path)]
    same = any(_SAME_SHARE * n <= len(found) <= n / _SAME_SHARE for n in lengths)
    return (RIGHT, "") if same else (SILENT, f"{told}; FFmpeg finds {lengths[1]}")


def _other_length(path: pathlib.Path) -> int:
    """Returns how many samples at 16 kHz FFmpeg finds; 0: it cannot read the file."""
    import av

    count = 0.0
    try:
        with av.open(os.fspath(path)) as file:
            for frame in file.decode(audio=0):
                count += frame.samples * waves.RATE_HZ / frame.sample_rate
    except (av.error.FFmpegError, IndexError, ValueError):
        pass
    return round(count)


def _check_image(kind: str, file: File, found: np.ndarray) -> tuple[str, str]:
    right = Image.open(io.BytesIO(file.content)).convert("RGB")
    if _near(right, found):
        return RIGHT, ""
    if kind.endswith("cut") or file.suffix in _CHECKED:
        return SILENT, "the image is another"
    try:
        other = tf.io.decode_image(file.path.read_bytes(), 3, expand_animations=False).numpy()
        same = _near(Image.fromarray(other), found)
    except (tf.errors.InvalidArgumentError, TypeError):  # WebP, or one that it refuses
        same = found.shape[:2] == (right.height, right.width)
    return (RIGHT, "") if same else (SILENT, f"{found.shape[:2]}")


def _near(image: Image.Image, found: np.ndarray) -> bool:
    height, width = found.shape[:2]
    if abs(image.width / image.height - width / height) > 0.2 * width / height:
        return False
    pixels = np.asarray(image.resize((width, height)).convert("RGB")).astype(int)
    return np.abs(pixels - found).mean() < _MOST_DIFFERENCE
