"""tfav-search: the nearest of a gallery, and what it refuses, by name."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import untrained
from tfav import files, registry
from tfav.commands import embed, load, search
from tfav.evaluation import decisions

SPACE = "0123456789abcdef"


def write(path, space=SPACE, **modalities):
    """Writes a .npz as tfav-embed does: modality to {id: vector}."""
    arrays = {"embedding_space": np.array(space)}
    for modality, vectors in modalities.items():
        arrays[f"{modality}_id"] = np.array(list(vectors))
        arrays[modality] = np.array(list(vectors.values()), np.float32)
    files.write_npz(str(path), arrays)
    return str(path)


@pytest.fixture
def stored(tmp_path):
    """A gallery of three faces and a voice, and a voice and a face to search for."""
    faces = {"ann.jpg": [1, 0], "bob.jpg": [0, 1], "cy.jpg": [0.6, 0.8]}
    gallery = write(tmp_path / "gallery.npz", image=faces, audio={"ann.wav": [0.8, 0.6]})
    queries = write(tmp_path / "q.npz", audio={"who.wav": [1, 0]}, image={"who.jpg": [0, 1]})
    return gallery, queries


def test_every_query_is_searched_among_the_other_modality(stored):
    gallery, queries = stored
    found = search.search([gallery], [queries], top=2)
    voice, face = found.answers
    assert voice.query == "who.wav" and voice.modality == "audio"
    assert voice.found == [("ann.jpg", "image", 1.0), ("cy.jpg", "image", pytest.approx(0.6))]
    assert face.found == [("ann.wav", "audio", pytest.approx(0.6))]
    assert (found.method, found.recall, found.embedding_space) == ("exact", 1.0, SPACE)
    lines = search.table(found).splitlines()
    assert lines[0].split() == ["query", "rank", "cosine", "modality", "found"]
    assert [line.split() for line in lines[1:]] == [
        ["who.wav", "1", "1.0000", "image", "ann.jpg"],
        ["who.wav", "2", "0.6000", "image", "cy.jpg"],
        ["who.jpg", "1", "0.6000", "audio", "ann.wav"],
    ]
    assert search.about(found).splitlines() == [
        f"searched 3 image, 1 audio of the embedding space {SPACE} exactly",
        "no probability: name the model by --model, which may hold a calibration",
    ]
    told = json.loads(json.dumps(search.record(found)))
    assert told["queries"][0]["found"][0] == {"id": "ann.jpg", "modality": "image", "cosine": 1.0}


def test_a_target_is_searched_whatever_the_query_is_of(stored):
    gallery, queries = stored
    voice, face = search.search([gallery], [queries], target="image", top=1).answers
    assert voice.found[0][0] == "ann.jpg" and face.found[0][0] == "bob.jpg"


def test_a_gallery_of_the_same_modality_alone_is_searched(stored, tmp_path):
    gallery = write(tmp_path / "voices.npz", audio={"a.wav": [0, 1], "b.wav": [1, 0]})
    queries = write(tmp_path / "voice.npz", audio={"who.wav": [1, 0]})
    (answer,) = search.search([gallery], [queries]).answers
    assert [name for name, _, _ in answer.found] == ["b.wav", "a.wav"]


def test_faiss_is_taken_beyond_so_many_rows_and_says_its_recall(stored, monkeypatch):
    gallery, queries = stored
    monkeypatch.setattr(search.neighbours, "MANY", 2)
    monkeypatch.setattr(search.neighbours, "has_faiss", lambda: False)
    assert search.search([gallery], [queries], target="image").method == "exact"
    pytest.importorskip("faiss")
    monkeypatch.undo()
    found = search.search([gallery], [queries], target="image", method="faiss")
    assert found.answers == search.search([gallery], [queries], target="image").answers
    line = search.about(found).splitlines()[0]
    assert line.endswith("by FAISS, which found 100.0 % of the exact nearest")


WRONG = {
    "no file": ("none.npz", None, "none.npz does not exist: name a .npz"),
    "a text": ("a.npz", b"no zip", r"a.npz is not a whole .npz \(.*\): write it again"),
    "of nobody": ("b.npz", {"x": np.ones([2, 2])}, "does not say of which embedding space"),
    "objects": ("c.npz", {"embedding_space": np.array([{}])}, "is not a whole .npz .ValueError"),
    "no vectors": (
        "d.npz",
        {"embedding_space": np.array(SPACE), "audio_id": np.array(["x"])},
        "holds audio ids without a vector for each",
    ),
    "one too few": (
        "e.npz",
        {
            "embedding_space": np.array(SPACE),
            "audio_id": np.array(["x", "y"]),
            "audio": np.ones([1, 2], np.float32),
        },
        "holds audio ids without a vector for each",
    ),
    "not finite": (
        "f.npz",
        {
            "embedding_space": np.array(SPACE),
            "audio_id": np.array(["x"]),
            "audio": np.array([[np.nan, 1.0]]),
        },
        "holds audio vectors that are no finite numbers",
    ),
    "empty": ("g.npz", {"embedding_space": np.array(SPACE)}, "g.npz holds no vectors: embed"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("side", ["index", "query"])
def test_what_is_no_file_of_embeddings_is_named(stored, tmp_path, wrong, side):
    name, content, sentence = WRONG[wrong]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    sides = {"index": [stored[0]], "query": [stored[1]], side: [str(path)]}
    with pytest.raises(registry.UserError, match=sentence):
        search.search(**sides)


def test_vectors_of_another_space_are_refused_by_name(stored, tmp_path):
    other = write(tmp_path / "other.npz", space="f" * 16, audio={"x": [1, 0]})
    sentence = f"gallery.npz is of the embedding space {SPACE} and .*other.npz of f{{16}}: embed"
    with pytest.raises(registry.UserError, match=sentence):
        search.search([stored[0]], [other])


def test_wrong_flags_are_sentences(stored, tmp_path):
    gallery, queries = stored
    with pytest.raises(registry.UserError, match="holds image and audio and no depth: name one"):
        search.search([gallery], [queries], target="depth")
    with pytest.raises(registry.UserError, match="--query=voices is to be embedded and --model"):
        search.search([gallery], ["voices"])
    with pytest.raises(registry.UserError, match="--index=.*: name one .npz alone"):
        search.search([gallery, queries], [queries])
    wide = write(tmp_path / "wide.npz", audio={"x": [1, 0, 0]})
    with pytest.raises(registry.UserError, match="image vectors of .* 2 values and the audio .* 3"):
        search.search([gallery], [wide])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    data = untrained.write_data(folder / "data")
    return untrained.write(folder / "run", data, "infonce")


def test_files_and_folders_are_embedded_by_a_model(run, tmp_path):
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "who.wav", 0.3 * random.uniform(-1, 1, 9_000), 16_000)
    (tmp_path / "faces").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        pixels = random.integers(0, 256, [40, 32, 3], np.uint8)
        Image.fromarray(pixels).save(tmp_path / "faces" / name)
    index, query = [str(tmp_path / "faces")], [str(tmp_path / "who.wav")]
    found = search.search(index, query, run)
    (answer,) = found.answers
    model = load.load(run)
    voice, faces = model.embed(query), model.embed(index)
    match = model.match(voice, faces)
    order = np.argsort(-match.scores[0])
    assert [name for name, _, _ in answer.found] == [faces.ids["image"][k] for k in order]
    np.testing.assert_allclose(
        [score for _, _, score in answer.found], match.scores[0][order], atol=1e-6
    )
    # Stored once, they answer without the model; with another model they are refused.
    npz = write(
        tmp_path / "faces.npz",
        space=model.embedding_space,
        image=dict(zip(faces.ids["image"], faces.vectors["image"])),
    )
    assert search.search([npz], query, run).answers == found.answers
    other = write(tmp_path / "other.npz", image={"x": [1.0] * faces.vectors["image"].shape[1]})
    with pytest.raises(registry.UserError, match=f"other.npz .* {SPACE} and --model=.*run of"):
        search.search([other], query, run)


def test_the_modalities_of_a_classifier_are_not_compared(tmp_path):
    model = untrained.write(tmp_path / "run", untrained.write_data(tmp_path / "data"), "mmcosine")
    soundfile.write(tmp_path / "who.wav", 0.3 * np.sin(np.arange(16_000)), 16_000)
    Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    voice, both = str(tmp_path / "who.wav"), [str(tmp_path / name) for name in ("a.png", "who.wav")]
    refused = "embeddings of audio and of image share no space .* --target=audio, or name a model"
    with pytest.raises(registry.UserError, match=refused):
        search.search([str(tmp_path / "a.png")], [voice], model)
    found = search.search(both, [voice], model, target="audio")
    assert found.answers[0].found[0][:2] == (voice, "audio")
    assert search.about(found).endswith(f"no probability: {decisions.NO_SPACE}")
    embed.embed(model, both, str(tmp_path / "both.npz"), 0.0, False, False)
    with pytest.raises(registry.UserError, match=refused):
        search.search([str(tmp_path / "both.npz")], [str(tmp_path / "both.npz")])
