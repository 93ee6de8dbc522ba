"""The house keeps its shape: imports go down, and what a machine can check of the rules holds."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROWS = [
    set(row.replace("|", " ").split())
    for row in re.findall(
        r"^row [0-9]+ +(.+)$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )
]
NUMPY_ONLY = (
    "theory.py",
    "files.py",
    "states.py",
    "scalars.py",
    "hearing.py",
    "items.py",
    "annotations/lists.py",
    "annotations/list_folder.py",
    "annotations/boxes.py",
)
FILES = sorted(p for folder in ("tfav", "bin", "configs") for p in (ROOT / folder).rglob("*.py"))


def _row(part: str) -> int:
    return next(i for i, row in enumerate(ROWS) if part in row)


def _part(file: pathlib.Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] in ("bin", "configs") else parts[1]


def _imports(file: pathlib.Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _calls(file: pathlib.Path) -> list[str]:
    calls = [n.func for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)]
    return [f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_down(file):
    if file.name == "__init__.py" and file.parent.name == "tfav":
        return
    mine = _part(file)
    for name in _imports(file):
        if not name.startswith("tfav."):
            continue
        other = name.split(".")[1]
        if other == mine or _row(other) == _row(mine) == 0:
            continue
        assert _row(other) < _row(mine), f"{file.name} (row of {mine}) imports {name}"
    if mine == "configs":
        assert {n for n in _imports(file) if n.startswith("tfav")} <= {"tfav.config"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_each_dependency_stays_where_it_belongs(file):
    part, imports = _part(file), _imports(file)
    heads = {name.split(".")[0] for name in imports}
    if part not in ("bin", "configs"):
        assert not any(name.startswith("absl.flags") for name in imports)
    if part not in ("bin", "configs", "config", "config_file", "experiment", "commands"):
        assert "ml_collections" not in heads
    assert not heads & {"tensorflow_addons", "tensorflow_io"}, "ask compat for it"
    assert "keras.ops" not in file.read_text() and "tf.keras" not in file.read_text()
    if any(str(file).endswith("tfav/" + name) for name in NUMPY_ONLY) or part == "evaluation":
        assert not heads & {"tensorflow", "keras", "matplotlib", "jinja2", "html"}
    assert "add_n" not in _calls(file), "sums.in_order rounds alike in every run"
    assert "BatchNormalization" not in _calls(file), "normalization.BatchNorm is synchronized"
    assert "Dropout" not in _calls(file), "dropout.SeededDropout is the one that resumes"


def test_contributing_draws_every_package_once():
    drawn = [part for row in ROWS for part in row]
    assert sorted(drawn) == sorted({_part(file) for file in FILES} - {"__init__"})


def test_contributing_names_no_test_that_is_not_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\w+/)*test_\w+\.py)`", text):
        assert (ROOT / "tests" / path.removeprefix("tests/")).is_file(), path


def test_no_file_has_a_name_that_says_nothing():
    assert not [f for f in FILES if f.stem in ("utils", "util", "common", "helpers", "misc")]


LINES = 250
# Modules that are longer than that, each with the reason why it is not split.
LONG = {
    "tfav/clients/client.py": "a client of a server is one file, which can be copied alone",
}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_module_is_longer_than_it_may_be(file):
    name = str(file.relative_to(ROOT))
    if name.startswith("configs/"):  # tables of experiments
        return
    length = len(file.read_text(encoding="utf-8").splitlines())
    if name in LONG:
        assert length > LINES, f"{name} is short enough by now: delete its row of LONG"
    else:
        assert length <= LINES, (
            f"{name} has {length} lines: move one of its subjects into a module of its own, or "
            "name it in LONG with the reason why that would make it worse"
        )


def test_every_package_with_code_is_in_the_wheel():
    text = (ROOT / "setup.cfg").read_text()
    packages = {str(f.parent.relative_to(ROOT)).replace("/", ".") for f in FILES}
    renamed = {"bin": "tfav.bin", "configs": "tfav.configs"}
    for package in packages:
        assert f"\n    {renamed.get(package, package)}\n" in text, package
    # The annotations serve users' type checkers.
    assert (ROOT / "tfav/py.typed").is_file() and "\ntfav = py.typed, toy/*\n" in text


def test_no_two_modules_have_one_name():
    """So that no import needs an alias; binaries and configs are called as what they call."""
    modules = [f.stem for f in FILES if f.parent.name not in ("bin", "configs")]
    modules = [name for name in modules if name != "__init__"]
    assert not sorted({name for name in modules if modules.count(name) > 1})
    packages = {f.parent.name for f in FILES if f.name == "__init__.py"} | {"tfav"}
    # The command of a binary has its name, which is that of the package that does the work.
    assert packages & set(modules) <= {"export"}


# Where the word may be compared, because it is no modality: the type of a stream of FFmpeg, and
# what the suffix of a file of a known layout says.
STREAMS, SUFFIX = "media/container.py", "formats.modality("


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nobody_asks_whether_a_modality_is_audio(file):
    """Its kind or its item says what is to be done, so that a further modality is a row."""
    if str(file).endswith(STREAMS):
        return
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            asked = "'audio'" in sides and not sides[0].startswith(SUFFIX)
            assert not asked, f"{file.name} line {node.lineno}"
