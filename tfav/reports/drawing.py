"""Plots of what was measured, by matplotlib's object interface: no global state, no display."""

import io
import unicodedata
import warnings
from typing import TYPE_CHECKING, Any

from tfav.reports import fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_NAME = 24
_PAD_INCHES = 0.08
_POINTS_PER_INCH = 72
_TOO_NARROW = 0.4  # of a wide letter's size, by which the box in place of it is narrower


def canvas(width: float, height: float) -> "Figure":
    """Returns an empty figure of so many inches; matplotlib is imported here, for it is slow."""
    from matplotlib import figure, layout_engine

    padded = layout_engine.ConstrainedLayoutEngine(w_pad=_PAD_INCHES, h_pad=_PAD_INCHES)
    return figure.Figure(figsize=(width, height), layout=padded)


def png(drawn: "Figure") -> bytes:
    """Returns a figure as a PNG file."""
    return _saved(drawn, format="png", dpi=120)


def svg(drawn: "Figure") -> bytes:
    """Returns a figure as an SVG file without background, the same bytes every time.

    Its words are outlines, the same everywhere; where a browser draws them better, they are text.
    """
    import matplotlib

    kind = "none" if fonts.needs_browser(_words(drawn)) else "path"
    with matplotlib.rc_context({"svg.hashsalt": "tfav", "svg.fonttype": kind}):
        return _saved(drawn, format="svg", transparent=True, metadata={"Date": None})


def _saved(drawn: "Figure", **options: Any) -> bytes:
    """Returns a figure as a file; a letter that no typeface has is a box, without further words."""
    _choose_typefaces(drawn)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn.savefig(file, **options)
    return file.getvalue()


def _words(drawn: "Figure") -> str:
    """Returns all that is written in a figure."""
    from matplotlib import text

    return "\n".join(one.get_text() for one in drawn.findobj(text.Text))


def _choose_typefaces(drawn: "Figure") -> None:
    """Gives a figure typefaces that have its letters, and room for those that none here has."""
    from matplotlib import layout_engine, text

    words = _words(drawn)
    if not fonts.lacking(words):
        return
    found = fonts.find(words)
    for one in drawn.findobj(text.Text):
        one.set_fontfamily([*(face.family for face in found), "sans-serif"])
    unknown = fonts.unknown(words, found)
    inches = max(
        float(one.get_fontsize())
        * sum(letter in unknown and _is_wide(letter) for letter in one.get_text())
        for one in drawn.findobj(text.Text)
    )
    engine = drawn.get_layout_engine()
    if inches and isinstance(engine, layout_engine.ConstrainedLayoutEngine):
        pad = _PAD_INCHES + _TOO_NARROW * inches / _POINTS_PER_INCH
        engine.set(w_pad=pad, h_pad=pad)


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def label(name: str, longest: int = _MAX_NAME) -> str:
    """Returns a name of the user's as matplotlib shows it: short, of one line, never a formula."""
    name = " ".join(name[: 4 * longest].split())
    name = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return name.replace("$", r"\$")
