"""Runs the benchmarks and writes one table.

    python -m benchmarks [--only=retrieval,losses] [--output=runs/bench]

Each subject is a module of this folder with a function `rows()`; it takes minutes at most. Numbers
to quote are the ratios: both sides were timed in turn, in one run, on one machine. A subject may
have a function `scales()` too: how time grows with size, with the exponent of the power law.
"""

import argparse
import dataclasses
import os
import platform
import sys
from collections.abc import Sequence

import tqdm

from benchmarks import processes, timing
from tfav import files

SUBJECTS = (
    "retrieval",
    "pairs",
    "bootstrap",
    "explicit",
    "classifier",
    "sampled",
    "mmcosine",
    "clustering",
    "first_step",
    "step_cost",
    "training_step",
    "vectors",
    "host",
    "loader",
    "embedding",
    "start",
)
# Run only where they are named: they take longer than all others together.
LONG = ("training_step_64",)


def table(rows: list[timing.Row]) -> str:
    """Returns the rows as a Markdown table."""
    head = ("work", "size", "ours (ms)", "against", "ms", "ratio", "target")
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        first = row.work, row.size, f"{row.ours_ms:.4g}"
        for name, milliseconds in row.others_ms.items() or [("", None)]:
            against = [""] * 4
            if milliseconds is not None:
                against = [name, f"{milliseconds:.4g}", f"{row.ratios[name]:.2f}", _aim(row, name)]
            lines.append(_line([*first, *against]))
            first = "", "", ""
        if row.notes:
            lines.append(_line(["", row.notes, "", "", "", "", ""]))
    return "\n".join(lines) + "\n"


def scale_table(scales: list[timing.Scale]) -> str:
    """Returns how time grows with size as a Markdown table."""
    head = ("work", "sizes", "ms", "exponent", "the work's own")
    lines = [_line(head), _line(["---"] * len(head))]
    for scale in scales:
        ends = (scale.sizes[0], scale.sizes[-1]), (scale.milliseconds[0], scale.milliseconds[-1])
        sizes = f"{ends[0][0]:,} to {ends[0][1]:,} {scale.unit}"
        times = f"{ends[1][0]:.4g} to {ends[1][1]:.4g}"
        lines.append(
            _line([scale.work, sizes, times, f"{scale.exponent:.2f}", f"{scale.expected:g}"])
        )
        if scale.notes:
            lines.append(_line(["", scale.notes, "", "", ""]))
    return "\n".join(lines) + "\n"


def plot(scales: list[timing.Scale], path: str) -> None:
    """Draws time against size, both logarithmic, a line per piece of work."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4 + 0.22 * len(scales)), layout="constrained")
    colors = pyplot.get_cmap("tab10").colors
    for number, scale in enumerate(scales):
        label = f"{scale.work}, {scale.unit}: {scale.exponent:.2f}"
        style = ("o-", "s--")[number // len(colors) % 2]
        color = colors[number % len(colors)]
        axes.loglog(scale.sizes, scale.milliseconds, style, color=color, label=label)
    axes.set(xlabel="size", ylabel="milliseconds")
    figure.legend(title="work, size: exponent", loc="outside lower center", fontsize="small")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _aim(row: timing.Row, name: str) -> str:
    if name not in row.targets:
        return ""
    return f"<= {row.targets[name]:g}" + (", **missed**" if name in row.behind else "")


def main() -> None:
    """Runs the subjects, prints the table and writes it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SUBJECTS), help="subjects, with commas between")
    parser.add_argument(
        "--output", default="runs/bench", help="folder of table.md, results.json, scale.png"
    )
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in SUBJECTS + LONG]
    if unknown:
        known = ", ".join(SUBJECTS + LONG)
        sys.exit(f"error: unknown subject {unknown[0]!r}: choose from {known}.")
    rows: list[timing.Row] = []
    scales: list[timing.Scale] = []
    bar = tqdm.tqdm(names, unit="subject")
    for name in bar:
        bar.set_postfix_str(name)
        found_rows, found_scales = processes.measured(name)
        rows += found_rows
        scales += found_scales
    about = {
        "machine": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
    found = {
        "about": about,
        "rows": [dataclasses.asdict(row) for row in rows],
        "scales": [dataclasses.asdict(scale) for scale in scales],
    }
    text = table(rows)
    os.makedirs(arguments.output, exist_ok=True)
    if scales:
        text += "\n" + scale_table(scales)
        plot(scales, os.path.join(arguments.output, "scale.png"))
    files.write_json(os.path.join(arguments.output, "results.json"), found)
    files.write_text(os.path.join(arguments.output, "table.md"), text)
    print(text, end="")


if __name__ == "__main__":
    main()
