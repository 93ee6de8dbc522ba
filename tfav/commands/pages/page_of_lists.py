"""The page of a run evaluated on query lists: probes one can hear, galleries one can see."""

import itertools
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from tfav import files, registry
from tfav.annotations import list_folder, lists
from tfav.commands.pages import page_kind, stored
from tfav.commands.protocols import by_lists, protocol, table
from tfav.data import shards
from tfav.evaluation import query_lists
from tfav.evaluation import space as spaces
from tfav.evaluation.result import Result
from tfav.reports import curves, film, inline, list_page, page, projector, showcase


class _Retrieval(NamedTuple):
    """A retrieval to show: its name, where its galleries come from, and these."""

    name: lists.ListName
    origin: str
    galleries: Sequence[lists.Gallery]


class _Kept(NamedTuple):
    """What is drawn: retrievals, the scores of the verification lists, and the embeddings."""

    tasks: Sequence[showcase.Task]
    scores: curves.Scores
    space: spaces.Space


class PageOfLists(page_kind.PageKind):
    """Retrievals of the tags' retrieval lists, or over the splits so named."""

    heading = "Voices and faces"
    films = True

    def evaluate(self, context: protocol.Context, request: page_kind.Request) -> page_kind.Content:
        """Returns the figures of the lists there are, and the retrievals.

        Raises:
          UserError: neither a retrieval list of a tag nor a split of its name.
        """
        listed = _protocol(request.protocols)
        found = {tag: _lists_of(listed, context, tag) for tag in context.tags}
        asked = [task for tag in context.tags for task in _retrievals(found[tag], context, tag)]
        every = [item for of_tag in found.values() for item in of_tag]
        wanted = {
            m: dict.fromkeys(ids) for m, ids in list_folder.items(every, listed.forms).items()
        }
        for name, _, galleries in asked:
            for modality, ids in zip(lists.MODALITIES[name.direction], zip(*galleries)):
                wanted.setdefault(modality, {}).update(dict.fromkeys(itertools.chain(*ids)))
        space = by_lists.embed(context, {modality: list(ids) for modality, ids in wanted.items()})
        sampled = {"num_bootstrap": context.num_bootstrap, "seed": context.seed}
        tasks = [
            showcase.task(
                name, galleries, space, origin=origin, num_probes=request.num_probes, **sampled
            )
            for name, origin, galleries in asked
        ]
        results: list[Result] = []
        scores: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for tag, of_tag in found.items():
            if of_tag:
                results += listed.figures(context, tag, space)
            if any(name.protocol == "verification" for name, _ in of_tag):
                scores |= query_lists.verification_scores(context.lists_dir, tag, space)
        return page_kind.Content(results, _Kept(tasks, scores, space))

    def build(
        self,
        context: protocol.Context,
        content: page_kind.Content,
        request: page_kind.Request,
        frame: page.Frame,
    ) -> str:
        """Returns the page."""
        del request
        tasks, scores, _ = content.kept
        vectors = _vectors(context.index)
        if vectors and frame.media:
            logging.info("the page has figures alone: %s are vectors", " and ".join(vectors))
            frame = frame._replace(media=False)
        items = _items(context.index, tasks) if frame.media else {}
        return list_page.build(tasks, content.results, scores, items, frame)

    def project(
        self, context: protocol.Context, content: page_kind.Content, folder: str, title: str
    ) -> tuple[int, np.ndarray | None]:
        """Writes the embeddings of what the page shows; returns a sheet of its voice probes."""
        _refuse_vectors(context.index, "--tensorboard")
        items = _items(context.index, content.kept.tasks)
        vectors = {m: content.kept.space.vectors(title, m, list(its)) for m, its in items.items()}
        count = projector.write_items(folder, vectors, items, heard=("audio",))
        tasks = [task for task in content.kept.tasks if task.direction == "v2f"]
        probes = [probe for task in tasks for probe in task.in_groups()]
        if not probes:
            return count, None
        return count, projector.sheet(probes, items["audio"], items["image"], title)

    def check_film(self, context: protocol.Context) -> None:
        """Refuses a film where no retrieval goes from voice to face, or of vectors."""
        _refuse_vectors(context.index, "--video")
        listed = _protocol(())
        asked = [
            task
            for tag in context.tags
            for task in _retrievals(_lists_of(listed, context, tag), context, tag)
        ]
        if all(name.direction != "v2f" for name, *_ in asked):
            raise registry.UserError(
                f"--video: {', '.join(context.tags)} has no retrieval from voice to face to film: "
                "leave --video out, or name other --tags."
            )

    def film(
        self, context: protocol.Context, content: page_kind.Content, path: str, title: str
    ) -> float:
        """Writes the voice probes as a film and returns its seconds."""
        tasks = [task for task in content.kept.tasks if task.direction == "v2f"]
        items = _items(context.index, tasks)
        probes = [probe for task in tasks for probe in task.in_groups()]
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with files.whole(path) as temporary:
            return film.write(temporary, probes, items["audio"], items["image"], title=title)


