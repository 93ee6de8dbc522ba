"""Formats by doors: what prepare, tfav-embed, the client and the server make of one file.

In every cell the embedding is that of tfav-embed (cosine 0.9999), or there is a refusal in a
sentence.
"""

import io
import re
import struct
import zlib
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tests import small
from tests.export import conftest
from tests.export.conftest import recipe  # noqa: F401
from tests.serving import loopback
from tests.serving.loaded import Loaded, Refused
from tfav import hearing, registry
from tfav.clients import client
from tfav.data.input import pipeline
from tfav.data.prepare import dataset, manifest
from tfav.export import servable
from tfav.export.serving import saved_model
from tfav.inference import file_embedding, recipe_embedder
from tfav.media import mono

LEAST = 0.9999
SAME = ""
RATE = 16_000


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


# Sound ------------------------------------------------------------------------------------------


def voice(seconds=0.7, seed=0, channels=1):
    """Returns int16 samples [T, channels] of a chirp in noise."""
    time = np.arange(round(RATE * seconds)) / RATE
    noise = 0.05 * np.random.default_rng(seed).standard_normal([len(time), channels])
    wave = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time)[:, np.newaxis]
    return np.round(32_767 * np.clip(wave * np.linspace(1, 0.2, channels) + noise, -1, 1)).astype(
        np.int16
    )


def chunk(name, content, size=None, padded=True):
    size = len(content) if size is None else size
    return name + struct.pack("<I", size) + content + b"\0" * (padded and len(content) % 2)


def wav(samples, *before, size=None, riff_size=None, form=None):
    """Returns a WAV file, other chunks before its samples."""
    channels = samples.shape[1]
    if form is None:
        form = struct.pack("<HHIIHH", 1, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    body = b"WAVE" + chunk(b"fmt ", form) + b"".join(before)
    body += chunk(b"data", samples.astype("<i2").tobytes(), size)
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def written(samples, rate_hz=RATE, **kind):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, **{"format": "WAV", "subtype": "PCM_16", **kind})
    return file.getvalue()


