"""The page of a run that is judged on query lists: probes one can hear, galleries one can see."""

import itertools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfav import files, registry
from tfav.annotations import lists
from tfav.commands.protocols import by_lists
from tfav.data import shards
from tfav.evaluation import query_lists
from tfav.evaluation import space as spaces
from tfav.experiment import models
from tfav.inference import recipe_embedder
from tfav.reports import clips, film, list_page, showcase


def build(
    run: models.Trained,
    index: shards.Index,
    about: dict[str, str],
    *,
    title: str,
    tags: Sequence[str],
    lists_dir: str,
    num_probes: int,
    max_megabytes: float,
    video: str,
    seed: int,
) -> tuple[str, list[str]]:
    """Returns the page, and lines on what else was written; see `showing.make_report`."""
    c = run.config
    found = [item for tag in tags for item in _lists_of(lists_dir, tag)]
    asked = [task for tag in tags for task in _retrievals(lists_dir, tag, index)]
    if video and all(name.direction != "v2f" for name, *_ in asked):
        raise registry.UserError(
            f"--video={video}: {', '.join(tags)} has no retrieval from voice to face to film."
        )
    wanted = {m: dict.fromkeys(names) for m, names in lists.items(found).items()}
    for name, _, galleries in asked:
        for modality, ids in zip(lists.MODALITIES[name.direction], zip(*galleries)):
            wanted.setdefault(modality, {}).update(dict.fromkeys(itertools.chain(*ids)))
    ids = {modality: list(names) for modality, names in wanted.items()}
    vectors = by_lists.embeddings(c, recipe_embedder.RecipeEmbedder(run.recipe), index, ids)
    labels = dict(zip(index.id, index.label))
    space = spaces.Space(vectors, labels)
    tasks = [
        showcase.task(name, galleries, space, origin=origin, num_probes=num_probes, seed=seed)
        for name, origin, galleries in asked
    ]
    results, scores = [], {}
    for tag in dict.fromkeys(name.tag for name, _ in found):
        results += query_lists.evaluate(
            lists_dir, tag, vectors, labels, num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        scores |= query_lists.verification_scores(lists_dir, tag, vectors, labels)
    items = _items(index, tasks)
    text = list_page.build(
        tasks,
        results,
        scores,
        items,
        title=f"Voices and faces: {title}",
        about=about,
        max_megabytes=max_megabytes,
    )
    if not video:
        return text, []
    probes = [probe for task in tasks if task.direction == "v2f" for probe in task.in_groups()]
    os.makedirs(os.path.dirname(os.path.abspath(video)), exist_ok=True)
    with files.whole(video) as temporary:
        seconds = film.write(temporary, probes, items["audio"], items["image"], title=title)
    return text, [f"wrote {video} ({seconds:.0f} seconds)"]


def _lists_of(folder: str, tag: str) -> list[tuple[lists.ListName, pathlib.Path]]:
    """Returns the lists of a tag, none when there are none."""
    if not os.path.isdir(folder) or not any(map(lists.is_list, os.listdir(folder))):
        return []
    return [item for item in lists.find(folder) if item[0].tag == tag]


def _retrievals(
    lists_dir: str, tag: str, index: shards.Index
) -> list[tuple[lists.ListName, str, list[lists.Gallery]]]:
    """Returns (name, where from, galleries) of a tag's retrieval lists, or over the split so named.

    Raises:
      UserError: there is neither.
    """
    found = [
        (name, os.fspath(path), lists.read_retrieval(path))
        for name, path in _lists_of(lists_dir, tag)
        if name.protocol == "retrieval"
    ]
    if found:
        return found
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
            f"{lists_dir} holds no retrieval list of tag {tag!r}, and no split of that name in "
            f"{index.directory} {what}: name another of --tags (splits: {', '.join(splits)})."
        )
    return [
        (
            lists.ListName("retrieval", lists.STRATA[0], direction, None, tag),
            f"split {tag}",
            [lists.Gallery(held[probe], held[item])],
        )
        for direction, (probe, item) in lists.MODALITIES.items()
    ]


def _items(index: shards.Index, tasks: Sequence[showcase.Task]) -> dict[str, dict[str, clips.Item]]:
    """Returns what the tasks show, read from the shards: modality -> id -> item."""
    rows = {
        "audio": {index.id[row]: row for row in np.flatnonzero(index.held("audio"))},
        "image": {index.id[row]: row for row in np.flatnonzero(index.held("image"))},
    }
    gender = index.extra.get("gender", np.full(len(index), ""))
    items: dict[str, dict[str, clips.Item]] = {"audio": {}, "image": {}}
    for task in tasks:
        probe_modality, item_modality = lists.MODALITIES[task.direction]
        shown = [(probe_modality, probe.id) for probe in task.probes]
        shown += [(item_modality, hit.id) for probe in task.probes for hit in probe.hits]
        for modality, name in shown:
            if name in items[modality]:
                continue
            row = rows[modality][name]
            # Embedded a moment ago, when the record's checksum was verified.
            with tf.io.gfile.GFile(os.path.join(index.directory, index.shard[row]), "rb") as file:
                file.seek(int(index.offset[row]))
                record = tf.train.Example.FromString(file.read(int(index.length[row])))
            content = record.features.feature[modality].bytes_list.value[0]
            items[modality][name] = clips.Item(content, str(index.label[row]), str(gender[row]))
    return items
