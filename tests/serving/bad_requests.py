"""Requests that a server must refuse, and the sentence of each; drawn from a seed."""

import random
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from tests.serving import sounds


class BadRequest(NamedTuple):
    """What is sent, and how it must be refused.

    Attributes:
      signature: that is called.
      inputs: by name, as `Client.predict` takes them.
      sentence: a part of the server's.
    """

    signature: str
    inputs: dict[str, object]
    sentence: str


def _words(draw: random.Random) -> bytes:
    return draw.choice([b"", b"hello", b"<html>", draw.randbytes(40)])


def _no_wav(draw: random.Random, size: int) -> BadRequest:
    return BadRequest("embed_wav", {"wav": [b"?" + _words(draw)]}, "not a whole WAV")


def _cut_wav(draw: random.Random, size: int) -> BadRequest:
    content = sounds.wav(sounds.clip())[: draw.randint(1, 40)]
    return BadRequest("embed_wav", {"wav": [content]}, "not a whole WAV")


def _one_bad_wav_of_two(draw: random.Random, size: int) -> BadRequest:
    content = [sounds.wav(sounds.clip()), _words(draw)]
    draw.shuffle(content)
    return BadRequest("embed_wav", {"wav": content}, "not a whole WAV")


def _no_image(draw: random.Random, size: int) -> BadRequest:
    return BadRequest("embed_jpeg", {"jpeg": [b"?" + _words(draw)]}, "neither JPEG nor PNG")


def _long_clip(draw: random.Random, size: int) -> BadRequest:
    inputs = {"waveform": np.zeros([1, 1600]), "num_samples": [1600 + draw.randint(1, 99)]}
    return BadRequest("embed_audio", inputs, "more than the waveform")


def _no_samples(draw: random.Random, size: int) -> BadRequest:
    inputs = {"waveform": [[]] * draw.randint(1, 3), "num_samples": [0]}
    return BadRequest("embed_audio", inputs, "has no samples|for each row of waveform")


def _other_size(draw: random.Random, size: int) -> BadRequest:
    other = draw.choice([size - 1, size + 1])
    inputs = {"probe": np.ones([1, other]), "candidates": np.ones([1, 2, other])}
    return BadRequest("match", inputs, f"expected shape .*{size}")


def _no_candidates(draw: random.Random, size: int) -> BadRequest:
    probes = draw.randint(1, 3)
    inputs = {"probe": np.ones([probes, size]), "candidates": np.ones([probes + 1, 2, size])}
    return BadRequest("match", inputs, "different numbers of rows")


def _missing_input(draw: random.Random, size: int) -> BadRequest:
    return BadRequest("match", {"probe": np.ones([1, size])}, "Missing named input: candidates")


def _no_signature(draw: random.Random, size: int) -> BadRequest:
    name = f"embed_{draw.choice(['text', 'video', ''])}"
    return BadRequest(name, {"x": [1.0]}, f'"{name}" not found')


KINDS: tuple[Callable[[random.Random, int], BadRequest], ...] = (
    _no_wav,
    _cut_wav,
    _one_bad_wav_of_two,
    _no_image,
    _long_clip,
    _no_samples,
    _other_size,
    _no_candidates,
    _missing_input,
    _no_signature,
)


def drawn(draw: random.Random, signatures: Collection[str], size: int) -> BadRequest:
    """Returns one of those that an export can be asked.

    Args:
      draw: draws.
      signatures: those of the export.
      size: of its embeddings.
    """
    while True:
        request = draw.choice(KINDS)(draw, size)
        if request.signature in signatures or "not found" in request.sentence:
            return request
