"""Feeds every reader with damaged files and prints a table of what came of them.

    python -m tests.fuzz --cases=10000 --seed=0 --keep=fuzz-found

Exits with 1 if there was a finding; the files of each are then kept.
"""

import argparse
import json
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

import tqdm

_PATIENCE_SECONDS = 300.0  # without a word from a process: others may use the machine
_START_SECONDS = 600.0  # until the first word: it imports TensorFlow, perhaps makes an export


class Finding(NamedTuple):
    """A case that ended as it must not.

    Attributes:
      reader: row of `readers.READERS`.
      case: its number.
      wrong: how it ended.
      kept: folder of its files.
    """

    reader: str
    case: int
    wrong: str
    kept: str


def feed(
    reader: str, seed: int, count: int, folder: pathlib.Path, bar: tqdm.tqdm
) -> tuple[int, list[Finding]]:
    """Feeds a reader; a process that ends or hangs is a finding, and the next one goes on.

    Returns:
      how many cases were tried, and the findings.
    """
    found: list[Finding] = []
    first = 0
    while first < count:
        place = folder / f"{first}"
        place.mkdir(parents=True)
        arguments = [reader, seed, first, count - first, place]
        command = [sys.executable, "-m", "tests.fuzz.child", *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        done, patience = 0, _START_SECONDS
        how = "hangs"
        while True:
            try:
                line = lines.get(timeout=patience)
            except queue.Empty:
                process.kill()
                break
            if line is None:
                how = f"ends the process ({process.wait()})"
                break
            patience = _PATIENCE_SECONDS
            told = json.loads(line)
            if "done" in told:
                bar.update(told["done"] - done)
                done = told["done"]
            else:
                found.append(Finding(reader, told["case"], told["wrong"], told["kept"]))
        process.wait()
        if first + done >= count:
            break
        kept = place / "found" / "last"
        if not (place / "case").exists():
            raise RuntimeError(f"{reader}: it cannot be started: {' '.join(command)}")
        shutil.copytree(place / "case", kept)
        found.append(Finding(reader, first + done, f"after case {first + done}: {how}", str(kept)))
        first += done + 50  # past what it said last
        bar.update(50)
    return min(first + done, count), found


def _read(stream, lines) -> None:
    for line in stream:
        if line.startswith("{"):
            lines.put(line)
    lines.put(None)


def main(argv: list[str] | None = None) -> int:
    """Feeds and prints; returns the exit code."""
    names = (
        *("manifest", "list", "WAV", "FLAC", "JPEG", "shard", "index", "checkpoint"),
        *(
            ".npz of embeddings",
            ".npz of weights",
            ".tflite",
            "description of a model",
            "SavedModel",
        ),
        *("embed_wav", "embed_jpeg"),
    )
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="tests.fuzz")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--cases", type=int, default=10_000, help="damaged files per reader")
    parser.add_argument("--only", default=",".join(names), help="readers, commas between")
    parser.add_argument("--keep", default="fuzz-found", help="folder of the files of findings")
    options = parser.parse_args(argv)
    chosen = options.only.split(",")
    unknown = set(chosen) - set(names)
    if unknown:
        parser.error(f"--only: {min(unknown)!r} is none of {', '.join(names)}")
    start = time.monotonic()
    rows, every = [], []
    with tempfile.TemporaryDirectory() as folder:
        bar = tqdm.tqdm(total=len(chosen) * options.cases, unit="case", disable=None)
        for number, reader in enumerate(chosen):
            bar.set_description(reader)
            place = pathlib.Path(folder) / str(number)
            tried, found = feed(reader, options.seed, options.cases, place, bar)
            for one in found:
                kept = pathlib.Path(options.keep) / f"{reader.replace(' ', '_')}-{one.case}"
                shutil.copytree(one.kept, kept, dirs_exist_ok=True)
                every.append(one._replace(kept=str(kept)))
            rows.append(f"| {reader} | {tried:,} | {len(found) or 'none'} |")
            print(rows[-1], file=sys.stderr, flush=True)
            shutil.rmtree(place, ignore_errors=True)
        bar.close()
    print("\n".join(["| reader | damaged files | findings |", "|---|---|---|", *rows]))
    for one in every:
        print(f"\n{one}")
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    return 1 if every else 0


if __name__ == "__main__":
    sys.exit(main())
