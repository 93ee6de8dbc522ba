"""Progress bars: on terminals, on stderr, and none where a command is to be quiet."""

from typing import Any

import tqdm

_quiet = False


def be_quiet() -> None:
    """Shows no bar from now on in this process."""
    global _quiet
    _quiet = True


def bar(*args: Any, disable: bool | None = None, **options: Any) -> tqdm.tqdm:
    """Returns a bar of tqdm.

    Args:
      *args: as tqdm takes them.
      disable: True: none; None: none where stderr is no terminal.
      **options: as tqdm takes them.
    """
    return tqdm.tqdm(*args, disable=True if _quiet else disable, **options)