def _vectors(index: shards.Index) -> list[str]:
    """Returns which of audio and image can neither be played nor shown."""
    return [m for m in ("audio", "image") if index.kind(m) != m]


def _refuse_vectors(index: shards.Index, flag: str) -> None:
    vectors = _vectors(index)
    if vectors:
        raise registry.UserError(
            f"{flag} shows voices and faces, and {' and '.join(vectors)} of {index.directory} are "
            f"vectors: leave {flag} out."
        )


def _protocol(names: Sequence[str]) -> by_lists.Lists:
    """Returns the first protocol on lists, which may have tasks of its own, or else our own."""
    every = map(table.find, (*names, "lists"))
    return next(its for its in every if isinstance(its, by_lists.Lists))


def _lists_of(listed: by_lists.Lists, context: protocol.Context, tag: str) -> by_lists.Found:
    """Returns the lists of a tag, none when there are none."""
    folder = context.lists_dir
    if not os.path.isdir(folder):
        return []
    if not any(lists.is_list(name, listed.forms) for name in os.listdir(folder)):
        return []
    return [item for item in list_folder.find(folder, None, listed.forms) if item[0].tag == tag]


def _retrievals(of_tag: by_lists.Found, context: protocol.Context, tag: str) -> list[_Retrieval]:
    """Returns the retrievals of a tag's lists, or over the split so named.

    Raises:
      UserError: there is neither.
    """
    found = [
        _Retrieval(name, os.fspath(path), lists.read_retrieval(path))
        for name, path in of_tag
        if name.protocol == "retrieval"
    ]
    if found:
        return found
    index = context.index
    part = index.take(np.flatnonzero(index.split == tag))
    held = {
        "audio": part.id[part.held("audio")].tolist(),
        "image": part.id[part.held("image")].tolist(),
    }
    lacking = [modality for modality, ids in held.items() if not ids]
    if lacking:
        splits = index.info["splits"]
        what = f"has {lacking[0]}" if tag in splits else "is there"
        raise registry.UserError(
            f"{context.lists_dir} holds no retrieval list of tag {tag!r}, and no split of that "
            f"name in {index.directory} {what}: name another of --tags (splits: "
            f"{', '.join(splits)})."
        )
    return [
        _Retrieval(
            lists.ListName("retrieval", lists.STRATA[0], direction, None, tag),
            f"split {tag}",
            [lists.Gallery(held[probe], held[item])],
        )
        for direction, (probe, item) in lists.MODALITIES.items()
    ]


def _items(
    index: shards.Index, tasks: Sequence[showcase.Task]
) -> dict[str, dict[str, inline.Item]]:
    """Returns what the tasks show, read from the shards: modality -> id -> item."""
    row_of = {name: row for row, name in enumerate(index.id)}
    gender = index.extra.get("gender", np.full(len(index), ""))
    items: dict[str, dict[str, inline.Item]] = {"audio": {}, "image": {}}
    for task in tasks:
        probe_modality, item_modality = lists.MODALITIES[task.direction]
        shown = [(probe_modality, probe.id) for probe in task.probes]
        shown += [(item_modality, hit.id) for probe in task.probes for hit in probe.hits]
        for modality, name in shown:
            if name not in items[modality]:
                row = row_of[name]
                content = stored.content(index, row, modality)
                assert content is not None, "what is shown has been embedded"
                label, sex = str(index.label[row]), str(gender[row])
                items[modality][name] = inline.Item(content, label, sex)
    return items
