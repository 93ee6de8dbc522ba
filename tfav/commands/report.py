"""Shows a run: the page one can see, and hear, it on."""

import os
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfav import files, folders, registry, scalars
from tfav.commands import comparable, destinations
from tfav.commands.pages import (
    decided,
    page_kind,
    page_of_classes,
    page_of_figures,
    page_of_lists,
    page_of_pairs,
    projected,
)
from tfav.commands.protocols import protocol as protocols_base
from tfav.commands.protocols import table
from tfav.data import shards
from tfav.evaluation import paired_runs
from tfav.experiment import models
from tfav.reports import balance, drawing, film, learning, page, projector

_LEARNING = (
    "The losses over the steps of training, and what picks the weights. A dotted line is the least "
    "that theory leaves of the loss of its colour, given the weights and the batch of that step."
)
# What photographs and recordings are carried in; drawings are SVG and PNG.
_MEDIA = re.compile(r"data:(?:audio|video|image/(?:jpeg|webp|gif|bmp|avif))|<(?:audio|video)\b")
PAGES: dict[str, page_kind.PageKind] = {
    "lists": page_of_lists.PageOfLists(),
    "classes": page_of_classes.PageOfClasses(),
    "pairs": page_of_pairs.PageOfPairs(),
    "figures": page_of_figures.PageOfFigures(),
}


def make_report(
    workdir: str,
    tags: Sequence[str] | None = None,
    output: str = "",
    *,
    num_probes: int = 30,
    max_megabytes: float = 20.0,
    video: str = "",
    baseline: str = "",
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
    media: bool = True,
    tensorboard: bool = False,
) -> Iterator[str]:
    """Writes the page on which a run can be seen and heard; yields lines that say so.

    Which page it is follows from the first of the run's protocols.

    Args:
      workdir: Folder of a finished run.
      tags: which lists or splits; None: what the page shows if nobody says. A retrieval is that of
        their retrieval lists, or over the split so named.
      output: the page, `.html`; empty: `report.html` in the workdir. An older one is replaced, and
        no other file.
      num_probes: probes to show of each retrieval.
      max_megabytes: the page is no larger.
      video: also writes this film of the voice probes; empty: none.
      baseline: workdir of another run, from which differences are shown; empty: none.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data, of both runs; empty: that of the run.
      seed: Random seed of what is drawn at random and of the bootstrap resampling.
      media: whether the page may show and play items of the data, and name them.
      tensorboard: also write embeddings for TensorBoard's projector, of what the page shows or
        else of rows of the tags, and a sheet of the retrievals there are, into the workdir's
        `tensorboard/report`.

    Raises:
      UserError: a flag that makes no sense here; data or lists without what the page shows.
    """
    tags = None if tags is None else list(dict.fromkeys(tags))
    if tags is not None and not tags:
        raise registry.UserError("--tags is empty: name which query lists to show, such as test.")
    if output:
        destinations.check_file("output", output, "page")
    output = output or os.path.join(workdir, "report.html")
    made_of_media = {f"--video={video}": bool(video), "--tensorboard": tensorboard}
    for flag, given in made_of_media.items():
        if given and not media:
            raise registry.UserError(
                f"--no_media leaves faces and voices out, and {flag} shows them: leave out one of "
                "the two."
            )
    if video:
        destinations.check_file("video", video, "film")
        film.find_ffmpeg()
    run = models.trained(workdir)
    c = run.config
    index = shards.Index.read(directory or c.data.directory)
    first = table.fitting(c.eval.protocols[0], run.recipe, c)
    kind = registry.lookup(PAGES, first.page, "page", registry.instance(page_kind.PageKind))
    if video and not kind.films:
        raise registry.UserError(
            f"--video={video} films retrievals, and {workdir} is evaluated by "
            f"{c.eval.protocols[0]}: leave it out."
        )
    place = os.path.join(workdir, "tensorboard", "report")
    if tensorboard:
        projected.check(run, workdir)
        destinations.check_replaced("workdir", place, "projector", projector.FILES)
    context = protocols_base.Context(
        run,
        index,
        tags or kind.tags(run, index),
        lists_dir or os.path.join(index.directory, "lists"),
        seed,
    )
    if video:
        kind.check_film(context)
    title = page_kind.title_of(workdir)
    request = page_kind.Request(workdir, title, baseline, num_probes, tuple(c.eval.protocols))
    content = kind.evaluate(context, request)
    frame = page.Frame(
        f"{kind.heading}: {title}",
        _about(run, index, title),
        _comparison(kind, context, content, request),
        max_megabytes,
        media,
        _learning(workdir),
        decided.find(context, request),
    )
    text = kind.build(context, content, request, frame)
    if not media and _MEDIA.search(text):
        raise registry.UserError(
            f"the page {first.page!r} shows items of the data although --no_media is given: let "
            "its build heed frame.media."
        )
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    files.write_text(output, text)
    size = len(text.encode()) / 1e6
    yield f"wrote {output} ({size:.1f} MB): open {pathlib.Path(output).resolve().as_uri()}"
    if tensorboard:
        yield _project(kind, context, content, place, title)
    if video:
        yield f"wrote {video} ({kind.film(context, content, video, title):.0f} seconds)"


