"""Turns recordings and photographs into a data set: shards, index, query lists, reports.

    python bin/prepare.py --source=synthetic --output=data/synthetic
    python bin/prepare.py --source=manifest --manifest=mine.csv --output=data/mine
    python bin/prepare.py --source=voxceleb1 --audio_root=wav --image_root=faces
        --split_csv=vox1_train.csv,vox1_val.csv,vox1_test.csv --output=data/vox1

    python bin/prepare.py --source=manifest --manifest=clips.csv --output=data/clips
        --num_frames=8 --derive=flow,diff --lists=none

    python bin/prepare.py --source=videos --root=clips --output=data/clips --test_fraction=0.1
        --lists=none --decoded=/scratch/clips --runner=flink --beam_options=--flink_master=HOST:8081

A manifest is a CSV file with the columns id, split, label and one or more of audio, image, video;
further columns pass through. With --check nothing is made: every file is decoded and what is wrong
is reported.
"""

import os
import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli

_SOURCE = flags.DEFINE_string(
    "source",
    "manifest",
    "manifest, synthetic, synthetic_classes, synthetic_scenes, crema_d, dcase2014, esc50, "
    "flickr_soundnet, ssw60, ucf101, videos, voxceleb1, voxceleb2, or the dotted path of a "
    "function rows(options).",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the data set; made, all or nothing.")
_MANIFEST = flags.DEFINE_string("manifest", None, "CSV file of --source=manifest.")
_COLUMNS = flags.DEFINE_list("columns", None, "Further columns to carry; all when not given.")
_SPLIT_CSV = flags.DEFINE_multi_string(
    "split_csv", [], "Official lists of a source; repeat the flag or separate by commas."
)
_AUDIO_ROOT = flags.DEFINE_string(
    "audio_root", None, "Folder of the voices, one folder an identity."
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root", None, "Folder of the faces, one folder an identity."
)
_ROOT = flags.DEFINE_string(
    "root", None, "Folder that a source was unpacked to, or that holds the videos of one."
)
_SPLIT_NUMBER = flags.DEFINE_integer(
    "split_number",
    1,
    "Which official split of ucf101, or tested fold of esc50 or of crema_d --speaker_disjoint.",
)
_SPEAKER_DISJOINT = flags.DEFINE_bool(
    "speaker_disjoint", False, "Keep the actors of the training and test clips of crema_d apart."
)
_VAL_FRACTION = flags.DEFINE_float(
    "val_fraction", 0.0, "Share of the training part of an official layout that becomes val."
)
_TEST_FRACTION = flags.DEFINE_float(
    "test_fraction", 0.0, "Share of the videos of --source=videos that becomes test."
)
_SEGMENT_SECONDS = flags.DEFINE_float(
    "segment_seconds", 5.0, "Length of the pieces that --source=videos cuts."
)
_SUBSET = flags.DEFINE_string("subset", "", "esc10: only those classes of --source=esc50.")
_DECODED = flags.DEFINE_string(
    "decoded",
    None,
    "Folder that keeps decoded rows until the data set is complete: a killed run goes on from it. "
    "With --runner OUTPUT.decoded when not given.",
)
_RUNNER = flags.DEFINE_string(
    "runner", "", "Decode on Apache Beam: direct, flink, spark, dataflow, ... (extra `beam`)."
)
_BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options",
    "",
    "Flags of Beam and its runner, separated by blanks: --flink_master=HOST:PORT --parallelism=8.",
)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Where a synthetic source writes its files; OUTPUT-corpus when not given."
)
_IDENTITIES = flags.DEFINE_integer(
    "identities", 200, "People of --source=synthetic; test scenes of synthetic_scenes."
)
_MODALITIES = flags.DEFINE_list(
    "modalities", [], "Columns of the manifest that hold pictures of a further kind: flow,depth."
)
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", None, "Frames to take of every video, evenly spaced; 1 when not given."
)
_FPS = flags.DEFINE_float(
    "fps", None, "Frames a second to take of every video, instead of --num_frames."
)
_DERIVE = flags.DEFINE_list(
    "derive", [], "What to make of every taken frame and the next one of its video: flow,diff."
)
_LISTS = flags.DEFINE_string(
    "lists",
    None,
    "Folder of query lists to use; drawn from --seed when not given; none: no lists at all.",
)
_GALLERIES = flags.DEFINE_integer(
    "galleries_per_probe", 3, "Queries a probe in drawn lists.", lower_bound=1
)
_SHARDS = flags.DEFINE_integer("shards", 0, "Shards a split; 0 takes one for every 4000 rows.")
_MAX_BAD_FRACTION = flags.DEFINE_float(
    "max_bad_fraction", 0.01, "Share of rows (and of list items) that may be unusable."
)
_MAX_IMAGE_SIDE = flags.DEFINE_integer(
    "max_image_side", 512, "Images with a longer side than this many pixels are shrunk to it."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the drawn lists and the synthetic corpora.")
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace the data set at --output (and the synthetic corpus)."
)
_CHECK = flags.DEFINE_bool(
    "check", False, "Only report: rates, lengths, broken files, one-sided and shared identities."
)
flags.mark_flag_as_required("output")


