"""Plots of what was measured, by matplotlib's object interface: no global state, no display."""

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_NAME = 24


def canvas(width: float, height: float) -> "Figure":
    """Returns an empty figure of so many inches; matplotlib is imported here, for it is slow."""
    from matplotlib import figure, layout_engine

    padded = layout_engine.ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return figure.Figure(figsize=(width, height), layout=padded)


def png(drawn: "Figure") -> bytes:
    """Returns a figure as a PNG file."""
    return _saved(drawn, format="png", dpi=120)


def svg(drawn: "Figure") -> bytes:
    """Returns a figure as an SVG file without background, the same bytes every time."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "tfav"}):
        return _saved(drawn, format="svg", transparent=True, metadata={"Date": None})


def _saved(drawn: "Figure", **options: Any) -> bytes:
    """Returns a figure as a file; a letter that the font lacks is a box, without further words."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn.savefig(file, **options)
    return file.getvalue()


def label(name: str, longest: int = _MAX_NAME) -> str:
    """Returns a name of the user's as matplotlib shows it: short, of one line, never a formula."""
    name = " ".join(name[: 4 * longest].split())
    name = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return name.replace("$", r"\$")
