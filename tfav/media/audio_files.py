"""Sound files in; mono 16 kHz samples or the reason of a failure out.

libsndfile reads them, from the first block to the last without a jump; what it does not know, such
as AAC in `.m4a`, FFmpeg reads through PyAV (extra `video`).
"""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from tfav import tensors
from tfav.media import bad_file, container, formats, limits, mono, sound_parts, soundtrack

_BLOCK_BYTES = 4_000_000
_ERRORS = (RuntimeError, TypeError, ValueError, OSError)  # what soundfile raises


class _Forward(soundfile.SoundFile):
    """Reads on and on: soundfile would seek after each block, which disturbs MP3 decoders."""

    def seekable(self) -> bool:
        return False


def read_audio(
    path: str | os.PathLike,
    channel: str = "mean",
    *,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
    bounds: limits.Limits = limits.DEFAULT,
    dtype: npt.DTypeLike = np.float32,
) -> np.ndarray:
    """Decodes a sound file: WAV of any kind, FLAC, OGG, MP3, and what else `formats` lists.

    Args:
      path: of the file.
      channel: `mean` of all channels, or `left` (the first one, as SSoS's released code takes).
      start_seconds: where the part starts that is meant.
      length_seconds: how long it lasts; 0: to the end. It is shorter where the file ends.
      bounds: what is refused as too long, too large, or at an impossible rate.
      dtype: float32, or int16 for PCM16.

    Returns:
      [T] of `dtype`, mono, 16 kHz; float32 lies in [-1, 1] but for the overshoot of lossy codecs
      and resampling.

    Raises:
      BadFile: missing, empty, not audio, damaged in the middle, beyond `bounds`, nothing left at
        `start_seconds`, or as `sound_parts.opened` and `Mono.finish` say. (A file that merely ends
        early is a shorter clip.)
      UserError: a kind of file that needs PyAV, which is not installed.
    """
    bad_file.check_file(path)
    with mono.Mono(channel, bounds, dtype) as sound:
        try:
            with sound_parts.opened(path, bounds.max_seconds) as parts:
                for block in _blocks(parts, sound, start_seconds, length_seconds):
                    sound.add(block)
        except soundfile.LibsndfileError as error:
            _decode_by_ffmpeg(path, sound, start_seconds, length_seconds, error)
        except _ERRORS as error:
            raise bad_file.BadFile(_unreadable(error)) from error
        return sound.finish()[: round(length_seconds * tensors.SAMPLE_RATE_HZ) or None]


def describe_audio(path: str | os.PathLike) -> str:
    """Returns what a readable sound file holds: `44100 Hz, 2 channels, WAVEX PCM_24`."""
    try:
        info = _info(path)
    except _ERRORS:
        with container.opened(path) as file:
            return container.describe_audio(container.stream(file, "audio"))
    plural = "s" if info.channels > 1 else ""
    return f"{info.samplerate} Hz, {info.channels} channel{plural}, {info.format} {info.subtype}"


def duration(path: str | os.PathLike, bounds: limits.Limits = limits.DEFAULT) -> float:
    """Returns how long a sound file says it lasts, in seconds.

    Raises:
      BadFile: it cannot be opened, has an impossible rate, or lasts too long to be cut into pieces.
      UserError: a kind of file that needs PyAV, which is not installed.
    """
    bad_file.check_file(path)
    most = bounds.max_hours * 3600
    seconds = 0.0
    try:
        with sound_parts.opened(path, most) as parts:
            for part in parts:
                with soundfile.SoundFile(part) as file:
                    bounds.check_rate(file.samplerate)
                    seconds += file.frames / file.samplerate
    except soundfile.LibsndfileError as error:
        _check_installed(path, error)
        with container.opened(path, bounds) as file:
            seconds = (file.duration or 0) / 1e6
    except _ERRORS as error:
        raise bad_file.BadFile(_unreadable(error)) from error
    if seconds > most:
        raise bad_file.BadFile(f"says that it lasts longer than --max_hours={bounds.max_hours:g}")
    return seconds


