"""Turns recordings and photographs into a data set: shards, index, query lists, reports.

    python bin/prepare.py --source=synthetic --output=data/synthetic
    python bin/prepare.py --source=manifest --manifest=mine.csv --output=data/mine
    python bin/prepare.py --source=voxceleb1 --audio_root=wav --image_root=faces
        --split_csv=vox1_train.csv,vox1_val.csv,vox1_test.csv --output=data/vox1

A manifest is a CSV file with the columns id, split, label, audio, image; further columns pass
through. With --check nothing is made: every file is decoded and what is wrong is reported.
"""

import os
import sys

from absl import flags

from tfav.bin import cli

_SOURCE = flags.DEFINE_string(
    "source",
    "manifest",
    "manifest, synthetic, voxceleb1, or the dotted path of a function rows(options).",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the data set; made, all or nothing.")
_MANIFEST = flags.DEFINE_string("manifest", None, "CSV file of --source=manifest.")
_COLUMNS = flags.DEFINE_list("columns", None, "Further columns to carry; all when not given.")
_SPLIT_CSV = flags.DEFINE_multi_string(
    "split_csv", [], "Split files of --source=voxceleb1; repeat the flag or separate by commas."
)
_AUDIO_ROOT = flags.DEFINE_string(
    "audio_root", None, "Folder of the voices, one folder an identity."
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root", None, "Folder of the faces, one folder an identity."
)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Where --source=synthetic writes its files; OUTPUT-corpus when not given."
)
_IDENTITIES = flags.DEFINE_integer("identities", 200, "People of --source=synthetic.")
_LISTS = flags.DEFINE_string(
    "lists", None, "Folder of query lists to use; drawn from --seed when not given."
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
_SEED = flags.DEFINE_integer("seed", 0, "Of the drawn lists and the synthetic people.")
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
    from tfav.data import manifest, prepare, sources, tally

    output = os.path.normpath(_OUTPUT.value) if "://" not in _OUTPUT.value else _OUTPUT.value
    options = manifest.Options(
        manifest=_MANIFEST.value,
        columns=_COLUMNS.value,
        split_csv=[path for value in _SPLIT_CSV.value for path in value.split(",") if path],
        audio_root=_AUDIO_ROOT.value,
        image_root=_IMAGE_ROOT.value,
        corpus=_CORPUS.value or f"{output}-corpus",
        identities=_IDENTITIES.value,
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
    )
    settings = prepare.Settings(
        output=output,
        source=_SOURCE.value,
        lists=_LISTS.value,
        shards=_SHARDS.value,
        max_bad_fraction=_MAX_BAD_FRACTION.value,
        max_image_side=_MAX_IMAGE_SIDE.value,
        galleries_per_probe=_GALLERIES.value,
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
    )
    rows = registry.lookup(sources.SOURCES, _SOURCE.value, "source")(options)
    report = (prepare.check if _CHECK.value else prepare.prepare)(rows, settings)
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
