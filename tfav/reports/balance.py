"""What each modality did while a run trained: the imbalance that one head shows and another cures.

Read from the scalars that the trainer logs for a recipe of several encoders: `share_<m>` of the
true class's logit margin, `accuracy_<m>`, `gradient_norm_<m>` and `weight_norm_<m>` of modality m.
"""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfav import registry
from tfav.reports import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scalars = Sequence[Mapping[str, Any]]

# Prefix of the scalars to the axis's name, whether the axis is logarithmic, and its scale.
_ROWS = {
    "share": ("share of the logit (%)", False, 100.0),
    "accuracy": ("training accuracy (%)", False, 100.0),
    "gradient_norm": ("gradient norm", True, 1.0),
    "weight_norm": ("weight norm of the head", False, 1.0),
}
_STYLES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":")


def read(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """Returns the lines of a run's `scalars.jsonl`, `{"step": step, name: value, ...}` each.

    Raises:
      UserError: there is no such file.
    """
    path = os.path.join(workdir, "scalars.jsonl")
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise registry.UserError(
            f"{path} cannot be read ({error.strerror}): give the folder of a train run."
        ) from error
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):  # the last one, of a run that is being written
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict) and "step" in line]


def modalities(scalars: Scalars) -> list[str]:
    """Returns the modalities that scalars speak of, in order of appearance."""
    for prefix in ("share", "gradient_norm", "weight_norm"):
        names = dict.fromkeys(name for line in scalars for name in line)
        found = [name[len(prefix) + 1 :] for name in names if name.startswith(f"{prefix}_")]
        if found:
            return found
    return []


def draw(runs: Mapping[str, Scalars]) -> "Figure":
    """Returns a figure: a column per run, a row per quantity, a line per modality, over the steps.

    Args:
      runs: name to the scalars of each, such as those of a vanilla and of a cosine head.

    Raises:
      UserError: no run has a scalar of a modality.
    """
    names = list(dict.fromkeys(m for scalars in runs.values() for m in modalities(scalars)))
    rows = [
        prefix
        for prefix in _ROWS
        if any(f"{prefix}_{m}" in line for s in runs.values() for line in s for m in names)
    ]
    if not rows:
        raise registry.UserError(
            f"the scalars of {', '.join(runs)} have no share_<modality> or "
            "gradient_norm_<modality>: the balance is logged for recipes of several modalities."
        )
    drawn = drawing.canvas(1.2 + 4.2 * len(runs), 0.8 + 2.1 * len(rows))
    grid = drawn.subplots(len(rows), len(runs), squeeze=False, sharex="col", sharey="row")
    for column, (run, scalars) in enumerate(runs.items()):
        for axes, prefix in zip(grid[:, column], rows):
            name, logarithmic, scale = _ROWS[prefix]
            for number, modality in enumerate(names):
                _line(axes, scalars, f"{prefix}_{modality}", modality, number, scale)
            if prefix == "accuracy":
                _line(axes, scalars, "accuracy", "fused", None, scale)
            axes.grid(alpha=0.3)
            axes.set_yscale("log" if logarithmic else "linear")
            if column == 0:
                axes.set_ylabel(name)
        if "share" in rows:  # what every modality has when they pull alike
            even = grid[rows.index("share"), column]
            even.axhline(
                100 / len(names), color="grey", linewidth=1, linestyle=":", label="even share"
            )
        grid[0, column].set_title(drawing.label(run))
        grid[-1, column].set_xlabel("step")
    lines = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
    lines = {name: line for name, line in lines.items() if not name.startswith("_")}
    columns = min(len(lines), 2 + 2 * len(runs))
    drawn.legend(
        lines.values(), lines.keys(), loc="outside upper center", ncols=columns, frameon=False
    )
    return drawn


def _line(
    axes: "Axes", scalars: Scalars, key: str, name: str, number: int | None, scale: float
) -> None:
    """Draws one scalar; colour and dashes tell the modality, black is all of them together."""
    points = [(line["step"], scale * line[key]) for line in scalars if line.get(key) is not None]
    if points:
        color = "black" if number is None else f"C{number % 10}"
        style = "-" if number is None else _STYLES[number % len(_STYLES)]
        mark = "o" if len(points) == 1 else None
        axes.plot(
            *zip(*points),
            label=drawing.label(name),
            color=color,
            linestyle=style,
            linewidth=1.5,
            marker=mark,
        )
