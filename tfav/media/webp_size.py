"""The size that a WebP says it has, from its first bytes.

Pillow opens a WebP by making a decoder, which takes 8 bytes per promised pixel before anyone knows
how many those are.
"""

_LEAST_BYTES = 30  # in which the size stands, whichever kind of WebP it is


def read(content: bytes) -> tuple[int, int] | None:
    """Returns width and height in pixels; None for what does not begin as a WebP does."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < _LEAST_BYTES:
        return None
    kind, body = content[12:16], content[20:_LEAST_BYTES]
    if kind == b"VP8X":  # the canvas, less one: 24 bits each
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":  # less one: 14 bits each
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":  # 14 bits each, above them a scale for display
        width, height = (int.from_bytes(body[k : k + 2], "little") for k in (6, 8))
        return width & 0x3FFF, height & 0x3FFF
    return None
