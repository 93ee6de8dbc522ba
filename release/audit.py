"""Asks which of the tested versions have known vulnerabilities, by `pip-audit`.

    python -m release.audit

Each set of `constraints/` is asked about as it stands, without an installation. An exception is a
line of `constraints/audit.txt` with its reason; one that no set needs any more is named too. Exit
code 0: nothing but exceptions; 1: a vulnerability without one; 3: not run, because the advisory
service cannot be reached or does not know a package.
"""

import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETS = ("current", "addons")
UNREACHABLE = 3


class Found(NamedTuple):
    """A vulnerability of a package of a set."""

    package: str
    version: str
    name: str  # the first of its ids
    aliases: frozenset[str]  # all of them
    fixed: str  # versions without it


def main() -> int:
    """Prints each vulnerability with its reason; returns the exit code."""
    excepted = exceptions((ROOT / "constraints" / "audit.txt").read_text(encoding="utf-8"))
    open_, needed = 0, set()
    for name in SETS:
        answer = ask(ROOT / "constraints" / f"{name}.txt")
        unknown = skipped(answer)
        if unknown:
            print(f"{name}: not run, {len(unknown)} packages got no answer, such as {unknown[0]}.")
            return UNREACHABLE
        found = parse(answer)
        print(f"{name}: {len(answer)} packages, {len(found)} vulnerabilities")
        for one in found:
            known = one.aliases & excepted.keys()
            needed |= known
            reason = excepted[min(known)] if known else "NO EXCEPTION"
            open_ += not known
            fixed = f", fixed in {one.fixed}" if one.fixed else ""
            print(f"  {one.package} {one.version}: {one.name}{fixed}: {reason}")
    for name in sorted(excepted.keys() - needed):
        print(f"constraints/audit.txt: nothing has {name} any more: delete its line.")
    return 1 if open_ else 0


def exceptions(text: str) -> dict[str, str]:
    """Returns id to reason, of lines `ID: reason`; `#` begins a comment.

    Raises:
      ValueError: a line without a reason.
    """
    found = {}
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, _, reason = line.partition(":")
        if not reason.strip():
            raise ValueError(f"constraints/audit.txt: {line!r} has no reason: write `ID: reason`.")
        found[name.strip()] = reason.strip()
    return found


def ask(requirements: pathlib.Path) -> list[dict[str, Any]]:
    """Returns what `pip-audit` says of each of the pinned requirements; nothing: no answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements)]
    command += ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout)["dependencies"] if done.stdout.startswith("{") else []


def skipped(answer: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the packages that nobody was asked about, each with the reason.

    `pip-audit` exits with 0 where the service knows no package at all: that is no clean bill.
    """
    if not answer:
        return ["all of them (the advisory service cannot be reached)"]
    return [f"{one['name']} ({one['skip_reason']})" for one in answer if "skip_reason" in one]


def parse(answer: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Returns the vulnerabilities of an answer, by package."""
    return [
        Found(
            package["name"],
            package["version"],
            one["id"],
            frozenset({one["id"], *one.get("aliases", ())}),
            ", ".join(one.get("fix_versions", ())),
        )
        for package in sorted(answer, key=lambda one: one["name"])
        for one in package.get("vulns", ())
    ]


if __name__ == "__main__":
    sys.exit(main())
