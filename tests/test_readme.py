"""What README, exports/README.md and docs/ tell a reader to type works, in order, in one folder.

Every ```bash and ```python block runs, but for those that begin with `# not run:`, with `make` or
with `git clone`; of these, targets, flags and config fields are checked. The folder holds what the
README says a reader has: `bin/`, `configs/`, and `mine.csv` with its audio and images.
"""

import configparser
import csv
import functools
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import config

ROOT = pathlib.Path(__file__).parent.parent
BIN = os.path.dirname(sys.executable)  # of the environment: not resolved
DOCS = tuple(sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")))
COMMANDS = ("README.md", "exports/README.md", *DOCS)
LINKING = (*COMMANDS, "CONTRIBUTING.md", "SECURITY.md", "samples/README.md")


class Block(NamedTuple):
    where: str
    language: str
    code: str

    @property
    def runs(self) -> bool:
        # What begins with the mark of an inclusion is a file, which has a test of its own.
        return not self.code.startswith(("# not run:", "make", "git clone", "--8<--"))


def _blocks() -> list[Block]:
    found = []
    for document in COMMANDS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for match in re.finditer(r"^```(bash|python)\n(.*?)^```$", text, re.S | re.M):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(f"{document}:{line}", *match.groups()))
    return found


BLOCKS = _blocks()
FIRST = next(block for block in BLOCKS if block.runs)


def _commands(block: Block) -> list[list[str]]:
    """The words of each line, lines that end in a backslash joined."""
    lines = block.code.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.split("#")[0].strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A reader's folder: 70 people, each with two sounds of a second and two small images."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("bin", "configs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "exports").mkdir()
    random = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    rows = []
    for k in range(70):
        split = "train" if k < 34 else "val" if k < 48 else "test"
        for i in range(2):
            audio, image = f"audio/{k}/{i}.wav", f"images/{k}/{i}.jpg"
            for path in (audio, image):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
            hum = 0.3 * np.sin(2 * np.pi * (100 + 5 * k) * time)
            soundfile.write(folder / audio, hum + 0.01 * random.normal(size=16_000), 16_000)
            pixels = random.integers(0, 50, (40, 32, 3)) + np.array([2 * k, 180 - 2 * k, 90])
            Image.fromarray(pixels.astype(np.uint8)).save(folder / image)
            gender = "fm"[k % 2]
            rows.append([f"{k}/{i}.wav", split, f"person{k}", audio, "", gender])
            rows.append([f"{k}/{i}.jpg", split, f"person{k}", "", image, gender])
    with open(folder / "mine.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "split", "label", "audio", "image", "gender"], *rows])
    return folder


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.runs], ids=lambda b: b.where)
def test_block_runs(block, folder, forks):
    for module in re.findall(r"^(?:from|import) (ai_edge_litert)\b", block.code, re.M):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module} on this dependency line")
    if block.language == "python":
        _run_from_scratch(block, ["python", "-c", block.code], folder)
        return
    code = block.code
    if block == FIRST:
        # One line as a shell starts it; `_help` and tests/test_clone.py start others so.
        first, _, code = code.partition("\n")
        _run_from_scratch(block, ["bash", "-e", "-c", first], folder)
    for words in _commands(block._replace(code=code)):
        done = forks.run(words[0].removeprefix("tfav-"), *words[1:], cwd=folder)
        assert done.code == 0, f"{block.where}\n{words}\n{done.stdout}{done.stderr}"[-3000:]


def _run_from_scratch(block, command, folder):
    environment = {**os.environ, "PATH": os.pathsep.join([BIN, os.environ["PATH"]])}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{block.where}\n{command}\n{done.stdout[-3000:]}"


def test_every_command_of_the_package_is_told_of_and_the_main_ones_run():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for script in scripts:
        assert script.split(" = ")[0] in text, "README.md does not tell of it"
    run = {words[0] for b in BLOCKS if b.runs and b.language == "bash" for words in _commands(b)}
    assert run >= {"tfav-prepare", "tfav-train", "tfav-eval", "tfav-export", "tfav-embed"}


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_every_make_target_exists():
    making = [words for b in BLOCKS for words in _commands(b) if words[0] == "make"]
    assert {target for words in making for target in words[1:]} >= {"demo", "test"}
    # A make that runs the tests hands its own variables down.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    for words in making:
        done = subprocess.run(
            [words[0], "-n", *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@functools.cache
def _help(command: str) -> str:
    """What a command says of its flags."""
    full = "--help" if command == "tfav-client" else "--helpfull"
    path = os.path.join(BIN, command)
    return subprocess.run([path, full], capture_output=True, text=True).stdout


def _fields(words: list[str]):
    """The fields of the config of ours that a command names, else those that every config has."""
    named = [word.partition("=")[2] for word in words if word.startswith("--config=")]
    path, _, variant = named[0].partition(":") if named else ("", "", "")
    if not path.startswith("configs/"):
        return config.base()
    module = importlib.import_module(f"tfav.configs.{pathlib.Path(path).stem}")
    # A variable of the shell stands for several, which have the same fields.
    return module.get_config(*[variant] if variant and "$" not in variant else [])


@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if not b.runs and b.language == "bash"],
    ids=lambda b: b.where,
)
def test_every_flag_of_a_block_that_is_not_run_exists(block):
    for words in _commands(block):
        if not words[0].startswith("tfav-"):
            continue
        known, fields = _help(words[0]), _fields(words)
        for word in words[1:]:
            if words[0] == "tfav-client" and not word.startswith("-"):
                continue  # what it is to do, and files
            flag = word.partition("=")[0].lstrip("-")
            if flag.startswith("config."):
                field = fields
                for part in flag.split(".")[1:]:
                    assert part in field, f"{block.where}: no field {flag}"
                    field = field[part]
            else:
                assert re.search(rf"--(\[no\])?{flag}\b", known), f"{block.where}: no flag {flag}"


@pytest.mark.parametrize("document", LINKING)
def test_every_relative_link_and_picture_exists(document):
    file = ROOT / document
    text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.S | re.M)
    links = re.findall(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"", text)
    for link in map("".join, links):
        path = link.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            assert (file.parent / path).exists(), f"{document} leads to {link}, which is not there"
