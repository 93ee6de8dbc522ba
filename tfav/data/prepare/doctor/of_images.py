"""Findings on images: size, sharpness."""

import numpy as np

from tfav.data.prepare.doctor.evidence import Evidence
from tfav.data.prepare.doctor.finding import Chart, Finding, one

TINY_SIDE = 48
BLURRED = 30.0
_FLAT = 4.0  # standard deviation of the outline


def sizes(evidence: Evidence) -> Finding | None:
    """Says how large images are, and which are tiny."""
    there = evidence.has("image")
    if not there.any():
        return None
    side = np.minimum(evidence.table["height"], evidence.table["width"])
    found = np.flatnonzero(there & (side < TINY_SIDE))
    found = found[np.argsort(side[found], kind="stable")]
    low, high = side[there].min(), side[there].max()
    edges = np.arange(low // 16 * 16, high + 17, 16)
    return one(
        "Tiny images",
        len(found),
        f"of {there.sum()} images",
        f": the shorter side has fewer than {TINY_SIDE} pixels; all have {low} to {high}, median "
        f"{np.median(side[there]):g}.",
        f"The shorter sides have {low} to {high} pixels, median {np.median(side[there]):g}.",
        "Take larger crops, or set config.image.size no larger than most images: what is enlarged "
        "shows the network nothing new.",
        rows=evidence.named(
            found, (f"{evidence.table['width'][k]} x {evidence.table['height'][k]}" for k in found)
        ),
        chart=Chart(
            "shorter side (pixels)",
            evidence.histogram(side, there, edges),
            edges=edges.tolist(),
            mark=TINY_SIDE,
            counted="images",
        ),
    )


def blur(evidence: Evidence) -> Finding | None:
    """Says which images are blurred."""
    there = evidence.has("image")
    if not there.any():
        return None
    sharpness = evidence.table["sharpness"]
    flat = _is_flat(evidence)
    found = np.flatnonzero(there & ~flat & (sharpness < BLURRED))
    found = found[np.argsort(sharpness[found], kind="stable")]
    shown = np.clip(sharpness, 1, 9999)
    edges = np.geomspace(1, 10_000, 33)
    return one(
        "Blurred images",
        len(found),
        f"of {there.sum()} images",
        f": the Laplacian varies by less than {BLURRED:g} at 256 pixels, so no edge is sharp.",
        f"The Laplacian of every image varies by {BLURRED:g} or more.",
        "Look at them: take out what is out of focus or moved, and what was enlarged from a few "
        "pixels.",
        rows=evidence.named(found, (f"variance {sharpness[k]:.0f}" for k in found)),
        chart=Chart(
            "variance of the Laplacian",
            evidence.histogram(shown, there & ~flat, edges),
            edges=edges.tolist(),
            mark=BLURRED,
            logarithmic=True,
            counted="images",
        ),
    )


def flat(evidence: Evidence) -> Finding | None:
    """Says which images show one colour."""
    there = evidence.has("image")
    if not there.any():
        return None
    found = np.flatnonzero(_is_flat(evidence))
    return one(
        "Empty images",
        len(found),
        f"of {there.sum()} images",
        ": one colour fills the image.",
        "Every image shows something.",
        "Take them out, or find out what failed when they were made, such as a black first frame.",
        rows=evidence.named(found, ("one colour" for _ in found)),
    )


def _is_flat(evidence: Evidence) -> np.ndarray:
    """Returns which images show one colour, [N] bool."""
    outline = evidence.table["image_outline"].reshape(len(evidence.table), -1)
    return (
        evidence.has("image")
        & (outline.std(axis=1) < _FLAT)
        & (evidence.table["sharpness"] < BLURRED)
    )
