"""The images of a folder, in the order of their numbers."""

import math
import os
import re
from collections.abc import Sequence

from tfav.media import bad_file, formats


def image_paths(paths: Sequence[str]) -> list[str]:
    """Returns `paths` with every folder replaced by the images in it, sorted by name.

    Numbers in names count as numbers: `2.jpg` comes before `10.jpg`.

    Raises:
      BadFile: a folder that cannot be read, or without images.
    """
    files = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        try:
            names = [x for x in os.listdir(path) if formats.modality(x) == "image"]
        except OSError as error:
            raise bad_file.BadFile(f"is a folder that cannot be read ({error.strerror})") from error
        if not names:
            raise bad_file.BadFile(f"is a folder without images ({formats.listed('image')})")
        files += [os.path.join(path, name) for name in sorted(names, key=_natural)]
    return files


def _natural(name: str) -> list[tuple[float, str]]:
    """Sorts names that hold numbers: numbers before letters, and by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(x) if x[0] in "0123456789" else math.inf, x) for x in parts]
