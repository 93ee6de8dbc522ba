"""A corpus of invented scenes: pictures of several toys, and the sounds of those that play.

To learn from without labels what belongs together, and where a sound comes from. A kind of toy has
a shape, a colour and a timbre. Its place, size, brightness and shade, its pitch, level and moments,
what is behind it and which others stand beside it say nothing of its kind. In `train`, `val` and
`test` every toy in the picture plays, in turns. In `solo` one of them does and the others are
silent, so that only the sound tells which region is the right one.
"""

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import soundfile
from PIL import Image
from scipy import fft

from tfav import registry

SCENES = {"train": 1200, "val": 150, "test": 200, "solo": 200}
SAMPLE_RATE_HZ = 16_000
SECONDS = 1.8
IMAGE_SIZE = 64
MANIFEST = "manifest.csv"
HEADER = ("id", "split", "label", "audio", "image", "boxes", "kinds")

_NUM_TOYS = (2, 3)  # in a picture, fewest and most
_SIDE = (16, 24)  # of a toy, in pixels, shortest and longest
_LUMA = (100, 150)  # of any toy: with this much chroma no primary leaves 0..255
_CHROMA = (35.0, 50.0)
_TURNS = 6  # in a sound; each toy takes some of them
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclasses.dataclass(frozen=True)
class Kind:
    """What all toys of a kind share.

    Attributes:
      name: of the kind.
      inside: says of x and y in [-1, 1] whether the toy is there; y points down.
      pitch_hz: of its lowest partial.
      partials: multiples of it; the amplitude of the n-th is 1 / n.
      glide: octaves from the start of a call to its end.
      noise: amplitude of the hiss beside the partials.
      decay: of a call, e-folds a second.
      flutter_hz: at which its loudness trembles; 0: it does not.
    """

    name: str
    inside: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pitch_hz: float
    partials: tuple[float, ...]
    glide: float = 0.0
    noise: float = 0.0
    decay: float = 0.0
    flutter_hz: float = 0.0


KINDS = (
    Kind("bell", lambda x, y: x**2 + y**2 < 1, 1100, (1, 2.76, 5.4), decay=7),
    Kind("drum", lambda x, y: abs(x) + abs(y) < 1, 110, (1, 1.59, 2.14), -0.6, 0.2, decay=12),
    Kind("whistle", lambda x, y: np.maximum(abs(x), abs(y)) < 1, 2400, (1,)),
    Kind("horn", lambda x, y: abs(x) < (1 + y) / 2, 300, (1, 2, 3, 4)),
    Kind("siren", lambda x, y: (x**2 + y**2 > 0.2) & (x**2 + y**2 < 1), 650, (1, 3), glide=1.0),
    Kind("buzzer", lambda x, y: np.minimum(abs(x), abs(y)) < 0.4, 160, (1, 3, 5, 7, 9, 11, 13)),
    Kind("rattle", lambda x, y: abs(x) < abs(y), 5000, (1,), noise=8.0, flutter_hz=25),
    Kind("bird", lambda x, y: x**2 + (y + 1) ** 2 / 4 < 1, 4200, (1,), -0.7, flutter_hz=12),
)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is where, and what of it plays.

    Attributes:
      kinds: [N] of KINDS, by number, no two alike.
      boxes: [N].
      num_playing: the first so many play.
    """

    kinds: tuple[int, ...]
    boxes: tuple[Box, ...]
    num_playing: int


def arrange(split: str, rng: np.random.Generator) -> Scene:
    """Returns one scene: toys of different kinds, none before another."""
    number = int(rng.integers(_NUM_TOYS[0], _NUM_TOYS[1] + 1))
    kinds = tuple(rng.permutation(len(KINDS))[:number].tolist())
    while True:
        side = rng.integers(_SIDE[0], _SIDE[1] + 1, number)
        left, top = rng.integers(1, IMAGE_SIZE - side, (2, number))
        boxes = tuple(zip(*(v.tolist() for v in (left, top, left + side, top + side))))
        if all(_apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
            return Scene(kinds, boxes, 1 if split == "solo" else number)


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


def play(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Returns the sound, [T] int16: the toys in turns that overlap a little, in soft noise.

    A toy alone takes as many turns as one of two.
    """
    num_samples = round(SAMPLE_RATE_HZ * SECONDS)
    turns = rng.permutation(_TURNS)
    each = _TURNS // max(2, len(kinds))
    wave = np.zeros(num_samples)
    for place, kind in enumerate(kinds):
        level = 10 ** (rng.uniform(-4, 4) / 20)
        semitones = rng.uniform(-1, 1)
        for turn in turns[place * each : (place + 1) * each]:
            length = round(SAMPLE_RATE_HZ * rng.uniform(0.2, 0.36))
            start = round(num_samples * turn / _TURNS + SAMPLE_RATE_HZ * rng.uniform(0, 0.08))
            call = level * _call(KINDS[kind], semitones, length, rng)[: num_samples - start]
            wave[start : start + len(call)] += call
    wave /= np.sqrt(np.mean(wave**2))
    wave += 10 ** (rng.uniform(-35, -20) / 20) * _hiss(num_samples, rng)
    wave *= 10 ** (rng.uniform(-26, -18) / 20) / np.sqrt(np.mean(wave**2))
    return np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)


