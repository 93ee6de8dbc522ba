"""What happens to the bytes of a valid file, drawn from a seed."""

import random
import struct
from collections.abc import Callable

from tests.hostile import damage

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (b"nan", b"-1", b"1e999", b"../../x", b"\0", b"\n", b",", b'"', b"[]", b"{}", b"null")


def number(content: bytes, draw: random.Random) -> bytes:
    """Returns it with an extreme integer somewhere, of one to eight bytes, of either order."""
    size = draw.choice([1, 2, 4, 8])
    value = draw.choice(_EXTREMES) & ((1 << 8 * size) - 1)
    order = draw.choice(["little", "big"])
    place = draw.randrange(max(1, min(len(content), draw.choice([64, 1024, 1 << 30]))))
    return content[:place] + value.to_bytes(size, order) + content[place + size :]


def floats(content: bytes, draw: random.Random) -> bytes:
    """Returns it with a float that is no number somewhere."""
    place = draw.randrange(max(1, len(content)))
    value = struct.pack("<f", draw.choice([float("nan"), float("inf"), -1e38]))
    return content[:place] + value + content[place + 4 :]


def insert(content: bytes, draw: random.Random) -> bytes:
    """Returns it with something put in."""
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice([*_WORDS, draw.randbytes(16)]) + content[place:]


def drop(content: bytes, draw: random.Random) -> bytes:
    """Returns it without a piece."""
    place = draw.randrange(max(1, len(content)))
    return content[:place] + content[place + draw.choice([1, 4, 100]) :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Returns it with a piece of it twice."""
    place = draw.randrange(max(1, len(content)))
    piece = content[place : place + draw.choice([4, 64, 4096])]
    return content[:place] + piece + content[place:]


def swap(content: bytes, draw: random.Random) -> bytes:
    """Returns it with two pieces in each other's place."""
    a, b = sorted(draw.randrange(max(1, len(content))) for _ in range(2))
    size = min(draw.choice([4, 16, 256]), b - a)
    one, other = content[a : a + size], content[b : b + size]
    return content[:a] + other + content[a + size : b] + one + content[b + size :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    damage.cut,
    damage.flip,
    damage.header,
    damage.zeros,
    number,
    floats,
    insert,
    drop,
    repeat,
    swap,
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Returns a valid file after one to three mutations."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if content:
            content = draw.choice(MUTATIONS)(content, draw)
    return content