def _blocks(
    parts: Sequence[sound_parts.Part], sound: mono.Mono, start_seconds: float, length_seconds: float
) -> Iterator[np.ndarray]:
    """Yields the samples [n, channels] that are meant, of files that follow each other."""
    skipped, left = 0, math.inf
    nothing = True
    for number, part in enumerate(parts):
        with _Forward(part) as file:
            sound.start(file.samplerate)
            if not number:
                skipped = round(start_seconds * sound.rate_hz)
                left = round(length_seconds * sound.rate_hz) or math.inf
                if skipped and len(parts) == 1 and soundfile.SoundFile.seekable(file):
                    if skipped >= file.frames:
                        break
                    skipped -= file.seek(skipped)
            for block in _read(file, part):
                wanted = block[skipped : int(min(len(block), skipped + left))]
                skipped = max(0, skipped - len(block))
                left -= len(wanted)
                nothing &= not len(wanted)
                yield wanted
                if not left:
                    return
    if nothing and start_seconds:
        raise bad_file.BadFile(f"has no sound from {start_seconds:g} s on")


def _read(file: _Forward, part: sound_parts.Part) -> Iterator[np.ndarray]:
    """Yields what an open file holds, in order. What ends early is no error, a gap is one."""
    block = np.empty((max(1, _BLOCK_BYTES // (4 * file.channels)), file.channels), np.float32)
    count = 0
    while True:
        block.fill(np.nan)  # shows how much was decoded before an error
        try:
            got = len(file.read(out=block))
        except soundfile.LibsndfileError as error:
            got = len(block) - int(np.isnan(block[::-1, 0]).argmin())
            got = 0 if np.isnan(block[:, 0]).all() else got
            count += got
            if _goes_on(part, count):
                raise bad_file.BadFile(
                    f"is damaged at {count / file.samplerate:.2f} s ({bad_file.first_line(error)})"
                ) from error
            yield block[:got]
            return
        if not got:
            return
        count += got
        yield block[:got]


def _goes_on(part: sound_parts.Part, count: int) -> bool:
    """Returns whether anything can be decoded behind what stopped a decoder after `count`."""
    step = 4096
    while True:
        if not isinstance(part, bytes):
            part.seek(0)
        with contextlib.suppress(*_ERRORS), soundfile.SoundFile(part) as file:
            if count + step >= file.frames or not file.seekable():
                return False
            file.seek(count + step)
            if len(file.read(1)):
                return True
        step *= 2


def _decode_by_ffmpeg(
    path: str | os.PathLike,
    sound: mono.Mono,
    start_seconds: float,
    length_seconds: float,
    error: soundfile.LibsndfileError,
) -> None:
    """Decodes what libsndfile cannot open."""
    if sound.num_samples:  # a part of joined files could be opened and this one cannot
        raise bad_file.BadFile(_unreadable(error)) from error
    _check_installed(path, error)
    try:
        if not soundtrack.decode(path, sound, start_seconds, length_seconds):
            raise bad_file.BadFile("holds no sound")
    except container.Unreadable as unreadable:
        known = formats.reader(os.fspath(path)) == formats.FFMPEG
        raise bad_file.BadFile(
            unreadable.reason.replace("a video", "audio") if known else _unreadable(error)
        ) from error


def _info(path: str | os.PathLike) -> Any:
    """Returns what libsndfile says of a file, or of its first part where it takes parts alone."""
    try:
        return soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError:
        with sound_parts.opened(path, limits.DEFAULT.max_seconds) as parts:
            return soundfile.info(parts[0])


def _check_installed(path: str | os.PathLike, error: soundfile.LibsndfileError) -> None:
    """Raises when FFmpeg is to read a file and is not there."""
    if container.installed():
        return
    if formats.reader(os.fspath(path)) == formats.FFMPEG:
        with container.opened(path):  # says what to install
            pass
    raise bad_file.BadFile(
        f"{_unreadable(error)}; FFmpeg would be asked too with the extra `video` "
        "(pip install 'tfav[video]')"
    )


def _unreadable(error: Exception) -> str:
    return f"is not readable as audio ({bad_file.first_line(error)})"
