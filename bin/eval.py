"""Judges a trained run: by query lists, classes, trials, pairs, maps or a linear probe.

    python bin/eval.py --workdir=runs/demo
    python bin/eval.py --workdir=runs/dmc --protocols=linear_probe --data=data/esc50
    python bin/eval.py --released=FILE.pth.tar --data=DIR --output=DIR

Writes metrics.json (metrics_PROTOCOLS.json with --protocols) and plots into the workdir (or the
output) and prints a table.
"""

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav import registry
from tfav.bin import cli

_WORKDIR = flags.DEFINE_list(
    "workdir", None, "Folder of a finished train run; several: a table of their spread follows."
)
_TAGS = flags.DEFINE_list(
    "tags", ["test"], "Which query lists (the last word of their names), or splits."
)
_LISTS = flags.DEFINE_string("lists", "", "Folder of query lists; default: those beside the data.")
_DATA = flags.DEFINE_string("data", "", "What prepare wrote; default: the data of the train run.")
_PROTOCOLS = flags.DEFINE_list(
    "protocols",
    [],
    "How to judge: lists, classification, trials, correspondence, localisation or linear_probe; "
    "default: what the run's config says.",
)
_RELEASED = flags.DEFINE_string(
    "released", None, "The authors' PyTorch checkpoint, judged like a run; needs the extra torch."
)
_OUTPUT = flags.DEFINE_string("output", "", "With --released: the folder to write into.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the bootstrap.", lower_bound=0)


def main(argv: list[str]) -> None:
    """Evaluates and prints the table."""
    cli.no_arguments(argv)
    if (_WORKDIR.value is None) == (_RELEASED.value is None):
        raise registry.UserError(
            "--workdir is missing: give --workdir=RUN, or --released=FILE instead of it."
            if _WORKDIR.value is None
            else "--workdir and --released are two things to judge: give one of them."
        )

    from tfav.commands import evaluate

    rest = (_TAGS.value, _LISTS.value, _DATA.value, _SEED.value)
    if _RELEASED.value is None:
        lines = evaluate.evaluate(_WORKDIR.value, *rest, protocols=_PROTOCOLS.value)
    else:
        lines = evaluate.evaluate_released(_RELEASED.value, _OUTPUT.value, *rest)
    for line in lines:
        print(line)


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
