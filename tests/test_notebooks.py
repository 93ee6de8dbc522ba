"""The notebooks run from top to bottom, and are kept without what running them leaves behind."""

import json
import os
import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra notebooks")
    pytest.importorskip("ipykernel", reason="needs the extra notebooks")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where a notebook makes its folders
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parent)]))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=tmp_path)
    printed = [o["text"] for c in notebook.cells for o in c.get("outputs", ()) if "text" in o]
    assert printed, "it says nothing"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs_and_without_a_machines_paths(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert not re.search(r"""["'\s=(](/[\w.-]+/|[A-Z]:\\)""", text)
