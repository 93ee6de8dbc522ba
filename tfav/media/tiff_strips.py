"""Whether the strips of a TIFF that holds JPEG are whole.

libtiff reports those that end early to nobody, and Pillow leaves grey.
"""

from PIL import Image

from tfav.media import jpeg_scans

_COMPRESSION, _JPEG = 259, 7
_PLACES = ((273, 279), (324, 325))  # of strips, of tiles: tags of their offsets and byte counts


def are_whole(image: Image.Image, content: bytes) -> bool:
    """Whether every strip or tile of JPEG ends with the end marker of a JPEG.

    Args:
      image: a TIFF as Pillow has opened it.
      content: of the file.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(_COMPRESSION) != _JPEG:
        return True
    return all(
        content[start : start + size].rstrip(b"\0").endswith(jpeg_scans.END)
        for offsets, sizes in _PLACES
        for start, size in zip(tags.get(offsets, ()), tags.get(sizes, ()))
    )
