"""A file that cannot be used: the exception that says why, and the checks that need no decoder."""

import os

# What is told of files that were joined byte by byte, of which decoders read the first.
JOINED = (
    "holds another recording behind its end: give each a file of its own, or join their sound "
    "(sox FIRST SECOND OUT)"
)


class BadFile(Exception):
    """A file that cannot be used; `reason` completes the sentence "skipped because it ..."."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def check_file(path: str | os.PathLike) -> None:
    """Raises BadFile unless there is a file at `path`, with something in it."""
    if not os.path.exists(path):
        raise BadFile("does not exist")
    if not os.path.isfile(path):
        raise BadFile("is not a file")
    if not os.path.getsize(path):
        raise BadFile("is empty (0 bytes)")


def check_name(path: str | os.PathLike) -> None:
    """Raises BadFile for a path that is not UTF-8, where it is to be written down as an id."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise BadFile("has a name that is not UTF-8: rename it") from error


def first_line(error: Exception) -> str:
    """Returns what an exception of a decoder says, as a part of a sentence."""
    text = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return text.splitlines()[0].removeprefix("Error : ").rstrip(".")
