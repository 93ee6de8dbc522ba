"""Judges a trained run on query lists: matching, verification and retrieval, both directions.

    python bin/eval.py --workdir=runs/demo

Writes metrics.json and plots into the workdir and prints a table.
"""

from absl import flags

from tfav.bin import cli

_WORKDIR = flags.DEFINE_list(
    "workdir", None, "Folder of a finished train run; several: a table of their spread follows."
)
_TAGS = flags.DEFINE_list("tags", ["test"], "Which query lists: the last word of their file names.")
_LISTS = flags.DEFINE_string("lists", "", "Folder of query lists; default: those beside the data.")
_DATA = flags.DEFINE_string("data", "", "What prepare wrote; default: the data of the train run.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the bootstrap.")
flags.mark_flag_as_required("workdir")


def main(argv: list[str]) -> None:
    """Evaluates and prints the table."""
    cli.no_arguments(argv)
    from tfav import build

    for line in build.evaluate(_WORKDIR.value, _TAGS.value, _LISTS.value, _DATA.value, _SEED.value):
        print(line)


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