def _project(
    kind: page_kind.PageKind,
    context: protocols_base.Context,
    content: page_kind.Content,
    place: str,
    title: str,
) -> str:
    """Writes what TensorBoard shows of the page, in place of what an earlier page left."""
    with folders.folder(place) as made:
        count, sheet = kind.project(context, content, made, title)
        events = tf.summary.create_file_writer(made)
        with events.as_default():
            step = int(context.run.facts.get("step", 0))
            tf.summary.text("about", f"{count} items of the page of {title}", step=step)
            if sheet is not None:
                tf.summary.image("retrieval", sheet[np.newaxis], step=step)
        events.close()
        folders.publish(made, place)
    return f"wrote {place} ({count} items): tensorboard --logdir={os.path.dirname(place)}"


def _about(run: models.Trained, index: shards.Index, title: str) -> dict[str, str]:
    facts = sorted(run.facts.items())
    data = os.path.basename(os.path.abspath(index.directory))
    return {
        "Run": f"{title}, recipe {run.config.recipe}, seed {run.config.seed}",
        "Weights": ", ".join(f"{name} {value:.6g}" for name, value in facts),
        "Data": f"{data}, SHA-256 {index.sha256[:16]}",
    }


def _learning(workdir: str) -> list[page.Picture]:
    """Returns how training went, where it was logged."""
    logged = balance.read(workdir) if os.path.exists(os.path.join(workdir, scalars.FILE)) else []
    drawn = learning.draw(logged)
    if drawn is None:
        return []
    words = learning.describe(logged)
    return [page.Picture("Learning curves", drawing.svg(drawn), _LEARNING, words)]


def _comparison(
    kind: page_kind.PageKind,
    context: protocols_base.Context,
    content: page_kind.Content,
    request: page_kind.Request,
) -> page.Comparison | None:
    """Returns how far the run is from the baseline, on the run's data; None without a baseline."""
    if not request.baseline:
        return None
    other = models.trained(request.baseline)
    for name in request.protocols:
        table.fitting(name, other.recipe, other.config)
    beside = protocols_base.Context(
        other, context.index, context.tags, context.lists_dir, context.seed
    )
    theirs = request._replace(workdir=request.baseline)
    found, left_out = paired_runs.differences(
        content.results, kind.evaluate(beside, theirs).results
    )
    if not found:
        raise registry.UserError(
            f"--baseline={request.baseline} has no figure in common with {request.workdir}: name a "
            "run that is evaluated by the same protocols on the same data."
        )
    name = comparable.short([request.workdir, request.baseline])[1]
    return page.Comparison(name, found, left_out)
