"""Searches a gallery: which faces fit this voice, which voices fit this face.

    python bin/search.py --model=runs/demo --index=faces --query=voice.wav
    python bin/search.py --index=gallery.npz --query=queries.npz --json

--index and --query are files and folders, which --model embeds (a workdir, an export or a .tflite),
or one .npz that tfav-embed wrote. Any modality is searched for any other that shares its space.
Scores are exact cosines; beyond a million rows FAISS searches where it is installed (extra faiss),
and how much of the exact answer it found is printed.
"""

import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, device_flags, output_flags

flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(output_flags)
_INDEX = flags.DEFINE_list(
    "index", None, "The gallery: one .npz of tfav-embed, or files and folders.", required=True
)
_QUERY = flags.DEFINE_list(
    "query",
    None,
    "What to search for: one .npz of tfav-embed, or files and folders.",
    required=True,
)
_MODEL = flags.DEFINE_string(
    "model", "", "A workdir, an export, a .tflite, or toy: what embeds what is no .npz."
)
_TARGET = flags.DEFINE_string(
    "target",
    "",
    "Modality of the gallery to search, such as image; default: all but the query's own, or that "
    "where there is no other.",
)
_TOP = flags.DEFINE_integer("top", 10, "Number of nearest items per query.", lower_bound=1)
_METHOD = flags.DEFINE_enum(
    "method",
    "auto",
    ["auto", "exact", "faiss"],
    "exact, faiss (extra faiss), or auto: FAISS beyond a million rows where it is installed.",
)
_MAX_BAD = flags.DEFINE_float(
    "max_bad_fraction",
    0.0,
    "Share of files that cannot be embedded that may be left out.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def main(argv: list[str]) -> None:
    """Searches and prints the answers; what was searched goes to stderr."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import search

    found = search.search(
        cli.split_paths("index", ",".join(_INDEX.value)),
        cli.split_paths("query", ",".join(_QUERY.value)),
        _MODEL.value,
        target=_TARGET.value,
        top=_TOP.value,
        method=_METHOD.value,
        max_bad_fraction=_MAX_BAD.value,
    )
    output_flags.show(search.record(found), search.table(found))
    if not output_flags.is_quiet():
        print(search.about(found), file=sys.stderr)


def run() -> None:
    """Is the console command."""
    # Stored vectors and a .tflite of audio take no TensorFlow.
    cli.run(
        main, with_tensorflow=lambda: _MODEL.value != "" and not _MODEL.value.endswith(".tflite")
    )


if __name__ == "__main__":
    run()
