"""Lists of pairs without answers, as FAME hands them out, to files of scores, and their check.

A list has lines `ID VOICE FACE` of paths below one folder; a file of scores has one line `ID SCORE`
per line of the list, in any order.
"""

import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfav import files, registry
from tfav.commands import load
from tfav.inference import file_embedding
from tfav.media import array_tables, limits

SCORES = ("similarity", "distance")
_BATCH_SIZE = 32
_DIGITS = 6


class Pair(NamedTuple):
    """A line of a list: what the score is called, and paths of a voice and a face."""

    id: str
    voice: str
    face: str


def read(path: str) -> list[Pair]:
    """Returns the pairs of a list.

    Raises:
      UserError: no such file, an empty one, a line of another form, or an id twice.
    """
    found = [Pair(*words) for words in _lines(path, 3, "ID VOICE FACE")]
    _check_ids(path, [pair.id for pair in found])
    return found


def score(source: str, pairs: str, root: str, output: str, kind: str = SCORES[0]) -> int:
    """Scores the pairs of a list by a model and writes the file of scores; returns their number.

    Args:
      source: a workdir, a SavedModel's folder or a folder of `.tflite`.
      pairs: the list.
      root: folder that its paths start from; or a table of vectors whose ids they are.
      output: the file of scores.
      kind: `similarity`, the cosine, or `distance`, that of the unit vectors.

    Raises:
      UserError: a file that is missing or cannot be embedded, or a model without a common space.
    """
    if os.path.isdir(output) or not output:
        raise registry.UserError(f"--output={output} is no file: name one for the scores.")
    if os.path.exists(output):
        raise registry.UserError(f"{output} exists: name another --output, or remove it.")
    listed = read(pairs)
    if not os.path.exists(root):
        raise registry.UserError(
            f"--media_root={root} does not exist: name the folder that {pairs} starts from."
        )
    embedder = load.embedder(source)
    if not {"audio", "image"} <= set(embedder.modalities) or not embedder.shares_space:
        raise registry.UserError(
            f"{source} has no space that audio and image share: give a model of both, such as one "
            "of configs/voice_face.py."
        )
    sides = {"audio": [pair.voice for pair in listed], "image": [pair.face for pair in listed]}
    items = {
        modality: [(path, _place(root, modality, path)) for path in dict.fromkeys(paths)]
        for modality, paths in sides.items()
    }
    arrays = file_embedding.embed(
        embedder, items, batch_size=_BATCH_SIZE, max_bad_fraction=None, bounds=limits.DEFAULT
    ).arrays
    place = {m: {name: n for n, name in enumerate(arrays[f"{m}_id"].tolist())} for m in sides}
    voice, face = (arrays[m][[place[m][path] for path in paths]] for m, paths in sides.items())
    value = np.einsum("nd,nd->n", voice, face, dtype=np.float64)
    if kind == "distance":
        value = np.sqrt(np.maximum(2.0 - 2.0 * value, 0.0))
    lines = [f"{pair.id} {number:.{_DIGITS}f}\n" for pair, number in zip(listed, value)]
    files.write_text(output, "".join(lines))
    return check(output, pairs)


def check(scores: str, pairs: str) -> int:
    """Checks a file of scores against its list; returns the number of scores.

    Raises:
      UserError: a line of another form, a score that is no finite number, an id that is missing, or
        there twice, or not in the list; or all scores the same.
    """
    found: dict[str, float] = {}
    lines = _lines(scores, 2, "ID SCORE")
    _check_ids(scores, [name for name, _ in lines])
    for number, (name, text) in enumerate(lines, 1):
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise registry.UserError(
                f"{scores} line {number}: the score {text!r} of {name!r} is no finite number: "
                "correct it."
            )
    _compare(scores, pairs, found)
    return len(found)


def _compare(scores: str, pairs: str, found: Mapping[str, float]) -> None:
    wanted = [pair.id for pair in read(pairs)]
    missing = [name for name in wanted if name not in found]
    unknown = sorted(found.keys() - set(wanted))
    for what, names in (("lacks", missing), ("holds, unlike the list,", unknown)):
        if names:
            raise registry.UserError(
                f"{scores} {what} {len(names)} ids, first {names[0]}, and {pairs} has "
                f"{len(wanted)} pairs: give one line per pair."
            )
    if len(wanted) > 1 and len(set(found.values())) == 1:
        raise registry.UserError(
            f"{scores} gives every pair the score {next(iter(found.values())):g}: score them by a "
            "model that tells them apart."
        )


def _place(root: str, modality: str, path: str) -> str:
    if os.path.isdir(root):
        return os.path.join(root, path)
    return array_tables.name_row(root, modality, path)


def _lines(path: str, count: int, form: str) -> list[list[str]]:
    """Returns the words of every line that is not blank."""
    if not os.path.isfile(path):
        raise registry.UserError(f"{path} does not exist: correct the path.")
    found = []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if words and len(words) != count:
                raise registry.UserError(
                    f"{path} line {number} has {len(words)} words instead of {form}: correct it."
                )
            found += [words] if words else []
    if not found:
        raise registry.UserError(f"{path} is empty: give lines {form}.")
    return found


def _check_ids(path: str, ids: list[str]) -> None:
    seen: dict[str, int] = {}
    for number, name in enumerate(ids, 1):
        if name in seen:
            raise registry.UserError(
                f"{path} holds the id {name!r} twice, as pairs {seen[name]} and {number}: give "
                "each pair an id of its own."
            )
        seen[name] = number
