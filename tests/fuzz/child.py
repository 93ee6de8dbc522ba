"""Feeds one reader, in a process that may end: child.py READER SEED FIRST COUNT FOLDER.

Prints a JSON line every few cases, `{"done": N}`, and one per finding. The files of the case under
way lie in FOLDER/case, so that who watches finds them if this process does not live.
"""

import json
import os
import pathlib
import random
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from tests.fuzz import mutations, readers

SECONDS = 1.0  # of computing, of one case, beyond what its intact files take
MEGABYTES = 1000  # that one case may add to the process: that of the limits of docs/reliability.md
_EVERY = 50


def cases(
    name: str, seed: int, first: int, count: int, folder: pathlib.Path
) -> Iterator[tuple[int, str]]:
    """Feeds a reader; yields the number of each case, and what is wrong with how it ended or ``.

    Args:
      name: row of `readers.READERS`.
      seed: of what is drawn.
      first: number of the first case.
      count: how many.
      folder: where the files lie.
    """
    its, form = readers.READERS[name], re.compile(readers.DAMAGED.get(name, "."))
    valid: dict[int, pathlib.Path] = {}
    intact = 0.0
    for variant in range(4):  # what is intact is made once
        valid[variant] = folder / f"valid{variant}"
        valid[variant].mkdir(parents=True, exist_ok=True)
        its.write(valid[variant], random.Random(f"{seed}/{name}/{variant}"))
        start = time.process_time()
        its.read(valid[variant])
        # Not that of the first one, which also warms up what all share.
        intact = max(intact, time.process_time() - start) if variant else 0.0
    case = folder / "case"
    for number in range(first, first + count):
        draw = random.Random(f"{seed}/{name}/{number}")
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(valid[draw.randrange(4)], case)
        found = sorted(p for p in case.rglob("*") if p.is_file() and form.search(p.name))
        path = draw.choice(found)
        path.write_bytes(mutations.mutated(path.read_bytes(), draw))
        before, start = _megabytes(), time.process_time()
        wrong = ""
        try:
            its.read(case)
        except its.refusals:
            pass
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:300]}"
        spent, grown = time.process_time() - start, _megabytes() - before
        if not wrong and spent > SECONDS + intact:
            wrong = f"{spent:.1f} s of computing"
        if not wrong and grown > MEGABYTES:
            wrong = f"{grown} MB more"
        yield number, wrong and f"{path.name}: {wrong}"


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(name: str, seed: str, first: str, count: str, folder: str) -> None:
    """Feeds and prints."""
    place = pathlib.Path(folder)
    for done, (number, wrong) in enumerate(
        cases(name, int(seed), int(first), int(count), place), 1
    ):
        if wrong:
            kept = place / "found" / f"{number}"
            shutil.copytree(place / "case", kept, dirs_exist_ok=True)
            print(json.dumps({"case": number, "wrong": wrong, "kept": str(kept)}), flush=True)
        if done % _EVERY == 0 or done == int(count):
            print(json.dumps({"done": done}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
