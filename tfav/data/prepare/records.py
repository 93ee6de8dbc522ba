"""One row to one record: its files are read, and what a video is to give is taken from it."""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm

from tfav import tensors
from tfav.data import shards
from tfav.data.prepare import manifest
from tfav.media import decode, video


class BadRow(NamedTuple):
    """A line of `bad_rows.csv`: the row's id, the column, its file, and why it was left out."""

    id: str
    column: str
    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Options:
    """What becomes of pictures.

    Attributes:
      max_image_side: longest side in pixels that they keep.
      num_frames: frames to take of every video.
      fps: when above 0, frames a second to take instead.
      derive: rows of `motion.DERIVED` to make of every video.
    """

    max_image_side: int = 512
    num_frames: int = 1
    fps: float = 0.0
    derive: Sequence[str] = ()


def make_all(
    rows: Sequence[manifest.Row], options: Options
) -> Iterator[tuple[manifest.Row, shards.Record | BadRow]]:
    """Yields each row, in order, with what `make` makes of it: in parallel, few rows ahead."""
    workers = len(os.sched_getaffinity(0))
    bar = tqdm.tqdm(total=len(rows), desc="decoding", unit="row", disable=None)
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    waiting = collections.deque()  # bounded: decoded rows wait in memory for their turn
    rest = iter(rows)
    try:
        while True:
            for row in itertools.islice(rest, 4 * workers - len(waiting)):
                waiting.append((row, pool.submit(make, row, options)))
            if not waiting:
                return
            row, future = waiting.popleft()
            yield row, future.result()
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()


def make(row: manifest.Row, options: Options) -> shards.Record | BadRow:
    """Decodes the files of `row`. What a row gives itself wins over what its video has.

    Returns:
      the record, without the modalities that the row's video lacks; or what is wrong.
    """
    reading = ("", "")  # column and file, for the report of a failure
    part = {"start_seconds": row.start_seconds, "length_seconds": row.length_seconds}
    audio, sizes, frames = None, {}, {}
    try:
        if row.audio:
            reading = ("audio", row.audio)
            audio = decode.to_pcm16(decode.read_audio(row.audio, row.channel, **part))
        for name, paths in row.pictures.items():
            for path in paths:
                reading = (name, path)
                for file in decode.picture_files([path]):
                    reading = (name, file)
                    jpeg, height, width = decode.read_image(file, options.max_image_side)
                    frames.setdefault(name, []).append(jpeg)
                    sizes.setdefault(name, (height, width))
        if row.video:
            reading = ("video", row.video)
            if not row.audio:
                sound = video.read_audio(row.video, row.channel, **part)
                audio = None if sound is None else decode.to_pcm16(sound)
            derive = [name for name in options.derive if name not in frames]
            if "image" not in frames or derive:
                taken = video.read_frames(
                    row.video,
                    options.num_frames,
                    frames_per_second=options.fps,
                    max_side=options.max_image_side,
                    derive=derive,
                    **part,
                )
                if taken is not None:
                    sizes.setdefault("image", (taken.height, taken.width))
                    frames = {**taken.jpeg, **frames}
            if audio is None and not frames:
                raise decode.BadFile("has neither sound nor a picture")
    except decode.BadFile as error:
        return BadRow(row.id, *map(os.fspath, reading), error.reason)
    height, width = sizes.get("image", (0, 0))
    image = frames.pop("image", None)
    if audio is not None and row.padded:
        wanted = round(row.length_seconds * tensors.SAMPLE_RATE_HZ)
        audio = np.pad(audio, (0, max(0, wanted - len(audio))))
    return shards.Record(
        row.id, row.split, row.label, audio, image, height, width, row.extra, frames
    )


def lacking(row: manifest.Row, record: shards.Record, options: Options) -> list[str]:
    """Returns the modalities that the row's video should have given and has not."""
    if not row.video:
        return []
    held = {*record.frames, *(["audio"] if record.audio is not None else [])}
    return [name for name in ("audio", "image", *options.derive) if name not in held]
