"""Trains a recipe: a config and a workdir become checkpoints, weights.npz, config.json and scalars.

    python bin/train.py --config=configs/voice_face.py:demo --workdir=runs/demo
        --config.data.directory=DATA

The same command continues a run that was stopped. Any field is set by a flag:
--config.train.learning_rate=3e-4.
"""

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags
from ml_collections import config_flags

from tfav.bin import cli, device_flags, output_flags

flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(output_flags)
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "FILE:VARIANT of the experiment.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if absent.", required=True)
_STRATEGY = flags.DEFINE_string(
    "strategy",
    "auto",
    "auto, one_device, mirrored (all devices here) or multi_worker (TF_CONFIG or Slurm names the "
    "others).",
)
_WORKER_TIMEOUT = flags.DEFINE_float(
    "worker_timeout_seconds",
    60.0,
    "Seconds of silence after which a worker counts as gone, and the others stop.",
)
_EXPECT_GPUS = flags.DEFINE_integer(
    "expect_gpus", None, "Number of GPUs that this process must see; another one is refused."
)
flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
    """Trains."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import train

    train.train(
        _CONFIG.value,
        _WORKDIR.value,
        _STRATEGY.value,
        worker_timeout_seconds=_WORKER_TIMEOUT.value,
        expect_gpus=_EXPECT_GPUS.value,
    )
    if output_flags.as_json():
        output_flags.show(train.record(_WORKDIR.value), "")


def run() -> None:
    """Is the console command."""
    cli.run(main, config=True)


if __name__ == "__main__":
    run()
