"""Evaluates a trained run: by query lists, classes, trials, pairs, maps or a linear probe.

    python bin/eval.py --workdir=runs/demo
    python bin/eval.py --workdir=runs/a,runs/b
    python bin/eval.py --workdir=runs/dmc --protocols=linear_probe --data=data/esc50
    python bin/eval.py --released=FILE.pth.tar --data=DIR --output=DIR
    python bin/eval.py --workdir=runs/demo --blind_pairs=English_test.txt --media_root=mavceleb_v1
        --output=sub_score_English_heard.txt

Prints a table. Each measurement is kept in WORKDIR/evaluations under what it was measured on: data,
lists, weights, settings. The figures on the run's own data and lists, by its own protocols, of the
tag test are also WORKDIR/metrics.json, with plots beside it. Of several runs: the mean of each
figure, its least and greatest, and how far each run is from the first.
"""

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav import registry
from tfav.bin import cli, device_flags, output_flags

flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(output_flags)
_WORKDIR = flags.DEFINE_list(
    "workdir", None, "Folder of a finished train run; several: tables of their spread and distance."
)
_TAGS = flags.DEFINE_list(
    "tags", ["test"], "Which query lists (the last word of their names), or splits."
)
_LISTS = flags.DEFINE_string("lists", "", "Folder of query lists; default: those beside the data.")
_DATA = flags.DEFINE_string("data", "", "What prepare wrote; default: the data of the train run.")
_PROTOCOLS = flags.DEFINE_list(
    "protocols",
    [],
    "How to evaluate: lists, classification, trials, correspondence, pair_retrieval, localisation, "
    "linear_probe or the dotted path of your own; default: what the run's config says.",
)
_BINARISE = flags.DEFINE_enum(
    "binarise",
    None,
    ["threshold", "top_half"],
    "Where localisation takes a map to say that it sounds: from half its maximum on, or in the "
    "upper half of its pixels; default: what the run's config says.",
)
_RELEASED = flags.DEFINE_string(
    "released", None, "The authors' PyTorch checkpoint, evaluated like a run; needs extra torch."
)
_OUTPUT = flags.DEFINE_string(
    "output", "", "Folder for metrics.json and plots of one run, instead of the run's own."
)
_BLIND_PAIRS = flags.DEFINE_string(
    "blind_pairs",
    "",
    "List of lines ID VOICE FACE without answers, as FAME hands them out: --output is the file of "
    "scores, one line ID SCORE per pair. --workdir may be an export too.",
)
_MEDIA_ROOT = flags.DEFINE_string(
    "media_root", "", "Folder that the paths of --blind_pairs start from, or a table of vectors."
)
_SCORE_AS = flags.DEFINE_enum(
    "score_as",
    "similarity",
    ["similarity", "distance"],
    "What the scores of --blind_pairs are: cosines, or distances of unit vectors.",
)
_CHECK_SCORES = flags.DEFINE_string(
    "check_scores", "", "File of scores to check against --blind_pairs; nothing is evaluated."
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed of the bootstrap resampling.", lower_bound=0)


def main(argv: list[str]) -> None:
    """Evaluates and prints the table."""
    cli.no_arguments(argv)
    output_flags.apply()
    if _BLIND_PAIRS.value or _CHECK_SCORES.value:
        _blind_pairs()
        return
    if (_WORKDIR.value is None) == (_RELEASED.value is None):
        raise registry.UserError(
            "--workdir is missing: give --workdir=RUN, or --released=FILE instead of it."
            if _WORKDIR.value is None
            else "--workdir and --released are two things to evaluate: give one of them."
        )

    from tfav.commands import evaluate

    found: dict[str, list] = {}
    rest = (_TAGS.value, _LISTS.value, _DATA.value, _SEED.value, _PROTOCOLS.value)
    if _RELEASED.value is None:
        assert _WORKDIR.value is not None, "one of them is given"
        workdirs = cli.split_paths("workdir", ",".join(_WORKDIR.value))
        lines = evaluate.evaluate(
            workdirs, *rest, output=_OUTPUT.value, binarise=_BINARISE.value or "", found=found
        )
    else:
        lines = evaluate.evaluate_released(_RELEASED.value, _OUTPUT.value, *rest, found=found)
    for line in lines:
        if not output_flags.as_json():
            print(line)
    if output_flags.as_json():
        output_flags.show(found, "")


def _blind_pairs() -> None:
    """Writes or checks a file of scores."""
    from tfav.commands import blind_pairs

    if not _BLIND_PAIRS.value:
        raise registry.UserError("--check_scores needs --blind_pairs=LIST, which it is checked by.")
    output = _CHECK_SCORES.value or _OUTPUT.value
    if _CHECK_SCORES.value:
        count = blind_pairs.check(output, _BLIND_PAIRS.value)
    else:
        workdirs = _WORKDIR.value or []
        if len(workdirs) != 1 or not output:
            raise registry.UserError(
                "--blind_pairs needs one --workdir=RUN and --output=FILE for the scores."
            )
        count = blind_pairs.score(
            workdirs[0], _BLIND_PAIRS.value, _MEDIA_ROOT.value, output, kind=_SCORE_AS.value
        )
    record = {"scores": output, "pairs": _BLIND_PAIRS.value, "count": count}
    output_flags.show(record, f"{output}: {count} scores, one of each pair of the list")


def run() -> None:
    """Is the console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
