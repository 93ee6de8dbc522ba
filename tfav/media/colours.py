"""An image of any mode in; RGB of 8 bits, transparency on white, or the reason of a failure out."""

import numpy as np
from PIL import Image

from tfav.media import bad_file, png_chunks

# Values of 16 bits lie in [0, 65535]. Where the brightest is below this share of it, fewer bits
# were written without scaling (of 12 bits, 1/16), and every decoder shows them almost black.
LEAST_OF_16_BITS = 16  # after scaling to 8 bits
_BITS_PER_SAMPLE = 258  # of TIFF


def to_rgb(image: Image.Image, content: bytes) -> Image.Image:
    """Returns a loaded image as RGB.

    Args:
      image: as Pillow has decoded it.
      content: of the file that it was opened from.

    Raises:
      BadFile: float, signed or 32-bit values, whose range nothing tells; or 16 bits that are almost
        black.
    """
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        kind = "float" if image.mode == "F" else "signed or 32-bit"
        raise bad_file.BadFile(
            f"holds {kind} values, and nothing tells which of them is white: save it with unsigned "
            "8 or 16 bits per channel"
        )
    deep = is_deep(image, content)
    if image.format == "PNG" and png_chunks.has_odd_clear_colour(content):
        import tensorflow as tf  # as the server decodes it

        image = Image.fromarray(tf.io.decode_png(content, channels=4).numpy())
    if image.mode.startswith("I"):  # 16-bit grey: `convert` would clip it to white
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype("u1"))
    if "A" in image.mode or "transparency" in image.info:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    plain = image if image.mode == "RGB" else image.convert("RGB")
    plain.info = {}  # no stale EXIF or colour profile in the new file
    if deep and np.asarray(plain).max() < LEAST_OF_16_BITS:
        raise bad_file.BadFile(
            f"is almost black: its 16-bit values stay below {256 * LEAST_OF_16_BITS} of 65535, as "
            "those of 8 or 12 bits do: scale them to the whole range"
        )
    return plain


def is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether the channels of an image have 16 bits."""
    if image.format == "PNG":
        return png_chunks.header(content).depth == 16
    if image.format == "TIFF":
        return 16 in image.tag_v2.get(_BITS_PER_SAMPLE, ())  # type: ignore[attr-defined]
    return image.mode.startswith("I")
