"""What training did to the losses, with the floors that theory gives for them, and validation."""

from typing import TYPE_CHECKING, NamedTuple

from tfav.reports import balance, drawing, names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FLOOR = "_floor"  # ends the name of the least that a loss can be, which the trainer logs beside it
_VALIDATION = "val/metric"


class _Line(NamedTuple):
    """A scalar over the steps."""

    name: str
    points: list[tuple[int, float]]
    style: str = "-"
    color: str = "C0"


def draw(scalars: balance.Scalars) -> "Figure | None":
    """Returns a figure of a run's losses and of its validation; None where it logged no loss."""
    panels = _panels(scalars)
    if not panels:
        return None
    drawn = drawing.canvas(0.6 + 4.2 * len(panels), 3.2)
    grid = drawn.subplots(1, len(panels), squeeze=False).ravel()
    for axes, (title, lines) in zip(grid, panels.items()):
        for line in lines:
            mark = "o" if len(line.points) == 1 else None
            axes.plot(
                *zip(*line.points), line.style, label=line.name, color=line.color, marker=mark
            )
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return drawn


def describe(scalars: balance.Scalars) -> str:
    """Returns in words where each line of `draw` begins and ends."""
    said = []
    for lines in _panels(scalars).values():
        for line in lines:
            (first, start), (last, end) = line.points[0], line.points[-1]
            said.append(f"{line.name} {start:.3g} at step {first}, {end:.3g} at step {last}")
    return names.sentence("; ".join(said)) + "." if said else ""


def _panels(scalars: balance.Scalars) -> dict[str, list[_Line]]:
    keys = dict.fromkeys(key for line in scalars for key in line)
    floored = [k.removesuffix(_FLOOR) for k in keys if k.endswith(_FLOOR)]
    losses = []
    for number, key in enumerate(k for k in keys if k == "loss" or k in floored):
        color = f"C{number}"
        losses.append(_Line(key, _points(scalars, key), color=color))
        if key in floored:
            floor = f"floor of {key} by theory"
            losses.append(_Line(floor, _points(scalars, f"{key}{_FLOOR}"), ":", color))
    validation = [_Line(_VALIDATION, _points(scalars, _VALIDATION))]
    panels = {"losses in training": losses, "validation": validation}
    found = {t: [line for line in lines if line.points] for t, lines in panels.items()}
    return {t: lines for t, lines in found.items() if lines} if found["losses in training"] else {}


def _points(scalars: balance.Scalars, key: str) -> list[tuple[int, float]]:
    return [(line["step"], line[key]) for line in scalars if line.get(key) is not None]
