"""What happens to files: an end that lacks, flipped bits, a block of zeros, other content."""

import random
from collections.abc import Callable


def cut(content: bytes, draw: random.Random) -> bytes:
    """Returns the beginning."""
    return content[: int(len(content) * draw.uniform(0.05, 0.95))]


def flip(content: bytes, draw: random.Random) -> bytes:
    """Returns it with one to eight bits flipped."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def header(content: bytes, draw: random.Random) -> bytes:
    """Returns it with one to four of its first bytes replaced."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(min(48, len(changed)))] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
    return bytes(changed)


def zeros(content: bytes, draw: random.Random) -> bytes:
    """Returns it with a block of zeros, as after a crash of the machine."""
    start = draw.randrange(len(content))
    end = min(len(content), start + draw.choice([16, 512, 4096]))
    return content[:start] + bytes(end - start) + content[end:]


def empty(content: bytes, draw: random.Random) -> bytes:
    """Returns nothing."""
    return b""


def other(content: bytes, draw: random.Random) -> bytes:
    """Returns the page that a server sends in place of a file."""
    return b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>\n"


def gone(content: bytes, draw: random.Random) -> None:
    """Returns no file."""


OF_MEDIA: dict[str, Callable] = {"cut": cut, "flipped bits": flip, "wrong header": header}
OF_STATE = (cut, flip, zeros, empty, other, gone)
