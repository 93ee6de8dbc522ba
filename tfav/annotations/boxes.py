"""Boxes around what sounds in an image: the text of a column, and Flickr-SoundNet's XML.

A box is (left, top, right, bottom) in fractions of the image. Two columns hold boxes:
`annotations`, where several annotators each marked the same source, and `objects`, where each box
is a source of its own. Either says `none` of an image in which nothing sounds. NumPy and the
standard library only.
"""

import xml.etree.ElementTree
from collections.abc import Collection, Sequence

import numpy as np

from tfav import registry

ANNOTATED_SIZE = 256  # pixels of the images that Flickr-SoundNet's annotators saw
Box = tuple[float, float, float, float]
COLUMNS = ANNOTATIONS, OBJECTS = ("annotations", "objects")
# Of an image in which nothing sounds; a word may follow that says what is heard instead.
NOTHING = "none"
# A column of before there were two, and what the sources that wrote it meant by it.
UNDIVIDED = "boxes"
_MEANT = {"flickr_soundnet": ANNOTATIONS, "synthetic_scenes": OBJECTS}


def column(columns: Collection[str], source: str, where: str) -> str:
    """Returns which column of a data set holds boxes; empty where none does.

    Args:
      columns: further columns of the data set.
      source: source it was prepared from.
      where: the data set, for the message.

    Raises:
      UserError: both columns are there, or one that does not say whose boxes it holds.
    """
    found = [name for name in COLUMNS if name in columns]
    if len(found) > 1:
        raise registry.UserError(
            f"{where} has the columns {ANNOTATIONS} and {OBJECTS}, which are two ways to read "
            "boxes: prepare it with one of them."
        )
    if not found and UNDIVIDED in columns and source not in _MEANT:
        raise registry.UserError(
            f"{where} has a column {UNDIVIDED!r}, which does not say whether several boxes are of "
            f"several annotators or of several objects: name it {ANNOTATIONS!r} or {OBJECTS!r} in "
            "the manifest, and prepare the data again."
        )
    return found[0] if found else UNDIVIDED if UNDIVIDED in columns else ""


def meaning(name: str, source: str) -> str:
    """Returns which of `COLUMNS` a column that `column` returned stands for."""
    return _MEANT[source] if name == UNDIVIDED else name


def absent(text: str) -> str | None:
    """Returns what is heard where nothing in the image sounds, `""` if unsaid; None of boxes."""
    first, _, rest = text.strip().partition(" ")
    return rest.strip() if first == NOTHING else None


def read(text: str, where: str) -> list[Box]:
    """Reads a cell: `left top right bottom` in [0, 1], several separated by `;`; `none`: no box.

    Raises:
      UserError: not four numbers in order; names `where`.
    """
    if absent(text) is not None:
        return []
    boxes = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        try:
            left, top, right, bottom = (float(number) for number in part.split())
        except ValueError:
            left = right = top = bottom = np.nan
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise registry.UserError(
                f"{where}: the box {part!r} is not left top right bottom in fractions of the "
                f"image (0 to 1, left < right, top < bottom), nor {NOTHING!r}: correct it."
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
