"""What becomes of a file at each door: a row of the tables that `test_doors` walks."""

from typing import NamedTuple

LEAST = 0.9999
SAME = ""


class Case(NamedTuple):
    """A file, and the sentence that a door refuses it with; empty: embedded.

    Attributes:
      content: of the file.
      files: of prepare and tfav-embed.
      server: of the signature of files.
      client: before it sends; None: the server's.
      like: a file with the same embedding, where tfav-embed may refuse this one.
    """

    content: bytes
    files: str = SAME
    server: str = SAME
    client: str | None = None
    like: bytes = b""
