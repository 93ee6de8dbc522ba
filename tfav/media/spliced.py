"""A part of an open file as a file of its own, behind a head that is written anew."""

import io
from typing import BinaryIO


class Spliced(io.RawIOBase):
    """Reads `head`, then the bytes of a file from `start` to `end`.

    Args:
      file: open for reading, and shared by the parts of it, which are read one after the other.
      start: first byte of the part in the file.
      end: the byte behind its last one.
      head: bytes to come first.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, head: bytes = b""):
        super().__init__()
        self._file, self._start, self._head = file, start, head
        self._size = len(head) + max(0, end - start)
        self._at = 0

    def readable(self) -> bool:
        """Says yes."""
        return True

    def seekable(self) -> bool:
        """Says yes."""
        return True

    def tell(self) -> int:
        """Returns the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a byte, counted from the beginning, from here or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Reads what follows into a buffer; returns how many bytes."""
        # As much as there is: libsndfile takes less for the end.
        piece = self._head[self._at : self._at + len(buffer)]
        behind = self._at + len(piece)
        wanted = min(len(buffer) - len(piece), self._size - behind)
        if wanted > 0:
            self._file.seek(self._start + behind - len(self._head))
            piece += self._file.read(wanted)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
