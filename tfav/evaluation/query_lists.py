"""Embeddings evaluated on query lists. Embed once, then this is NumPy."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

from tfav import files
from tfav.annotations import list_folder, lists
from tfav.evaluation import list_tasks
from tfav.evaluation import space as spaces
from tfav.evaluation.result import Result

Tasks = Mapping[str, list_tasks.ListTask]


def forms(tasks: Tasks) -> dict[str, lists.Form]:
    """Returns the kinds of lists that tasks ask with, by protocol."""
    return {name: task.form for name, task in tasks.items()}


def evaluate(
    lists_dir: str | os.PathLike,
    tag: str,
    space: spaces.Space,
    *,
    num_bootstrap: int = 1000,
    seed: int = 0,
    tasks: Tasks = list_tasks.TASKS,
) -> list[Result]:
    """Returns the figures of every list of a tag, ordered by protocol, stratum, n and direction.

    Args:
      lists_dir: folder of query lists, named as in `lists`.
      tag: which of them (`test`, `val`, `seen`, ...).
      space: the embeddings; a few listed items may lack one, the trials that name them are left out
        and noted.
      num_bootstrap: resamples of identities behind each interval; 0 gives none.
      seed: Random seed of the resamples.
      tasks: what lists ask for, by protocol.

    Raises:
      UserError: no list of the tag, a malformed list, too many listed items without embedding, one
        without identity, a gallery without a relevant item.
    """
    found = []
    for task, query in _queries(lists_dir, tag, space, num_bootstrap, seed, tasks):
        path = pathlib.Path(query.path)
        sha256 = files.sha256(path)
        for result in task.evaluate(query):
            notes = tuple(f"{path.name}: {note}" for note in result.notes)
            found.append(
                dataclasses.replace(result, notes=notes, list_name=path.name, sha256=sha256)
            )
    return found


def verification_scores(
    lists_dir: str | os.PathLike, tag: str, space: spaces.Space
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns {file name: (score [T], label [T] bool)} of the tag's verification lists, to plot.

    Raises:
      UserError: as `evaluate`.
    """
    return {
        pathlib.Path(query.path).name: list_tasks.verification_pairs(query)[:2]
        for _, query in _queries(lists_dir, tag, space, 0, 0, list_tasks.TASKS)
        if query.name.protocol == "verification"
    }


def _queries(
    lists_dir: str | os.PathLike,
    tag: str,
    space: spaces.Space,
    num_bootstrap: int,
    seed: int,
    tasks: Tasks,
) -> Iterator[tuple[list_tasks.ListTask, list_tasks.Query]]:
    for name, path in list_folder.find(lists_dir, tag, forms(tasks)):
        yield tasks[name.protocol], list_tasks.Query(name, path, space, num_bootstrap, seed)
