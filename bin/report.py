"""Makes a page on which a trained run can be seen and heard: one HTML file that needs no network.

    python bin/report.py --workdir=runs/demo
    python bin/report.py --workdir=runs/birds --baseline=runs/birds_vanilla

Probes of both directions, the best, the worst and some at random, each with the closest ten of its
gallery; curves; results. --video adds a film of the voice probes, with sound. Of a run that tells
classes apart: examples, classes, confusion, calibration, and what each modality did. Of a run on
pairs: where sounds come from, hits and misses, and what clusters mean. With --baseline: how far the
run is from another, on the same trials. With --no_media: figures without faces and voices.
"""

import os

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, device_flags, output_flags

flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(output_flags)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a finished train run.", required=True)
_TAGS = flags.DEFINE_list(
    "tags",
    None,
    "Which query lists (the last word of their file names), or else splits; default: test, and of "
    "pairs every split but those that train and validate.",
)
_OUTPUT = flags.DEFINE_string("output", "", "The page, .html; default: report.html in the workdir.")
_PROBES = flags.DEFINE_integer(
    "probes",
    30,
    "How many probes to show of each direction: a third the best, a third the worst, the rest "
    "drawn at random.",
    lower_bound=1,
)
_MAX_MB = flags.DEFINE_float(
    "max_mb", 20.0, "The page is no larger: smaller images, then fewer probes.", lower_bound=0.0
)
_VIDEO = flags.DEFINE_string("video", "", "Also a film with sound, such as retrieval_result.mp4.")
_BASELINE = flags.DEFINE_string(
    "baseline", "", "Another run: how far this one is from it, with intervals over identities."
)
_LISTS = flags.DEFINE_string("lists", "", "Folder of query lists; default: those beside the data.")
_DATA = flags.DEFINE_string("data", "", "What prepare wrote; default: the data of the train run.")
_NO_MEDIA = flags.DEFINE_bool(
    "no_media",
    False,
    "Figures and drawings alone: no image, no audio and no id of an item. Names of classes, of "
    "the run and of the data set stay as they are.",
)
_TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Also write embeddings for TensorBoard's projector, of what the page shows or else of rows of "
    "the tags, and a sheet of the retrievals there are, into WORKDIR/tensorboard/report.",
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Random seed of the probes drawn and of the bootstrap resampling.", lower_bound=0
)


def main(argv: list[str]) -> None:
    """Writes the page and says where it is."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import report

    for line in report.make_report(
        _WORKDIR.value,
        _TAGS.value,
        _OUTPUT.value,
        num_probes=_PROBES.value,
        max_megabytes=_MAX_MB.value,
        video=_VIDEO.value,
        baseline=_BASELINE.value,
        lists_dir=_LISTS.value,
        directory=_DATA.value,
        seed=_SEED.value,
        media=not _NO_MEDIA.value,
        tensorboard=_TENSORBOARD.value,
    ):
        if not output_flags.as_json():
            print(line)
    if output_flags.as_json():
        made = {"page": _OUTPUT.value or os.path.join(_WORKDIR.value, "report.html")}
        made |= {"video": _VIDEO.value} if _VIDEO.value else {}
        if _TENSORBOARD.value:
            made["tensorboard"] = os.path.join(_WORKDIR.value, "tensorboard", "report")
        output_flags.show(made, "")


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
