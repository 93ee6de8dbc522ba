"""Wherever vectors of two origins meet, those of another embedding space are refused by name."""

import types

import numpy as np
import pytest

from tfav import files, hearing, registry
from tfav.browser import gallery
from tfav.clients import client
from tfav.commands import search
from tfav.evaluation import decisions
from tfav.inference import embeddings_file, model, spaces
from tfav.inference.model_results import Embeddings

MINE, OTHER = "0123456789abcdef", "f" * 16
UNIT = np.eye(2, dtype=np.float32)


def opened(space=MINE, shares_space=True):
    """A model that embeds nothing, of a space."""
    facts = {"modalities": ("audio", "image"), "items": {}, "hearing": hearing.Hearing()}
    none = dict.fromkeys(("threshold", "temperature", "decisions"))
    facts |= {"embedding_space": space, "shares_space": shares_space, "classes": ()}
    return model.Model(types.SimpleNamespace(**facts, **none))


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


# Two modalities of one model ---------------------------------------------------------------------


def apart(modality):
    return Embeddings({modality: ["a", "b"]}, {modality: UNIT}, MINE, {}, False)


def stored_apart(folder, modality, **more):
    path = str(folder / f"{modality}.npz")
    arrays = {f"{modality}_id": np.array(["a", "b"]), modality: UNIT}
    files.write_npz(path, {"embedding_space": np.array(MINE), **arrays, **more})
    return path


def found_apart(folder, one, other):
    """Searches stored embeddings of which one file alone, the later one, says it."""
    given = stored_apart(folder, one), stored_apart(folder, other, shares_space=np.array(False))
    return search.search([given[1]], [given[0]])


def found_by_model(folder, one, other, monkeypatch):
    """Searches files of before they said it, by a model that does."""
    monkeypatch.setattr(search.load, "load", lambda path: opened(shares_space=False))
    return search.search([stored_apart(folder, other)], [stored_apart(folder, one)], "a run")


APART = {
    "similarity": lambda f, a, b, m: opened(MINE, False).similarity(apart(a), apart(b)),
    "match": lambda f, a, b, m: opened(MINE, False).match(apart(a), apart(b)),
    "tfav-search, stored": lambda f, a, b, m: found_apart(f, a, b),
    "tfav-search, model": found_by_model,
}


@pytest.mark.parametrize("door", APART)
def test_modalities_without_a_common_space_are_compared_each_with_itself_alone(
    door, tmp_path, monkeypatch
):
    compare = APART[door]
    with pytest.raises(registry.UserError, match="of audio and of image share no space in this m"):
        compare(tmp_path, "audio", "image", monkeypatch)
    compare(tmp_path, "audio", "audio", monkeypatch)


def test_why_a_classifier_tells_no_probability_is_that_it_has_no_common_space():
    found = opened(MINE, False).match(apart("audio"), apart("audio"))
    assert found.scores.tolist() == [[1, 0], [0, 1]] and found.why == decisions.NO_SPACE
    assert opened().match(given(MINE), given(MINE, "image")).why == decisions.MISSING


def test_embeddings_of_before_files_said_it_are_taken_as_they_were(tmp_path):
    assert embeddings_file.read(stored_apart(tmp_path, "audio")).shares_space


# What the facts of an artefact say, and the signatures of the same export, to what that means.
FACTS = [
    ({"shares_space": False}, {"score"}, False),
    ({"shares_space": True, "scores_pairs": True}, set(), True),
    # Made before facts said so: a voice-face model, a classifier, and two that answer to pairs.
    ({}, set(), True),
    ({"classes": ["crow"]}, {"score"}, False),
    ({"scores_pairs": True}, {"score"}, True),
    ({"scores_pairs": True}, {"score_pairs"}, False),
    ({"localizes": True}, {"localize"}, False),
]


@pytest.mark.parametrize("facts, served, shares", FACTS)
def test_whether_an_artefact_has_a_common_space_is_read_of_old_ones_too(facts, served, shares):
    known = spaces.told({"classes": [], "localizes": False, **facts})
    assert spaces.shares(known, served) is shares
