"""Opening a file with FFmpeg and reading one of its streams in order, from any second on."""

import contextlib
import importlib.util
import os
import re
import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any

from tfav import registry
from tfav.media import bad_file, limits

SEEK_SECONDS = 10  # nearer than this it is safer, and hardly slower, to decode one's way there
_PREROLL_SECONDS = Fraction(1, 2)  # after a jump, codecs with memory give wrong sound at first
_MICROSECONDS = 1_000_000  # FFmpeg's unit of a whole file's times
_PLAYLISTS = ("concat", "dash", "hls", "imf", "sdp")  # they name other files
# How files with a container begin: Matroska, RIFF, Flash, Ogg, ASF, MPEG (program and transport
# streams), QuickTime and MP4, AIFF, CAF, MXF.
_CONTAINERS = re.compile(
    rb"\x1aE\xdf\xa3|RIFF|RF64|FLV|OggS|0&\xb2u|\x00\x00\x01\xba|G|.{4}G|FORM|caff|\x06\x0e\x2b4|"
    rb".{4}(ftyp|moov|mdat|free|wide|skip|pnot)",
    re.DOTALL,
)
_BOXES = frozenset(  # what a QuickTime or MP4 file is made of, seen from outside
    b"ftyp moov mdat free skip wide pnot meta uuid moof mfra sidx styp prft emsg pdin".split()
)
_BYTES_PER_PIXEL = 16  # of a frame while it is decoded: the frames it refers to, and its RGB

Timed = Generator[tuple[Fraction, Any], None, None]  # seconds, and what is there


def _major(version: str) -> int:
    return int(version.partition(".")[0])


class Unreadable(bad_file.BadFile):
    """A file that FFmpeg cannot open, or whose streams it cannot read on."""


