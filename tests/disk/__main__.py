"""Tries every command on every disk that fails, and says what was lost.

    python -m tests.disk --only=train,export

Exits with 1 if anything was.
"""

import argparse
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tqdm

from tests.disk import table


def main(argv: list[str] | None = None) -> int:
    """Tries and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="tests.disk")
    parser.add_argument("--only", default=",".join(table.COMMANDS), help="commands, commas between")
    chosen = parser.parse_args(argv).only.split(",")
    unknown = set(chosen) - set(table.COMMANDS)
    if unknown:
        parser.error(f"--only: {min(unknown)!r} is none of {', '.join(table.COMMANDS)}")
    cases = [case for case in table.CASES if case[0] in chosen]
    counts: dict[tuple[str, str], list[table.Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        disk = table.Disk(pathlib.Path(folder))
        try:
            for case in tqdm.tqdm(cases, unit="disk", disable=None):
                found = disk.attempt(*case)
                counts.setdefault(case[:2], []).append(found)
                if found.wrong:
                    print(f"{case}: {found.wrong}", flush=True)
        finally:
            disk.server.close()
    # A command that wrote less than the disk took, and one on a slow disk, end well.
    print("| command | disk | tried | ended with a sentence | lost |\n|---|---|---|---|---|")
    for (command, mode), found in counts.items():
        lost, said = (sum(map(bool, its)) for its in zip(*found))
        print(f"| {command} | {mode} | {len(found)} | {said} | {lost or 'nothing'} |")
    return 1 if any(one.wrong for its in counts.values() for one in its) else 0


if __name__ == "__main__":
    sys.exit(main())
