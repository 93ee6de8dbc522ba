"""Trains variants of one experiment over seeds and prints their figures side by side.

    python bin/compare.py --config=configs/voice_face.py --output=runs/ablation
        --variants=ablation_explicit,ablation_triplet --seeds=0,1,2 --data=runs/demo{seed}/data

Every run goes to OUTPUT/VARIANT/seedN, its log beside it; the tables to OUTPUT/table.md and
OUTPUT/results.json. The same command continues where it was stopped. Any field of all variants is
set by a flag, as in train: --config.train.num_steps=400.

    python bin/compare.py --config=configs/mmcosine.py:demo --sweep=loss.scale:2,5,10,30
        --output=runs/scale --data=runs/demo{seed}/data

trains a variant with each value of a field and draws OUTPUT/sensitivity.png. With --variants the
first of them is swept, and the others are trained as they are: lines to compare with.

    python bin/compare.py --config=configs/dmc.py --output=runs/table1 --data=data/digits
        --variants=av_digits_soundnet,av_digits_l3,av_digits_avts,av_digits,av_digits_teacher
        --features=rg,ltt,rnh,ensemble --eval_data=data/esc10

is Table 1 of DMC's supplement: linear probes on ESC-10 (or ESC-50, or DCASE2014) of hand-made
features, and of audio encoders that are trained on other recordings.
"""

import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags
from ml_collections import config_flags

from tfav.bin import cli, output_flags

flags.adopt_module_key_flags(output_flags)

_CONFIG = config_flags.DEFINE_config_file("config", None, "FILE of the variants.", lock_config=True)
_VARIANTS = flags.DEFINE_list(
    "variants",
    None,
    "Variants of that file, the rows of the table; with --sweep, that of --config if not given.",
)
_SWEEP = flags.DEFINE_string(
    "sweep",
    "",
    "FIELD:VALUE,VALUE,... of the config: one row per value, such as loss.scale:2,5,10.",
)
_SEEDS = flags.DEFINE_list(
    "seeds", ["0", "1", "2", "3", "4"], "Random seeds: a run of every variant with each."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder of all runs and the tables; made if absent.", required=True
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "What prepare wrote; {seed} in it stands for the seed, for data of its own.",
    required=True,
)
_TAGS = flags.DEFINE_list(
    "tags", ["test"], "Which query lists (the last word of their names) or splits."
)
_BASELINE = flags.DEFINE_string(
    "baseline", "", "The row from which differences are taken; the first if not given."
)
_PROTOCOLS = flags.DEFINE_list(
    "protocols",
    [],
    "How to evaluate, as in eval; default: what the config says, and with --features linear_probe.",
)
_EVAL_DATA = flags.DEFINE_string(
    "eval_data",
    "",
    "What prepare wrote to evaluate on, {seed} as in --data; default: the data of the training.",
)
_FEATURES = flags.DEFINE_list(
    "features",
    [],
    "Hand-made features as rows beside the variants: rg, ltt, rnh, and ensemble, their vote.",
)
flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
    """Runs what is left to run and prints the tables."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav import registry
    from tfav.commands import compare

    config = flags.FLAGS["config"]
    file, _, variant = config_flags.get_config_filename(config).partition(":")
    variants = _VARIANTS.value
    if variants is None:
        variants = [variant] if _SWEEP.value and variant else None
    if variants is None:
        raise registry.UserError(
            "--variants is missing: give --variants=NAME,NAME, or --config=FILE:VARIANT with "
            "--sweep=FIELD:VALUE,VALUE."
        )
    if not variants or not all(seed.isdecimal() for seed in _SEEDS.value):
        raise registry.UserError(
            f"--variants={','.join(variants)} --seeds={','.join(_SEEDS.value)}: give at "
            "least one variant, and seeds as whole numbers separated by commas."
        )
    text = compare.compare(
        file,
        variants,
        [int(seed) for seed in _SEEDS.value],
        _OUTPUT.value,
        _DATA.value,
        _TAGS.value,
        config_flags.get_override_values(config),
        _BASELINE.value,
        _SWEEP.value,
        _PROTOCOLS.value,
        _EVAL_DATA.value,
        _FEATURES.value,
    )
    output_flags.show(compare.results(_OUTPUT.value), text.rstrip("\n"))


def _with_variant(argv: list[str]) -> list[str]:
    """Returns the arguments with the first of --variants in --config, whatever it named.

    So it is a variant that is compared, and not the file's default one, that says which --config.
    flags there are; `compare` asks the others.
    """
    words = [word for argument in argv for word in _split(argument)]
    given = dict(zip(words, words[1:]))
    config, first = given.get("--config", ""), given.get("--variants", "").split(",")[0].strip()
    if not config or not first:
        return argv
    file = config.partition(":")[0]
    named = {x: f"{x[: -len(config)]}{file}:{first}" for x in _spellings(config)}
    return [named.get(argument, argument) for argument in argv]


def _spellings(config: str) -> tuple[str, ...]:
    """Returns how an argument may name a config: as a word after --config, or with it."""
    return config, f"--config={config}", f"-config={config}"


def _split(argument: str) -> list[str]:
    """Returns a flag and its value as two words, with two dashes."""
    name, equals, value = argument.partition("=")
    name = f"--{name.lstrip('-')}" if name.startswith("-") else name
    return [name, value] if equals else [name]


def run() -> None:
    """Is the console command."""
    sys.argv[1:] = _with_variant(sys.argv[1:])
    cli.run(main, config=True)


if __name__ == "__main__":
    run()
