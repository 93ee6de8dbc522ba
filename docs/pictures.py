"""Draws pictures of the README.

people.png: synthetic people, each a face and the log-mel of a voice.
balance.png: what each modality did in two runs of configs/mmcosine.py.

python docs/pictures.py people runs/demo/data-corpus docs/images
python docs/pictures.py balance runs/birds_vanilla runs/birds docs/images
"""

import pathlib
import sys

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import soundfile
import tensorflow as tf
from PIL import Image

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


PICTURES = {"people": people, "balance": draw_balance}

if __name__ == "__main__":
    PICTURES[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
