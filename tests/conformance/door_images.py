"""Image files by doors."""

import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image

from tests import odd_images
from tests.conformance.door_cases import Case
from tests.odd_images import chunk, encoded, png, with_app1


def photograph(width=90, height=120, seed=0):
    """Returns patches of colour under a slope of light, so that every turn shows."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, [6, 5, 3], np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return image


def turned(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photograph(), kind, exif=exif)


def little_endian(content):
    """Returns a JPEG whose EXIF is of the other byte order than Pillow writes."""
    at = content.index(b"Exif\0\0MM\0*") + 6
    count, tag, kind, number, value = struct.unpack_from(">HHHIH", content, at + 8)
    assert count == 1
    other = b"II*\0" + struct.pack("<IHHHIHH", 8, 1, tag, kind, number, value, 0)
    return content[:at] + other + content[at + len(other) :]


def with_alpha(mode):
    image = photograph().convert(mode)
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 90).astype(np.uint8), [120, 1]))
    image.putalpha(alpha)
    return image


def interlaced():
    """Returns a PNG in seven passes, each unfiltered."""
    pixels = np.asarray(photograph())
    passes = [pixels[y::down, x::across] for x, y, across, down in odd_images.PASSES]
    data = zlib.compress(b"".join(map(odd_images.rows, passes)))
    return png(90, 120, 8, odd_images.RGB, data, interlaced=1)


def deep(channels, scale=257):
    pixels = np.asarray(photograph()).astype(np.uint16) * scale
    if channels == 4:
        pixels = np.dstack([pixels, np.linspace(0, 65_535, 120 * 90).reshape(120, 90)])
    return tf.io.encode_png(pixels[..., :channels].astype(np.uint16)).numpy()


def promising(side):
    """Returns a PNG whose header tells of `side` x `side` pixels."""
    content = bytearray(encoded(photograph(), "PNG"))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def cut(share, **options):
    """Returns a JPEG whose data were cut and closed with an end marker."""
    whole = encoded(photograph(), quality=92, **options)
    return whole[: int(len(whole) * share)] + b"\xff\xd9"


def thumbnailed(jpeg):
    """Returns a JPEG with a small one, end marker and all, in its EXIF."""
    small = encoded(photograph(16, 20))
    return with_app1(jpeg, b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) + small)


def png_of(*chunks, pack=zlib.compress, after=b""):
    """Returns a PNG of the photograph, with chunks before and behind its data."""
    pixels = np.asarray(photograph())
    return png(90, 120, 8, odd_images.RGB, pack(odd_images.rows(pixels)), *chunks, after=after)


def raw_profile(exif):
    """Returns the text chunk in which old programs keep EXIF."""
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n"
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def half_clear(depth, other=0):
    """Returns a PNG whose upper half has the colour that is clear, but for `other`."""
    if depth == 16:
        pixels = (np.asarray(photograph()).astype(">u2") // 40 * 40) << 8
        pixels[:60] = 0x1234 + other
        clear = odd_images.clear(0x1234, 0x1234, 0x1234)
        return png(90, 120, 16, odd_images.RGB, zlib.compress(odd_images.rows(pixels)), clear)
    values = np.asarray(photograph().convert("L")) >> 8 - depth
    values[:60] = 1 + other
    data = zlib.compress(odd_images.packed_grey(values, depth))
    return png(90, 120, depth, odd_images.GREY, data, odd_images.clear(1))


def damaged_crc():
    content = bytearray(encoded(photograph(), "PNG"))
    content[-16] ^= 1  # of the checksum before IEND, which is 12 bytes
    return bytes(content)


EXIF = b"Exif\0\0"
SHORT_OF_DATA = "is cut short or damaged: its data end before the image does"
SERVED_SHORT = "a JPEG file is cut short or damaged, its data end before the image does: send"
BROKEN = "a PNG file is damaged and cannot be decoded: send an intact one"  # by the client
KINDS = "a file is neither JPEG nor PNG, send one of these"
IMAGES = {
    "JPEG": Case(encoded(photograph())),
    "progressive JPEG": Case(encoded(photograph(), progressive=True)),
    "grey JPEG": Case(encoded(photograph().convert("L"))),
    "CMYK JPEG": Case(encoded(photograph().convert("CMYK"))),
    "large JPEG": Case(encoded(photograph(1_200, 1_600), quality=90)),
    **{f"JPEG, orientation {o}": Case(turned("JPEG", o)) for o in range(1, 9)},
    "JPEG, orientation 6, little-endian": Case(little_endian(turned("JPEG", 6))),
    "JPEG, orientation 6 as LONG": Case(
        with_app1(encoded(photograph()), EXIF + odd_images.exif(6, odd_images.LONG, "<"))
    ),
    "JPEG, orientation 6 as LONG, big-endian": Case(
        with_app1(encoded(photograph()), EXIF + odd_images.exif(6, odd_images.LONG))
    ),
    "JPEG, orientation 6 as BYTE": Case(
        with_app1(encoded(photograph()), EXIF + odd_images.exif(6 << 24, 1))
    ),
    "JPEG, orientation 9": Case(with_app1(encoded(photograph()), EXIF + odd_images.exif(9))),
    "JPEG, two EXIF blocks": Case(
        with_app1(
            with_app1(encoded(photograph()), EXIF + odd_images.exif(3)), EXIF + odd_images.exif(6)
        )
    ),
    "JPEG, orientation in XMP": Case(
        with_app1(encoded(photograph()), b"http://ns.adobe.com/xap/1.0/\0" + odd_images.xmp(6))
    ),
    "JPEG, cut EXIF": Case(with_app1(encoded(photograph()), EXIF + odd_images.exif(6)[:13])),
    "JPEG with restart markers": Case(encoded(photograph(), restart_marker_blocks=3)),
    "JPEG with a thumbnail": Case(thumbnailed(encoded(photograph()))),
    "JPEG with another behind": Case(encoded(photograph()) + encoded(photograph(seed=1))),
    "PNG": Case(encoded(photograph(), "PNG")),
    "grey PNG": Case(encoded(photograph().convert("L"), "PNG")),
    "PNG of two colours": Case(encoded(photograph().convert("1"), "PNG")),
    "palette": Case(encoded(photograph().convert("P"), "PNG")),
    "palette of 4 bits": Case(encoded(photograph().quantize(8), "PNG", bits=4)),
    "palette with a clear colour": Case(encoded(photograph().quantize(8), "PNG", transparency=2)),
    "PNG with alpha": Case(encoded(with_alpha("RGB"), "PNG")),
    "grey PNG with alpha": Case(encoded(with_alpha("L"), "PNG")),
    "16-bit PNG": Case(deep(3)),
    "16-bit PNG with alpha": Case(deep(4)),
    "16-bit grey PNG": Case(deep(1)),
    **{f"PNG, orientation {o}": Case(turned("PNG", o)) for o in range(1, 9)},
    "PNG, orientation behind its data": Case(png_of(after=chunk(b"eXIf", odd_images.exif(6)))),
    "PNG, two EXIF chunks": Case(
        png_of(chunk(b"eXIf", odd_images.exif(6)), chunk(b"eXIf", odd_images.exif(3)))
    ),
    "PNG, orientation in XMP": Case(
        png_of(chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + odd_images.xmp(6)))
    ),
    "PNG, orientation in a text": Case(png_of(raw_profile(EXIF + odd_images.exif(6)))),
    **{f"PNG of {d} bits with a clear colour": Case(half_clear(d)) for d in (1, 2, 4, 16)},
    "PNG of 16 bits, nearly the clear colour": Case(half_clear(16, other=0x22)),
    "interlaced PNG": Case(interlaced()),
    "16-bit PNG of 12 bits": Case(
        deep(3, 16), "is almost black: its 16-bit values stay below 4096", "is almost black, its 16"
    ),
    "16 pixels wide": Case(encoded(photograph(16, 40), "PNG")),
    "10 pixels wide": Case(
        encoded(photograph(10, 40)), "has 10x40 pixels", "40 pixels high and 10 wide, send at least"
    ),
    "JPEG of 3 pixels once shrunk": Case(
        encoded(photograph(20, 3_000)),
        "has 20x3000 pixels, 3x512 once it is shrunk",
        "3000 pixels high and 20 wide, 512 and 3 once it is shrunk: send at least 16",
    ),
    "PNG of 7 pixels once shrunk": Case(
        encoded(photograph(3_000, 40), "PNG"), "512x7 once it is shrunk", "7 and 512 once it is"
    ),
    "16 pixels once shrunk": Case(encoded(photograph(31, 1_024), "PNG")),  # 15.5
    "15 pixels once shrunk": Case(
        encoded(photograph(30, 1_024), "PNG"), "15x512 once", "512 and 15 once it is shrunk"
    ),
    "WebP": Case(encoded(photograph(), "WEBP"), ".?", KINDS),
    "GIF": Case(encoded(photograph(), "GIF"), ".?", KINDS),
    "not an image": Case(b"hello" * 20, ".", KINDS),
    "empty": Case(b"", "is empty", KINDS, "is empty: send the bytes"),
    "JPEG cut short": Case(
        encoded(photograph(), quality=95)[:3_000], ".", "a JPEG file has no end, it was cut short"
    ),
    "PNG cut short": Case(
        encoded(photograph(), "PNG")[:3_000], ".", "a PNG file has no end, it was cut short"
    ),
    **{
        f"JPEG cut at {share} and closed": Case(cut(share), SHORT_OF_DATA, SERVED_SHORT)
        for share in (0.6, 0.95)
    },
    "progressive JPEG, cut and closed": Case(
        cut(0.6, progressive=True), SHORT_OF_DATA, SERVED_SHORT
    ),
    "JPEG with restart markers, cut and closed": Case(
        cut(0.6, restart_marker_blocks=3), SHORT_OF_DATA, SERVED_SHORT
    ),
    "JPEG with a thumbnail, cut": Case(
        thumbnailed(cut(0.6)[:-2]), SHORT_OF_DATA, "a JPEG file has no end, it was cut short"
    ),
    "JPEG of a header alone": Case(
        encoded(photograph())[:20] + b"\xff\xd9", ".", "a JPEG file is 0 pixels high and 0 wide"
    ),
    "PNG with too few rows": Case(
        png_of(pack=lambda rows: zlib.compress(rows[: len(rows) // 2])), SHORT_OF_DATA, BROKEN
    ),
    "PNG with one row too few": Case(
        png_of(pack=lambda rows: zlib.compress(rows[:-271])), SHORT_OF_DATA, BROKEN
    ),
    "PNG with half of its data": Case(
        png_of(pack=lambda rows: zlib.compress(rows)[:5_000]), SHORT_OF_DATA, BROKEN
    ),
    "PNG with a wrong checksum of its data": Case(
        png_of(pack=lambda rows: zlib.compress(rows)[:-4] + b"abcd"), "is not readable", BROKEN
    ),
    "PNG with a wrong checksum of a chunk": Case(damaged_crc(), "is not readable", BROKEN),
    "PNG of 10^10 pixels": Case(promising(100_000), ".", "says that it has 10000000000 pixels"),
}
