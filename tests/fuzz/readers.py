"""The readers that are fed, and valid files of each."""

import functools
import io
import json
import pathlib
import random
import shutil
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image

import tfav
from tests import forked, small, untrained
from tests.cases import waves
from tests.training import toy
from tfav import files, registry
from tfav.annotations import lists
from tfav.data import shards
from tfav.data.input import reader
from tfav.data.prepare.sources import csv_manifest
from tfav.experiment import inputs, models
from tfav.export.serving import image_file, wav_file
from tfav.inference import embedders, embeddings_file
from tfav.media import audio_files, bad_file, image_files
from tfav.training import checkpoints, weights_file

_TOY = pathlib.Path(tfav.__file__).with_name("toy")


class Reader(NamedTuple):
    """A reader and what it reads.

    Attributes:
      write: makes a valid file, or several, in an empty folder; draws which.
      read: reads them.
      refusals: how it may refuse.
    """

    write: Callable[[pathlib.Path, random.Random], None]
    read: Callable[[pathlib.Path], object]
    refusals: tuple[type[Exception], ...] = (registry.UserError,)


def _write(content: Callable[[random.Random], bytes], name: str) -> Callable:
    def write(folder: pathlib.Path, draw: random.Random) -> None:
        (folder / name).write_bytes(content(draw))

    return write


def _manifest(draw: random.Random) -> bytes:
    quote = draw.choice(["", '"'])
    head = ["id", "split", "label", "audio", "image", "gender"]
    rows = [[f"r{k}", "train", f"p{k % 3}", f"{k}.wav", f"{k}.jpg", "f"] for k in range(9)]
    lines = [",".join(f"{quote}{cell}{quote}" for cell in row) for row in [head, *rows]]
    return ("\n".join(lines) + "\n").encode(draw.choice(["utf-8", "utf-8-sig"]))


def _lists(folder: pathlib.Path, draw: random.Random) -> None:
    del draw
    (folder / "match_v2f_2_test.txt").write_text("".join(f"v{k} f{k} f{k + 1}\n" for k in range(9)))
    (folder / "verify_v2f_test.txt").write_text("".join(f"v{k} f{k}\n" for k in range(9)))
    (folder / "retrieval_v2f_test.txt").write_text("v0 v1 v2\nf0 f1 f2\n")


def _read_lists(folder: pathlib.Path) -> None:
    readers = (lists.read_matching, lists.read_verification, lists.read_retrieval)
    for path, read in zip(sorted(folder.iterdir()), (readers[0], readers[2], readers[1])):
        read(path)


def _sound(form: str, subtypes: Sequence[str], rate_hz: int = waves.RATE_HZ) -> Callable:
    def make(draw: random.Random) -> bytes:
        file = io.BytesIO()
        wave = waves.voice(seconds=0.3).astype(np.float32) / 32768.0
        subtype = draw.choice(list(subtypes))
        soundfile.write(file, wave, rate_hz, format=form, subtype=subtype)
        return file.getvalue()

    return make


