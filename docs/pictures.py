"""Draws pictures of the README.

people.png: synthetic people, each a face and the log-mel of a voice.
balance.png: what each modality did in two runs of configs/mmcosine.py.
check.png: the page of a check, in Chromium, of synthetic people some of whose files are spoiled.

python docs/pictures.py people runs/demo/data-corpus docs/images
python docs/pictures.py check runs/demo/data-corpus docs/images
python docs/pictures.py balance runs/birds_vanilla runs/birds docs/images
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import tensorflow as tf
from PIL import Image

from tests import chromium
from tfav.layers import spectrograms
from tfav.reports import balance, drawing


def people(corpus: pathlib.Path, output: pathlib.Path, num_people: int = 6) -> None:
    """Draws the first people of the training split in a row."""
    lines = (corpus / "lists" / "train.csv").read_text().splitlines()[1 : num_people + 1]
    front_end = spectrograms.LogMel(num_mels=64, instance_norm=False)
    figure, axes = plt.subplots(2, num_people, figsize=(1.7 * num_people, 3.1))
    for column, line in enumerate(lines):
        voice, face = line.split(",")[:2]
        picture = next(iter(sorted((corpus / "faces" / face).glob("*.jpg"))))
        sound = next(iter(sorted((corpus / "wav" / voice).rglob("*.wav"))))
        waveform, _ = soundfile.read(sound, dtype="float32")
        log_mel, _ = front_end(tf.constant(waveform[None, :32000]))
        axes[0, column].imshow(Image.open(picture))
        axes[0, column].set_title(face.replace("_", " "), fontsize=8)
        axes[1, column].imshow(log_mel[0].numpy().T, origin="lower", aspect="auto", cmap="magma")
    for axis in axes.ravel():
        axis.set_axis_off()
    figure.tight_layout(pad=0.4)
    figure.savefig(output / "people.png", dpi=110)


def draw_balance(vanilla: pathlib.Path, cosine: pathlib.Path, output: pathlib.Path) -> None:
    """Draws the scalars of a run with the vanilla head beside those of one with the cosine head."""
    runs = {"vanilla head": balance.read(vanilla), "cosine head": balance.read(cosine)}
    (output / "balance.png").write_bytes(drawing.png(balance.draw(runs)))


def check(corpus: pathlib.Path, output: pathlib.Path, num_people: int = 24) -> None:
    """Draws the page that `tfav-prepare --check` makes of people with spoiled files."""
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        rows = list(_spoiled(corpus, folder, num_people))
        with open(folder / "people.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", "split", "label", "audio", "image"], *rows])
        command = [sys.executable, "-m", "tfav.bin.prepare", f"--manifest={folder}/people.csv"]
        flags = [f"--output={folder}/people", "--max_bad_fraction=0.1", "--check", "--quiet"]
        subprocess.run([*command, *flags], check=True)
        browser = chromium.find()
        assert browser, "Chromium draws the page: apt-get install chromium"
        shot = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        shot += ["--window-size=1000,1400", f"--screenshot={folder}/check.png"]
        subprocess.run([*shot, (folder / "people-check.html").as_uri()], check=True)
        page = Image.open(folder / "check.png").convert("P", palette=Image.Palette.ADAPTIVE)
        page.save(output / "check.png", optimize=True)


def _spoiled(corpus: pathlib.Path, folder: pathlib.Path, num_people: int):
    """Yields rows of a manifest: the first is cut, the second clipped, the third in two splits."""
    lines = (corpus / "lists" / "train.csv").read_text().splitlines()[1 : num_people + 1]
    for k, line in enumerate(lines):
        voice, face = line.split(",")[:2]
        split = "train" if k < num_people // 2 else "val" if k < 3 * num_people // 4 else "test"
        sounds = sorted((corpus / "wav" / voice).rglob("*.wav"))
        pictures = sorted((corpus / "faces" / face).glob("*.jpg"))
        for i, path in enumerate([*sounds[:3], *pictures[:3]]):
            modality = "audio" if path.suffix == ".wav" else "image"
            if (k, i) == (0, 3):  # a download that was cut short
                content = path.read_bytes()
                path = folder / "cut.jpg"
                path.write_bytes(content[: len(content) // 2])
            if (k, i) == (1, 0):  # recorded too loud
                samples, rate = soundfile.read(path)
                path = folder / "loud.wav"
                soundfile.write(path, np.clip(20 * samples, -1, 1), rate)
            if (k, i) == (2, 0):  # the same sound as MP3, among the test
                samples, rate = soundfile.read(path)
                soundfile.write(folder / "again.mp3", samples, rate)
                yield "again.mp3", "test", face, folder / "again.mp3", ""
            cells = {"audio": "", "image": "", modality: path}
            yield f"{face}/{path.name}", split, face, cells["audio"], cells["image"]


PICTURES = {"people": people, "balance": draw_balance, "check": check}

if __name__ == "__main__":
    PICTURES[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
