"""Tries bad inputs at every door and prints a table of what came of them.

    python -m tests.hostile --seed=0 --per_kind=4
    python -m tests.hostile --only=manifests,values,flags --per_kind=1000   # every one of them

Exits with 1 if a command ended in a traceback, or used something wrong without a word.
"""

import argparse
import collections
import concurrent.futures
import functools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Collection

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tqdm

from tests import forked
from tests.hostile import (
    OUTCOMES,
    SILENT,
    TRACEBACK,
    Attempt,
    destinations,
    folders,
    media,
    place,
    state,
    words,
)

_MEDIA_PER_ATTEMPT = 8  # all files of a kind are one command, so they come by the dozen
_WORDS_PER_ATTEMPT = 4
_WORKERS = 2  # commands at one time
MAKERS = {
    **words.MAKERS,
    "folders": folders.attempts,
    "destinations": destinations.attempts,
}
ONLY = ("media", *MAKERS, "states")
_SHORT = (
    ("finished run", "embed"),
    ("finished run", "eval"),
    ("data set", "eval"),
    ("embeddings", "search"),
)
_SHORT_WORDS = ("manifests", "folders", "destinations")


def run(
    folder: pathlib.Path,
    server: forked.Server,
    seed: int,
    per_kind: int,
    short: bool = False,
    only: Collection[str] = ONLY,
) -> list[Attempt]:
    """Returns all attempts.

    Args:
      folder: where they are made; an empty one.
      server: runs the commands.
      seed: of what is drawn.
      per_kind: attempts of each kind of state at each door; of files and words some more.
      short: those alone that take no trained run.
      only: names of `ONLY`, what is tried.
    """
    media.write_intact(folder / "media")
    its = place.Place(folder, server, trained=not short)
    jobs = [
        functools.partial(media.attempts, its, name, per_kind * _MEDIA_PER_ATTEMPT, seed)
        for name in (media.MAKERS if "media" in only else ())
    ]
    for name, make in MAKERS.items():
        if name not in only or (short and name not in _SHORT_WORDS):
            continue
        made = make(its, per_kind * _WORDS_PER_ATTEMPT, seed)
        jobs += [functools.partial(_one, one) for one in made]
    for kind, (_, doors) in (state.KINDS if "states" in only else {}).items():
        for door in doors:
            if short and (kind, door) not in _SHORT:
                continue
            count = max(1, per_kind // 2) if door in state.COSTLY else per_kind
            jobs.append(functools.partial(_states, its, kind, door, count, seed))
    found = []
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        waiting = [pool.submit(job) for job in jobs]
        done = concurrent.futures.as_completed(waiting)
        for future in tqdm.tqdm(done, total=len(waiting), unit="job", disable=None):
            found += future.result()
    return sorted(found)


def _one(attempt: Callable[[], Attempt]) -> list[Attempt]:
    return [attempt()]


def _states(its: place.Place, kind: str, door: str, count: int, seed: int) -> list[Attempt]:
    intact = state.usual(its, kind, door)
    return [state.attempt(its, kind, door, number, seed, intact) for number in range(count)]


def table(found: list[Attempt]) -> str:
    """Returns the counts as a Markdown table."""
    counts: dict[tuple[str, str], collections.Counter] = {}
    for one in found:
        counts.setdefault((one.kind, one.door), collections.Counter())[one.outcome] += 1
    heads = ["kind", "command", "inputs", *OUTCOMES]
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "---|" * (len(heads) - 2)]
    total: collections.Counter = collections.Counter()
    for (kind, door), count in counts.items():
        total += count
        numbers = [count.total(), *(count[outcome] for outcome in OUTCOMES)]
        lines.append(f"| {kind} | {door} | {' | '.join(map(str, numbers))} |")
    numbers = [total.total(), *(total[outcome] for outcome in OUTCOMES)]
    return "\n".join([*lines, f"| all | | {' | '.join(map(str, numbers))} |"])


def main(argv: list[str] | None = None) -> int:
    """Runs and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="tests.hostile")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--per_kind", type=int, default=4, help="attempts per kind and command")
    parser.add_argument("--only", default=",".join(ONLY), help="what is tried, commas between")
    parser.add_argument("--all", action="store_true", help="print every attempt")
    options = parser.parse_args(argv)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server = forked.Server(folder)
        try:
            given = pathlib.Path(folder), server, options.seed, options.per_kind
            found = run(*given, only=options.only.split(","))
        finally:
            server.close()
    print(table(found))
    wrong = [one for one in found if one.outcome in (TRACEBACK, SILENT)]
    for one in found if options.all else wrong:
        print(f"\n{one.outcome}: {one.kind}, {one.door}, {one.what!r}\n{one.said}")
    print(f"{len(found)} inputs, {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
