"""Wherever vectors of two origins meet, those of another embedding space are refused by name."""

import types

import numpy as np
import pytest

from tfav import files, hearing, registry
from tfav.browser import gallery
from tfav.clients import client
from tfav.commands import search
from tfav.inference import embeddings_file, model
from tfav.inference.model_results import Embeddings

MINE, OTHER = "0123456789abcdef", "f" * 16
UNIT = np.eye(2, dtype=np.float32)


def opened(space=MINE):
    """A model that embeds nothing, of a space."""
    facts = {"modalities": ("audio", "image"), "items": {}, "hearing": hearing.Hearing()}
    none = dict.fromkeys(("threshold", "temperature", "decisions"))
    return model.Model(types.SimpleNamespace(embedding_space=space, classes=(), **facts, **none))


def given(space, modality="audio"):
    return Embeddings({modality: ["a", "b"]}, {modality: UNIT}, space, {})


def stored(folder, space, modality="audio"):
    path = str(folder / f"{modality}-{space}.npz")
    arrays = {f"{modality}_id": np.array(["a", "b"]), modality: UNIT}
    files.write_npz(path, {"embedding_space": np.array(space), **arrays})
    return path


def searched(folder, spaces, monkeypatch, named):
    monkeypatch.setattr(search.load, "load", lambda path: opened())
    index, query = (stored(folder, *x) for x in zip(spaces, ("image", "audio")))
    return search.search([index], [query], "a run" if named else "")


def asked(monkeypatch, space):
    answer = {"scores": [[1.0]], "best": [0], "embedding_space": [[0x01234567, -0x76543211]]}
    monkeypatch.setattr(client.Client, "predict", lambda self, signature, inputs: answer)
    return client.Client("http://localhost:1", "m").match(UNIT[0], UNIT[:1], embedding_space=space)


def shown(folder, space):
    embedder = types.SimpleNamespace(embedding_space=MINE, path="an export")
    return gallery.read([stored(folder, space)], embedder, compared=True)


# Door to a call with vectors of a space, of which all else is `MINE`.
DOORS = {
    "tfav-search, index": lambda f, s, m: searched(f, (s, MINE), m, False),
    "tfav-search, query": lambda f, s, m: searched(f, (MINE, s), m, False),
    "tfav-search, index and model": lambda f, s, m: searched(f, (s, MINE), m, True),
    "tfav-search, query and model": lambda f, s, m: searched(f, (MINE, s), m, True),
    "tfav-web, gallery": lambda f, s, m: shown(f, s),
    "a .npz that is read for a model": lambda f, s, m: embeddings_file.read(stored(f, s), MINE, ""),
    "Model.match, probe": lambda f, s, m: opened().match(given(s), given(MINE)),
    "Model.match, candidates": lambda f, s, m: opened().match(given(MINE), given(s)),
    "Model.similarity": lambda f, s, m: opened().similarity(given(MINE), given(s)),
    "client.match": lambda f, s, m: asked(m, s),
}


@pytest.mark.parametrize("door", DOORS)
def test_vectors_of_another_space_are_refused_by_name_and_their_own_are_not(
    door, tmp_path, monkeypatch
):
    assert DOORS[door](tmp_path, MINE, monkeypatch) is not None
    with pytest.raises((registry.UserError, client.ServingError)) as refusal:
        DOORS[door](tmp_path, OTHER, monkeypatch)
    assert MINE in str(refusal.value) and OTHER in str(refusal.value)
    assert str(refusal.value).endswith("embed both with one model.")
