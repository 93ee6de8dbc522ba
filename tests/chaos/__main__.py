"""Kills commands at drawn moments, lets them go on, and says what was lost.

    python -m tests.chaos --kills=100 --seed=0 --json=chaos.json

Exits with 1 if anything was.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tqdm

from tests import forked
from tests.chaos import Kill, experiments, moments
from tests.hostile import media

VICTIM = os.path.join("..", "tests", "chaos", "victim")
_COMPARED = """import sys
sys.path.insert(0, {root!r})
from tests import small


def get_config(variant=""):
    config = small.config({data!r})
    config.deterministic = True
    config.train.num_steps, config.train.steps_per_call = 4, 2
    config.train.checkpoint_every = 2
    config.train.learning_rate = {{"one": 0.01, "two": 0.02}}[variant or "one"]
    config.eval.num_bootstrap = 10
    return config
"""
Pair = tuple[str, str]
ALL: tuple[Pair, ...] = (
    *itertools.product(moments.RECIPES, moments.TRAINING),
    *((command, "files") for command in moments.OTHERS),
)


class Place:
    """Where commands are killed: data, media, a run, and the ends of those that nobody killed.

    Args:
      folder: an empty one.
      server: runs the commands.
    """

    def __init__(self, folder: pathlib.Path, server: forked.Server):
        self._folder, self._server = folder, server
        self._number = 0
        self._whole: dict[str, tuple[dict, dict[str, int]]] = {}
        experiments.write_data(folder)
        media.write_intact(folder / "media")
        files = [("voice.wav", "face.png")] * 70  # chunks of 32 rows
        rows = [f"r{k},{'test' if k % 4 == 3 else 'train'},p{k % 9}" for k in range(len(files))]
        lines = [f"{row},media/{a},media/{b}" for row, (a, b) in zip(rows, files)]
        text = "\n".join(["id,split,label,audio,image", *lines]) + "\n"
        (folder / "manifest.csv").write_text(text)
        text = _COMPARED.format(root=forked.ROOT, data=str(folder / "people"))
        (folder / "compared.py").write_text(text)

    def _case(self, name: str) -> moments.Case:
        if name not in moments.OTHERS:
            return moments.training(name, self._folder)
        if not (self._folder / "run").exists() and name not in ("prepare", "compare"):
            self._run(moments.training("voice_face", self._folder), self._folder, {})
        return moments.other(name, self._folder)

    def _run(
        self, case: moments.Case, folder: pathlib.Path, watched: dict, **spec: Any
    ) -> forked.Done:
        path = self._folder / "spec.json"
        path.write_text(json.dumps({"number": 0, "delay": 0.0, **spec, "moments": watched}))
        return self._server.run(VICTIM, path, case.binary, *case.flags(folder))

    def whole(self, name: str) -> tuple[dict, dict[str, int]]:
        """Returns the end of a command that nobody killed, and how many events its moments have."""
        if name not in self._whole:
            case, folder = self._case(name), self._new()
            count = self._folder / "count"
            done = self._run(case, folder, case.moments, count=str(count))
            if done.code:
                raise RuntimeError(f"{name}: {done.stderr[-3000:]}")
            self._whole[name] = dict(case.look(folder)), json.loads(count.read_text())
            shutil.rmtree(folder)
        return self._whole[name]

    def kill(self, pair: Pair, draw: random.Random) -> Kill:
        """Kills a command at a drawn event, runs it again and compares the ends."""
        name, moment = pair
        right, counts = self.whole(name)
        case, folder, events = self._case(name), self._new(), counts[moment]
        watched = {moment: case.moments[moment]}
        number = draw.randint(1, events)
        delay = draw.uniform(0.0, 2.0) * case.moments[moment].get("delay", 0.0)
        killed = self._run(case, folder, watched, number=number, delay=delay)
        while not killed.code and number > 1:  # the command was faster than the delay
            shutil.rmtree(folder)
            folder, number = self._new(), number - 1
            killed = self._run(case, folder, watched, number=number, delay=delay)
        trained = case.binary == "train"
        again = moments.last_step(folder) - moments.saved_step(folder) if trained else 0
        done = self._run(case, folder, {})
        if killed.code not in (-9, 0):
            lost = f"exit code {killed.code}: {killed.stderr[-500:]}"
        elif done.code:
            lost = f"it does not go on: {done.stderr[-500:]}"
        else:
            left = moments.leftovers(folder)
            lost = moments.differences(case.look(folder), right)
            lost = lost or (f"{left[0]} is left" if left else "")
        if killed.code == 0:
            lost = lost or "it ended before it was killed"
        shutil.rmtree(folder)
        return Kill(*pair, number, events, again, lost)

    def _new(self) -> pathlib.Path:
        self._number += 1
        folder = self._folder / f"attempt{self._number}"
        folder.mkdir()
        return folder


def run(
    folder: pathlib.Path,
    server: forked.Server,
    pairs: Sequence[Pair],
    seed: int,
    first: int = 1,
) -> Iterable[Kill]:
    """Yields one kill for each of the pairs of recipe (or command) and moment.

    From the `first` on, counted from 1: what a kill draws does not depend on those before it.
    """
    place = Place(folder, server)
    for number, pair in enumerate(pairs[first - 1 :], first - 1):
        yield place.kill(pair, random.Random(f"{seed}/{number}/{pair}"))


def table(kills: Sequence[Kill]) -> str:
    """Returns the counts as a Markdown table."""
    groups: dict[Pair, list[Kill]] = collections.defaultdict(list)
    for one in kills:
        groups[one.recipe, one.moment].append(one)
    lines = [
        "| killed | moment | kills | steps done again, at most | lost |",
        "|---|---|---|---|---|",
    ]
    groups["all", ""] = list(kills)
    for (recipe, moment), its in groups.items():
        lost = sum(bool(one.lost) for one in its)
        again = max((one.again for one in its), default=0)
        lines.append(f"| {recipe} | {moment} | {len(its)} | {again} | {lost or 'nothing'} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Kills and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="tests.chaos")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--kills", type=int, default=100, help="how many, in turn over the matrix")
    parser.add_argument("--first", type=int, default=1, help="number of the kill to begin at")
    parser.add_argument("--last", type=int, help="number of the kill to end at; default: of all")
    parser.add_argument("--only", default="", help="recipes or commands, commas between")
    parser.add_argument("--json", default="", help="file of all kills, written as they come")
    options = parser.parse_args(argv)
    only = set(options.only.split(",")) - {""}
    pairs = [pair for pair in ALL if not only or pair[0] in only]
    chosen = list(itertools.islice(itertools.cycle(pairs), options.kills))
    # Those of one kind behind each other: what nobody killed is made once.
    chosen = sorted(chosen, key=pairs.index)[: options.last]
    start, kills = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        server = forked.Server(folder)
        try:
            made = run(pathlib.Path(folder), server, chosen, options.seed, options.first)
            total = len(chosen) - options.first + 1
            for one in tqdm.tqdm(made, total=total, unit="kill", disable=None):
                kills.append(one)
                if options.json:
                    text = json.dumps([kill._asdict() for kill in kills], indent=1)
                    pathlib.Path(options.json).write_text(text + "\n")
        finally:
            server.close()
    print(table(kills))
    for one in kills:
        if one.lost:
            print(f"\n{one}")
    print(f"{len(kills)} kills, {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 1 if any(one.lost for one in kills) else 0


if __name__ == "__main__":
    sys.exit(main())
