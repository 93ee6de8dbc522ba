"""The retrieval from voice to face as a film: one still a probe while its voice is heard."""

import errno
import io
import math
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
from PIL import Image, ImageDraw, ImageFont

from tfav import registry, tensors
from tfav.reports import fonts, inline, showcase

SIZE = (1280, 720)
_FRAMES_PER_SECOND = 10
MARK = "made by tfav-report"  # in a film, by which a later one may take its place
MAX_SECONDS, _MIN_SECONDS, _PAUSE_SECONDS = 10.0, 2.0, 0.7
_FACE, _LEFT, _TOP = 180, 72, 236  # side of a face, and where the first one is
_PAPER, _INK, _SOFT, _VOICE = "#fbfaf8", "#22252a", "#5b616b", "#2563a8"
_MATCH, _MISMATCH = "#11734b", "#b3352c"


def find_ffmpeg() -> str:
    """Returns the program that writes films.

    Raises:
      UserError: it is not installed; names the extra that brings it.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise registry.UserError(
            "--video needs ffmpeg, which the extra `video` brings: pip install 'tfav[video]' "
            "(from the sources: pip install -e '.[video]')."
        ) from error


def write(
    path: str | os.PathLike,
    probes: Sequence[showcase.Probe],
    voices: Mapping[str, inline.Item],
    faces: Mapping[str, inline.Item],
    *,
    title: str,
) -> float:
    """Writes an MP4 and returns its length in seconds.

    Args:
      path: Path of the film, whatever its suffix; nothing else is left on the disk.
      probes: voice probes in the order of the film, at least one.
      voices: id -> recording of every probe.
      faces: id -> photograph of every hit.
      title: on every still.

    Raises:
      UserError: no ffmpeg, or it cannot write the film.
      OSError: the disk is full.
    """
    ffmpeg = find_ffmpeg()
    sounds, stills = [], []
    # Beside the film: the disk that may be full is then the one that a message names.
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(path))) as folder:
        for number, probe in enumerate(probes, start=1):
            pcm = np.frombuffer(voices[probe.id].content, "<i2")
            pcm = pcm[: round(MAX_SECONDS * tensors.SAMPLE_RATE_HZ)]
            # Whole frames, so that audio and image stay together however many probes there are.
            spoken = max(_MIN_SECONDS, len(pcm) / tensors.SAMPLE_RATE_HZ)
            frames = math.ceil((spoken + _PAUSE_SECONDS) * _FRAMES_PER_SECOND)
            length = frames * tensors.SAMPLE_RATE_HZ // _FRAMES_PER_SECOND
            sounds.append(np.pad(pcm, (0, length - len(pcm))))
            still = os.path.join(folder, f"{number:05d}.png")
            heading = f"{title}, probe {number} of {len(probes)}"
            draw(probe, voices[probe.id], faces, heading).save(still, compress_level=1)
            stills.append(f"file '{still}'\nduration {frames / _FRAMES_PER_SECOND}\n")
        pathlib.Path(folder, "stills.txt").write_text("".join(stills), encoding="utf-8")
        sound = np.concatenate(sounds)
        soundfile.write(os.path.join(folder, "sound.wav"), sound, tensors.SAMPLE_RATE_HZ)
        seconds = len(sound) / tensors.SAMPLE_RATE_HZ
        command = [ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
        command += ["-f", "concat", "-safe", "0", "-i", os.path.join(folder, "stills.txt")]
        command += ["-i", os.path.join(folder, "sound.wav"), "-t", f"{seconds}"]
        # Without tpad the last still would be one frame, whatever its duration says.
        command += ["-vf", f"fps={_FRAMES_PER_SECOND},tpad=stop=-1:stop_mode=clone"]
        command += ["-pix_fmt", "yuv420p", *_codecs(ffmpeg)]
        command += ["-metadata", f"comment={MARK}"]
        command += ["-movflags", "+faststart", "-f", "mp4", os.fspath(path)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        if "No space left" in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise registry.UserError(
            f"ffmpeg cannot write {path} ({last}): name another --video, or another ffmpeg with "
            "the environment variable IMAGEIO_FFMPEG_EXE."
        )
    return seconds


def _codecs(ffmpeg: str) -> list[str]:
    """Returns the options for H.264 and AAC, or for what every ffmpeg has."""
    known = subprocess.run(
        [ffmpeg, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False
    ).stdout
    video = ["-c:v", "mpeg4", "-q:v", "4"]
    if " libx264 " in known:
        video = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage", "-crf", "23"]
    return [*video, "-c:a", "aac" if " aac " in known else "libmp3lame", "-b:a", "64k"]


def draw(
    probe: showcase.Probe,
    voice: inline.Item,
    faces: Mapping[str, inline.Item],
    heading: str,
) -> Image.Image:
    """Returns the still of one probe, `SIZE` pixels.

    Args:
      probe: a voice.
      voice: its recording.
      faces: id -> photograph of every hit; the first ten are drawn.
      heading: the first line.
    """
    canvas = Image.new("RGB", SIZE, _PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((_LEFT, 36), heading, _SOFT, _font(20, heading))
    pen.text((_LEFT, 66), voice.label[:40], _INK, _font(34, voice.label[:40]))
    place = "no match" if probe.first_rank is None else f"first match at rank {probe.first_rank}"
    kind = "" if probe.groups == ("all",) else f"{' and '.join(probe.groups)}, "
    facts = f"{kind}average precision {100 * probe.average_precision:.1f} %, {place}"
    pen.text((_LEFT, 116), facts, _SOFT, _font(20))
    for number, peak in enumerate(inline.peaks(voice.content, MAX_SECONDS)):
        x = _LEFT + 10 * number
        pen.line((x, 186 - peak * 0.28, x, 187 + peak * 0.28), _VOICE, 5)
    for rank, hit in enumerate(probe.hits[:10], start=1):
        x = _LEFT + (rank - 1) % 5 * (_FACE + 59)
        y = _TOP + (rank - 1) // 5 * (_FACE + 52)
        face = Image.open(io.BytesIO(faces[hit.id].content)).convert("RGB")
        side = min(face.size)
        box = ((face.width - side) // 2, (face.height - side) // 2)
        face = face.crop((*box, box[0] + side, box[1] + side)).resize((_FACE, _FACE))
        canvas.paste(face, (x, y))
        colour = _MATCH if hit.match else _MISMATCH
        pen.rectangle((x - 5, y - 5, x + _FACE + 4, y + _FACE + 4), outline=colour, width=5)
        _mark(pen, x + _FACE - 4, y + 4, hit.match)
        word = "match" if hit.match else "mismatch"
        pen.text((x - 5, y + _FACE + 10), f"{rank}. {word}", colour, _font(19))
        pen.text((x + _FACE + 4, y + _FACE + 10), f"{hit.score:.2f}", _SOFT, _font(19), anchor="ra")
    return canvas


def _mark(pen: ImageDraw.ImageDraw, x: int, y: int, match: bool) -> None:
    """Draws a check or a cross on a disc about (x, y)."""
    pen.ellipse((x - 19, y - 19, x + 19, y + 19), _MATCH if match else _MISMATCH, _PAPER, 3)
    strokes = [(-9, 0, -2, 8), (-2, 8, 10, -7)] if match else [(-8, -8, 8, 8), (-8, 8, 8, -8)]
    for a, b, c, d in strokes:
        pen.line((x + a, y + b, x + c, y + d), _PAPER, 5)


def _font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """Returns a typeface for a text: our own, or an installed one that has more of its letters."""
    return ImageFont.truetype(fonts.best(text).path, size)
