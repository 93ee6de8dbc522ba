"""Builds what a release consists of, and checks it in a clean environment.

    python -m release.build --output=dist

In `dist/`: the wheel, the sdist, an SBOM (CycloneDX) of what the wheel installs, a template of a
model card, and SHA256SUMS. Wheel and sdist are built twice, from two checkouts of the last commit,
and must be the same bytes: every time stamp is that of the commit. What is not committed is no part
of a release.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUMS = "SHA256SUMS"
CARD = "model_card_template.md"


class ReleaseError(Exception):
    """Why there is no release, as one sentence."""


def main() -> int:
    """Makes a release; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="dist", help="folder of the release; made anew")
    output = pathlib.Path(parser.parse_args().output).resolve()
    try:
        version = check_version(ROOT)
        with tempfile.TemporaryDirectory() as scratch:
            for line in release(version, output, pathlib.Path(scratch)):
                print(line, flush=True)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def release(version: str, output: pathlib.Path, scratch: pathlib.Path):
    """Makes `output`; yields a line for each thing that was done."""
    epoch = commit_time(ROOT)
    built = [build(ROOT, scratch / name, epoch) for name in ("first", "second")]
    names = same_bytes(*built)
    yield f"built twice, the same bytes: {', '.join(names)}"
    stage = scratch / "dist"
    shutil.copytree(built[0], stage)
    _run([sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(stage.iterdir()))])
    yield "twine finds no fault in either"
    (wheel,) = stage.glob("*.whl")
    python, told = installed(wheel, scratch / "clean")
    yield told
    sbom = stage / f"tfav-{version}.cdx.json"
    write_sbom(python, sbom)
    yield f"SBOM of what the wheel installs: {sbom.name}"
    shutil.copy(ROOT / "release" / CARD, stage / CARD)
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(stage.iterdir())]
    (stage / SUMS).write_text("".join(lines), encoding="utf-8")
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(stage, output)
    yield f"{output}:"
    yield from (f"  {path.stat().st_size:>9} {path.name}" for path in sorted(output.iterdir()))


def check_version(root: pathlib.Path) -> str:
    """Returns the version, which the package, the changelog and the citation must agree on.

    Raises:
      ReleaseError: one of them says another.
    """
    found = {}
    for name, pattern in {
        "tfav/__init__.py": r'^__version__ = "([^"]+)"',
        "CHANGELOG.md": r"^## ([0-9][^\s]*)",
        "CITATION.cff": r"^version: (\S+)",
    }.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.M)
        found[name] = match.group(1) if match else "none"
    if len(set(found.values())) != 1 or "none" in found.values():
        told = ", ".join(f"{value} in {name}" for name, value in found.items())
        raise ReleaseError(f"the version is {told}: write the same one in all three.")
    return found["CHANGELOG.md"]


def commit_time(root: pathlib.Path) -> int:
    """Returns the time of the last commit, in seconds since 1970."""
    return int(_run(["git", "-C", str(root), "log", "-1", "--format=%ct"]))


def build(root: pathlib.Path, scratch: pathlib.Path, epoch: int) -> pathlib.Path:
    """Builds wheel and sdist of the last commit in a checkout of their own.

    Returns:
      the folder of both.
    """
    source, output = scratch / "source", scratch / "out"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(root), "archive", "HEAD"], stdout=subprocess.PIPE, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(source, filter="data")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output)]
    _run([*command, str(source)], env=environment, umask=0o022)
    for sdist in output.glob("*.tar.gz"):
        sdist.write_bytes(normalised(sdist.read_bytes(), epoch))
    return output


def normalised(sdist: bytes, epoch: int) -> bytes:
    """Returns a `.tar.gz` of the same files, in order, with one time and no owner.

    setuptools writes the time of the build into an sdist, whatever SOURCE_DATE_EPOCH says.

    Args:
      sdist: the content of a `.tar.gz`.
      epoch: the time of every member, in seconds since 1970.
    """
    text = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(sdist)) as before,
        tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in sorted(before.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid = epoch, 0, 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            after.addfile(member, before.extractfile(member) if member.isfile() else None)
    return gzip.compress(text.getvalue(), mtime=epoch)


def same_bytes(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    """Returns the names of the files of two builds.

    Raises:
      ReleaseError: a file that differs, or that one of them lacks.
    """
    sums = [{path.name: _sha256(path) for path in folder.iterdir()} for folder in (one, other)]
    names = sorted(sums[0].keys() | sums[1].keys())
    differing = [name for name in names if sums[0].get(name) != sums[1].get(name)]
    if differing:
        raise ReleaseError(f"two builds of one commit differ in {', '.join(differing)}: find why.")
    return names


def installed(wheel: pathlib.Path, folder: pathlib.Path) -> tuple[pathlib.Path, str]:
    """Installs a wheel without TensorFlow in an environment of its own, and asks what it can.

    Returns:
      the environment's Python, and a line that says what was found.

    Raises:
      ReleaseError: a command is not listed, or the import takes TensorFlow.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pins = ROOT / "constraints" / "current.txt"
    _run([str(python), "-m", "pip", "install", "--quiet", "-c", str(pins), str(wheel)])
    elsewhere = {"cwd": str(folder)}  # where no source of this checkout can stand in
    listed = _run([str(folder / "bin" / "tfav")], **elsewhere)
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    wanted = re.findall(r"^    (tfav-\w+) =", setup, re.M)
    missing = [name for name in wanted if f"  {name} " not in listed]
    if missing:
        raise ReleaseError(f"the installed wheel does not list {', '.join(missing)}.")
    script = "import sys, tfav; tfav.UserError; "
    script += "print(tfav.__version__, 'tensorflow' in sys.modules)"
    version, heavy = _run([str(python), "-c", script], **elsewhere).split()
    if heavy != "False":
        raise ReleaseError("import tfav takes TensorFlow.")
    return python, (
        f"the wheel of {version} installs without TensorFlow and lists {len(wanted)} commands"
    )


def write_sbom(python: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the SBOM of an environment, without time and serial number: the same each time."""
    _run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "uninstall",
            "-qy",
            "pip",
            "setuptools",
        ]
    )
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    _run([*command, "-o", str(path), str(python)])
    found = json.loads(path.read_text(encoding="utf-8"))
    for component in found["components"]:
        for reference in component.get("externalReferences", ()):
            if reference["url"].startswith("file:"):  # of the wheel, in a folder of this machine
                reference["url"] = reference["url"].rpartition("/")[2]
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(command: Sequence[str], **how: object) -> str:
    """Returns what a command prints.

    Raises:
      ReleaseError: it failed, with the end of what it printed.
    """
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:4])} ... failed:\n{done.stdout[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
