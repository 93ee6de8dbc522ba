"""Searches a gallery: which faces fit this voice, which voices fit this face.

    python bin/search.py --model=runs/demo --index=faces --query=voice.wav
    python bin/search.py --index=gallery.npz --query=queries.npz --json
    python bin/search.py --model=runs/demo --index=faces --query=voice.wav --page=answers.html

--index and --query are files and folders, which --model embeds (a workdir, an export or a .tflite),
or one .npz that tfav-embed wrote. Any modality is searched for any other that shares its space.
Scores are exact cosines; beyond a million rows FAISS searches where it is installed (extra faiss),
and how much of the exact answer it found is printed. --page also writes the answers as one HTML
file that needs no network, with the files of queries and answers to be seen and heard.
"""

import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav import registry
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
_PAGE = flags.DEFINE_string(
    "page", "", "Also the answers as a page, .html; an older page is replaced, no other file."
)
_MAX_MB = flags.DEFINE_float(
    "max_mb",
    20.0,
    "The page is no larger: smaller images and shorter clips, then none.",
    lower_bound=0.0,
)
_NO_MEDIA = flags.DEFINE_bool(
    "no_media", False, "The page names files with their figures, and shows and plays none."
)


def main(argv: list[str]) -> None:
    """Searches and prints the answers; what was searched goes to stderr."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import search

    index = cli.split_paths("index", ",".join(_INDEX.value))
    query = cli.split_paths("query", ",".join(_QUERY.value))
    if _PAGE.value:
        from tfav.commands.pages import page_of_search

        page_of_search.check(_PAGE.value)
    elif _NO_MEDIA.value:
        raise registry.UserError("--no_media is of a page and there is none: name it by --page.")
    found = search.search(
        index,
        query,
        _MODEL.value,
        target=_TARGET.value,
        top=_TOP.value,
        method=_METHOD.value,
        max_bad_fraction=_MAX_BAD.value,
    )
    record, notes = search.record(found), [search.about(found)]
    if _PAGE.value:
        written = page_of_search.write(
            found,
            index,
            query,
            _PAGE.value,
            max_megabytes=_MAX_MB.value,
            media=not _NO_MEDIA.value,
        )
        record, notes = {**record, "page": _PAGE.value}, [*notes, written]
    output_flags.show(record, search.table(found))
    if not output_flags.is_quiet():
        print("\n".join(notes), file=sys.stderr)


def run() -> None:
    """Is the console command."""
    # Stored vectors and a .tflite of audio take no TensorFlow.
    cli.run(
        main, with_tensorflow=lambda: _MODEL.value != "" and not _MODEL.value.endswith(".tflite")
    )


if __name__ == "__main__":
    run()