def installed() -> bool:
    """Whether PyAV is there."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # what a test took out of sys.modules
        return False


@contextlib.contextmanager
def opened(path: str | os.PathLike, bounds: limits.Limits = limits.DEFAULT) -> Iterator[Any]:
    """Opens a video (`av.container.InputContainer`); what FFmpeg finds wrong is a BadFile.

    Raises:
      BadFile: missing, empty, no video, a list of other files, beyond `bounds`, or damaged so that
        reading it on fails.
      UserError: PyAV is not installed.
    """
    av = _av()
    bad_file.check_file(path)
    _check_size(path, bounds)
    _check_boxes(path)
    try:
        with av.open(
            os.fspath(path),
            # A playlist may name other files, but none on the net. (As `options` this crashes PyAV
            # 15 to 17 on MPEG files, whose streams are not known when they are opened.)
            container_options={"protocol_whitelist": "file"},
            # What is not UTF-8 in it is of no interest; PyAV 19 has no such argument any more.
            **({"metadata_errors": "replace"} if _major(av.__version__) < 19 else {}),
        ) as file:
            if set(file.format.name.split(",")) & set(_PLAYLISTS):
                raise Unreadable("is a list of other files and no recording")
            yield file
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"is not readable as a video ({reason})") from error


def _check_size(path: str | os.PathLike, bounds: limits.Limits) -> None:
    """Raises BadFile for a large file without a container.

    FFmpeg collects its bytes until a frame is whole, and of junk that is all of them.
    """
    with open(path, "rb") as file:
        contained = _CONTAINERS.match(file.read(16))
    if not contained:
        bounds.check_bytes(os.path.getsize(path))


def _check_boxes(path: str | os.PathLike) -> None:
    """Raises BadFile for several QuickTime or MP4 files in one: FFmpeg reads the first."""
    at, size, heads = 0, os.path.getsize(path), 0
    with open(path, "rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            if name not in _BOXES:
                return
            heads += name == b"ftyp"
            if heads > 1:
                raise Unreadable(bad_file.JOINED)
            least = 8
            if length == 1:  # 64 bits follow
                length, least = int.from_bytes(file.read(8), "big"), 16
            if length < least:  # to the end
                return
            at += length


def stream(file: Any, kind: str, bounds: limits.Limits = limits.DEFAULT) -> Any:
    """Returns the stream of a kind, `audio` or `video`, that a player shows; None without one.

    That is the first that the file marks as its default, else the first. Covers and thumbnails are
    no streams to show: neither what is marked as such, nor a picture that stays alone beside a
    stream of several.

    Raises:
      BadFile: its frames are larger than `bounds` allow.
    """
    flags = _av().stream.Disposition
    still = flags.attached_pic | flags.timed_thumbnails
    # A codec that nobody knows has no context, and nothing of the stream can be shown.
    known = [s for s in getattr(file.streams, kind) if s.codec_context is not None]
    streams = [s for s in known if not s.disposition & still]
    if kind == "video" and len(streams) > 1:
        moving = _moving(file.name, [s.index for s in streams], bounds)
        streams = [s for s in streams if s.index in moving] or streams
    if not streams:
        return None
    found = next((s for s in streams if s.disposition & flags.default), streams[0])
    found.codec_context.thread_count = 1  # rows are decoded in parallel already
    if kind == "video":
        bounds.check_pixels(found.width, found.height)
        bounds.check_bytes(found.width * found.height * _BYTES_PER_PIXEL)
        # The header of a frame may claim more than the header of the file.
        most = min(bounds.max_pixels, int(bounds.max_decoded_mb * 1e6) // _BYTES_PER_PIXEL)
        found.codec_context.options = {"max_pixels": str(most)}
    return found


def _moving(path: str, indices: list[int], bounds: limits.Limits) -> set[int]:
    """Returns which of some streams have more than one packet."""
    count = dict.fromkeys(indices, 0)
    with opened(path, bounds) as file:
        for packet in file.demux([file.streams[index] for index in indices]):
            count[packet.stream.index] += packet.size > 0
            if min(count.values()) > 1:
                break
    return {index for index, packets in count.items() if packets > 1}


class Stream:
    """One stream of a file that has it, read in order, from any second on.

    Far into the file, what comes well before is skipped by a jump. Where that fails, or a frame
    after it is damaged, the file is decoded from its beginning, and no more jumps are made: a frame
    that refers to one before the jump is not damaged.

    Args:
      path: of the file.
      kind: `audio` or `video`.
      bounds: of the size of a frame.

    Attributes:
      path: as given; likewise `kind`.
      jumps: whether jumps work, as far as is known.
    """

    def __init__(self, path: str | os.PathLike, kind: str, bounds: limits.Limits = limits.DEFAULT):
        self.jumps = True
        self.path, self.kind, self._bounds = path, kind, bounds

    def packets(self, start: Fraction) -> Timed:
        """Yields time in seconds and packet in the file's order; see `frames`."""
        return self._items(start, "demux")

    def frames(self, start: Fraction) -> Timed:
        """Yields time in seconds and decoded frame, in the order in which they show.

        Those just before `start` come too.

        Raises:
          BadFile: damaged, or without time stamps.
        """
        return self._items(start, "decode")

    def _items(self, start: Fraction, how: str) -> Timed:
        last = None  # what was yielded after a jump is not yielded again
        if start > SEEK_SECONDS and self.jumps:
            try:
                for seconds, item in self._read(start, how):
                    if how == "decode" and item.is_corrupt:
                        break
                    yield seconds, item
                    last = seconds
                else:
                    if last is not None:
                        return
            except bad_file.BadFile:
                pass
            self.jumps = False
        for seconds, item in self._read(None, how):
            if last is None or seconds > last:
                yield seconds, item

    def _read(self, start: Fraction | None, how: str) -> Timed:
        """Reads from the beginning, or after a jump; where the jump misses, nothing."""
        keyed = "is_keyframe" if how == "demux" else "key_frame"
        with opened(self.path, self._bounds) as file:
            zero = Fraction(file.start_time or 0, _MICROSECONDS)
            if start is not None:
                lead = _PREROLL_SECONDS if self.kind == "audio" else 0
                with contextlib.suppress(_av().FFmpegError):  # what knows no jump is read on
                    file.seek(int((zero + start - lead) * _MICROSECONDS))
            for item in getattr(file, how)(stream(file, self.kind, self._bounds)):
                if how == "demux" and not item.size:
                    continue  # it only marks the end
                if item.pts is None:
                    raise bad_file.BadFile(
                        "has no time stamps: put it into a container (ffmpeg -i IN -c copy OUT.mp4)"
                    )
                seconds = item.pts * item.time_base - zero
                if start is not None and (seconds > start or not getattr(item, keyed, True)):
                    return
                start = None
                yield seconds, item


def describe_audio(found: Any) -> str:
    """Returns what a stream of sound is: `44100 Hz, 2 channels, mp2`; empty for None."""
    if found is None:
        return ""
    plural = "s" if found.channels != 1 else ""
    name = found.codec_context.name
    return f"{found.rate} Hz, {found.channels} channel{plural}, {name}"


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise registry.UserError(
            "videos, and sound in .m4a and the like, need PyAV, which the extra `video` brings: "
            "pip install 'tfav[video]' (from the sources: pip install -e '.[video]')."
        ) from error
    return av