def main(argv: list[str]) -> None:
    """Prepares, or checks."""
    cli.no_arguments(argv)
    from tfav import registry
    from tfav.data.prepare import dataset, manifest, sources, tally

    if _FPS.value is not None and (_NUM_FRAMES.value is not None or _FPS.value <= 0):
        raise registry.UserError(
            f"--fps={_FPS.value:g}: give a number above 0, and no --num_frames beside it."
        )
    output = os.path.normpath(_OUTPUT.value) if "://" not in _OUTPUT.value else _OUTPUT.value
    options = manifest.Options(
        manifest=_MANIFEST.value,
        columns=_COLUMNS.value,
        modalities=_MODALITIES.value,
        split_csv=[path for value in _SPLIT_CSV.value for path in value.split(",") if path],
        root=_ROOT.value,
        split_number=_SPLIT_NUMBER.value,
        speaker_disjoint=_SPEAKER_DISJOINT.value,
        subset=_SUBSET.value,
        val_fraction=_VAL_FRACTION.value,
        test_fraction=_TEST_FRACTION.value,
        segment_seconds=_SEGMENT_SECONDS.value,
        audio_root=_AUDIO_ROOT.value,
        image_root=_IMAGE_ROOT.value,
        corpus=_CORPUS.value or f"{output}-corpus",
        identities=_IDENTITIES.value,
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
    )
    settings = dataset.Settings(
        output=output,
        source=_SOURCE.value,
        lists=None if _LISTS.value == "none" else _LISTS.value,
        draw_lists=_LISTS.value != "none",
        shards=_SHARDS.value,
        max_bad_fraction=_MAX_BAD_FRACTION.value,
        max_image_side=_MAX_IMAGE_SIDE.value,
        num_frames=1 if _NUM_FRAMES.value is None else _NUM_FRAMES.value,
        fps=_FPS.value or 0.0,
        derive=_DERIVE.value,
        galleries_per_probe=_GALLERIES.value,
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
        decoded=_DECODED.value or (f"{output}.decoded" if _RUNNER.value else ""),
        runner=_RUNNER.value,
        beam_options=_BEAM_OPTIONS.value.split(),
    )
    if not _CHECK.value:  # first: a synthetic source writes its corpus
        dataset.check_output(output, _OVERWRITE.value)
    rows = registry.lookup(sources.SOURCES, _SOURCE.value, "source")(options)
    report = (dataset.check if _CHECK.value else dataset.prepare)(rows, settings)
    print(tally.summary(report))
    if not _CHECK.value:
        lists = ", ".join(f"{n} {origin}" for origin, n in report["lists"].items())
        print(
            f"query lists: {lists or 'none'}\nwritten: {output}/ (report.json, bad_rows.csv, ...)"
        )
        return
    print(f"written: {output}-check.json, {output}-bad_rows.csv")
    if not report["acceptable"]:
        print(f"more than --max_bad_fraction={_MAX_BAD_FRACTION.value:g} allows", file=sys.stderr)
        sys.exit(1)


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
