"""What docs/methods.md names is there: every path, name in it, test, variant and command."""

import ast
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
TOKENS = sorted(set(re.findall(r"`([^`]+)`", TEXT)))
TESTS = [token for token in TOKENS if re.fullmatch(r"tests/[\w/]+\.py::\w+", token)]
CONFIGS = [token for token in TOKENS if re.fullmatch(r"configs/\w+\.py:\w+", token)]
CODE = [token for token in TOKENS if re.fullmatch(r"tfav/[\w/]+\.py:\w+", token)]
COMMANDS = [token for token in TOKENS if token.startswith("tfav-")]


def _names(path: pathlib.Path) -> set[str]:
    """Returns the functions, classes, methods and tables that a file defines."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _rows() -> list[list[str]]:
    """Returns the cells of every row of the tables of statements."""
    lines = [line for line in TEXT.split("## Open questions")[0].splitlines() if line[:2] == "| "]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if not line.startswith("| statement")
    ]


def test_every_row_has_four_cells_and_none_is_empty():
    rows = _rows()
    assert len(rows) > 70
    for row in rows:
        assert len(row) == 4 and all(row), row
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0][:40])
def test_a_row_names_code_a_test_and_how_it_is_run(row):
    statement, code, test, use = row
    del statement
    assert set(re.findall(r"`([^`]+)`", code)) & {*CODE, *CONFIGS}
    assert set(re.findall(r"`([^`]+)`", test)) & {*TESTS}
    assert set(re.findall(r"`([^`]+)`", use)) & {*CONFIGS, *COMMANDS}


def test_every_path_that_is_named_is_of_a_form_that_is_checked():
    paths = [token for token in TOKENS if token.endswith(".py") or ".py:" in token]
    known = {*TESTS, *CONFIGS, *CODE, "path.py:name", "path.py::name"}
    assert [token for token in paths if token not in known] == ["tests/test_methods.py"]


@pytest.mark.parametrize("token", CODE)
def test_code_is_where_the_page_says(token):
    path, _, name = token.partition(":")
    assert name in _names(ROOT / path)


@pytest.mark.parametrize("token", TESTS)
def test_a_test_is_where_the_page_says(token):
    path, _, name = token.partition("::")
    assert name.startswith("test_") and name in _names(ROOT / path)


@pytest.mark.parametrize("token", CONFIGS)
def test_a_variant_is_in_its_config(token):
    path, _, variant = token.partition(":")
    importlib.import_module(f"tfav.configs.{pathlib.Path(path).stem}").get_config(variant)


@pytest.mark.parametrize("token", COMMANDS)
def test_a_command_is_installed(token):
    assert f"    {token} = tfav." in (ROOT / "setup.cfg").read_text(encoding="utf-8")


def test_fields_that_the_page_names_are_fields():
    """`model.margin` and its like, in the row of the config that has them."""
    for line in TEXT.splitlines():
        fields = re.findall(r"`((?:model|loss)\.\w+)`", line)
        variants = [token for token in CONFIGS if f"`{token}`" in line]
        for field in fields:
            section, _, name = field.partition(".")
            found = [
                importlib.import_module(f"tfav.configs.{pathlib.Path(v.split(':')[0]).stem}")
                for v in variants
            ]
            configs = [m.get_config(v.partition(":")[2]) for m, v in zip(found, variants)]
            assert any(name in c[section] for c in configs), field
