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
further columns pass through. With --check no data set is made: every file is decoded, and
OUTPUT-check.html and OUTPUT-check.json say what is wrong and what to do about it; the exit code is
2 where something would stop a training.
"""

import os
from typing import Any

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import check_flags, cli, confine_flags, limit_flags, output_flags
from tfav.data.prepare import sources
from tfav.media import limits, motion

flags.adopt_module_key_flags(check_flags)
flags.adopt_module_key_flags(confine_flags)
flags.adopt_module_key_flags(limit_flags)
flags.adopt_module_key_flags(output_flags)


def _for(flag: str) -> str:
    """Returns which sources read a flag, as the end of its help."""
    return f" (Sources: {', '.join(sources.readers(sources.SOURCES, flag))}.)"


_SOURCE = flags.DEFINE_string(
    "source",
    "manifest",
    "Where the rows come from: "
    + "; ".join(f"{name} ({source.about})" for name, source in sources.SOURCES.items())
    + "; or the dotted path of your own, a function rows(options) or a Source.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder of the data set; made, all or nothing.", required=True
)
# What sources read. Each flag is a field of manifest.Options, and refused by sources that do not.
_SOURCE_FLAGS = {
    "manifest": flags.DEFINE_string("manifest", None, "CSV file." + _for("manifest")),
    "columns": flags.DEFINE_list(
        "columns", None, "Further columns to carry; all when not given." + _for("columns")
    ),
    "modalities": flags.DEFINE_list(
        "modalities",
        [],
        "Columns that hold further modalities: NAME of images, such as flow,depth, or NAME=KIND, "
        "such as imu=array for .npy files." + _for("modalities"),
    ),
    "split_csv": flags.DEFINE_multi_string(
        "split_csv",
        [],
        "Official lists; repeat the flag or separate by commas." + _for("split_csv"),
    ),
    "audio_root": flags.DEFINE_string(
        "audio_root", None, "Folder of the voices, one folder per identity." + _for("audio_root")
    ),
    "image_root": flags.DEFINE_string(
        "image_root", None, "Folder of the faces." + _for("image_root")
    ),
    "root": flags.DEFINE_string(
        "root",
        None,
        "Folder that a corpus was unpacked to, or that holds the videos." + _for("root"),
    ),
    "split_number": flags.DEFINE_integer(
        "split_number",
        1,
        "Which official split is taken, or which fold is tested." + _for("split_number"),
    ),
    "speaker_disjoint": flags.DEFINE_bool(
        "speaker_disjoint",
        False,
        "Keep the speakers of the training and test clips apart." + _for("speaker_disjoint"),
    ),
    "subset": flags.DEFINE_string(
        "subset", "", "Only those classes, such as esc10." + _for("subset")
    ),
    "val_fraction": flags.DEFINE_float(
        "val_fraction",
        0.0,
        "Share of the training part that becomes val." + _for("val_fraction"),
    ),
    "test_fraction": flags.DEFINE_float(
        "test_fraction", 0.0, "Share of the videos that becomes test." + _for("test_fraction")
    ),
    "segment_seconds": flags.DEFINE_float(
        "segment_seconds",
        5.0,
        "Length of the pieces that videos are cut into." + _for("segment_seconds"),
    ),
    "corpus": flags.DEFINE_string(
        "corpus",
        None,
        "Where the files are written to; OUTPUT-corpus when not given." + _for("corpus"),
    ),
    "identities": flags.DEFINE_integer(
        "identities", 200, "People to draw, or scenes to test on." + _for("identities")
    ),
}
_OWN = flags.DEFINE_multi_string(
    "source_option", [], "NAME=VALUE, an option of a source of your own; repeat the flag."
)
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
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", None, "Frames to take of every video, evenly spaced; 1 when not given."
)
_FPS = flags.DEFINE_float(
    "fps", None, "Frames per second to take of every video, instead of --num_frames."
)
_DERIVE = flags.DEFINE_list(
    "derive",
    [],
    f"What to make of every taken frame and the next one of its video: {','.join(motion.DERIVED)}.",
)
_LISTS = flags.DEFINE_string(
    "lists",
    None,
    "Folder of query lists to use; none: no lists at all; seeded: drawn from --seed. When not "
    "given, they are drawn where labels may be identities.",
)
_GALLERIES = flags.DEFINE_integer(
    "galleries_per_probe", 3, "Queries per probe in drawn lists.", lower_bound=1
)
_SHARDS = flags.DEFINE_integer("shards", 0, "Shards per split; 0 takes one for every 4000 rows.")
_MAX_BAD_FRACTION = flags.DEFINE_float(
    "max_bad_fraction", 0.01, "Share of rows (and of list items) that may be unusable."
)
_MAX_IMAGE_SIDE = flags.DEFINE_integer(
    "max_image_side", 512, "Images with a longer side than this many pixels are shrunk to it."
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Random seed of the drawn lists, the drawn splits and the synthetic corpora."
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace the data set at --output (and the synthetic corpus)."
)


def main(argv: list[str]) -> None:
    """Prepares, or checks."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav import registry
    from tfav.commands import check_data
    from tfav.data.prepare import dataset, manifest, row_checks, tally

    if _FPS.value is not None and (_NUM_FRAMES.value is not None or _FPS.value <= 0):
        raise registry.UserError(
            f"--fps={_FPS.value:g}: give a number above 0, and no --num_frames beside it."
        )
    limits.return_freed_memory()
    source = sources.named(sources.SOURCES, _SOURCE.value)
    given = [name for name in _SOURCE_FLAGS if flags.FLAGS[name].present]
    sources.refuse_unread(sources.SOURCES, _SOURCE.value, source, given)
    output = os.path.normpath(_OUTPUT.value) if "://" not in _OUTPUT.value else _OUTPUT.value
    told: dict[str, Any] = {name: holder.value for name, holder in _SOURCE_FLAGS.items()}
    told["split_csv"] = [p for v in told["split_csv"] for p in cli.split_paths("split_csv", v)]
    told["corpus"] = told["corpus"] or f"{output}-corpus"
    bounds = limit_flags.value()
    told["own"] = sources.own_options(_SOURCE.value, source, _OWN.value)
    options = manifest.Options(**told, seed=_SEED.value, overwrite=_OVERWRITE.value, bounds=bounds)
    named = _LISTS.value not in (None, "none", "seeded")
    settings = dataset.Settings(
        output=output,
        source=_SOURCE.value,
        lists=_LISTS.value if named else None,
        draw_lists=named
        or _LISTS.value == "seeded"
        or (_LISTS.value is None and source.draws_lists),
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
        labels=source.labels,
        bounds=bounds,
    )
    if flags.FLAGS["galleries_per_probe"].present and not settings.draw_lists:
        raise registry.UserError(
            f"--galleries_per_probe={_GALLERIES.value} means nothing where no query lists are "
            f"drawn: leave it out, or pass --lists=seeded."
        )
    settings.check()
    checked_only = check_flags.wanted()
    if not checked_only:  # first: a synthetic source writes its corpus
        row_checks.check_output(output, _OVERWRITE.value)
    rows = source.rows(options)
    confine_flags.check(rows)
    if checked_only:
        checked = check_data.check(rows, settings, check_flags.own())
        output_flags.show(checked.report, checked.text)
        if checked.refusal:
            raise registry.UserError(checked.refusal)
        return
    report = dataset.prepare(rows, settings)
    text = tally.summary(report, source.labels)
    lists = ", ".join(f"{n} {origin}" for origin, n in report["lists"].items())
    text += f"\nquery lists: {lists or 'none'}\nwritten: {output}/"
    output_flags.show(report, f"{text} (report.json, bad_rows.csv, ...)")


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
