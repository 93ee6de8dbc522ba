"""Where a sound comes from as a map laid over its image, and what training did, as curves."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from tfav.annotations import boxes as boxes_lib
from tfav.evaluation import localisation
from tfav.reports import balance, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Title of a panel to its lines: scalar to name, style and scale.
_PANELS = {
    "similarity of pairs": {
        "similarity_matched": ("matched", "-", 1),
        "similarity_mismatched": ("mismatched", "--", 1),
    },
    "matched pairs ahead (%)": {
        "matched_wins": ("in training", "-", 100),
        "val/metric": ("AUC of the split val", "--", 100),
    },
    "usage entropy (nats)": {
        "usage_entropy_audio": ("audio", "-", 1),
        "usage_entropy_image": ("image", "--", 1),
    },
    "dead clusters": {
        "dead_clusters_audio": ("audio", "-", 1),
        "dead_clusters_image": ("image", "--", 1),
    },
}


def overlay(
    image: np.ndarray, heat: np.ndarray | None, boxes: Sequence[boxes_lib.Box], size: int
) -> bytes:
    """Returns a JPEG of [S, S, 3] uint8 at `size` pixels with a map, its maximum and boxes on it.

    Args:
      image: what is covered.
      heat: [H, W] or None; opaque where it is warm, so that the image shows where it is cold. The
        maximum of one that is not the same everywhere gets a cross.
      boxes: framed in white and black.
      size: Side of the result in pixels.
    """
    from matplotlib import colormaps

    pixels = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    if heat is not None:
        warmth = localisation.normalize(localisation.upsample(heat, size))
        cover = 0.65 * warmth[..., np.newaxis]
        pixels = (1 - cover) * pixels + cover * 255 * colormaps["inferno"](warmth)[..., :3]
    picture = Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        left, top, right, bottom = (round(x * (size - 1)) for x in box)
        draw.rectangle((left, top, right, bottom), outline="white", width=2)
        if right - left > 4 and bottom - top > 4:
            draw.rectangle((left + 2, top + 2, right - 2, bottom - 2), outline="black")
    if heat is not None and warmth.max() > 0:
        y, x = divmod(int(np.argmax(warmth)), size)
        for color, width in (("black", 5), ("white", 2)):
            draw.line((x - 6, y - 6, x + 6, y + 6), fill=color, width=width)
            draw.line((x - 6, y + 6, x + 6, y - 6), fill=color, width=width)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def draw(scalars: balance.Scalars) -> "Figure | None":
    """Returns a figure of a run's scalars over its steps; None where it logged none of them."""
    panels = _found(scalars)
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    drawn = drawing.canvas(9.0, 0.6 + 2.6 * rows)
    grid = drawn.subplots(rows, 2, squeeze=False).ravel()
    for axes, (title, lines) in zip(grid, panels.items()):
        for name, style, points in lines:
            mark = "o" if len(points) == 1 else None
            axes.plot(*zip(*points), style, label=name, marker=mark)
        axes.set(title=title, xlabel="step")
        if "entropy" in title or "dead" in title:  # from nothing on, so that noise looks small
            most = max(value for _, _, points in lines for _, value in points)
            axes.set_ylim(0, 1.1 * max(1, most))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return drawn


def describe(scalars: balance.Scalars) -> str:
    """Returns in words where each line of `draw` begins and ends."""
    said = []
    for title, lines in _found(scalars).items():
        each = (
            f"{name} {points[0][1]:.3g} at step {points[0][0]}, {points[-1][1]:.3g} at step "
            f"{points[-1][0]}"
            for name, _, points in lines
        )
        said.append(f"{title[:1].upper()}{title[1:]}: {'; '.join(each)}.")
    return " ".join(said)


def _found(
    scalars: balance.Scalars,
) -> Mapping[str, Sequence[tuple[str, str, list[tuple[int, float]]]]]:
    """Returns panels to their lines (name, style, points), those without a point left out."""
    found = {}
    for title, wanted in _PANELS.items():
        lines = []
        for key, (name, style, scale) in wanted.items():
            points = [(s["step"], scale * s[key]) for s in scalars if s.get(key) is not None]
            if points:
                lines.append((name, style, points))
        if lines:
            found[title] = lines
    return found
