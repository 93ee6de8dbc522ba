"""Image files in; JPEG bytes that the data set's reader decodes, or the reason of a failure, out.

What is kept is decoded by TensorFlow while a model trains, so TensorFlow decodes it here first:
Pillow takes files that TensorFlow refuses.
"""

import functools
import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable

from PIL import Image, UnidentifiedImageError

from tfav.media import (
    bad_file,
    colours,
    jpeg_scans,
    limits,
    orientation,
    png_chunks,
    tiff_strips,
    webp_size,
)

MIN_SIDE = 16
JPEG_QUALITY = 95
MAX_SIDE = 512  # of an image that is stored
# No other reader of Pillow is asked, whatever a file begins with: that of EPS runs Ghostscript.
_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "AVIF")
# Bytes per pixel that decoding and converting hold at once: by format, else by mode.
_BYTES_OF_FORMAT = {"AVIF": 16, "TIFF": 16, "WEBP": 16}
_BYTES_OF_MODE = {"1": 5, "L": 5, "P": 9, "RGB": 4, "CMYK": 8}
_MOST_BYTES = 12
_BYTES_BY_TENSORFLOW = 16
_BYTES_OF_JPEG = 8
_SHORT = "is cut short or damaged: its data end before the image does"
# `limits` are in place of Pillow's own.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# What Pillow's readers raise for damaged bytes, depending on the format.
_ERRORS = (
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read_image(
    path: str | os.PathLike, max_side: int = MAX_SIDE, bounds: limits.Limits = limits.DEFAULT
) -> tuple[bytes, int, int]:
    """Decodes an image file to be sure of it, and returns it as JPEG.

    An intact upright RGB JPEG no larger than `max_side` keeps its bytes, but for stray ones between
    its segments. Anything else (PNG, grey,
    CMYK, transparency (on white), EXIF rotation, too large, a missing end marker) is encoded anew
    at quality 95.

    Args:
      path: of the file.
      max_side: longest side in pixels that is kept; larger images shrink, keeping their aspect.
      bounds: what is refused as too large.

    Returns:
      JPEG bytes (RGB), height and width in pixels.

    Raises:
      BadFile: missing, empty, not an image, cut short (also where an end marker follows the cut),
        beyond `bounds`, a side shorter than 16 pixels (also after shrinking), or values whose range
        nothing tells.
    """
    bad_file.check_file(path)
    with limits.Turn() as turn:
        try:
            size = os.path.getsize(path)
            bounds.check_bytes(size)
            turn.take(size)
            with open(path, "rb") as file:
                content = file.read()
            promised = webp_size.read(content)
            if promised:  # its reader takes memory to open
                bounds.check_pixels(*promised)
                need = size + promised[0] * promised[1] * _BYTES_OF_FORMAT["WEBP"]
                bounds.check_bytes(need)
                turn.take(need)
            image = _opened(content)
            bounds.check_pixels(*image.size)
            stored = stored_size(*image.size, max_side)
            _check_side(image.size, stored)
            turn_to = orientation.read(image, content)
            if image.format not in ("JPEG", "MPO"):
                need = size + image.width * image.height * _bytes_per_pixel(image, content, turn_to)
                bounds.check_bytes(need)
                turn.take(need)
                _check_data(image, content)
                return _encoded(image, content, stored, turn_to)
            intact = image.format == "JPEG" and image.mode == "RGB" and max(image.size) <= max_side
            intact = intact and turn_to == orientation.UPRIGHT
            image.draft(None, (max_side, max_side))  # a huge JPEG at a fraction of its size
            scans = jpeg_scans.read(content)
            need = 3 * size + scans.coefficients + image.width * image.height * _BYTES_OF_JPEG
            bounds.check_bytes(need)
            turn.take(need)
            content = jpeg_scans.cleaned(content, scans)
            if not scans.closed:
                intact, content = False, content.rstrip(b"\xff") + jpeg_scans.END
            image = _whole(content, max_side)
            if intact and content.endswith(jpeg_scans.END) and _is_decodable(content):
                return content, image.height, image.width
            return _encoded(image, content, stored, turn_to)
        except Image.DecompressionBombError as error:
            raise bad_file.BadFile(
                f"has more pixels than --max_pixels={bounds.max_pixels}"
            ) from error
        except _ERRORS as error:
            raise bad_file.BadFile(f"is not readable as an image ({_message(error)})") from error


def to_jpeg(image: Image.Image, full_colour: bool = False) -> bytes:
    """Returns an RGB image as JPEG of quality 95; `full_colour`: colours as sharp as the light."""
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0 if full_colour else -1)
    return encoded.getvalue()