def _jpeg(draw: random.Random) -> bytes:
    coarse = np.random.default_rng(draw.randrange(9)).integers(0, 256, [6, 5, 3], np.uint8)
    image = Image.fromarray(coarse).resize((48, 64), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    mode = draw.choice(["RGB", "L"])
    image.convert(mode).save(file, "JPEG", progressive=draw.random() < 0.5)
    return file.getvalue()


@functools.cache
def _records() -> list[shards.Record]:
    return small.records(4)


def _shards(folder: pathlib.Path, draw: random.Random) -> None:
    del draw
    shards.write(folder, _records(), columns=["gender"])


def _read_shards(folder: pathlib.Path) -> None:
    """Reads every record, however large its shard is."""
    index = shards.Index.read(folder, cut=True)
    its = reader.Reader(index)
    with inputs.whole(str(folder)):
        for row in range(len(index)):
            name = "audio" if index.num_samples[row] else "image"
            stored = its.read(tf.constant(row, tf.int64), (name,))[name]
            (reader.decode_audio if name == "audio" else tf.io.decode_jpeg)(stored[0])


@functools.cache
def _loop():
    return toy.train(tf.distribute.OneDeviceStrategy("/cpu:0"), toy.Toy)


def _checkpoints(folder: pathlib.Path) -> checkpoints.Checkpoints:
    loop = _loop()
    return checkpoints.Checkpoints(loop.recipe, loop.optimizer, str(folder), loop.strategy, keep=1)


def _checkpoint(folder: pathlib.Path, draw: random.Random) -> None:
    del draw
    _checkpoints(folder).save(0)


def _embeddings(folder: pathlib.Path, draw: random.Random) -> None:
    vectors = np.random.default_rng(draw.randrange(9)).standard_normal([5, 8]).astype(np.float32)
    files.write_npz(
        folder / "x.npz",
        {
            "audio_id": np.array([f"a{k}" for k in range(5)]),
            "audio": vectors,
            "embedding_space": np.array("0123"),
            "shares_space": np.array(True),
        },
    )


def _weights(folder: pathlib.Path, draw: random.Random) -> None:
    del draw
    names = {"w": tf.Variable([[1.0, 2.0]]), "b": tf.Variable([3.0])}
    weights_file.save(str(folder / "weights.npz"), names, write=True, step=1)


def _tflite(folder: pathlib.Path, draw: random.Random) -> None:
    name = draw.choice(["audio_float16.tflite", "image_float16.tflite"])
    shutil.copy(_TOY / name, folder / "x.tflite")


def _description(folder: pathlib.Path, draw: random.Random) -> None:
    shutil.copy(_TOY / "image_float16.tflite", folder / "x.tflite")
    said = {"frozen": "x.tflite", "modality": "image", "size": 48, "range": [-1, 1]}
    said |= {"signature": "embed_image"} if draw.random() < 0.5 else {}
    (folder / "x.json").write_text(json.dumps(said), encoding="utf-8")


def _read_tflite(folder: pathlib.Path) -> None:
    embedders.load(str(folder / "x.tflite"))


@functools.cache
def _exported(root: str) -> pathlib.Path:
    folder = pathlib.Path(root)
    data = untrained.write_data(folder / "data")
    run = untrained.write(folder / "run", str(data), "voice_face")
    server = forked.Server(folder)
    done = server.run(
        "export", f"--workdir={run}", f"--output={folder}/made", "--precisions=float32"
    )
    server.close()
    if done.code:
        raise RuntimeError(done.stderr[-3000:])
    return folder / "made" / "1"


def _saved_model(folder: pathlib.Path, draw: random.Random) -> None:
    del draw
    root = folder.parent / "exported"
    root.mkdir(exist_ok=True)
    shutil.copytree(_exported(str(root)), folder, dirs_exist_ok=True)


@functools.cache
def _served(name: str) -> Callable:
    """Returns what a server calls to read files of a signature, as one graph."""
    c = small.config("unused")
    spec = models.items(c)["audio" if name == "wav" else "image"]
    read = wav_file.read if name == "wav" else image_file.read
    signature = tf.TensorSpec([None], tf.string)
    return tf.function(lambda x: read(f"embed_{name}", spec, x), input_signature=[signature])


def _ask(name: str, folder: pathlib.Path) -> None:
    content = (folder / "x").read_bytes()
    for value in _served(name)(tf.constant([content, content])).values():
        if value.dtype.is_floating and not np.isfinite(value).all():
            raise AssertionError("a signature lets NaN or infinity in")


MEDIA = (registry.UserError, bad_file.BadFile)
SERVED = (tf.errors.InvalidArgumentError,)
READERS: dict[str, Reader] = {
    "manifest": Reader(
        _write(_manifest, "x.csv"), lambda folder: csv_manifest.read(folder / "x.csv")
    ),
    "list": Reader(_lists, _read_lists),
    "WAV": Reader(
        _write(_sound("WAV", ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "GSM610")), "x.wav"),
        lambda folder: audio_files.read_audio(folder / "x.wav"),
        MEDIA,
    ),
    "FLAC": Reader(
        _write(_sound("FLAC", ("PCM_16", "PCM_24")), "x.flac"),
        lambda folder: audio_files.read_audio(folder / "x.flac"),
        MEDIA,
    ),
    "JPEG": Reader(
        _write(_jpeg, "x.jpg"), lambda folder: image_files.read_image(folder / "x.jpg"), MEDIA
    ),
    "shard": Reader(_shards, _read_shards),
    "index": Reader(_shards, lambda folder: shards.Index.read(folder, cut=True)),
    "checkpoint": Reader(_checkpoint, lambda folder: _checkpoints(folder).restore()),
    ".npz of embeddings": Reader(
        _embeddings, lambda folder: embeddings_file.read(str(folder / "x.npz"))
    ),
    ".npz of weights": Reader(
        _weights, lambda folder: weights_file.read(str(folder / "weights.npz"))
    ),
    ".tflite": Reader(_tflite, _read_tflite),
    "description of a model": Reader(
        _description, lambda folder: embedders.load(str(folder / "x.json"))
    ),
    "SavedModel": Reader(_saved_model, lambda folder: embedders.load(str(folder))),
    "embed_wav": Reader(
        _write(_sound("WAV", ("PCM_16",), 16_000), "x"), functools.partial(_ask, "wav"), SERVED
    ),
    "embed_jpeg": Reader(_write(_jpeg, "x"), functools.partial(_ask, "jpeg"), SERVED),
}
# Which of its files are damaged; all where nothing stands here.
DAMAGED = {
    "shard": r"\.tfrecord$",
    "index": r"\.(csv|json)$",
    "checkpoint": r"^ckpt-",
    "description of a model": r"\.json$",
    "SavedModel": r"^(?!tf_serving_warmup_requests$)",  # a server alone reads these
}
COSTLY = ("SavedModel",)  # not in the short run: it takes an export
