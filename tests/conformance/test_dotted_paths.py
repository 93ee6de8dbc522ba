"""What a dotted path leads to is checked at every table that takes one, and is a sentence there."""

import ast
import pathlib

import pytest

from tests import small
from tfav import registry
from tfav.commands import encoder_formats, report
from tfav.commands.pages import page_kind
from tfav.commands.protocols import table as protocols
from tfav.data import kinds
from tfav.data.input import augment
from tfav.data.prepare import row_checks, sources
from tfav.data.prepare.doctor import questions
from tfav.encoders import audio, vector_heads, vgg
from tfav.experiment import models
from tfav.export.lite import precisions
from tfav.layers import blocks, classifiers, frontend_table, fusion, margins
from tfav.losses import alignment
from tfav.recipes import balances, balancing, dmc, mmcosine, modal_heads
from tfav.training import optimizers, strategy

ROOT = pathlib.Path(__file__).parent.parent.parent
# Modules, functions that Python has built in, classes of it, and paths that lead nowhere.
WRONG = ["os.path", "os.getcwd", "builtins.int", "builtins.len", "..x", "os."]
WRONG += ["os..path", "nowhere.at_all", "math.pi"]


def _config(**fields):
    c = small.config("")
    c.update_from_flattened_dict(fields)
    return c


def _encoders():
    return {m: audio.Tiny(8, seed=1, name=m) for m in ("audio", "image")}


def _mmcosine(**arguments):
    return mmcosine.MMCosine(_encoders(), 3, **{"head": "cosine", "fusion": "concat", **arguments})


def _optimizer(path):
    return optimizers.create(path, 0.1, schedule="constant", num_steps=1)


def _source(path):
    source = sources.named(sources.SOURCES, path)
    row_checks.check_rows(source.rows(None), path)


def _page(path):
    return registry.lookup(report.PAGES, path, "page", registry.instance(page_kind.PageKind))


def _kernel(path):
    return blocks.Conv(2, (1, 1), seed=0, init=path).build((None, 1, 1, 1))


def _vgg(make):
    return lambda path: make(8, global_pool=path)


# Where a path is looked up to what does so.
DOORS = {
    "training/strategy.py": [strategy.create],
    "training/optimizers.py": [_optimizer],
    "recipes/modal_heads.py": [
        lambda path: _mmcosine(head=path),
        lambda path: _mmcosine(fusion=path),
        lambda path: modal_heads.class_weights({"head": path}, {"audio": 4}, 5, False),
    ],
    "recipes/balances.py": [lambda path: _mmcosine(balance=path)],
    "encoders/vector_heads.py": [lambda path: vector_heads.MLP(8, 4, norm=path)],
    "recipes/dmc.py": [lambda path: dmc.DMC(_encoders(), 0, mode=path)],
    "export/lite/precisions.py": [precisions.find],
    "losses/alignment.py": [alignment.resolve],
    "experiment/models.py": [
        lambda path: models.encoders(_config(**{"audio.encoder": path})),
        lambda path: models.recipe_class(_config(recipe=path)),
    ],
    "layers/frontend_table.py": [lambda path: frontend_table.make({"kind": path, "num_mels": 40})],
    "layers/blocks.py": [_kernel],
    "layers/margins.py": [lambda path: margins.Margin(1.0, kind=path, margin=0.1)],
    "data/kinds/kind.py": [kinds.find],
    "data/input/augment.py": [lambda path: augment.resolve([path]), augment.changes_sound],
    "data/prepare/doctor/questions.py": [lambda path: questions.named([path])],
    "data/prepare/sources/source.py": [
        lambda path: sources.Source(path).rows(None),
        _source,
    ],
    "encoders/vgg.py": [_vgg(vgg.VGGish), lambda path: vgg.VGG16(8, 32, global_pool=path)],
    "commands/report.py": [_page],
    "commands/encoder_formats.py": [
        lambda path: encoder_formats._rows(None, "audio", path, ["float32"], 1.0)
    ],
    "commands/protocols/table.py": [protocols.find],
}


def test_every_place_that_looks_a_path_up_is_walked_here():
    calls = {}
    for file in sorted((ROOT / "tfav").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "registry.lookup":
                calls.setdefault(str(file.relative_to(ROOT / "tfav")), []).append(node)
    assert {name: len(found) for name, found in calls.items()} == {
        name: len(found) for name, found in DOORS.items()
    }


CASES = [(f"{name}:{n}", door) for name, doors in DOORS.items() for n, door in enumerate(doors)]


@pytest.mark.parametrize("path", WRONG)
@pytest.mark.parametrize(("name", "door"), CASES, ids=[name for name, _ in CASES])
def test_a_path_to_something_else_is_a_sentence(name, door, path):
    with pytest.raises(registry.UserError) as caught:
        door(path)
    said = str(caught.value)
    assert path in said and "\n" not in said and said.endswith(".")


ROWS = {
    registry.subclass(classifiers.ModalityClassifier): classifiers.HEADS,
    registry.subclass(balancing.Balance): balances.BALANCES,
    registry.FUNCTION: {**fusion.FUSIONS, **alignment.ALIGNMENT, **frontend_table.FRONTENDS},
    registry.function("cosine", "margin"): margins.MARGINS,
    registry.function("learning_rate", "momentum"): optimizers.OPTIMIZERS,
    registry.function(): {**strategy.STRATEGIES, **vector_heads.NORMS},
    registry.function("evidence"): questions.FINDINGS,
    registry.function("x", "seed"): {
        **augment.IMAGE_AUGMENTATIONS,
        **augment.AUDIO_AUGMENTATIONS,
    },
}


@pytest.mark.parametrize("wanted", ROWS, ids=lambda wanted: wanted.words)
def test_the_rows_of_a_table_are_what_a_path_must_lead_to(wanted):
    assert all(wanted.holds(row) for row in ROWS[wanted].values())


@pytest.mark.parametrize("lies", ["a file", "a package", "nowhere"])
def test_code_that_lies_here_and_is_not_sought_here_is_told_how_to_be_found(
    tmp_path, monkeypatch, lies
):
    """Installed commands seek modules beside themselves, not in the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    name = f"mine_{lies[-4:]}"
    if lies == "a file":
        (tmp_path / f"{name}.py").touch()
    if lies == "a package":
        (tmp_path / name).mkdir()
    with pytest.raises(registry.UserError) as told:
        registry.lookup({}, f"{name}.losses.gap", "alignment")
    hint = f"write PYTHONPATH=. before the command, with which Python finds the {name} in here."
    assert str(told.value).endswith("correct the path." if lies == "nowhere" else hint)
