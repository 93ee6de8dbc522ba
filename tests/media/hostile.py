"""Small files that promise much: what each would need if its header were believed."""

import io
import pathlib
import struct
import zlib
from collections.abc import Callable

import numpy as np
import soundfile
from PIL import Image

from tests import clips


def _wave(rate_hz: int, channels: int = 1, bits: int = 16, num_bytes: int = 1 << 17) -> bytes:
    samples = np.random.default_rng(0).integers(0, 256, num_bytes, np.uint8).tobytes()
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, rate_hz * block % 2**32, block % 2**16, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", 16) + form
    body += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _flac(path: pathlib.Path, samples: int) -> None:
    """Two seconds of noise whose header tells of `samples`."""
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 32_000), 16_000)
    content = bytearray(path.read_bytes())
    said = int.from_bytes(content[18:26], "big")  # 20 bits of rate, 3, 5, and 36 of samples
    content[18:26] = (said >> 36 << 36 | samples).to_bytes(8, "big")
    path.write_bytes(content)


def _long(path: pathlib.Path, rate_hz: int, seconds: int) -> None:
    """A step that a lossless codec writes in next to no bytes."""
    with soundfile.SoundFile(path, "w", rate_hz, 1, format="FLAC", subtype="PCM_16") as file:
        block = np.full(rate_hz * 60, 8_000, np.int16)
        for _ in range(seconds // 60):
            file.write(block)


def _sparse(path: pathlib.Path, head: bytes, num_bytes: int) -> None:
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(num_bytes)


def _jpeg(side: int, **options) -> bytes:
    """A small JPEG that says it has `side` x `side` pixels."""
    encoded = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(encoded, "JPEG", **options)
    content = bytearray(encoded.getvalue())
    at = content.find(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(content)


def _png(side: int, mode: int, bits: int, channels: int) -> bytes:
    """A PNG of one colour, all of whose pixels are there."""
    row = bytes(1 + side * channels * bits // 8)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, bits, mode, 0, 0, 0)),
        (b"IDAT", packed),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c))
        for name, c in chunks
    )


def _bmp(side: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 999, 0, 0, 54) + head + bytes(999)


def _webp(side: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (32, 32)).save(encoded, "WEBP", lossless=True)
    content = bytearray(encoded.getvalue())
    at = content.find(b"VP8L") + 9
    content[at : at + 4] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    return bytes(content)


def _tiff(path: pathlib.Path, side: int) -> None:
    Image.new("L", (side, side)).save(path, "TIFF", compression="tiff_deflate")


def _film(path: pathlib.Path, side: int) -> None:
    clips.write(path, pixels=[np.zeros((side, side, 3), np.uint8)] * 2, codecs=("mpeg4", ""))


_MAKERS: dict[str, Callable[[pathlib.Path], object]] = {
    "two_to_33.flac": lambda path: _flac(path, 2**33),
    "no_length.flac": lambda path: _flac(path, 0),
    "rate_1.wav": lambda path: path.write_bytes(_wave(1)),
    "rate_3999.wav": lambda path: path.write_bytes(_wave(3999)),
    "rate_2_billion.wav": lambda path: path.write_bytes(_wave(2_000_000_000)),
    "channels_1024.wav": lambda path: path.write_bytes(_wave(16_000, 1024)),
    "channels_65535.wav": lambda path: path.write_bytes(_wave(16_000, 65_535)),
    "three_hours.flac": lambda path: _long(path, 16_000, 3 * 3600),
    "twenty_minutes.flac": lambda path: _long(path, 48_000, 1200),
    "zeros_of_4_gb.wav": lambda path: _sparse(path, _wave(16_000)[:40] + b"\xff" * 4, 4 << 30),
    "zeros_of_4_gb.mp3": lambda path: _sparse(path, b"\xff\xfb\x90\x00", 4 << 30),
    "zeros_of_4_gb.jpg": lambda path: _sparse(path, b"\xff\xd8\xff\xe0", 4 << 30),
    "side_12000.jpg": lambda path: path.write_bytes(_jpeg(12_000)),
    "side_12000_progressive.jpg": lambda path: path.write_bytes(_jpeg(12_000, progressive=True)),
    "side_65535.jpg": lambda path: path.write_bytes(_jpeg(65_535)),
    "side_12000.png": lambda path: path.write_bytes(_png(12_000, 2, 8, 3)),
    "side_6000_alpha.png": lambda path: path.write_bytes(_png(6000, 6, 8, 4)),
    "side_6000_grey16.png": lambda path: path.write_bytes(_png(6000, 0, 16, 1)),
    "side_3500_alpha.png": lambda path: path.write_bytes(_png(3500, 6, 8, 4)),
    "side_13000_grey.png": lambda path: path.write_bytes(_png(13_000, 0, 8, 1)),
    "side_13000.bmp": lambda path: path.write_bytes(_bmp(13_000)),
    "side_13000.ppm": lambda path: path.write_bytes(b"P6 13000 13000 255\n" + bytes(999)),
    "side_16383.webp": lambda path: path.write_bytes(_webp(16_383)),
    "side_13000.webp": lambda path: path.write_bytes(_webp(13_000)),
    "side_10000.tif": lambda path: _tiff(path, 10_000),
    "side_6000.avi": lambda path: _film(path, 6000),
    "a_year.mkv": lambda path: clips.write(
        path, 3, 1, times=[0, 1, 32_000_000], codecs=("ffv1", "")
    ),
}


def write(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes all of them and returns their paths."""
    for name, make in _MAKERS.items():
        make(folder / name)
    return [folder / name for name in _MAKERS]
