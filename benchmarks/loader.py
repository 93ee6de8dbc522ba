"""From shards to batches, against the loader of the released code on the same sounds and images.

Each side is a process of its own that is kept to so many cores.
"""

import dataclasses
import io
import multiprocessing
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks import timing
from tfav import tensors

IDENTITIES = 140  # as many as the demo trains on, a clip and an image of each
BATCHES = 20  # of one call
TWIN, FLOOR = "released form", "bare decode and resize"
FILL = 127  # grey around a shifted image


class Size(NamedTuple):
    """Rows of a batch, seconds and pixels of a side in it, and of what is stored."""

    rows: int = 64
    seconds: float = 2.0
    pixels: int = 48
    stored_seconds: float = 3.0
    stored_pixels: int = 112


SIZES = {"demo": Size(), "paper": Size(64, 2.5, 112, 8.0, 224)}


def rows() -> list[timing.Row]:
    """Returns a core's work at two sizes, and that of all cores against one."""
    found = []
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder, Sides(folder, size) as sides:
            pairs = BATCHES * size.rows
            row = timing.row(
                f"loader: {pairs:,} pairs, one core",
                f"{name}: {size.seconds:g} s, {size.pixels} pixels",
                sides.start(ours),
                {TWIN: sides.start(twin), FLOOR: sides.start(floor)},
                {TWIN: 0.33},
            )
            rate = f"{pairs / row.ours_ms * 1e3:,.0f} pairs per second; aim: 500"
            found.append(dataclasses.replace(row, notes=rate))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, Sides(folder, SIZES["demo"]) as sides:
        found.append(
            timing.row(
                f"loader: the same, {cores} cores",
                "demo",
                sides.start(ours, cores),
                {"one core": sides.start(ours)},
                notes=f"linear: {1 / cores:.2f}",
            )
        )
    return found


def scales() -> list[timing.Scale]:
    """Returns how time grows with the rows of a batch."""
    with tempfile.TemporaryDirectory() as folder, Sides(folder, SIZES["demo"]) as sides:
        calls = {n: sides.start(ours, rows=n) for n in (1, 4, 16, 64, 128)}
        return [timing.scale(f"loader: {BATCHES} batches, one core", "rows", calls, 1.0)]


# A call of a side returns one batch: audio [B, T] float32 and image [B, S, S, 3].
Batch = Callable[[], tuple[np.ndarray, np.ndarray]]


def ours(folder: str, size: Size) -> Batch:
    """Returns tfav's loader."""
    from tfav.data.input import endless

    batches = endless.identity_batches(
        os.path.join(folder, "data"),
        "train",
        batch_size=size.rows,
        seed=0,
        audio_seconds=(size.seconds, size.seconds),
        image_size=size.pixels,
        augment=("flip", "crop"),
    )
    iterator = iter(batches(None))

    def batch() -> tuple[np.ndarray, np.ndarray]:
        found = next(iterator)
        return found["audio"].numpy(), found["image"].numpy()

    return batch


def twin(folder: str, size: Size) -> Batch:
    """Returns the released form: a file after the other by SciPy, Pillow and NumPy."""
    import scipy.io.wavfile

    random = np.random.default_rng(0)
    length = round(size.seconds * tensors.SAMPLE_RATE_HZ)
    margin = size.pixels // 8

    def audio(path: str) -> np.ndarray:
        _, samples = scipy.io.wavfile.read(path)
        start = random.integers(len(samples) - length + 1)
        return samples[start : start + length].astype(np.float32) / 32768.0

    def image(path: str) -> np.ndarray:
        square = (size.pixels, size.pixels)
        resized = Image.open(path).convert("RGB").resize(square, Image.Resampling.BILINEAR)
        pixels = np.asarray(resized, np.float32)
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        sides = ((margin, margin), (margin, margin), (0, 0))
        top, left = random.integers(2 * margin + 1, size=2)
        padded = np.pad(pixels, sides, constant_values=FILL)
        return padded[top : top + size.pixels, left : left + size.pixels]

    def batch() -> tuple[np.ndarray, np.ndarray]:
        drawn = random.permutation(IDENTITIES)[: size.rows]
        names = [os.path.join(folder, str(number)) for number in drawn]
        clips = [audio(f"{name}.wav") for name in names]
        return np.stack(clips), np.stack([image(f"{name}.jpg") for name in names])

    return batch


def floor(folder: str, size: Size) -> Batch:
    """Returns what TensorFlow's own ops take for the images alone, from memory, and for a copy."""
    import tensorflow as tf

    jpegs = [path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.jpg"))]
    clips = np.zeros([size.rows, round(size.seconds * tensors.SAMPLE_RATE_HZ)], np.float32)

    def one(jpeg: tf.Tensor) -> tf.Tensor:
        photograph = tf.io.decode_jpeg(jpeg, channels=3)
        return tf.image.resize(photograph, [size.pixels, size.pixels], antialias=True)

    images = tf.data.Dataset.from_tensor_slices(jpegs).repeat().map(one).batch(size.rows)
    iterator = iter(images)
    return lambda: (clips.copy(), next(iterator).numpy())


def write(folder: str, size: Size) -> None:
    """Writes noise and smooth images as files, and the same as a data set."""
    from tfav.data import shards

    random = np.random.default_rng(0)
    found = []
    for number in range(IDENTITIES):
        pcm = random.integers(-3000, 3000, round(size.stored_seconds * tensors.SAMPLE_RATE_HZ))
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
        file = io.BytesIO()
        coarse.resize((size.stored_pixels,) * 2).save(file, "JPEG", quality=95)
        side = size.stored_pixels
        row = {"id": str(number), "split": "train", "label": str(number)}
        audio = pcm.astype(np.int16)
        found.append(
            shards.Record(**row, audio=audio, image=file.getvalue(), height=side, width=side)
        )
    shards.write(os.path.join(folder, "data"), found)
    _write_files(folder, found)


def _write_files(folder: str, records: list) -> None:
    import scipy.io.wavfile

    for record in records:
        name = os.path.join(folder, record.id)
        scipy.io.wavfile.write(f"{name}.wav", tensors.SAMPLE_RATE_HZ, record.audio)
        pathlib.Path(f"{name}.jpg").write_bytes(record.image)


class Sides:
    """Processes that load batches on the files of one folder; ends them when it is left."""

    def __init__(self, folder: str, size: Size):
        self._folder, self._size = folder, size
        self._running: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
        write(folder, size)

    def __enter__(self) -> "Sides":
        return self

    def start(
        self, side: Callable[[str, Size], Batch], cores: int = 1, rows: int = 0
    ) -> Callable[[], None]:
        """Starts a process with a side, kept to so many cores; returns what loads some batches."""
        size = self._size._replace(rows=rows or self._size.rows)
        near, far = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=_serve, args=(far, side, self._folder, size, cores))
        process.start()
        self._running.append((process, near))

        def call() -> None:
            near.send(BATCHES)
            near.recv()

        call()  # whatever is imported and traced is
        return call

    def __exit__(self, *exception: object) -> None:
        for process, near in self._running:
            near.send(0)
            process.join()


def _serve(
    asked: Connection, side: Callable[[str, Size], Batch], folder: str, size: Size, cores: int
) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    batch = side(folder, size)
    for count in _numbers(asked):
        for _ in range(count):
            batch()
        asked.send(True)


def _numbers(asked: Connection) -> Iterator[int]:
    while count := asked.recv():
        yield count
