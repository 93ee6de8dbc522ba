"""JPEG, PNG and TIFF files written byte by byte, as no encoder at hand writes them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

GREY, RGB = 0, 2  # colour types of a PNG
ORIENTATION, SHORT, LONG = 0x0112, 3, 4
PASSES = (  # of an interlaced PNG: first column and row, steps across and down
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation, kind=SHORT, order=">"):
    """Returns an EXIF block with one entry, whose value is of a type and of a byte order."""
    value = struct.pack(order + "HH", orientation, 0) if kind == SHORT else None
    value = value or struct.pack(order + "I", orientation)
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "HHHI", 1, ORIENTATION, kind, 1) + value + bytes(4)


def with_app1(jpeg, body):
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def xmp(orientation):
    """Returns a packet that says an orientation, as Adobe's programs write it beside EXIF."""
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}"><rdf:Description '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def chunk(name, content):
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png(width, height, depth, colour, packed, *before, after=b"", interlaced=0):
    """Returns a PNG of packed rows, with chunks before and after them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", packed), after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rows(pixels):
    """Returns rows [H, W] or [H, W, C] of bytes or big-endian words, each unfiltered."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def clear(*colour):
    """Returns the chunk that makes one colour clear."""
    return chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))


def packed_grey(values, depth):
    """Returns rows [H, W] of values below 2^depth, as a PNG of 2 or 4 bits holds them."""
    bits = np.unpackbits(values.astype(np.uint8)[..., np.newaxis], axis=2)[..., -depth:]
    return rows(np.packbits(bits.reshape(len(values), -1), axis=1))


def strips_of_jpeg(image, share):
    """Returns a TIFF of JPEG whose byte counts say a share of what its strips have."""
    content = bytearray(encoded(image, "TIFF", compression="jpeg"))
    order = "<" if content[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, first)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, number, value = struct.unpack_from(order + "HHII", content, at)
        if tag == 279:
            assert number == 1 and kind == LONG
            struct.pack_into(order + "I", content, at + 8, round(value * share))
    return bytes(content)


def noise(width=90, height=120, seed=0):
    """Returns an image whose every row and bit counts."""
    pixels = np.random.default_rng(seed).integers(60, 255, [height, width, 3], np.uint8)
    return Image.fromarray(pixels)
