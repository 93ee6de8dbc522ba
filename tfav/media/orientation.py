"""Which way up an image is to be shown.

One definition for every door: the orientation is that of EXIF, the tag 0x0112 of type SHORT or LONG
in the first directory of the first EXIF block (APP1 of a JPEG, eXIf of a PNG). XMP and text chunks
are not asked: other decoders disregard them too. `export.serving.image_file` says it in a graph.
"""

from typing import NamedTuple

from PIL import Image

from tfav.media import png_chunks

TAG, UPRIGHT = 0x0112, 1
SHORT, LONG = 3, 4  # types of a value
EXIF = b"Exif\0\0"
_APP1, _SCAN, _FILL, _LEAST_MARKER = 0xFFE1, 0xFFDA, 0xFFFF, 0xFF01
_ENTRY_BYTES = 12
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(image: Image.Image, content: bytes) -> int:
    """Returns the orientation of an image that was opened from `content`; 1: as it stands."""
    if image.format in ("JPEG", "MPO"):
        at = _in_jpeg(content)
        return UPRIGHT if at is None else _Tiff(content, at).orientation()
    if image.format == "PNG":
        found = (chunk for chunk in png_chunks.read(content) if chunk.name == b"eXIf")
        first = next(found, None)
        return UPRIGHT if first is None else _Tiff(content, first.start).orientation()
    if image.format == "TIFF":
        return UPRIGHT  # Pillow turns it when it loads it
    exif = image.info.get("exif", b"").removeprefix(EXIF)
    return _Tiff(exif, 0).orientation() if exif else UPRIGHT


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Returns an image turned and mirrored as one of EXIF's values asks for."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def is_lying(orientation: int) -> bool:
    """Whether width and height change places."""
    return 5 <= orientation <= 8


def _in_jpeg(content: bytes) -> int | None:
    """Returns where the TIFF header of a JPEG's EXIF begins, or None."""
    at = 2
    while at + 4 <= len(content):
        marker, size = (int.from_bytes(content[k : k + 2], "big") for k in (at, at + 2))
        if marker < _LEAST_MARKER or marker == _SCAN:
            return None
        if marker == _APP1 and content.startswith(EXIF, at + 4):
            return at + 4 + len(EXIF)
        at += 1 if marker == _FILL else 2 + max(size, 2)
    return None


class _Tiff(NamedTuple):
    """A TIFF header at a place in a file."""

    content: bytes
    at: int

    def orientation(self) -> int:
        first = self.at + self._number(self.at + 4, 4)
        end = min(first + 2 + _ENTRY_BYTES * self._number(first, 2), len(self.content))
        for entry in range(first + 2, end - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            if self._number(entry, 2) == TAG:
                width = {SHORT: 2, LONG: 4}.get(self._number(entry + 2, 2))
                return self._number(entry + 8, width) if width else UPRIGHT
        return UPRIGHT

    def _number(self, at: int, width: int) -> int:
        little = self.content[self.at : self.at + 2] == b"II"
        return int.from_bytes(self.content[at : at + width], "little" if little else "big")
