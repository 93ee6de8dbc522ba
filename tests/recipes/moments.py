"""Audio and images of made-up moments, in memory, and small encoders that can tell them apart."""

import numpy as np

from tfav.encoders import audio as audio_encoders
from tfav.encoders import image as image_encoders

SIZE = 32
# Levels and not only changes are heard: instance norm would take a steady tone away.
FRONTEND = {"num_mels": 16, "lower_hz": 125.0, "instance_norm": False, "log_offset": 0.01}
HZ = np.array([300, 700, 1500, 3200])
COLOR = np.array([[230, 40, 40], [40, 220, 50], [50, 60, 230], [230, 220, 40]])


def encoders(seed=0):
    return {
        "audio": audio_encoders.Tiny(8, frontend=FRONTEND, seed=seed),
        "image": image_encoders.Tiny(8, image_size=SIZE, seed=seed),
    }


def batch(rows=32, seed=0, flanks=0):
    """Four things, each with its colour and its tone of 0.1 s, and no label.

    flanks: samples before and after, in which another of the four sounds.
    """
    rng = np.random.default_rng(seed)
    kind = np.arange(rows) % 4
    parts = [kind] if not flanks else [(kind + k) % 4 for k in (1, 0, 2)]
    sound = [_tone(part, length, rng) for part, length in zip(parts, _lengths(flanks))]
    sound = np.concatenate(sound, axis=1)
    picture = rng.normal(90, 15, [rows, SIZE, SIZE, 3])
    for row, k in enumerate(kind):
        x, y = rng.integers(0, SIZE - 16, 2)
        picture[row, y : y + 16, x : x + 16] = COLOR[k]
    return {
        "audio": (sound + 0.01 * rng.normal(size=sound.shape)).astype(np.float32),
        "image": np.clip(picture, 0, 255).astype(np.uint8),
    }


def _lengths(flanks):
    return (flanks, 1600, flanks) if flanks else (1600,)


def _tone(kind, length, rng):
    hz = HZ[kind] * rng.uniform(0.97, 1.03, len(kind))
    return 0.3 * np.sin(2 * np.pi * hz[:, None] * np.arange(length) / 16_000)
