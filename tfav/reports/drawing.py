"""Pictures of what was measured, by matplotlib's object interface: no global state, no display."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from tfav.evaluation import metrics

DIRECTIONS = {"v2f": "V->F", "f2v": "F->V"}
_MAX_NAME = 24


def canvas(width: float, height: float):
    """Returns an empty figure of so many inches; matplotlib is imported here, for it is slow."""
    from matplotlib import figure

    drawn = figure.Figure(figsize=(width, height), layout="constrained")
    drawn.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return drawn


def png(drawn) -> bytes:
    """Returns a figure as a PNG file."""
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=120)
    return file.getvalue()


def label(name: str) -> str:
    """Returns a name of the user's as matplotlib shows it: short, of one line, never a formula."""
    name = " ".join(name.split())
    name = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    return name.replace("$", r"\$")


def roc(results: Sequence[Mapping[str, Any]], scores: Mapping[str, tuple]) -> bytes:
    """Returns the ROC of every verification list of voices and faces."""
    drawn, axes = _axes("Verification")
    for result in results:
        if result["metric"] == "auc" and result["list"] in scores:
            false_positive_rate, true_positive_rate, _ = metrics.roc_curve(*scores[result["list"]])
            stratum = result["stratum"].replace("_", "-")
            area = f"AUC {100 * result['value']:.1f} %"
            name = f"{DIRECTIONS[result['direction']]} {stratum}, {area}"
            axes.plot(false_positive_rate, true_positive_rate, label=name, **_style(result))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":", label="chance")
    axes.plot([0, 1], [1, 0], color="grey", linewidth=0.5)
    axes.annotate("equal error", (0.64, 0.36), (4, 2), textcoords="offset points", fontsize=8)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right", fontsize=8)
    return png(drawn)


def matching(results: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns the accuracy of 1:N matching over N."""
    drawn, axes = _axes("1:N matching, 95 % over identities")
    for direction, stratum in dict.fromkeys((r["direction"], r["stratum"]) for r in results):
        line = [r for r in results if (r["direction"], r["stratum"]) == (direction, stratum)]
        line.sort(key=lambda r: r["n"])
        n, value = [r["n"] for r in line], [100 * r["value"] for r in line]
        name = f"{DIRECTIONS[direction]} {stratum.replace('_', '-')}"
        axes.plot(n, value, marker="o", markersize=3, label=name, **_style(line[0]))
        ends = [(100 * r["low"], 100 * r["high"]) for r in line if r["low"] is not None]
        if len(ends) == len(line):
            axes.fill_between(n, *zip(*ends), color=_style(line[0])["color"], alpha=0.12)
    sizes = sorted({r["n"] for r in results})
    chance = [100 / n for n in sizes]
    axes.plot(sizes, chance, color="grey", linestyle=":", marker=".", label="chance")
    axes.set(xlabel="candidates N", ylabel="accuracy (%)", ylim=(0, 101), xticks=sizes)
    axes.legend(fontsize=8)
    return png(drawn)


def _axes(title: str):
    drawn = canvas(5.6, 4.6)
    axes = drawn.add_subplot(title=title)
    axes.grid(alpha=0.3)
    return drawn, axes


def _style(result: Mapping[str, Any]) -> dict[str, str]:
    """Colour tells the direction, dashes the stratum."""
    return {
        "color": "tab:blue" if result["direction"] == "v2f" else "tab:orange",
        "linestyle": "-" if result["stratum"] == "unrestricted" else "--",
    }
