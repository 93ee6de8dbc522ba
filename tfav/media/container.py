"""Opening a video file and reading one of its streams in order, from any second on."""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tfav import registry
from tfav.media import decode

SEEK_SECONDS = 10  # nearer than this it is safer, and hardly slower, to decode one's way there
_PREROLL_SECONDS = Fraction(1, 2)  # after a jump, codecs with memory give wrong sound at first
_MICROSECONDS = 1_000_000  # FFmpeg's unit of a whole file's times


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[Any]:
    """Opens a video (`av.container.InputContainer`); what FFmpeg finds wrong is a BadFile.

    Raises:
      BadFile: missing, empty, no video, or damaged so that reading it on fails.
      UserError: PyAV is not installed.
    """
    av = _av()
    decode.check_file(path)
    try:
        with av.open(
            os.fspath(path),
            # A playlist may name other files, but none on the net. (As `options` this crashes PyAV
            # 15 to 17 on MPEG files, whose streams are not known when they are opened.)
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as file:
            yield file
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise decode.BadFile(f"is not readable as a video ({reason})") from error


def stream(file: Any, kind: str) -> Any:
    """Returns the first stream of a kind, `audio` or `video`, that is no mere cover, or None."""
    cover = _av().stream.Disposition.attached_pic
    streams = [s for s in getattr(file.streams, kind) if not s.disposition & cover]
    if not streams:
        return None
    streams[0].codec_context.thread_count = 1  # rows are decoded in parallel already
    return streams[0]


def packets(path: str | os.PathLike, kind: str, start: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """Yields time in seconds and packet of a stream in the file's order; see `frames`."""
    return _items(path, kind, start, "demux", "is_keyframe")


def frames(path: str | os.PathLike, kind: str, start: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """Yields time in seconds and decoded frame of a stream, in the order in which they show.

    Args:
      path: of the file, which has such a stream.
      kind: `audio` or `video`.
      start: far into the file, what comes well before is skipped. Where that fails, nothing is.

    Raises:
      BadFile: damaged, or without time stamps.
    """
    return _items(path, kind, start, "decode", "key_frame")


def _items(
    path: str | os.PathLike, kind: str, start: Fraction, how: str, keyed: str
) -> Iterator[tuple[Fraction, Any]]:
    for jump in (True, False) if start > SEEK_SECONDS else (False,):
        with opened(path) as file:
            zero = Fraction(file.start_time or 0, _MICROSECONDS)
            if jump:
                lead = _PREROLL_SECONDS if kind == "audio" else 0
                with contextlib.suppress(_av().FFmpegError):  # what knows no jump is read on
                    file.seek(int((zero + start - lead) * _MICROSECONDS))
            first = True
            for item in getattr(file, how)(stream(file, kind)):
                if how == "demux" and not item.size:
                    continue  # it only marks the end
                if item.pts is None:
                    raise decode.BadFile(
                        "has no time stamps: put it into a container (ffmpeg -i IN -c copy OUT.mp4)"
                    )
                seconds = item.pts * item.time_base - zero
                if jump and first and (seconds > start or not getattr(item, keyed, True)):
                    break  # the jump missed
                first = False
                yield seconds, item
            if not first or not jump:
                return


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise registry.UserError(
            "videos need PyAV, which the extra `video` brings: pip install 'tfav[video]' "
            "(from the sources: pip install -e '.[video]')."
        ) from error
    return av
