"""Prints what every encoder is worth in every precision on a phone, as Markdown tables.

    python bin/formats.py --data=runs/demo/data

Sizes, agreement with the float network, speed on one thread here, and the oldest runtime: each as
an export of that encoder says it. Weights are fresh; batch norms are settled on the data.
"""

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, output_flags

flags.adopt_module_key_flags(output_flags)

_DATA = flags.DEFINE_string(
    "data", None, "What prepare wrote: splits train and test.", required=True
)
_ENCODERS = flags.DEFINE_list("encoders", [], "Rows of the encoder tables; all when not given.")
_PRECISIONS = flags.DEFINE_list(
    "precisions",
    ["float32", "float16", "int8", "int8_static"],
    "Precisions; int8 needs the extra quantize.",
)
_AUDIO_SECONDS = flags.DEFINE_float("audio_seconds", 2.0, "Clip length.", lower_bound=0.1)


def main(argv: list[str]) -> None:
    """Measures, and prints the tables."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import encoder_formats

    tables = encoder_formats.table(
        _DATA.value, _ENCODERS.value, _PRECISIONS.value, _AUDIO_SECONDS.value
    )
    output_flags.show(encoder_formats.records(tables), "\n".join(tables).rstrip("\n"))


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
