"""Exports a trained run as SavedModel (TensorFlow Serving) and TFLite, equal to the checkpoint.

    python bin/export.py --workdir=runs/demo --output=exports/voice_face

Nothing is published when an artefact's embeddings, classes or maps differ from the checkpoint's.
"""

import json
import os

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav import registry
from tfav.bin import cli, device_flags, output_flags

flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(output_flags)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a finished train run.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Folder of the model: holds VERSION/, *.tflite, parity.json, drift.csv, perhaps labels.txt.",
    required=True,
)
_VERSION = flags.DEFINE_string(
    "version", "", "Integer version directory; default: the next free one."
)
_MIN_COSINE = flags.DEFINE_float(
    "min_cosine", None, "Parity of float files below this publishes nothing; default: the config's."
)
_MIN_COSINE_INT8 = flags.DEFINE_float(
    "min_cosine_int8", 0.98, "Parity of 8-bit files below this publishes nothing."
)
_PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "float16"], "Of the .tflite: float32, float16, int8, int8_static."
)
_DURATIONS = flags.DEFINE_list(
    "durations", [], "Clip lengths in seconds, 1,3,5: one signature each in one audio .tflite."
)
_DYNAMIC_TIME = flags.DEFINE_bool(
    "dynamic_time", False, "The audio .tflite takes clips of any length."
)
_FRONTEND = flags.DEFINE_enum(
    "frontend", "", ["", "stft", "conv"], "Form of the .tflite's front-end; default: the run's."
)
_KEEP_VERSIONS = flags.DEFINE_integer(
    "keep_versions", 0, "How many of the newest version folders stay; 0: all.", lower_bound=0
)
_LICENSE = flags.DEFINE_string(
    "license", "", "License of the weights, for parity.json and the model card."
)
_POWER = flags.DEFINE_float(
    "power_watts",
    0.0,
    "Power that the machine drew while it trained, in watts, as you know or measured it: the model "
    "card then has an estimate of the energy, time x power; 0: the card says 'not measured'.",
    lower_bound=0.0,
)
_DATA = flags.DEFINE_string(
    "data", "", "What prepare wrote, for parity; default: the data of the train run."
)


def main(argv: list[str]) -> None:
    """Exports and prints what was published."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import export

    for line in export.export(
        _WORKDIR.value,
        _OUTPUT.value,
        _DATA.value,
        version=_VERSION.value or None,
        **({} if _MIN_COSINE.value is None else {"min_cosine": _MIN_COSINE.value}),
        precisions=_PRECISIONS.value,
        durations=_seconds(_DURATIONS.value),
        dynamic_time=_DYNAMIC_TIME.value,
        frontend=_FRONTEND.value,
        min_cosine_int8=_MIN_COSINE_INT8.value,
        keep_versions=_KEEP_VERSIONS.value,
        license_text=_LICENSE.value,
        power_watts=_POWER.value,
    ):
        if not output_flags.as_json():
            print(line)
    if output_flags.as_json():
        with open(os.path.join(_OUTPUT.value, "parity.json"), encoding="utf-8") as file:
            output_flags.show(json.load(file), "")


def _seconds(values: list[str]) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError as error:
        raise registry.UserError(
            f"--durations={','.join(values)}: give seconds between commas, such as 1,3,5."
        ) from error


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
