"""Writes an export as a web page that runs the model in the browser; serves it for a look.

    python bin/web.py --export=exports/voice_face --gallery=voices,faces --output=site/demo
    python bin/web.py --output=site/demo --serve=8000

The output is a static folder for any web server: page, LiteRT.js, .tflite files, gallery and model
card. What visitors record or open never leaves their browser; what --gallery names is in the
folder, for all who can reach it. `--export=toy` without a gallery shows made-up people.
"""

import sys

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, output_flags

flags.adopt_module_key_flags(output_flags)
_EXPORT = flags.DEFINE_string(
    "export", "", "Folder that tfav-export wrote, or toy; empty: serve the output as it is."
)
_GALLERY = flags.DEFINE_list(
    "gallery", [], "What to compare with: files and folders, or one .npz of tfav-embed."
)
_MEDIA = flags.DEFINE_string(
    "media", "", "Folder below which the ids of a .npz are files to show and play."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the site.", required=True)
_RUNTIME = flags.DEFINE_string(
    "runtime", "", "Folder of LiteRT.js; default: .litert or node_modules, whichever is here."
)
_PRECISION = flags.DEFINE_string(
    "precision", "", "Which .tflite files to take; default: float16, or else the most exact ones."
)
_TITLE = flags.DEFINE_string("title", "", "Title of the page; default: by the recipe.")
_SIDE = flags.DEFINE_integer(
    "side_pixels", 256, "Longest side of the gallery's images in pixels.", lower_bound=32
)
_MAX_BAD = flags.DEFINE_float(
    "max_bad_fraction",
    0.0,
    "Share of the gallery's files that may be left out because they cannot be embedded.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_SERVE = flags.DEFINE_integer(
    "serve",
    None,
    "Port on which to serve the site to this machine alone; 0: any that is free.",
    lower_bound=0,
    upper_bound=65535,
)


def main(argv: list[str]) -> None:
    """Writes the site, serves it, or both."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav import registry

    if not _EXPORT.value and _SERVE.value is None:
        raise registry.UserError(
            "--export is missing: give --export=FOLDER to write a site, or --serve=8000 to serve "
            "the one in --output."
        )
    from tfav.browser import server

    if _EXPORT.value:
        from tfav.browser import site
        from tfav.commands import web

        if _SERVE.value is not None:
            server.require_free(_SERVE.value)
        written = web.write(
            _EXPORT.value,
            cli.split_paths("gallery", ",".join(_GALLERY.value)),
            _OUTPUT.value,
            media=_MEDIA.value,
            runtime_folder=_RUNTIME.value,
            precision=_PRECISION.value,
            max_bad_fraction=_MAX_BAD.value,
            options=site.Options(title=_TITLE.value, side_pixels=_SIDE.value),
        )
        lines = written.lines(quiet=output_flags.is_quiet())
        output_flags.show(written.record(), "\n".join(lines))
    if _SERVE.value is not None:
        with server.serve(_OUTPUT.value, _SERVE.value) as listening:
            address = f"http://localhost:{listening.server_address[1]}/"
            print(f"open {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
            listening.serve_forever()


def run() -> None:
    """Is the console command."""
    cli.run(main, with_tensorflow=lambda: bool(_EXPORT.value))


if __name__ == "__main__":
    run()
