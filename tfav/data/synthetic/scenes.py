"""A corpus of invented scenes: pictures of several toys, and the sounds of those that play.

To learn from without labels what belongs together, and where a sound comes from. A kind of toy has
a shape, a colour and a timbre. Its place, size, brightness and shade, its pitch, level and moments,
what is behind it and which others stand beside it say nothing of its kind. In `train`, `val` and
`test` every toy in the picture plays, in turns. In `solo` one of them does and the others are
silent, so that only the sound tells which region is the right one. In `mixed` every other scene is
one of `solo`, and in the rest nothing in the picture sounds: it is silent, there is noise, or a toy
plays that is not in the picture.
"""

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import soundfile
from PIL import Image

from tfav import registry
from tfav.annotations.boxes import NOTHING
from tfav.data.synthetic import toys
from tfav.data.synthetic.toys import KINDS, SAMPLE_RATE_HZ, SECONDS

SCENES = {"train": 1200, "val": 150, "test": 200, "solo": 200, "mixed": 200}
ABSENT = SILENCE, NOISE, OFF_SCREEN = ("silence", "noise", "off-screen")
IMAGE_SIZE = 64
MANIFEST = "manifest.csv"
HEADER = ("id", "split", "label", "audio", "image", "objects", "kinds")

_NUM_TOYS = (2, 3)  # in a picture, fewest and most
_SIDE = (16, 24)  # of a toy, in pixels, shortest and longest
_LUMA = (100, 150)  # of any toy: with this much chroma no primary leaves 0..255
_CHROMA = (35.0, 50.0)
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is where, and what of it plays.

    Attributes:
      kinds: [N] of KINDS, by number, no two alike.
      boxes: [N].
      num_playing: the first so many play.
      absent: One of `ABSENT`, what is heard where none of them plays; empty where one does.
    """

    kinds: tuple[int, ...]
    boxes: tuple[Box, ...]
    num_playing: int
    absent: str = ""


def arrange(split: str, rng: np.random.Generator, number_of_split: int = 0) -> Scene:
    """Returns one scene: toys of different kinds, none before another.

    Args:
      split: says how many of them play.
      rng: draws everything else.
      number_of_split: of the scene within its split, of which `mixed` takes turns.
    """
    number = int(rng.integers(_NUM_TOYS[0], _NUM_TOYS[1] + 1))
    kinds = tuple(rng.permutation(len(KINDS))[:number].tolist())
    while True:
        side = rng.integers(_SIDE[0], _SIDE[1] + 1, number)
        left, top = rng.integers(1, IMAGE_SIZE - side, (2, number))
        boxes = tuple(zip(*(v.tolist() for v in (left, top, left + side, top + side))))
        if all(_apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
            if split == "mixed" and number_of_split % 2:
                return Scene(kinds, boxes, 0, ABSENT[number_of_split // 2 % len(ABSENT)])
            return Scene(kinds, boxes, 1 if split in ("solo", "mixed") else number)


def _apart(a: Box, b: Box) -> bool:
    gap = 2
    return a[2] + gap <= b[0] or b[2] + gap <= a[0] or a[3] + gap <= b[1] or b[3] + gap <= a[1]


def paint(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Returns the picture: toys of any brightness on a cloth of any."""
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] / IMAGE_SIZE - 0.5
    slope_x, slope_y = rng.uniform(-50, 50, 2)
    folds = np.kron(rng.normal(0, 8, (8, 8)), np.ones((IMAGE_SIZE // 8, IMAGE_SIZE // 8)))
    luma = rng.uniform(70, 180) + slope_x * x + slope_y * y + folds
    picture = _colours(luma, rng.uniform(0, 2 * np.pi), rng.uniform(0, 15))
    for kind, (left, top, right, bottom) in zip(scene.kinds, scene.boxes):
        side = right - left
        down, across = 2 * (np.mgrid[:side, :side] + 0.5) / side - 1
        angle = 2 * np.pi * (kind + rng.uniform(-0.2, 0.2)) / len(KINDS)
        colour = _colours(rng.uniform(*_LUMA), angle, rng.uniform(*_CHROMA))
        picture[top:bottom, left:right][KINDS[kind].inside(across, down)] = colour
    picture += rng.normal(0, 8, picture.shape)
    return Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))


def _colours(luma: np.ndarray | float, angle: float, chroma: float) -> np.ndarray:
    """Returns RGB [..., 3] of JPEG's luma and a chroma that leaves the luma as it is."""
    blue, red = chroma * np.cos(angle), chroma * np.sin(angle)
    shift = (1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue)
    return np.asarray(luma, np.float64)[..., None] + np.array(shift)


def sound(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Returns what is heard of a scene, [T] int16."""
    if scene.absent == OFF_SCREEN:
        others = [kind for kind in range(len(KINDS)) if kind not in scene.kinds]
        return toys.play([others[rng.integers(len(others))]], rng)
    if not scene.absent:
        return toys.play(scene.kinds[: scene.num_playing], rng)
    num_samples = round(SAMPLE_RATE_HZ * SECONDS)
    if scene.absent == SILENCE:  # a quiet room: files of zeros are refused
        wave = 10 ** (rng.uniform(-66, -60) / 20) * toys.hiss(num_samples, rng)
    else:
        wave = 10 ** (rng.uniform(-26, -18) / 20) * rng.standard_normal(num_samples)
    return np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)


def write_corpus(
    root: str | os.PathLike, *, seed: int = 0, num_scenes: Mapping[str, int] = SCENES
) -> list[dict[str, str]]:
    """Writes the corpus: same seed, same bytes.

    `root/sounds/<id>.wav` (16 kHz mono PCM16), `root/pictures/<id>.jpg` and `root/manifest.csv`, a
    row for each scene, with the columns of `HEADER`: `label` names the kinds that play, or what is
    heard instead, `objects` is where they are (`boxes.read`), `kinds` are all in the picture.

    Args:
      root: a folder, made if absent.
      seed: chooses everything.
      num_scenes: by split.

    Returns:
      the rows of the manifest.

    Raises:
      UserError: a negative seed.
      OSError: a disk that is full.
    """
    if seed < 0:
        raise registry.UserError(f"seed={seed}: give at least 0 for the synthetic corpus.")
    root = pathlib.Path(root)
    for folder in ("sounds", "pictures"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows = [
        _write_scene(root, split, number, seed)
        for split, count in num_scenes.items()
        for number in range(count)
    ]
    with open(root / MANIFEST, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def scene(seed: int, split: str, number: int) -> tuple[Scene, np.ndarray, Image.Image]:
    """Returns a scene of the corpus, its sound and its picture, however many others there are."""
    streams = np.random.SeedSequence(seed, spawn_key=(list(SCENES).index(split), number)).spawn(3)
    what, heard, sight = map(np.random.default_rng, streams)
    found = arrange(split, what, number)
    return found, sound(found, heard), paint(found, sight)


def _write_scene(root: pathlib.Path, split: str, number: int, seed: int) -> dict[str, str]:
    name = f"{split}_{number:05d}"
    found, wave, picture = scene(seed, split, number)
    heard, sight = f"sounds/{name}.wav", f"pictures/{name}.jpg"
    file = io.BytesIO()  # a full disk ends soundfile in an assertion and not in an OSError
    soundfile.write(file, wave, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    (root / heard).write_bytes(file.getvalue())
    picture.save(root / sight, quality=92)
    playing = slice(found.num_playing)
    label = "+".join(sorted(KINDS[kind].name for kind in found.kinds[playing]))
    objects = "; ".join(
        " ".join(f"{edge / IMAGE_SIZE:g}" for edge in box) for box in found.boxes[playing]
    )
    if found.absent:
        label, objects = found.absent, f"{NOTHING} {found.absent}"
    kinds = "+".join(sorted(KINDS[kind].name for kind in found.kinds))
    return dict(zip(HEADER, (name, split, label, heard, sight, objects, kinds)))
