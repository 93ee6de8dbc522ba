"""Goes from two folders, of voices and of faces, to a trained model and its page in one command.

    python bin/start.py --audio=voices --image=faces --output=runs/mine

In both folders is one folder per person, with the same names. It writes a manifest with different
people in train, val and test, prepares the data, trains a small model, evaluates it, makes the page
and opens it, and prints each of these commands. The same command goes on where it was stopped.
"""

import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, output_flags

flags.adopt_module_key_flags(output_flags)

_AUDIO = flags.DEFINE_string("audio", None, "Folder of the voices, a folder each.", required=True)
_IMAGE = flags.DEFINE_string("image", None, "Folder of the faces, a folder each.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for manifest.csv, data, run and report.html; made.", required=True
)
_STEPS = flags.DEFINE_integer(
    "steps", 0, "Number of training steps; 0: those of configs/voice_face.py:demo.", lower_bound=0
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Random seed of the splits, the lists and the training.", lower_bound=0
)
_OPEN = flags.DEFINE_boolean(
    "open",
    None,
    "Open the page in a browser; by default at a terminal with a display, and not with --json.",
)


def main(argv: list[str]) -> None:
    """Runs every step that is left."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import open_page, start

    # For machines, what is said on the way goes to stderr, also by the commands that it runs.
    said = sys.stderr if output_flags.as_json() else sys.stdout
    for line in start.start(
        _AUDIO.value,
        _IMAGE.value,
        _OUTPUT.value,
        steps=_STEPS.value,
        seed=_SEED.value,
        said=said,
        quiet=output_flags.is_quiet(),
    ):
        if not output_flags.is_quiet():
            print(line, file=said, flush=True)
    if output_flags.as_json() or output_flags.is_quiet():
        made = start.record(_OUTPUT.value)
        output_flags.show(made, made["page"])
    by_itself = open_page.is_watched() and not output_flags.as_json()
    if by_itself if _OPEN.value is None else _OPEN.value:
        line = open_page.open_page(start.address(_OUTPUT.value))
        if not output_flags.is_quiet():
            print(line, file=said, flush=True)


def run() -> None:
    """Is the console command."""
    cli.run(main, with_tensorflow=lambda: False)


if __name__ == "__main__":
    run()
