"""Makes `old_run_SET.tar.xz`: a data set, a run of it and its answers, for later code to load.

Was run once per dependency set, with the code of commit 5398f05, the last one before state files
had hashes, from the root of the repository:

    python -m tests.golden.make_old_run current   # with .venv
    python -m tests.golden.make_old_run addons    # with .venv-addons

Forty-nine of fifty weights are zero and stay so, which keeps the archive small.
"""

import io
import json
import os
import platform
import shutil
import sys
import tarfile
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import tensorflow as tf
from PIL import Image

from tests import small
from tfav.commands import evaluate, train
from tfav.data import shards
from tfav.experiment import models
from tfav.recipes import recipe

FOLDER = os.path.dirname(os.path.abspath(__file__))
KEPT = 0.02  # share of the weights that are not zero


def records() -> list[shards.Record]:
    """Eight identities of two clips and two pictures each, all smooth, so that they pack well."""
    rows = []
    for k in range(8):
        split = ("train", "train", "train", "train", "val", "val", "test", "test")[k]
        for i in range(2):
            time = np.arange(4000 + 400 * i) / 16_000
            audio = (40 * np.round(200 * np.sin(2 * np.pi * (150 + 60 * k) * time))).astype(
                np.int16
            )
            rows.append(shards.Record(f"v{k}/{i}.wav", split, f"id{k}", audio=audio))
            file = io.BytesIO()
            Image.new("RGB", (32, 32), (25 * k, 200 - 20 * k, 60 + 40 * i)).save(file, "JPEG")
            picture = {"image": file.getvalue(), "height": 32, "width": 32}
            rows.append(shards.Record(f"f{k}/{i}.jpg", split, f"id{k}", **picture))
    return rows


def lists(rows: list[shards.Record]) -> None:
    """Writes 1:2 lists of val and test."""
    os.makedirs("data/lists")
    for tag in ("val", "test"):
        voices = [r for r in rows if r.split == tag and r.audio is not None]
        faces = [r for r in rows if r.split == tag and r.image is not None]
        for direction, probes, items in (("v2f", voices, faces), ("f2v", faces, voices)):
            with open(f"data/lists/match_{direction}_2_{tag}.txt", "w", encoding="utf-8") as file:
                for probe in probes:
                    right = next(i for i in items if i.label == probe.label)
                    wrong = next(i for i in items if i.label != probe.label)
                    file.write(f"{probe.id} {right.id} {wrong.id}\n")


def experiment(num_steps: int):
    """Returns the experiment; a continuation differs in `num_steps` alone."""
    c = small.config("data")
    c.data.audio_seconds = (0.2, 0.2)
    c.deterministic = True
    c.train.keep_checkpoints = 1
    c.train.checkpoint_every = 10
    c.train.validate_every = 5
    c.train.num_steps = num_steps
    return c


def masks(its: recipe.Recipe) -> list[tf.Tensor]:
    """Returns which of each kernel's weights are kept, 0 or 1."""
    rng = np.random.default_rng(0)
    found = []
    for w in its.trainable_weights:
        kept = rng.random(w.shape) < KEPT if len(w.shape) > 1 else np.ones(w.shape, bool)
        found.append(tf.constant(kept, tf.float32))
    return found


def thin() -> None:
    """Makes every recipe that is built from now on a thin one."""
    build = models.model

    def model(*arguments, **named):
        its = build(*arguments, **named)
        kept = masks(its)
        for w, mask in zip(its.trainable_weights, kept):
            w.assign(w * mask)
        its.adjust_gradients = lambda gradients, *_: [g * m for g, m in zip(gradients, kept)]
        return its

    models.model = model


def main(dependency_set: str) -> None:
    sys.argv, platform.platform = ["train.py"], lambda: "Linux"  # what environment.json says
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        thin()
        rows = records()
        shards.write("data", rows)
        lists(rows)
        train.train(experiment(num_steps=10), "run")
        list(evaluate.evaluate(["run"], ["test"]))
        its = models.trained("run").recipe
        clip = rows[-2].audio[np.newaxis].astype(np.float32) / 32768
        picture = np.array(Image.open(io.BytesIO(rows[-1].image)))[np.newaxis]
        answers = {
            "audio": its.embed("audio", {"audio": tf.constant(clip)}).numpy()[0].tolist(),
            "image": its.embed("image", {"image": tf.constant(picture)}).numpy()[0].tolist(),
        }
        # What the old code makes of the same run when it goes on.
        shutil.copytree("run", "run_on")
        train.train(experiment(num_steps=11), "run_on")
        with open("run_on/scalars.jsonl", encoding="utf-8") as file:
            answers["next_loss"] = json.loads(file.readlines()[-1])["loss"]
        with open("answers.json", "w", encoding="utf-8") as file:
            json.dump(answers, file)
        path = os.path.join(FOLDER, f"old_run_{dependency_set}.tar.xz")
        with tarfile.open(path, "w:xz", preset=9) as archive:
            for name in ("data", "run", "answers.json"):
                archive.add(name, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(*sys.argv[1:])
