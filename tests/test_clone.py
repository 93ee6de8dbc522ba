"""A clone runs without being installed, from any directory; where a package lacks, it says so."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import small
from tfav.training import environment

ROOT = pathlib.Path(__file__).parent.parent
BINARIES = sorted(p.stem for p in (ROOT / "bin").glob("*.py") if "def run() ->" in p.read_text())


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> pathlib.Path:
    """A copy of the sources, and beside it packages that are all but an installed tfav."""
    folder = tmp_path_factory.mktemp("a clone")
    for name in ("bin", "configs", "tfav"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


# Runs a file as Python does, but for the finder by which an editable install is found.
UNINSTALLED = """
import os, runpy, sys
sys.meta_path[:] = [f for f in sys.meta_path if "Editable" not in str(f)]
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _run(clone, binary, *flags, cwd):
    command = [sys.executable, "-c", UNINSTALLED, str(clone / "bin" / f"{binary}.py"), *flags]
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environ)


@pytest.mark.parametrize("binary", BINARIES)
def test_every_binary_runs_as_a_file_of_a_clone_from_another_directory(clone, tmp_path, binary):
    done = _run(clone, binary, "--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    source = (ROOT / "bin" / f"{binary}.py").read_text()
    assert source.split('"""')[1].splitlines()[0] in done.stdout


def test_a_clone_trains_and_finds_its_configs_from_another_directory(clone, tmp_path):
    data = small.write_dataset(str(tmp_path / "data"))
    flags = ("--config=configs/voice_face.py:demo", f"--workdir={tmp_path}/run")
    flags += (f"--config.data.directory={data}", "--config.train.batch_size=4")
    flags += ("--config.train.num_steps=1", "--config.train.warmup_steps=0")
    flags += ("--config.train.validate_every=0", "--config.image.size=32")
    done = _run(clone, "train", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "weights.npz").exists()
    # It was the clone's code: that of this repository has a revision.
    assert environment.starts(str(tmp_path / "run"))[0]["revision"] is None


@pytest.mark.parametrize("binary", BINARIES)
def test_a_missing_package_is_a_sentence_that_says_how_to_install(clone, binary):
    script = (
        "import importlib.util, runpy, sys; find = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda n, *a: None if n == 'tensorflow' else find(n, *a); "
        f"sys.path[0] = {str(clone / 'bin')!r}; "
        f"runpy.run_path({str(clone / 'bin' / (binary + '.py'))!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"error: tensorflow is not installed in {sys.prefix}: run `make install`" in done.stderr