def extensible(channels):
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    form = struct.pack("<HHIIHH", 0xFFFE, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    return form + struct.pack("<HHI", 22, 16, 0) + guid


ODD = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0")
CONVERT = "convert it, as by ffmpeg"
SOUNDS = {
    "PCM16": Case(wav(voice())),
    "stereo": Case(wav(voice(channels=2))),
    "three channels": Case(wav(voice(channels=3))),
    "WAVE_FORMAT_EXTENSIBLE": Case(wav(voice(channels=2), form=extensible(2))),
    "other chunks": Case(wav(voice(), chunk(b"JUNK", b"...."), ODD)),
    "odd chunk, no pad byte": Case(
        wav(voice(), chunk(b"LIST", b"INFOISFT\x05\0\0\0abcde", padded=False)),
        files=".?",  # up to libsndfile
        like=wav(voice()),
    ),
    "format of 18 bytes": Case(
        wav(voice(), form=struct.pack("<HHIIHHH", 1, 1, RATE, 2 * RATE, 2, 16, 0))
    ),
    "garbage behind": Case(wav(voice()) + b"\x01\x02garbage" * 50),
    "half a sample at the end": Case(wav(voice(), size=2 * 11_200 + 1) + b"\x01"),
    "from a pipe": Case(wav(voice(), ODD, size=0xFFFFFFFF, riff_size=0xFFFFFFFF)),
    "size never written": Case(
        wav(voice(), size=0, riff_size=0),
        "lasts 0.000 s",
        "a file holds no samples, send",
        "is empty: send",
    ),
    "0.1 s": Case(wav(voice(0.1))),
    "longer than is heard": Case(wav(voice(2.5))),
    "24 bits": Case(
        written(voice() / 32_768, subtype="PCM_24"),
        server="has 24 bits per sample .* send RIFF .* 16-bit PCM",
        client=f"24 bits per sample.*{CONVERT}",
    ),
    "float": Case(
        written(voice() / 32_768, subtype="FLOAT"),
        server="32 bits per sample in the WAV format 3",
        client=f"its format is 3, PCM is 1.*{CONVERT}",
    ),
    "44.1 kHz": Case(
        written(voice(), 44_100), server="has 44100 Hz, send 16000 Hz", client=f"44100.*{CONVERT}"
    ),
    "FLAC": Case(
        written(voice(), format="FLAC"), server="not a whole WAV, send", client=f"no WAV.*{CONVERT}"
    ),
    "silence": Case(
        wav(np.zeros([8_000, 1])), "is silent", "row 0 of waveform is silent.*send sound"
    ),
    "antiphase": Case(
        wav(np.hstack([voice(), -voice()])), ".", "row 0 of waveform is silent.*send sound"
    ),
    "0.05 s": Case(wav(voice(0.05)), "lasts 0.050 s", "lasts 0.05 s, send at least 0.1 s"),
    "no samples": Case(wav(voice()[:0]), ".", "a file holds no samples, send", "is empty: send"),
    "not sound": Case(b"hello" * 20, ".", "not a whole WAV, send RIFF", f"no WAV.*{CONVERT}"),
    "empty": Case(b"", "is empty", "not a whole WAV, send RIFF", f"no WAV.*{CONVERT}"),
}


# Images -----------------------------------------------------------------------------------------


def photograph(width=90, height=120, seed=0):
    """Returns patches of colour under a slope of light, so that every turn shows."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, [6, 5, 3], np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return image


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


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


def deep(channels):
    pixels = np.asarray(photograph()).astype(np.uint16) * 257
    if channels == 4:
        pixels = np.dstack([pixels, np.linspace(0, 65_535, 120 * 90).reshape(120, 90)])
    return tf.io.encode_png(pixels[..., :channels].astype(np.uint16)).numpy()


def promising(side):
    """Returns a PNG whose header tells of `side` x `side` pixels."""
    content = bytearray(encoded(photograph(), "PNG"))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


KINDS = "a file is neither JPEG nor PNG, send one of these"
IMAGES = {
    "JPEG": Case(encoded(photograph())),
    "progressive JPEG": Case(encoded(photograph(), progressive=True)),
    "grey JPEG": Case(encoded(photograph().convert("L"))),
    "CMYK JPEG": Case(encoded(photograph().convert("CMYK"))),
    "large JPEG": Case(encoded(photograph(1_200, 1_600), quality=90)),
    **{f"JPEG, orientation {o}": Case(turned("JPEG", o)) for o in range(1, 9)},
    "JPEG, orientation 6, little-endian": Case(little_endian(turned("JPEG", 6))),
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
    "16 pixels wide": Case(encoded(photograph(16, 40), "PNG")),
    "10 pixels wide": Case(
        encoded(photograph(10, 40)), "has 10x40 pixels", "40 pixels high and 10 wide, send at least"
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
    "PNG of 10^10 pixels": Case(promising(100_000), ".", "says that it has 10000000000 pixels"),
}


# Doors ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(recipe):  # noqa: F811
    """The recipe, which hears 2 s of a clip and repeats what is shorter than 0.5 s."""
    before = recipe.hearing
    recipe.hearing = hearing.Hearing(2.0, 0.5)
    yield recipe
    recipe.hearing = before


@pytest.fixture(scope="module")
def loaded(heard, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("doors") / "demo")
    saved_model.write(servable.Servable(heard), directory)
    return Loaded(directory, "demo")


@pytest.fixture(scope="module")
def rest(loaded):
    server = loopback.Server(loaded)
    yield client.Client(server.url, "demo", retries=0)
    server.close()


def by_embed(recipe, modality, path):  # noqa: F811
    embedder = recipe_embedder.RecipeEmbedder(recipe)
    done = file_embedding.embed(
        embedder, {modality: [("x", str(path))]}, batch_size=1, max_bad_fraction=0.0
    )
    return done.arrays[modality][0]


def by_prepare(recipe, modality, path, output):  # noqa: F811
    rows = [manifest.Row("x", "test", "x", **{modality: str(path)})]
    dataset.prepare(rows, dataset.Settings(output=str(output)))
    (batch,) = pipeline.evaluation_batches(
        output,
        "test",
        modality,
        batch_size=1,
        max_seconds=recipe.hearing.max_seconds,
        min_seconds=recipe.hearing.min_seconds,
        item=small.item(modality, conftest.SIZE),
    )
    return recipe_embedder.RecipeEmbedder(recipe).embed(modality, batch)[0]


def walk(case, modality, signature, suffix, heard, loaded, rest, tmp_path):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(case.content)
    right = None
    for door in ("embed", "prepare"):
        try:
            if door == "embed":
                right = by_embed(heard, modality, path)
            else:
                found = by_prepare(heard, modality, path, tmp_path / "set")
                assert right is not None and found @ right > LEAST, door
        except registry.UserError as error:
            assert case.files and re.search(case.files, str(error)), (door, error)
    assert (right is None) == (case.files not in (SAME, ".?")) or case.files == ".?"
    if right is None and case.like:
        path.write_bytes(case.like)
        right = by_embed(heard, modality, path)
        path.write_bytes(case.content)
    name = signature.removeprefix("embed_")
    try:
        found = loaded.predict(signature, {name: np.array([case.content], object)})["embedding"][0]
        assert case.server == SAME and found @ right > LEAST, "server"
    except Refused as refused:
        said = client.asserted(str(refused))
        assert refused.code == "INVALID_ARGUMENT"
        assert case.server and re.search(f"^{signature}: .*{case.server}", said), said
    before = case.server if case.client is None else case.client
    try:
        found = np.array(getattr(rest, signature)(path))
        assert before == SAME and found @ right > LEAST, "client"
    except client.ServingError as error:
        assert before and re.search(before, str(error)) and "\n" not in str(error), error


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_file_has_one_embedding_or_a_sentence_at_every_door(
    name, heard, loaded, rest, tmp_path
):
    walk(SOUNDS[name], "audio", "embed_wav", ".wav", heard, loaded, rest, tmp_path)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_file_has_one_embedding_or_a_sentence_at_every_door(
    name, heard, loaded, rest, tmp_path
):
    case = IMAGES[name]
    suffix = ".png" if case.content[1:4] == b"PNG" else ".jpg"
    walk(case, "image", "embed_jpeg", suffix, heard, loaded, rest, tmp_path)


def test_the_turns_of_an_image_are_told_apart(heard, tmp_path):
    """Or an orientation that is ignored would pass."""
    vectors = []
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(turned("JPEG", orientation))
        vectors.append(by_embed(heard, "image", path))
    cosines = np.array(vectors) @ np.array(vectors).T
    assert cosines[~np.eye(8, dtype=bool)].max() < 0.999


@pytest.mark.parametrize("peak, sentence", [(1e18, "samples up to 1e.18"), (4.1, "up to 4.1 ")])
def test_samples_far_outside_are_refused_wherever_they_come_from(
    peak, sentence, heard, loaded, rest, tmp_path
):
    clip = voice()[:, 0].astype(np.float32) / 32_768
    clip[100] = peak
    soundfile.write(tmp_path / "x.wav", clip, RATE, subtype="FLOAT")
    with pytest.raises(registry.UserError, match="samples up to"):
        by_embed(heard, "audio", tmp_path / "x.wav")
    with pytest.raises(client.ServingError, match=f"embed_audio: row 0 of .*{sentence}"):
        rest.embed_audio(clip)
    with pytest.raises(client.ServingError, match="NaN"):
        rest.embed_audio(np.full(8_000, np.nan))


def test_the_limits_of_the_server_are_those_of_the_reader(loaded, rest):
    clip = np.full([1, RATE], 0.5 * mono.MIN_PEAK, np.float32)
    with pytest.raises(client.ServingError, match=f"the least that is embedded {mono.MIN_PEAK}"):
        rest.embed_audio(clip[0])
    assert len(rest.embed_audio(clip[0] * 4)) == conftest.EMBEDDING_SIZE
