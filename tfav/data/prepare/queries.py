"""The query lists of a data set: the given ones as they are, else drawn from a seed.

`tfav.annotations.lists` has their names and format.
"""

import collections
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from tfav import files
from tfav.annotations import list_folder, lists
from tfav.data import shards
from tfav.data.prepare import candidates
from tfav.data.prepare.identities import GENDER

SIZES = tuple(range(2, 11))
GALLERIES_PER_PROBE = 3
_SEEDED_SPLITS = ("val", "test", "unheard")


class Given(NamedTuple):
    """A query list that is used as it is: its bytes, unpacked, and the ids it names."""

    content: bytes
    ids: list[str]


def read_given(folder: str | os.PathLike) -> dict[str, Given]:
    """Returns every list in `folder` by the one spelling of its file name, checked line by line.

    Raises:
      UserError: see `list_folder.find` and `list_folder.items`.
    """
    given = {}
    for name, path in list_folder.find(folder):
        ids = list_folder.items([(name, path)])
        given[name.file] = Given(files.content(path), list(itertools.chain(*ids.values())))
    return given


def named(given: Mapping[str, Given]) -> list[str]:
    """Returns every id that the lists name, once: list by list, recordings before images."""
    return list(dict.fromkeys(itertools.chain(*(entry.ids for entry in given.values()))))


def write(
    folder: str | os.PathLike,
    index: shards.Index,
    given: Mapping[str, Given],
    missing: Set[str],
    *,
    seed: int,
    galleries_per_probe: int,
) -> dict[str, int]:
    """Writes the lists of a data set, and `lists.json` with their hashes and how they were made.

    With given lists, only the 1:2 matching of `val` that model selection needs is drawn besides.

    Args:
      folder: to make.
      index: of the data set.
      given: as `read_given` returns them.
      missing: ids that they name and the data set has not.
      seed: of the drawn lists.
      galleries_per_probe: queries a probe in drawn lists.

    Returns:
      how many lists came from where.
    """
    os.makedirs(folder)
    contents = {name: entry.content for name, entry in given.items()}
    made: dict[str, dict[str, Any]] = {
        name: {"origin": "given", "missing_items": len(missing & set(entry.ids))}
        for name, entry in given.items()
    }
    how = {"origin": "seeded", "seed": seed, "galleries_per_probe": galleries_per_probe}
    both = index.held("audio").any() and index.held("image").any()
    for split in [s for s in index.info["splits"] if s in _SEEDED_SPLITS and both]:
        if given and split != "val":
            continue
        drawn = seeded(
            index,
            split,
            seed=seed,
            sizes=(2,) if given else SIZES,
            galleries_per_probe=galleries_per_probe,
            match_only=bool(given),
        )
        for name, text in drawn:
            if name not in given:
                contents[name], made[name] = text.encode(), dict(how)
    for name, content in contents.items():
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        made[name] = {"sha256": files.sha256(path)} | made[name]
    with open(os.path.join(folder, list_folder.HASHES), "w", encoding="utf-8") as file:
        file.write(json.dumps(made, indent=1) + "\n")
    return dict(collections.Counter(entry["origin"] for entry in made.values()))


def seeded(
    index: shards.Index,
    split: str,
    *,
    seed: int,
    sizes: Sequence[int] = SIZES,
    galleries_per_probe: int = GALLERIES_PER_PROBE,
    match_only: bool = False,
) -> Iterator[tuple[str, str]]:
    """Draws the lists of one split by the rules of SSoS's supplement, in both directions.

    Matching 1:N: for every probe `galleries_per_probe` queries, each with one random item of its
    identity and N - 1 random other identities' items. Other identities come up as often as they
    have probes (as in the official lists), so that a candidate's identity does not tell whether it
    is the right one. Verification: one of the two candidates of every 1:2 query. Retrieval: all
    probes, and the whole other modality. `_g` lists: all candidates share the probe's gender; of
    retrieval there is one gallery per gender. Likewise `_n` (nationality), `_a` (age) and `_gna`
    (all three), where the data have these columns.

    Args:
      index: of the prepared data; gender is its column `gender`.
      split: whose rows to use; it becomes the tag.
      seed: with the file's name it decides every draw of that file, whatever else is written.
      sizes: N of the matching lists; 2 must be among them unless `match_only`.
      galleries_per_probe: queries of each probe.
      match_only: leave out verification and retrieval.

    Yields:
      file name and content. A list that cannot be drawn is left out with a logged sentence.
    """
    rows = index.take(np.flatnonzero(index.split == split))
    lacking: dict[str, list[str]] = {}  # why, to the lists: often one reason of both directions
    for direction, (probe, gallery) in lists.MODALITIES.items():
        pool = candidates.Pool(rows, probe, gallery)
        for stratum in lists.STRATA:
            shared = lists.SHARED[stratum]
            if any(column not in index.extra for column in shared):
                continue  # columns that nobody has promised: no warning
            if stratum not in lists.STRATA[:2] and not _tell_apart(index, shared):
                continue  # few data have these columns with more than one value
            groups, obstacle = pool.groups(shared)
            fewest = min((len(group) for group in groups), default=0)
            drawn = [n for n in sizes if n <= fewest]
            if len(drawn) < len(sizes):
                alike = f" of one {' and '.join(shared)}" if shared else ""
                why = obstacle or f"{fewest} identities{alike} in {split!r} have both modalities"
                large = ", ".join(str(n) for n in sizes if n > fewest)
                name = f"match{lists.MARKS[stratum]}_{direction}_N_{split}"
                lacking.setdefault(f"for N = {large}: {why}", []).append(name)
            for n in drawn:
                match = lists.ListName("matching", stratum, direction, n, split)
                queries = pool.match(_generator(seed, match.file), groups, n, galleries_per_probe)
                yield match.file, "".join(" ".join(line) + "\n" for line in queries.tolist())
                if n == 2 and not match_only:
                    verify = lists.ListName("verification", stratum, direction, None, split)
                    kept = _generator(seed, verify.file).integers(1, 3, size=len(queries))
                    pairs = zip(
                        queries[:, 0].tolist(), queries[np.arange(len(kept)), kept].tolist()
                    )
                    yield verify.file, "".join(f"{a} {b}\n" for a, b in pairs)
            retrieve = lists.ListName("retrieval", stratum, direction, None, split)
            if not match_only and fewest >= (2 if shared else 1):
                galleries = pool.galleries(groups, shared)
                yield retrieve.file, "".join(" ".join(line) + "\n" for line in galleries)
    if GENDER not in index.extra:
        logging.info("no list of %r keeps to one gender: the data has no column %r", split, GENDER)
    for why, names in lacking.items():
        logging.warning("no list %s %s", " and no ".join(names), why)


def _tell_apart(index: shards.Index, columns: Sequence[str]) -> bool:
    """Returns whether each of these columns of the data has more than one value."""
    return all(len(np.unique(index.extra[column])) > 1 for column in columns)


def _generator(seed: int, file: str) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(file.encode()).digest(), dtype="<u4")
    return np.random.default_rng([seed, *words.tolist()])
