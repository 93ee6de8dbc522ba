"""Embeds very many files, or a data set, into a folder of `.npz` shards, here or on Apache Beam.

A shard holds up to `embed_jobs.ROWS` vectors of one modality in the form of tfav-embed, with the id
of their embedding space; its name is its number and a digest of all that decides its content: the
files with their size and time, the model's embedding space, the limits. So a shard that is there is
never made anew, and a killed command goes on where it was.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfav import files, progress, registry
from tfav.commands import embed_jobs, load
from tfav.data import index as index_lib
from tfav.data.prepare import beam, manifest
from tfav.inference import embedders, embeddings_file, input_files, spaces
from tfav.media import limits

HERE = "local"  # as a runner: this process
# Shards, the report, and what killed workers leave of either.
_OURS = re.compile(
    r"[a-z][a-z0-9_]*-[0-9]{8}-[0-9a-f]{16}\.npz|(\.[0-9a-f]{32}\.npz|embedded\.json)(\.tmp)?"
)


def embed(
    model: str,
    sources: Sequence[str],
    output: str,
    max_bad_fraction: float,
    runner: str = HERE,
    flags: Sequence[str] = (),
    bounds: limits.Limits = limits.DEFAULT,
    rows: Sequence[manifest.Row] | None = None,
) -> dict[str, Any]:
    """Embeds into shards; returns the report that is also written as `embedded.json`.

    Args:
      model: a workdir, a SavedModel folder or a `.tflite`.
      sources: files and folders of files, or one prepared data set.
      output: folder of the shards; made, or gone on with.
      max_bad_fraction: share of the files that may be left out.
      runner: of Beam, or `local`.
      flags: of Beam and the runner.
      bounds: what of one file is refused as too long or too large.
      rows: of a manifest, instead of `sources`.

    Raises:
      UserError: nothing to embed, a folder that holds something else, or too many bad files.
    """
    check_output(output)
    embedder = load.embedder(model)
    found, data = _found(sources, embedder, rows)
    wanted = {m: items for m, items in found.items() if items and m in embedder.modalities}
    if not wanted:
        raise registry.UserError(
            f"this model embeds {' and '.join(embedder.modalities)} and the inputs hold none of "
            "it: name another model or other files."
        )
    os.makedirs(output, exist_ok=True)
    jobs = list(embed_jobs.jobs(model, embedder, wanted, data, output, bounds))
    _remove_others(output, jobs)
    missing = [job for job in jobs if not os.path.exists(job.path)]
    if runner == HERE:
        with progress.bar(missing, unit="shard", desc="embed") as bar:
            for job in bar:
                embed_jobs.make(job)
    else:
        beam.spread([tuple(job) for job in missing], embed_jobs.make, runner, flags)
    report = _report(model, embedder, jobs, made=len(missing))
    total = sum(len(items) for items in wanted.values())
    bad = report["left_out"]
    if len(bad) > max_bad_fraction * total:
        tenths = -(-10 * len(bad) // total)
        raise registry.UserError(
            f"{bad[0]['path']} {bad[0]['reason']} ({len(bad)} of {total} files): correct or remove "
            f"it, or leave such files out with --max_bad_fraction={tenths / 10:g}; the shards in "
            f"{output} are kept."
        )
    files.write_json(os.path.join(output, embeddings_file.REPORT), report)
    return report


def check_output(output: str) -> None:
    """Raises UserError where a folder holds anything but shards."""
    if os.path.lexists(output) and not os.path.isdir(output):
        raise registry.UserError(
            f"--output={output} is a file, and shards need a folder: name one."
        )
    for name in sorted(os.listdir(output)) if os.path.isdir(output) else ():
        if not _OURS.fullmatch(name):
            raise registry.UserError(
                f"--output={output} holds {name}, which is no shard of embeddings: name a folder "
                "of its own."
            )


def _found(
    sources: Sequence[str], embedder: embedders.Embedder, rows: Sequence[manifest.Row] | None
) -> tuple[dict[str, list[tuple[str, str]]], str]:
    """Returns the items of each modality, and the data set that they are of; empty: files."""
    if rows is not None:
        named = {"audio": [(r.id, r.audio) for r in rows if r.audio]}
        named["image"] = [(r.id, r.image) for r in rows if isinstance(r.image, str)]
        return named, ""
    if len(sources) == 1 and tf.io.gfile.exists(os.path.join(sources[0], "dataset.json")):
        index = index_lib.Index.read(sources[0])
        trained_on = spaces.trained_on(embedder.items)
        spaces.require_inputs(sources[0], index.vector_spaces, trained_on)
        held = {m: index.id[index.held(m)].tolist() for m in index.modalities}
        return {m: [(name, "") for name in names] for m, names in held.items()}, sources[0]
    return input_files.find(sources, embedder.items), ""


def _remove_others(output: str, jobs: Sequence[embed_jobs.Job]) -> None:
    """Removes shards of other files or another model, and what killed workers have left."""
    wanted = {os.path.basename(job.path) for job in jobs}
    for name in os.listdir(output):
        if name not in wanted and name != embeddings_file.REPORT:
            os.remove(os.path.join(output, name))


def _report(
    model: str, embedder: embedders.Embedder, jobs: Sequence[embed_jobs.Job], made: int
) -> dict[str, Any]:
    """Returns what there is: read back, so that no shard is counted that is not whole."""
    rows: dict[str, int] = {}
    left_out = []
    for job in jobs:
        try:
            shard = files.read_npz(job.path)
        except (OSError, ValueError) as error:
            raise registry.UserError(
                f"{job.path} is not a whole .npz ({error}): delete it and run the command again."
            ) from error
        its = str(shard[embeddings_file.SPACE])
        spaces.require_same(job.path, its, model, embedder.embedding_space)
        rows[job.modality] = rows.get(job.modality, 0) + len(shard[f"{job.modality}_id"])
        left_out += [{"path": p, "reason": why} for p, why in shard["left_out"].tolist()]
    return {
        "embedding_space": embedder.embedding_space,
        "shares_space": embedder.shares_space,
        "shards": len(jobs),
        "made_now": made,
        "rows": rows,
        "left_out": left_out,
    }
