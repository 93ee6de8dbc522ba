"""What TensorBoard shows of a retrieval: its items among their neighbours, and a sheet of probes.

The projector plugin reads `projector_config.pbtxt` of a folder that holds an event file; vectors
and their columns are tables of text beside it, and thumbnails are one large image.
"""

import io
import math
import os
from collections.abc import Container, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfav.reports import film, inline, showcase

SIDE = 48  # pixels of a thumbnail
# Of what is written; the folder holds TensorBoard's event file besides.
FILES = ("vectors.tsv", "items.tsv", "items.png", "projector_config.pbtxt", "events.out.tfevents*")
_MOST_PROBES = 8
_JPEG = b"\xff\xd8\xff"
_COLUMNS = 2
_CONFIG = """embeddings {
  tensor_name: "items of the page"
  tensor_path: "vectors.tsv"
  metadata_path: "items.tsv"
  sprite {
    image_path: "items.png"
    single_image_dim: %d
    single_image_dim: %d
  }
}
"""


def write_items(
    folder: str,
    vectors: Mapping[str, np.ndarray],
    items: Mapping[str, Mapping[str, inline.Item]],
    heard: Container[str],
) -> int:
    """Writes the files of the projector into a folder, and returns how many items they hold.

    Args:
      folder: that exists.
      vectors: modality to [N, D], in the order of its items.
      items: modality to id to what it is.
      heard: modalities whose items are recordings.
    """
    rows, columns, thumbnails = [], ["id\tlabel\tmodality\tgender"], []
    for modality, its in items.items():
        for (name, item), vector in zip(its.items(), vectors[modality]):
            rows.append("\t".join(f"{value:.6g}" for value in vector))
            columns.append("\t".join(map(_cell, (name, item.label, modality, item.gender))))
            thumbnails.append(_thumbnail(item, modality in heard))
    across = math.ceil(math.sqrt(len(thumbnails)))
    sheet = Image.new("RGB", (SIDE * across, SIDE * across), "white")
    for number, thumbnail in enumerate(thumbnails):
        sheet.paste(thumbnail, (SIDE * (number % across), SIDE * (number // across)))
    sheet.save(os.path.join(folder, "items.png"))
    texts = {"vectors.tsv": rows, "items.tsv": columns}
    texts["projector_config.pbtxt"] = (_CONFIG % (SIDE, SIDE)).splitlines()
    for name, lines in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return len(rows)


def sheet(
    probes: Sequence[showcase.Probe],
    voices: Mapping[str, inline.Item],
    faces: Mapping[str, inline.Item],
    title: str,
) -> np.ndarray:
    """Returns some voices, the best first, with the closest ten faces of each, [H, W, 3] uint8."""
    ordered = sorted(probes, key=lambda probe: -probe.average_precision)
    places = np.linspace(0, len(ordered) - 1, min(_MOST_PROBES, len(ordered))).astype(int)
    chosen = [ordered[place] for place in places]
    width, height = (side // 2 for side in film.SIZE)
    down = -(-len(chosen) // _COLUMNS)
    canvas = Image.new("RGB", (width * min(_COLUMNS, len(chosen)), height * down), "white")
    for number, probe in enumerate(chosen):
        still = film.draw(probe, voices[probe.id], faces, title).resize((width, height))
        canvas.paste(still, (width * (number % _COLUMNS), height * (number // _COLUMNS)))
    return np.asarray(canvas)


def _cell(text: str) -> str:
    """Returns a text as a cell of a table of tabs."""
    return " ".join(text.split()).encode("utf-8", "backslashreplace").decode() or "-"


def _thumbnail(item: inline.Item, is_heard: bool) -> Image.Image:
    """Returns a small image: a photograph, how loud a recording is over time, or nothing."""
    if not is_heard and item.content.startswith(_JPEG):
        photograph = Image.open(io.BytesIO(item.content)).convert("RGB")
        return photograph.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    drawn = Image.new("RGB", (SIDE, SIDE), "white")
    if not is_heard:
        return drawn
    pen = ImageDraw.Draw(drawn)
    for x, peak in enumerate(inline.peaks(item.content, film.MAX_SECONDS)):
        half = round(peak * (SIDE // 2 - 2) / 99)
        pen.line((x, SIDE // 2 - half, x, SIDE // 2 + half), "#2563a8")
    return drawn
