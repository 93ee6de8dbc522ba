"""Runs the benchmarks and writes one table.

    python -m benchmarks [--only=retrieval,losses] [--output=runs/bench]

Each subject is a module of this folder with a function `rows()`; it takes minutes at most. Numbers
to quote are the ratios: both sides were timed in turn, in one run, on one machine.
"""

import argparse
import dataclasses
import importlib
import os
import platform
import sys
from collections.abc import Sequence

import tqdm

from benchmarks import timing
from tfav import files

SUBJECTS = ("step_cost", "training_step", "explicit", "classifier", "mmcosine", "clustering")


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
    parser.add_argument("--output", default="runs/bench", help="folder of table.md, results.json")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        sys.exit(f"error: unknown subject {unknown[0]!r}: choose from {', '.join(SUBJECTS)}.")
    rows: list[timing.Row] = []
    bar = tqdm.tqdm(names, unit="subject")
    for name in bar:
        bar.set_postfix_str(name)
        rows += importlib.import_module(f"benchmarks.{name}").rows()
    about = {
        "machine": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
    found = {"about": about, "rows": [dataclasses.asdict(row) for row in rows]}
    os.makedirs(arguments.output, exist_ok=True)
    files.write_json(os.path.join(arguments.output, "results.json"), found)
    files.write_text(os.path.join(arguments.output, "table.md"), table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
