"""A data set and a run small enough for a test: eight made-up identities, the tiny encoders."""

import io
import os

import numpy as np
from PIL import Image

from tfav import config as config_lib
from tfav.data import kinds, shards
from tfav.data.input import augment as augmentation

SIZE = 32


def records(num_identities: int = 8, seed: int = 0) -> list[shards.Record]:
    """Identity k hums at its own pitch and has its own colour; half of them train."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(num_identities):
        split = ("train", "train", "val", "test")[k % 4]
        extra = {"gender": "fm"[k // 4 % 2]}
        for i in range(2):
            time = np.arange(12_000) / 16_000
            wave = 0.3 * np.sin(2 * np.pi * (150 + 60 * k) * time) + 0.02 * rng.standard_normal(
                12_000
            )
            audio = np.round(32767 * np.clip(wave, -1, 1)).astype(np.int16)
            rows.append(shards.Record(f"v{k}/{i}.wav", split, f"id{k}", audio=audio, extra=extra))
            pixels = rng.integers(0, 40, (SIZE, SIZE, 3)) + np.array([25 * k, 200 - 20 * k, 90])
            file = io.BytesIO()
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
            rows.append(
                shards.Record(
                    f"f{k}/{i}.jpg",
                    split,
                    f"id{k}",
                    image=file.getvalue(),
                    height=SIZE,
                    width=SIZE,
                    extra=extra,
                )
            )
    order = {"train": 0, "val": 1, "test": 2}
    return sorted(rows, key=lambda r: order[r.split])


def item(modality: str, size: int = SIZE, num_frames: int = 1, augment=()) -> kinds.Item:
    """What a batch is to hold of clips, or else of images of that size and so many frames."""
    kind = kinds.AUDIO if modality == "audio" else kinds.IMAGE
    return kinds.Item(kind, kind.item(modality, {"size": size, "num_frames": num_frames}), augment)


def pair(size: int = SIZE, augment=()) -> dict[str, kinds.Item]:
    """Returns what batches hold of audio and images; each augmentation is of what it changes."""
    of_sound = [name for name in augment if augmentation.changes_sound(name)]
    of_images = [name for name in augment if name not in of_sound]
    return {
        "audio": item("audio", augment=of_sound),
        "image": item("image", size, augment=of_images),
    }


def write_dataset(directory: str, num_identities: int = 16) -> str:
    """Writes the data set and 1:2 lists for val and test; returns its folder."""
    rows = records(num_identities)
    shards.write(directory, rows, columns=["gender"])
    folder = os.path.join(directory, "lists")
    os.makedirs(folder)
    for tag in ("val", "test"):
        part = [r for r in rows if r.split == tag]
        voices, faces = (
            [r for r in part if r.audio is not None],
            [r for r in part if r.image is not None],
        )
        for direction, probes, items in (("v2f", voices, faces), ("f2v", faces, voices)):
            lines = []
            for probe in probes:
                right = next(i for i in items if i.label == probe.label)
                wrong = next(i for i in items if i.label != probe.label)
                lines.append(f"{probe.id} {right.id} {wrong.id}\n")
            with open(
                os.path.join(folder, f"match_{direction}_2_{tag}.txt"), "w", encoding="utf-8"
            ) as f:
                f.writelines(lines)
    return directory


def config(directory: str):
    """The smallest voice-face experiment on `directory`."""
    c = config_lib.base()
    c.model.alignment = "explicit"
    c.model.alignment_args = {"m": 5.4}
    c.embedding_size = 8
    c.audio.encoder = c.image.encoder = "tiny"
    c.image.size = SIZE
    c.data.directory = directory
    c.data.audio_seconds = (0.5, 0.5)
    c.train.batch_size = 4
    c.train.num_steps = 10
    c.train.schedule = "constant"
    c.train.clip_norm = 1.0
    c.train.steps_per_call = 5
    c.train.checkpoint_every = 5
    c.train.validate_every = 0
    c.eval.audio_seconds = 1.0
    c.eval.num_bootstrap = 50
    c.export.audio_seconds = 1.0
    return c


def paired_records(num_rows: int = 24, seed: int = 0) -> list[shards.Record]:
    """Rows of three classes with a tone, a coloured picture, and two frames of `flow`.

    Split by eights: train, train, .. val, test; ids `s<speaker>/<row>.wav` of four speakers.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(num_rows):
        k = i % 3
        time = np.arange(8_000) / 16_000
        wave = 0.3 * np.sin(2 * np.pi * (200 + 300 * k) * time) + 0.02 * rng.standard_normal(8_000)
        pixels = [rng.integers(0, 40, (SIZE, SIZE, 3)) + np.array([80 * k, 90, 40])] * 3
        files = []
        for picture in pixels:
            file = io.BytesIO()
            Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=95)
            files.append(file.getvalue())
        split = "train" if i < num_rows // 2 else ("val", "test")[i // 3 % 2]
        rows.append(
            shards.Record(
                f"s{i % 4}/{i}.wav",
                split,
                f"class{k}",
                audio=np.round(32767 * wave).astype(np.int16),
                image=files[0],
                height=SIZE,
                width=SIZE,
                extra={"speaker": f"s{i % 4}"},
                further={"flow": tuple(files[1:])},
            )
        )
    order = {"train": 0, "val": 1, "test": 2}
    return sorted(rows, key=lambda r: order[r.split])


def classes_config(directory: str):
    """The smallest experiment of MMCosine on `paired_records`, with three modalities."""
    c = config(directory)
    c.recipe = "mmcosine"
    c.model = {"head": "cosine", "fusion": "concat"}
    c.loss = {"scale": 5.0}
    c.modalities = ("audio", "image", "flow")
    c.further.flow = config_lib.further("tiny", SIZE, num_frames=2)
    c.data.sampling = "rows"
    c.train.batch_size = 6
    c.train.optimizer = "adam"
    c.train.learning_rate = 3e-3
    c.train.num_steps = 30
    c.train.checkpoint_every = 30
    c.eval.protocols = ("classification",)
    c.eval.groups = "speaker"
    return c
