"""A corpus of invented birds to classify by song and plumage: the song dominates, alone it errs.

A species is a pitch (an easy cue: a few steps learn it) and the direction and spacing of the bars
on its breast (a fine one: it wants many). Every bird sings off its species' pitch by an amount of
its own, and train, val and test are different birds. So a network can learn the few training birds
by their songs alone, and must look at the bars to know others. All splits have one distribution.
"""

import colorsys
import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import soundfile
from PIL import Image
from scipy import fft

from tfav import registry

NUM_SPECIES = 12
BIRDS = {"train": 6, "val": 4, "test": 20}  # of each species
FILES = {"train": 6, "val": 3, "test": 2}  # recordings, and photographs, of each bird
SAMPLE_RATE_HZ = 16_000
SECONDS = 0.75
IMAGE_SIZE = 96
MANIFEST = "manifest.csv"
HEADER = ("id", "split", "label", "audio", "image", "bird")

_LOWEST_HZ = 700.0
_SEMITONES_APART = 2.0  # two neighbouring species, in pitch
_SEMITONES_OFF = 0.8  # deviation of a bird from its species: 4 of 5 stay nearest to their own
_DIRECTIONS = 6  # of bars; with two spacings they make twelve species
_SPACINGS = (0.105, 0.16)  # of bars, in widths of the picture
_CONTRAST = (0.12, 0.28)  # of bars, lowest and highest


@dataclasses.dataclass(frozen=True)
class Bird:
    """One bird: what differs from others of its species, and not between its files."""

    split: str
    species: int  # 0 .. NUM_SPECIES - 1
    number: int
    semitones: float  # off the pitch of its species
    notes_per_second: float
    glide: float  # semitones, within a note
    overtone: float  # amplitude of the second harmonic
    colour: np.ndarray  # [3] RGB of its breast

    @property
    def name(self) -> str:
        """Unique in the corpus."""
        return f"{self.split}_{self.species:02d}_{self.number:02d}"


def birds(seed: int, split: str, num_birds: int) -> list[Bird]:
    """Returns the birds of a split, `num_birds` of each species in turn."""
    found = []
    for species in range(NUM_SPECIES):
        for number in range(num_birds):
            rng = _generator(seed, split, species, number)
            hue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.4), rng.uniform(0.35, 0.8))
            found.append(
                Bird(
                    split,
                    species,
                    number,
                    semitones=_SEMITONES_OFF * rng.standard_normal(),
                    notes_per_second=rng.uniform(5, 8),
                    glide=rng.uniform(-3, 3),
                    overtone=rng.uniform(0, 0.5),
                    colour=255 * np.array(hue),
                )
            )
    return found


def _generator(seed: int, split: str, *key: int) -> np.random.Generator:
    """A stream of its own for each bird and file: none depends on how many came before it."""
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(list(BIRDS).index(split), *key))
    )


def sing(bird: Bird, rng: np.random.Generator) -> np.ndarray:
    """Returns one recording, [T] int16: notes at the bird's pitch, in wind of changing strength."""
    num_samples = round(SAMPLE_RATE_HZ * SECONDS)
    seconds = np.arange(num_samples) / SAMPLE_RATE_HZ
    phase = (seconds * bird.notes_per_second + rng.random()) % 1.0
    loudness = np.where(phase < 0.6, np.sin(np.pi * np.clip(phase / 0.6, 0, 1)) ** 2, 0.0)
    semitones = _SEMITONES_APART * bird.species + bird.semitones + 0.15 * rng.standard_normal()
    pitch_hz = _LOWEST_HZ * 2 ** ((semitones + bird.glide * (phase - 0.3)) / 12)
    angle = 2 * np.pi * (np.cumsum(pitch_hz) / SAMPLE_RATE_HZ + rng.random())
    song = loudness * (np.sin(angle) + bird.overtone * np.sin(2 * angle))
    wave = song / np.sqrt(np.mean(song**2)) + _wind(seconds, rng)
    wave *= 10 ** (rng.uniform(-26, -18) / 20) / np.sqrt(np.mean(wave**2))
    return np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)


