"""Which files are taken for which modality, by the ending of their names: the one table.

What a file really is decides how it is read (a JPEG called `.png` is one); the name decides whether
a folder's file is looked at. Hidden files and folders (`._one.wav` of a Mac, `.ipynb_checkpoints`)
never are, and links to folders are followed.
"""

import collections
import os
from collections.abc import Iterable, Mapping

from absl import logging

from tfav import registry

LIBSNDFILE, FFMPEG, PILLOW = "libsndfile", "FFmpeg", "Pillow"
SUFFIXES: Mapping[str, Mapping[str, str]] = {  # modality to suffix to what reads it
    "audio": {
        **dict.fromkeys((".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus"), LIBSNDFILE),
        **dict.fromkeys((".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"), LIBSNDFILE),
        **dict.fromkeys((".m4a", ".m4b", ".aac", ".wma", ".amr", ".mka"), FFMPEG),
    },
    "image": {
        **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp"), PILLOW),
        **dict.fromkeys((".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif"), PILLOW),
    },
    "video": {
        **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv"), FFMPEG),
        **dict.fromkeys((".mpg", ".mpeg", ".wmv", ".3gp", ".ogv", ".mts", ".m2ts"), FFMPEG),
    },
}


def modality(name: str) -> str | None:
    """Returns what a file is taken for; None for one that is hidden or of no kind in the table."""
    if is_hidden(name):
        return None
    suffix = _suffix(name)
    return next((kind for kind, known in SUFFIXES.items() if suffix in known), None)


def reader(name: str) -> str | None:
    """Returns what reads a file of this name, or None."""
    kind = modality(os.path.basename(name).lstrip("."))
    return SUFFIXES[kind][_suffix(name)] if kind else None


def is_hidden(name: str) -> bool:
    """Whether the last part of a path begins with a dot."""
    return os.path.basename(name).startswith(".")


def listed(*modalities: str) -> str:
    """Returns the suffixes of modalities as text, for a message."""
    return ", ".join(suffix for kind in modalities for suffix in SUFFIXES[kind])


def beside(stem: str, kind: str) -> str | None:
    """Returns the file of a modality whose path is `stem` and a suffix of the table, or None."""
    paths = (stem + suffix for suffix in SUFFIXES[kind])
    return next(filter(os.path.isfile, paths), None)


def below(root: str | os.PathLike) -> list[str]:
    """Returns the paths, relative to `root` and with '/', of all files in it; hidden ones too.

    Folders that are linked are entered, each real folder once. Hidden folders are not: each is
    listed as if it were a file.

    Raises:
      UserError: a folder that cannot be read.
    """
    root = os.fspath(root)
    top = os.path.realpath(root)
    entered, found = {top}, []

    def fail(error: OSError) -> None:
        raise registry.UserError(
            f"{error.filename} cannot be read ({error.strerror}): correct its permissions or name "
            "another folder."
        ) from error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=fail):
        inside = []
        for name in sorted(folders):
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            if is_hidden(name):
                names.append(name)
            elif os.path.islink(path) and f"{real}{os.sep}".startswith(f"{top}{os.sep}"):
                continue  # its files are met at their own place
            elif real not in entered:
                entered.add(real)
                inside.append(name)
        folders[:] = inside
        found += [
            os.path.relpath(os.path.join(folder, x), root).replace(os.sep, "/") for x in names
        ]
    return sorted(found)


class LeftOut:
    """Files that are not used: counted by kind, and the first of them named."""

    def __init__(self) -> None:
        self.count: collections.Counter[str] = collections.Counter()
        self.first = ""

    def add(self, paths: Iterable[str]) -> None:
        """Counts files."""
        for path in paths:
            self.first = self.first or path
            self.count["hidden" if is_hidden(path) else _suffix(path) or "no suffix"] += 1

    def __bool__(self) -> bool:
        return bool(self.count)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.count.most_common())
        total = self.count.total()
        return f"{total} file{'s' * (total != 1)} left out ({kinds}; first {self.first})"

    def warn(self, where: str) -> None:
        """Logs what was left out of what is called `where`; nothing when nothing was."""
        if self.count:
            logging.warning("%s: %s", where, self)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
