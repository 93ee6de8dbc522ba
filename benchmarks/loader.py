"""From shards to batches, against the loader of the released code on the same sounds and images.

Each side is a process of its own that is kept to so many cores. What one core does is counted in
the seconds that the process computes, whoever else uses that core.
"""

import dataclasses
import functools
import io
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks import timing
from tfav import tensors

IDENTITIES = 140  # as many as the demo trains on, a clip and an image of each
BATCHES = 10  # of one call
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
            row = timing.row_of(
                f"loader: {pairs:,} pairs, one core",
                f"{name}: {size.seconds:g} s, {size.pixels} pixels",
                sides.times({"ours": (ours, 1), TWIN: (twin, 1), FLOOR: (floor, 1)}).computing,
                {TWIN: 0.33},
            )
        rate = f"{pairs / row.ours_ms * 1e3:,.0f} pairs per second; aim: 500"
        found.append(dataclasses.replace(row, notes=rate))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, Sides(folder, SIZES["demo"]) as sides:
        times = sides.times({"ours": (ours, cores), "one core": (ours, 1)})
    for name, each in times._asdict().items():
        work = f"loader: the same, {cores} cores, {name}"
        linear = {"passing": 1 / cores, "computing": 1.0}[name]
        found.append(timing.row_of(work, "demo", each, notes=f"linear: {linear:.2f}"))
    return found


def scales() -> list[timing.Scale]:
    """Returns how time grows with the rows of a batch."""
    sizes = (1, 4, 16, 64, 128)
    with tempfile.TemporaryDirectory() as folder, Sides(folder, SIZES["demo"]) as sides:
        found = sides.times({str(n): (functools.partial(ours, rows=n), 1) for n in sizes})
    times = [statistics.median(each) for each in found.computing.values()]
    work, exponent = f"loader: {BATCHES} batches, one core", timing.exponent(sizes, times)
    return [timing.Scale(work, "rows", sizes, times, exponent, 1.0)]


# A call returns one batch: audio [B, T] float32 and image [B, S, S, 3].
Batch = Callable[[], tuple[np.ndarray, np.ndarray]]
# Makes of a folder and a size what is called again and again.
Side = Callable[[str, Size], Callable[[], object]]


class Times(NamedTuple):
    """Milliseconds of each side in every round: that pass, and that the process computes."""

    passing: dict[str, list[float]]
    computing: dict[str, list[float]]


def ours(folder: str, size: Size, rows: int = 0) -> Batch:
    """Returns tfav's loader, of batches of `rows` where they are given."""
    from tfav.data import kinds
    from tfav.data.input import endless

    batches = endless.identity_batches(
        os.path.join(folder, "data"),
        "train",
        batch_size=rows or size.rows,
        seed=0,
        audio_seconds=(size.seconds, size.seconds),
        items={
            "audio": kinds.Item(kinds.AUDIO, kinds.AUDIO.item("audio", {})),
            "image": kinds.Item(
                kinds.IMAGE,
                kinds.IMAGE.item("image", {"size": size.pixels, "num_frames": 1}),
                ("flip", "crop"),
            ),
        },
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
    """Processes that work on the files of one folder; ends them when it is left."""

    def __init__(self, folder: str, size: Size):
        self._folder, self._size = folder, size
        self._running: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
        write(folder, size)

    def __enter__(self) -> "Sides":
        return self

    def times(self, sides: Mapping[str, tuple[Side, int]], count: int = timing.ROUNDS) -> Times:
        """Returns the milliseconds of `BATCHES` calls of each side, kept to so many cores, in turn.

        The first round is not counted: it imports, compiles and fills caches.
        """
        calls = {name: self._start(side, cores) for name, (side, cores) in sides.items()}
        found = Times({name: [] for name in sides}, {name: [] for name in sides})
        for turn in range(count + 1):
            for name, call in calls.items():
                for kind, milliseconds in zip(found, call()):
                    if turn:
                        kind[name].append(milliseconds)
        return found

    def _start(self, side: Side, cores: int) -> Callable[[], tuple[float, float]]:
        near, far = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=_serve, args=(far, side, self._folder, self._size, cores))
        process.start()
        self._running.append((process, near))

        def call() -> tuple[float, float]:
            near.send(BATCHES)
            return near.recv()

        return call

    def __exit__(self, *exception: object) -> None:
        for process, near in self._running:
            near.send(0)
            process.join()


def _serve(asked: Connection, side: Side, folder: str, size: Size, cores: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    call = side(folder, size)
    while count := asked.recv():
        for _ in range(count):  # what was made while nobody asked
            call()
        start = time.perf_counter(), time.process_time()
        for _ in range(count):
            call()
        asked.send(
            tuple(
                1e3 * (now() - a) for now, a in zip((time.perf_counter, time.process_time), start)
            )
        )
