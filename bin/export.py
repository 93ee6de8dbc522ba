"""Exports a trained run as SavedModel (TensorFlow Serving) and TFLite, equal to the checkpoint.

    python bin/export.py --workdir=runs/demo --output=exports/voice_face

Nothing is published when an artefact's embeddings, classes or maps differ from the checkpoint's.
"""

from absl import flags

from tfav.bin import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a finished train run.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Folder of the model: holds VERSION/, *.tflite, parity.json, perhaps labels.txt.",
)
_VERSION = flags.DEFINE_string(
    "version", "", "Integer version directory; default: the next free one."
)
_MIN_COSINE = flags.DEFINE_float(
    "min_cosine", None, "Parity below this publishes nothing; default: the config's."
)
_DATA = flags.DEFINE_string(
    "data", "", "What prepare wrote, for parity; default: the data of the train run."
)
flags.mark_flags_as_required(["workdir", "output"])


def main(argv: list[str]) -> None:
    """Exports and prints what was published."""
    cli.no_arguments(argv)
    from tfav import build

    for line in build.export(
        _WORKDIR.value, _OUTPUT.value, _VERSION.value or None, _MIN_COSINE.value, _DATA.value
    ):
        print(line)


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
