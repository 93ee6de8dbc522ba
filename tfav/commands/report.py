"""Shows a run: the page one can see, and hear, it on."""

import os
import pathlib
from collections.abc import Iterator, Sequence

from tfav import files, registry
from tfav.commands.pages import page_of_classes, page_of_lists, page_of_pairs
from tfav.data import shards
from tfav.experiment import models
from tfav.reports import film


def make_report(
    workdir: str,
    tags: Sequence[str],
    output: str = "",
    *,
    num_probes: int = 30,
    max_megabytes: float = 20.0,
    video: str = "",
    baseline: str = "",
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
) -> Iterator[str]:
    """Writes the page that a run can be judged by ear and eye on; yields lines that say so.

    Which page it is follows from the first of the run's protocols.

    Args:
      workdir: of a finished run.
      tags: which lists or splits; a retrieval is that of their retrieval lists, or over the split
        so named.
      output: the page; empty: `report.html` in the workdir. An older one is replaced.
      num_probes: probes to show of each retrieval.
      max_megabytes: the page is no larger.
      video: also writes this film of the voice probes; empty: none.
      baseline: workdir of another run, whose balance of modalities is shown beside this one's.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: of the probes drawn at random and of the bootstrap.
    """
    tags = list(dict.fromkeys(tags))
    if not tags:
        raise registry.UserError("--tags is empty: name which query lists to show, such as test.")
    output = output or os.path.join(workdir, "report.html")
    for flag, path in (("output", output), ("video", video)):
        if os.path.isdir(path):
            raise registry.UserError(f"--{flag}={path} is a folder: name a file.")
    if video:
        if not video.endswith(".mp4"):
            raise registry.UserError(f"--video={video}: films are written as .mp4, name such one.")
        film.find_ffmpeg()
    run = models.trained(workdir)
    c = run.config
    index = shards.Index.read(directory or c.data.directory)
    protocol = c.eval.protocols[0]
    for flag, value, wanted in (
        ("video", video, "lists"),
        ("baseline", baseline, "classification"),
    ):
        if value and protocol != wanted:
            raise registry.UserError(
                f"--{flag}={value} is for runs judged by {wanted}, and {workdir} is by {protocol}: "
                "leave it out."
            )
    title = os.path.basename(os.path.abspath(workdir))
    about = {
        "Run": f"{title}, recipe {c.recipe}, seed {c.seed}",
        "Weights": ", ".join(f"{name} {value:.6g}" for name, value in sorted(run.facts.items())),
        "Data": os.path.basename(os.path.abspath(index.directory)),
    }
    further: list[str] = []
    if protocol == "lists":
        text, further = page_of_lists.build(
            run,
            index,
            about,
            title=title,
            tags=tags,
            lists_dir=lists_dir or os.path.join(index.directory, "lists"),
            num_probes=num_probes,
            max_megabytes=max_megabytes,
            video=video,
            seed=seed,
        )
    elif protocol == "classification":
        text = page_of_classes.build(
            run, index, about, title=title, tags=tags, workdir=workdir, baseline=baseline, seed=seed
        )
    elif protocol == "correspondence":
        text = page_of_pairs.build(
            run,
            index,
            about,
            title=title,
            tags=tags,
            workdir=workdir,
            max_megabytes=max_megabytes,
            seed=seed,
        )
    else:
        raise registry.UserError(f"there is no page for runs judged by {protocol}: use tfav-eval.")
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    files.write_text(output, text)
    size = len(text.encode()) / 1e6
    yield f"wrote {output} ({size:.1f} MB): open {pathlib.Path(output).resolve().as_uri()}"
    yield from further
