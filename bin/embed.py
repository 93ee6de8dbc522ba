"""Embeds files: audio and images in, one .npz of unit vectors with their ids out.

    python bin/embed.py --model=runs/demo --inputs=FOLDER --output=embeddings.npz

    python bin/embed.py --model=runs/demo --inputs=mine.csv --output=vectors --runner=direct

--model takes a workdir, an exported SavedModel folder or a .tflite file alike, and a model of
strangers that a .json describes (docs/how-to/others-weights.md). Files with the same
`embedding_space` hold vectors that can be compared. With --runner, for very many files, --output is
a folder of shards, which the same command goes on with where it was stopped, and tfav-search takes.
"""

if not __package__:  # run as a file, perhaps in a clone that is not installed
    import clone  # noqa: F401

from absl import flags

from tfav.bin import cli, confine_flags, device_flags, limit_flags, output_flags

flags.adopt_module_key_flags(confine_flags)
flags.adopt_module_key_flags(device_flags)
flags.adopt_module_key_flags(limit_flags)
flags.adopt_module_key_flags(output_flags)
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "A workdir, a SavedModel folder, a .tflite file, the .json of a model of strangers, or toy.",
    required=True,
)
_INPUTS = flags.DEFINE_list(
    "inputs",
    None,
    "Files or folders (searched through) of audio, images and what else the model embeds. With "
    "--runner also one manifest (.csv), or one prepared data set.",
    required=True,
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The .npz to write: audio_id, audio, image_id, image, and so of what else the model embeds; "
    "embedding_space. With --runner the folder of such files.",
    required=True,
)
_MAX_BAD = flags.DEFINE_float(
    "max_bad_fraction",
    0.0,
    "Share of files that cannot be embedded that may be left out.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace an existing output.")
_STREAM = flags.DEFINE_boolean(
    "stream", False, "Decode audio inside tf.data with tensorflow-io (addons dependency set)."
)
_RUNNER = flags.DEFINE_string(
    "runner",
    "",
    "Embed into shards: local (in this process), or on Apache Beam by direct, flink, spark, ... "
    "(extra `beam`).",
)
_BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options", "", "Flags of Beam and its runner, separated by blanks."
)


def main(argv: list[str]) -> None:
    """Embeds and prints what was written."""
    cli.no_arguments(argv)
    output_flags.apply()
    from tfav.commands import embed
    from tfav.media import limits

    limits.return_freed_memory()
    if _RUNNER.value:
        _embed_shards()
        return
    written = embed.embed(
        _MODEL.value,
        cli.split_paths("inputs", ",".join(_INPUTS.value)),
        _OUTPUT.value,
        _MAX_BAD.value,
        _OVERWRITE.value,
        _STREAM.value,
        bounds=limit_flags.value(),
    )
    output_flags.show(written.record(), "\n".join(written.lines()))


def _embed_shards() -> None:
    from tfav import registry
    from tfav.commands import embed_shards
    from tfav.data.prepare.sources import csv_manifest

    for flag in ("stream", "overwrite"):
        if flags.FLAGS[flag].value:
            raise registry.UserError(f"--{flag} means nothing with --runner: leave it out.")
    inputs, rows = cli.split_paths("inputs", ",".join(_INPUTS.value)), None
    if len(inputs) == 1 and inputs[0].endswith(".csv"):
        rows = csv_manifest.read(inputs[0])
        confine_flags.check(rows)
    report = embed_shards.embed(
        _MODEL.value,
        inputs,
        _OUTPUT.value,
        _MAX_BAD.value,
        _RUNNER.value,
        _BEAM_OPTIONS.value.split(),
        limit_flags.value(),
        rows,
    )
    lines = [f"left out {bad['path']}: {bad['reason']}" for bad in report["left_out"]]
    lines += [f"{modality}: {count} vectors" for modality, count in report["rows"].items()]
    lines.append(f"wrote {report['made_now']} of {report['shards']} shards to {_OUTPUT.value}/")
    output_flags.show(report, "\n".join(lines))


def run() -> None:
    """Is the console command."""
    # A .tflite embeds audio without TensorFlow, in a tenth of the time.
    cli.run(
        main,
        with_tensorflow=lambda: bool(_RUNNER.value) or not (_MODEL.value or "").endswith(".tflite"),
    )


if __name__ == "__main__":
    run()
