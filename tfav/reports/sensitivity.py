"""How figures depend on a swept field, drawn."""

from collections.abc import Mapping
from typing import Any

from tfav.reports import comparison, drawing


def draw(figures: comparison.Figures, field: str, swept: Mapping[str, Any]) -> bytes:
    """Returns a PNG: how each column depends on a field, mean and least to greatest over seeds.

    Args:
      figures: Figures of `comparison.summarise`.
      field: what was swept, the x axis.
      swept: variant to its value of the field; all other variants are horizontal lines.
    """
    panels = [(tag, name) for tag, columns in figures.items() for name in columns]
    wide = min(3, len(panels))
    high = -(-len(panels) // wide)
    drawn = drawing.canvas(0.4 + 3.6 * wide, 0.7 + 2.7 * high)
    grid = drawn.subplots(high, wide, squeeze=False)
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in swept.values())
    names = sorted(swept, key=swept.__getitem__) if numeric else list(swept)
    x = [swept[name] for name in names] if numeric else list(range(len(names)))
    for axes, (tag, column) in zip(grid.flat, panels):
        cells = figures[tag][column]
        scale = comparison.scale(cells[names[0]])
        for number, baseline in enumerate(name for name in cells if name not in swept):
            mean, *ends = (scale * cells[baseline][k] for k in ("mean", "least", "greatest"))
            style = {"color": f"C{1 + number % 9}", "linestyle": ("--", "-.", ":")[number % 3]}
            axes.axhline(mean, label=drawing.label(baseline), **style)
            axes.axhspan(*ends, color=style["color"], alpha=0.12, linewidth=0)
        mean, least, greatest = (
            [scale * cells[name][k] for name in names] for k in ("mean", "least", "greatest")
        )
        axes.fill_between(x, least, greatest, color="C0", alpha=0.18, linewidth=0)
        axes.plot(x, mean, color="C0", marker="o", markersize=4, label=drawing.label(field))
        if numeric and min(x) > 0 and max(x) / min(x) >= 8:
            axes.set_xscale("log")
        axes.set_xticks(
            x,
            [f"{swept[name]:g}" if numeric else drawing.label(str(swept[name])) for name in names],
        )
        axes.minorticks_off()
        title = column if len(figures) == 1 else f"{tag}: {column}"
        axes.set_title(f"{title} (%)" if scale == 100 else title, fontsize=10)
        axes.set_xlabel(drawing.label(field))
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    lines = {line.get_label(): line for line in grid.flat[0].get_lines()}
    drawn.legend(
        lines.values(), lines.keys(), loc="outside upper center", ncols=len(lines), frameon=False
    )
    return drawing.png(drawn)