def check_side(image: Image.Image) -> None:
    """Raises BadFile for a side shorter than 16 pixels."""
    _check_side(image.size, image.size)


def stored_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Returns the width and the height with which an image is stored, its aspect kept.

    Those of a larger one are rounded; `export.serving.image_file` rounds them likewise.
    """
    longest = max(width, height)
    if longest <= max_side:
        return width, height
    return (2 * width * max_side + longest) // (2 * longest), (2 * height * max_side + longest) // (
        2 * longest
    )


def _check_side(size: tuple[int, int], stored: tuple[int, int]) -> None:
    if min(stored) < MIN_SIDE:
        shrunk = "" if stored == size else f", {stored[0]}x{stored[1]} once it is shrunk"
        raise bad_file.BadFile(
            f"has {size[0]}x{size[1]} pixels{shrunk}: its shorter side must have at least "
            f"{MIN_SIDE}"
        )


def _check_data(image: Image.Image, content: bytes) -> None:
    """Raises BadFile where data end before the image does and Pillow does not notice."""
    whole: dict[str, Callable[[bytes], bool]] = {
        "PNG": png_chunks.is_whole,
        "TIFF": functools.partial(tiff_strips.are_whole, image),
    }
    if not whole.get(image.format or "", lambda content: True)(content):
        raise bad_file.BadFile(_SHORT)


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]  # old Pillows know no AVIF


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=_formats())


def _whole(content: bytes, max_side: int) -> Image.Image:
    """Decodes a JPEG, no larger than needed for `max_side`; raises BadFile where data are missing.

    See `jpeg_scans`.
    """
    scans = jpeg_scans.read(content)
    filled = jpeg_scans.filled(content, scans)
    digests = []
    for jpeg in (filled, content):  # one decoded image at a time
        image = _opened(jpeg)
        image.draft(None, (max_side, max_side))
        digests.append(hashlib.sha256(image.tobytes()).digest())
    if not scans.complete or digests[0] != digests[1]:
        raise bad_file.BadFile(_SHORT)
    return image


def _is_decodable(jpeg: bytes) -> bool:
    """Whether the data set's reader takes a JPEG."""
    import tensorflow as tf  # who embeds audio alone by a .tflite does without

    try:
        tf.io.decode_jpeg(jpeg, channels=3)
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _bytes_per_pixel(image: Image.Image, content: bytes, turn_to: int) -> int:
    turned = 4 * (turn_to != orientation.UPRIGHT)
    if image.format == "PNG" and png_chunks.has_odd_clear_colour(content):
        return _BYTES_BY_TENSORFLOW + turned
    most = _BYTES_OF_FORMAT.get(image.format or "") or _BYTES_OF_MODE.get(image.mode, _MOST_BYTES)
    return most + turned


def _encoded(
    image: Image.Image, content: bytes, stored: tuple[int, int], turn_to: int
) -> tuple[bytes, int, int]:
    image.load()
    image = orientation.upright(colours.to_rgb(image, content), turn_to)
    if orientation.is_lying(turn_to):
        stored = stored[::-1]
    if image.size != stored:  # `reducing_gap`: box filter first, as `thumbnail` does
        image = image.resize(stored, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return to_jpeg(image), image.height, image.width


def _message(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text holds a memory address
        return "unknown format"
    return bad_file.first_line(error)
