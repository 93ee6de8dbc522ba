"""One row to one record: its files are read, and what a video is to give is taken from it."""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav import progress, tensors
from tfav.data import kinds, shards
from tfav.data.prepare import manifest
from tfav.media import audio_files, bad_file, image_files, image_folders, limits, soundtrack, video

_HELD_BYTES = 32_000_000  # of decoded rows whose turn has not come
_COPIES = 5  # of a row while it is written


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
      bounds: what is refused as too long or too large.
    """

    max_image_side: int = 512
    num_frames: int = 1
    fps: float = 0.0
    derive: Sequence[str] = ()
    bounds: limits.Limits = limits.DEFAULT


def make_all(
    rows: Sequence[manifest.Row],
    options: Options,
    look: Callable[[int, manifest.Row, shards.Record | BadRow], None] | None = None,
) -> Generator[tuple[manifest.Row, shards.Record | BadRow], None, None]:
    """Yields each row, in order, with what `make` makes of it: in parallel, few rows ahead.

    Args:
      rows: to decode.
      options: what becomes of pictures.
      look: called with the number of a row, the row and what became of it, in the thread that made
        it, before it is yielded.
    """

    def make_and_look(number: int, row: manifest.Row) -> shards.Record | BadRow:
        result = make(row, options)
        if look is not None:
            look(number, row, result)
        return result

    workers = len(os.sched_getaffinity(0))
    bar = progress.bar(total=len(rows), desc="decoding", unit="row")
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    # Bounded: decoded rows wait in memory for their turn.
    waiting: collections.deque[tuple[manifest.Row, concurrent.futures.Future]] = collections.deque()
    held = _Held()
    rest = enumerate(rows)
    try:
        while True:
            for number, row in itertools.islice(rest, 4 * workers - len(waiting)):
                waiting.append((row, pool.submit(held.run, number, make_and_look, number, row)))
            if not waiting:
                return
            row, future = waiting.popleft()
            result = future.result()
            with limits.Turn() as turn:
                turn.take(_COPIES * _num_bytes(result))
                yield row, result
            held.release(result)
            bar.update()
    finally:
        held.close()
        pool.shutdown(cancel_futures=True)
        bar.close()


class _Held:
    """Keeps decoded rows that wait to be written from filling the memory.

    While many bytes wait, no further row is decoded but the one that is waited for, and a large
    one is only decoded once it is that one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_bytes = 0
        self._head = 0  # number of the row that is waited for
        self._closed = False

    def run(
        self, number: int, make_row: Callable[..., shards.Record | BadRow], *arguments: object
    ) -> shards.Record | BadRow | None:
        """Decodes row `number` once there is room."""
        self._wait(lambda: self._num_bytes < _HELD_BYTES or self._head == number)
        if self._closed:
            return None
        with limits.large_after(lambda: self._wait(lambda: self._head == number)):
            result = make_row(*arguments)
        with self._changed:
            self._num_bytes += _num_bytes(result)
        return result

    def release(self, result: shards.Record | BadRow) -> None:
        """Tells that the row that was waited for is written."""
        with self._changed:
            self._num_bytes -= _num_bytes(result)
            self._head += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Lets all workers end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or ready())


def _num_bytes(result: shards.Record | BadRow) -> int:
    if isinstance(result, BadRow):
        return 0
    images = sum(len(jpeg) for frames in result.frames.values() for jpeg in frames)
    return images + (0 if result.audio is None else result.audio.nbytes)


def make(row: manifest.Row, options: Options) -> shards.Record | BadRow:
    """Decodes the files of `row`. What a row gives itself wins over what its video has.

    Returns:
      the record, without the modalities that the row's video lacks; or what is wrong.
    """
    reading = next(iter(_files(row)), ("", ""))  # column and file, for the report of a failure
    part: dict[str, Any] = {
        "start_seconds": row.start_seconds,
        "length_seconds": row.length_seconds,
        "bounds": options.bounds,
    }
    audio: np.ndarray | None = None
    sizes: dict[str, tuple[int, int]] = {}
    frames: dict[str, list[bytes]] = {}
    num_bytes = 0
    try:
        _check_row(row)
        if row.audio:
            reading = ("audio", row.audio)
            audio = audio_files.read_audio(row.audio, row.channel, **part, dtype=np.int16)
        for name, paths in row.pictures.items():
            for path in paths:
                reading = (name, path)
                for file in image_folders.image_paths([path]):
                    reading = (name, file)
                    side = options.max_image_side
                    jpeg, height, width = image_files.read_image(file, side, options.bounds)
                    frames.setdefault(name, []).append(jpeg)
                    sizes.setdefault(name, (height, width))
                    num_bytes += len(jpeg)
                    options.bounds.check_bytes(num_bytes)
        for name, path in row.others.items():
            reading = (name, path)
            frames[name] = [kinds.find(row.kinds[name]).read(path, options.bounds)]
        if row.video:
            reading = ("video", row.video)
            if not row.audio:
                audio = soundtrack.read_audio(row.video, row.channel, **part, dtype=np.int16)
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
                    frames = {**{name: list(x) for name, x in taken.jpeg.items()}, **frames}
            if audio is None and not frames:
                raise bad_file.BadFile("has neither sound nor a picture")
    except bad_file.BadFile as error:
        column, path = reading
        return BadRow(row.id, column, os.fspath(path), error.reason)
    height, width = sizes.get("image", (0, 0))
    image = None if "image" in row.kinds else frames.pop("image", None)
    if audio is not None and row.padded:
        wanted = round(row.length_seconds * tensors.SAMPLE_RATE_HZ)
        audio = np.pad(audio, (0, max(0, wanted - len(audio))))
    return shards.Record(
        row.id, row.split, row.label, audio, image, height, width, row.extra, frames, row.kinds
    )


def _files(row: manifest.Row) -> list[tuple[str, str]]:
    """Returns column and path of every file of a row."""
    single = [("audio", row.audio), ("video", row.video)]
    several = [(name, path) for name, paths in row.pictures.items() for path in paths]
    return [(column, path) for column, path in (*single, *several, *row.others.items()) if path]


def _check_row(row: manifest.Row) -> None:
    """Raises BadFile for what its source found wrong, and for text that cannot be written.

    The name of a file need not be UTF-8, but what is made of it, such as an id, must be.
    """
    if row.problem:
        raise bad_file.BadFile(row.problem)
    for name, text in {"id": row.id, "label": row.label, **row.extra}.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise bad_file.BadFile(
                f"gives its row the {name} {ascii(text)}, which is not UTF-8: rename the file"
            ) from error


def lacking(row: manifest.Row, record: shards.Record, options: Options) -> list[str]:
    """Returns the modalities that the row's video should have given and has not."""
    if not row.video:
        return []
    held = {*record.frames, *(["audio"] if record.audio is not None else [])}
    return [name for name in ("audio", "image", *options.derive) if name not in held]
