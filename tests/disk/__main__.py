"""Tries every command on every disk that fails: `python -m tests.disk`; 1 if one lost anything."""

import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tqdm

from tests.disk import table


def main() -> int:
    """Tries and prints; returns the exit code."""
    counts: dict[tuple[str, str], list[table.Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        disk = table.Disk(pathlib.Path(folder))
        try:
            for case in tqdm.tqdm(table.CASES, unit="disk", disable=None):
                found = disk.attempt(*case)
                counts.setdefault(case[:2], []).append(found)
                if found.wrong:
                    print(f"{case}: {found.wrong}", flush=True)
        finally:
            disk.server.close()
    print("| command | disk | tried | lost |\n|---|---|---|---|")
    for (command, mode), found in counts.items():
        lost = sum(bool(one.wrong) for one in found)
        print(f"| {command} | {mode} | {len(found)} | {lost or 'nothing'} |")
    return 1 if any(one.wrong for its in counts.values() for one in its) else 0


if __name__ == "__main__":
    sys.exit(main())
