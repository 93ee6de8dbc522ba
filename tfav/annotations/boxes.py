"""Boxes that annotators draw: the text of the column `boxes`, and Flickr-SoundNet's XML.

A box is (left, top, right, bottom) in fractions of the image. NumPy and the standard library only.
"""

import xml.etree.ElementTree
from collections.abc import Sequence

import numpy as np

from tfav import registry

ANNOTATED_SIZE = 256  # pixels of the images that Flickr-SoundNet's annotators saw
Box = tuple[float, float, float, float]


def read(text: str, where: str) -> list[Box]:
    """Reads the column `boxes`: `left top right bottom` in [0, 1], several separated by `;`.

    Raises:
      UserError: not four numbers in order; names `where`.
    """
    boxes = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        try:
            left, top, right, bottom = (float(number) for number in part.split())
        except ValueError:
            left = right = top = bottom = np.nan
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise registry.UserError(
                f"{where}: the box {part!r} is not left top right bottom in fractions of the "
                "image (0 to 1, left < right, top < bottom): correct it."
            )
        boxes.append((left, top, right, bottom))
    return boxes


def write(boxes: Sequence[Box]) -> str:
    """Returns the text that `read` reads."""
    return "; ".join(" ".join(f"{number:.4f}" for number in box) for box in boxes)


def read_annotation(path: str) -> list[Box]:
    """Reads an XML annotation of the Flickr-SoundNet test: every `bbox`, on a grid of 256 pixels.

    Raises:
      UserError: not such a file.
    """
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
        found = [
            [float(box.findtext(tag, "")) for tag in ("xmin", "ymin", "xmax", "ymax")]
            for box in root.iter("bbox")
        ]
    except (OSError, xml.etree.ElementTree.ParseError, ValueError) as error:
        raise registry.UserError(
            f"{path} is no annotation with bbox elements of xmin, ymin, xmax and ymax ({error}): "
            "correct it, or leave it out."
        ) from error
    clipped = np.clip(np.array(found).reshape(-1, 4) / ANNOTATED_SIZE, 0, 1)
    boxes: list[Box] = [
        (left, top, right, bottom)
        for left, top, right, bottom in clipped.tolist()
        if left < right and top < bottom
    ]
    if not boxes:
        raise registry.UserError(f"{path} marks no box: leave that image out.")
    return boxes
