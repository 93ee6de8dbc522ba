"""Changes each term of each recipe's losses once and says which change no test notices.

    python -m tests.mutate [voice_face dmc ...]

Every sum, product and quotient in `compute_losses`, and in the functions of the same
file that it calls, loses one side at a time; every `+=` is left out. The tests of the recipe then
run on a copy of the sources. It takes some minutes for each recipe and is no part of `make test`.
"""

import ast
import copy
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import tqdm

ROOT = pathlib.Path(__file__).parent.parent
CONFORMANCE = "tests/conformance/test_recipes.py"
TESTS = {
    "voice_face": ["tests/recipes/test_voice_face.py", CONFORMANCE],
    "mmcosine": ["tests/recipes/test_mmcosine.py", CONFORMANCE],
    "dmc": ["tests/recipes/test_dmc.py", CONFORMANCE],
    "infonce": ["tests/recipes/test_dmc.py", CONFORMANCE],
    "l3": ["tests/recipes/test_dmc.py", CONFORMANCE],
    "correspondence": ["tests/recipes/test_dmc.py", CONFORMANCE],
}
STARTS = ("compute_losses", "compare", "matches")


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Returns the functions that compute losses, and those of the file that they call."""
    every = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    found: dict[str, ast.FunctionDef] = {}
    waiting = [name for name in STARTS if name in every]
    while waiting:
        name = waiting.pop()
        found[name] = every[name]
        for node in ast.walk(every[name]):
            called = node.func if isinstance(node, ast.Call) else None
            called = getattr(called, "attr", getattr(called, "id", None))
            if called in every and called not in found and called.startswith("_"):
                waiting.append(called)
    return list(found.values())


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yields what was changed and the changed source, one change at a time."""
    tree = ast.parse(source)
    places = [n for f in functions(tree) for n in ast.walk(f)]
    for number, node in enumerate(places):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.BitOr):
            for side in ("left", "right"):
                yield _changed(tree, number, side)
        elif isinstance(node, ast.AugAssign):
            yield _changed(tree, number, "pass")


def _changed(tree: ast.Module, number: int, how: str) -> tuple[str, str]:
    tree = copy.deepcopy(tree)
    places = [n for f in functions(tree) for n in ast.walk(f)]
    target = places[number]

    class Change(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if node is target:
                return ast.Pass() if how == "pass" else getattr(node, how)
            return self.generic_visit(node)

    what = f"line {target.lineno}: {ast.unparse(target)} becomes "
    what += "nothing" if how == "pass" else ast.unparse(getattr(target, how))
    return what, ast.unparse(ast.fix_missing_locations(Change().visit(tree)))


def main(names: list[str]) -> int:
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        for part in ("tfav", "tests"):
            shutil.copytree(ROOT / part, pathlib.Path(folder) / part)
        shutil.copy(ROOT / "setup.cfg", folder)
        for name in names or TESTS:
            path = pathlib.Path("tfav/recipes") / f"{name}.py"
            source = (ROOT / path).read_text()
            for what, changed in tqdm.tqdm(list(mutants(source)), desc=name):
                (pathlib.Path(folder) / path).write_text(changed)
                command = [sys.executable, "-m", "pytest", "-x", "-q", *TESTS[name]]
                environment = {**os.environ, "PYTHONPATH": folder}
                done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
                if done.returncode == 0:
                    survivors.append(f"{path} {what}")
                    tqdm.tqdm.write(survivors[-1])
            (pathlib.Path(folder) / path).write_text(source)
    print(f"{len(survivors)} changes survive")
    return len(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