def _wind(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns noise in gusts, [T], 10 to 30 dB below a song of unit power."""
    spectrum = fft.rfft(rng.standard_normal(len(seconds)))
    spectrum /= np.sqrt(1 + (fft.rfftfreq(len(seconds), 1 / SAMPLE_RATE_HZ) / 400.0) ** 2)
    wind = fft.irfft(spectrum, len(seconds))
    gusts = 1 + 0.6 * np.sin(2 * np.pi * (seconds * rng.uniform(1, 4) + rng.random()))
    return wind / wind.std() * gusts * 10 ** (rng.uniform(-30, -10) / 20)


def photograph(bird: Bird, rng: np.random.Generator) -> Image.Image:
    """Returns one picture: a barred breast of any shape and place, before any background."""
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] / IMAGE_SIZE - 0.5
    spacing, direction = divmod(bird.species, _DIRECTIONS)
    angle = np.pi * direction / _DIRECTIONS + np.deg2rad(rng.normal(0, 3))
    width = _SPACINGS[spacing] * np.exp(rng.normal(0, 0.04))
    across = np.cos(angle) * x + np.sin(angle) * y
    # Edges a pixel or so wide: harder ones would alias where the picture is made smaller.
    bars = np.tanh(3 * np.sin(2 * np.pi * (across / width + rng.random())))

    left, top = rng.uniform(-0.08, 0.08, 2)
    long = rng.uniform(0.26, 0.36)
    short = long * rng.uniform(0.7, 1.0)
    turn = rng.uniform(0, np.pi)
    along = np.cos(turn) * (x - left) + np.sin(turn) * (y - top)
    beside = -np.sin(turn) * (x - left) + np.cos(turn) * (y - top)
    breast = (along / long) ** 2 + (beside / short) ** 2 < 1

    slope_x, slope_y = rng.uniform(-40, 40, 2)
    ground = rng.uniform(60, 200) + rng.uniform(-30, 30, 3)
    picture = ground + (slope_x * x + slope_y * y)[..., None]
    feathers = bird.colour * (1 + rng.uniform(*_CONTRAST) * bars[..., None])
    picture = np.where(breast[..., None], feathers, picture) * rng.uniform(0.8, 1.2)
    picture += rng.normal(0, 10, picture.shape)
    return Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))


def write_corpus(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    num_birds: Mapping[str, int] = BIRDS,
    num_files: Mapping[str, int] = FILES,
) -> list[dict[str, str]]:
    """Writes the corpus: same seed, same bytes.

    `root/songs/<bird>_<file>.wav` (16 kHz mono PCM16), `root/photographs/<bird>_<file>.jpg` and
    `root/manifest.csv`, a row for each pair, with the columns of `HEADER`.

    Args:
      root: a folder, made if absent.
      seed: chooses the birds and everything that differs between their files.
      num_birds: of each species, by split.
      num_files: recordings, and photographs, of each bird, by split.

    Returns:
      the rows of the manifest.

    Raises:
      UserError: a negative seed.
      OSError: a disk that is full.
    """
    if seed < 0:
        raise registry.UserError(f"seed={seed}: give at least 0 for the synthetic corpus.")
    root = pathlib.Path(root)
    for folder in ("songs", "photographs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for split, number_of_each in num_birds.items():
        for bird in birds(seed, split, number_of_each):
            for number in range(num_files[split]):
                rows.append(_write_pair(root, bird, number, seed))
    with open(root / MANIFEST, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def _write_pair(root: pathlib.Path, bird: Bird, number: int, seed: int) -> dict[str, str]:
    name = f"{bird.name}_{number}"
    song, photo = f"songs/{name}.wav", f"photographs/{name}.jpg"
    key = (seed, bird.split, bird.species, bird.number, number)
    wave = sing(bird, _generator(*key, 0))
    file = io.BytesIO()  # a full disk ends soundfile in an assertion and not in an OSError
    soundfile.write(file, wave, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
    (root / song).write_bytes(file.getvalue())
    photograph(bird, _generator(*key, 1)).save(root / photo, quality=92)
    label = f"species_{bird.species:02d}"
    return dict(zip(HEADER, (name, bird.split, label, song, photo, bird.name)))