def _call(kind: Kind, semitones: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Returns one call of unit power, [length]."""
    seconds = np.arange(length) / SAMPLE_RATE_HZ
    octaves = semitones / 12 + kind.glide * seconds / seconds[-1]
    cycles = np.cumsum(kind.pitch_hz * 2**octaves) / SAMPLE_RATE_HZ
    wave = kind.noise * (rng.standard_normal(length) if kind.noise else 0.0)
    for number, multiple in enumerate(kind.partials, 1):
        wave = wave + np.sin(2 * np.pi * (multiple * cycles + rng.random())) / number
    wave = wave * np.exp(-kind.decay * seconds)
    if kind.flutter_hz:
        wave = wave * (1 + 0.9 * np.sin(2 * np.pi * (kind.flutter_hz * seconds + rng.random())))
    wave *= np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.008)  # no click at its ends
    return wave / np.sqrt(np.mean(wave**2))


def _hiss(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns noise of unit power that falls off above 500 Hz, [num_samples]."""
    spectrum = fft.rfft(rng.standard_normal(num_samples))
    spectrum /= np.sqrt(1 + (fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ) / 500.0) ** 2)
    wave = fft.irfft(spectrum, num_samples)
    return wave / wave.std()


def write_corpus(
    root: str | os.PathLike, *, seed: int = 0, num_scenes: Mapping[str, int] = SCENES
) -> list[dict[str, str]]:
    """Writes the corpus: same seed, same bytes.

    `root/sounds/<id>.wav` (16 kHz mono PCM16), `root/pictures/<id>.jpg` and `root/manifest.csv`, a
    row for each scene, with the columns of `HEADER`: `label` names the kinds that play, `boxes` is
    where they are (`boxes.read`), `kinds` are all in the picture.

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
    what, sound, sight = map(np.random.default_rng, streams)
    found = arrange(split, what)
    return found, play(found.kinds[: found.num_playing], sound), paint(found, sight)


def _write_scene(root: pathlib.Path, split: str, number: int, seed: int) -> dict[str, str]:
    name = f"{split}_{number:05d}"
    found, wave, picture = scene(seed, split, number)
    sound, sight = f"sounds/{name}.wav", f"pictures/{name}.jpg"
    file = io.BytesIO()  # a full disk ends soundfile in an assertion and not in an OSError
    soundfile.write(file, wave, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    (root / sound).write_bytes(file.getvalue())
    picture.save(root / sight, quality=92)
    playing = slice(found.num_playing)
    label = "+".join(sorted(KINDS[kind].name for kind in found.kinds[playing]))
    boxes = "; ".join(
        " ".join(f"{edge / IMAGE_SIZE:g}" for edge in box) for box in found.boxes[playing]
    )
    kinds = "+".join(sorted(KINDS[kind].name for kind in found.kinds))
    return dict(zip(HEADER, (name, split, label, sound, sight, boxes, kinds)))
