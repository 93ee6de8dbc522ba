"""A file is data: nothing in the library makes code of one, or can be made to."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    p for part in ("tfav", "bin", "configs", "release") for p in (ROOT / part).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FUNCTIONS = {"eval", "exec", "compile"}
# Loaders that run what they read unless told otherwise: what a call of each must say.
LOADERS = {
    ("torch", "load"): {"weights_only": True},
    ("np", "load"): {"allow_pickle": False},
    ("numpy", "load"): {"allow_pickle": False},
    ("yaml", "load"): None,
    ("yaml", "unsafe_load"): None,
    ("yaml", "full_load"): None,
}
# Without the argument, NumPy refuses objects; PyTorch before 2.6 does not.
DEFAULTS = {"allow_pickle": False}


def found_in(text: str) -> list[str]:
    """Returns what a file does that could run code of data, each with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"{node.lineno}: {n}" for n in names if n.partition(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            found.append(f"{node.lineno}: {node.func.id}")
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            name = (node.func.value.id, node.func.attr)
            if name in LOADERS and not _is_told(node, LOADERS[name]):
                found.append(f"{node.lineno}: {'.'.join(name)}")
        shell = [k.value for k in node.keywords if k.arg == "shell"]
        if any(not isinstance(x, ast.Constant) or x.value for x in shell):
            found.append(f"{node.lineno}: shell")
    return found


def _is_told(call: ast.Call, wanted: dict[str, bool] | None) -> bool:
    given = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
    return wanted is not None and (DEFAULTS | given).items() >= wanted.items()


def test_no_file_of_the_library_runs_what_it_reads():
    found = {str(path): found_in(path.read_text(encoding="utf-8")) for path in FILES}
    assert len(found) > 300
    assert not {path: what for path, what in found.items() if what}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "eval('1')",
        "exec(text)",
        "yaml.load(file, Loader=yaml.SafeLoader)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_what_is_looked_for_is_found(text):
    assert len(found_in(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["yaml.safe_load(file)", "np.load(path)", "torch.load(path, weights_only=True)", "a.eval()"],
)
def test_what_is_harmless_is_not(text):
    assert not found_in(text)
