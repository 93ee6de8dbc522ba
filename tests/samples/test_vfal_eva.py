"""The converter of vfal-eva's pickles, on files of the structure that its scripts write.

The structures are those of its `scripts/1_verification.py`, `2_matching.py` and `3_retrieval.py`;
the files themselves were not at hand.
"""

import pathlib
import pickle
import runpy

import numpy as np
import pytest

from tfav.annotations import lists
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, sources
from tfav.evaluation import list_tasks, space

SAMPLE = pathlib.Path(__file__).parents[2] / "samples" / "vfal_eva.py"
PEOPLE = {"train": ["a", "b"], "valid": ["c", "d"], "test": ["e", "f", "g"]}
NAMES = [name for names in PEOPLE.values() for name in names]
WAVS = {n: [f"{n}/v{k}.wav" for k in range(2)] for n in NAMES}
JPGS = {n: [f"{n}/v{k}.jpg" for k in range(2)] for n in NAMES}
SIDES = (("audio", WAVS), ("image", JPGS))


def vector(path):
    """Of one person, voices and faces point the same way, and take 1 leans a little."""
    return np.eye(8, dtype=np.float32)[NAMES.index(path[0])] + 0.1 * ("1" in path)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vfal")
    e, f, g = ((WAVS[n], JPGS[n]) for n in "efg")
    # Person, voice, face, and those of another person.
    pairs = [
        ("e", e[0][0], e[1][1], "f", f[0][0], f[1][0]),
        ("g", g[0][1], g[1][0], "e", e[0][1], e[1][0]),
    ]
    trials = [[e[0][0], e[1][0], 1], [e[0][0], f[1][0], 0], [f[0][1], f[1][0], 1]]
    ten = [[[e[0][0], f[0][0], g[0][0]], [e[1][1], f[1][1], g[1][1]]]]
    group = [(wav, jpg, n) for n in PEOPLE["test"] for wav, jpg in zip(WAVS[n], JPGS[n])]
    content = {
        "info/train_valid_test_names.pkl": PEOPLE,
        "info/name2gender.pkl": {n: k % 2 for k, n in enumerate(NAMES)},
        "info/name2jpgs_wavs.pkl": {"name2wavs": WAVS, "name2jpgs": JPGS},
        "voice_input.pkl": {p: vector(p) for paths in WAVS.values() for p in paths},
        "face_input.pkl": {p: vector(p) for paths in JPGS.values() for p in paths},
        "evals/test_matching.pkl": {"match_list": pairs},
        "evals/test_matching_g.pkl": {"match_list": pairs[1:]},
        "evals/test_matching_10.pkl": {"match_list": ten},
        "evals/test_verification.pkl": {"list": trials},
        "evals/test_verification_g.pkl": {"list": trials},
        "evals/valid_verification.pkl": {
            "list": [[WAVS["c"][0], JPGS["c"][0], 1], [WAVS["c"][0], JPGS["d"][0], 0]]
        },
        "evals/test_retrieval.pkl": {"retrieval_lists": [group, group[::-1]]},
    }
    for name, value in content.items():
        path = folder / "dataset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(value))
    sample = runpy.run_path(str(SAMPLE))
    sample["convert"](str(folder / "dataset"), str(folder / "converted"))
    own = {"audio": "voices.npz", "image": "faces.npz"}
    own = {m: str(folder / "converted" / name) for m, name in own.items()}
    rows = sources.SOURCES["vectors"].rows(manifest.Options(own=own))
    settings = dataset.Settings(
        output=str(folder / "set"), lists=str(folder / "converted" / "lists")
    )
    dataset.prepare(rows, settings)
    return folder


def test_the_data_set_has_its_split_and_gender(converted):
    index = shards.Index.read(converted / "set")
    labels = {s: set(index.label[index.split == s].tolist()) for s in ("train", "val", "test")}
    assert labels == {"train": {"a", "b"}, "val": {"c", "d"}, "test": {"e", "f", "g"}}
    genders = dict(zip(index.label.tolist(), index.extra["gender"].tolist()))
    assert genders == {n: "fm"[k % 2] for k, n in enumerate(NAMES)}


def test_every_list_is_there_and_says_what_the_pickle_said(converted):
    folder = converted / "set" / "lists"
    expected = {
        "match_v2f_2_test.txt": [["e/v0.wav", "e/v1.jpg", "f/v0.jpg"]],
        "match_f2v_2_test.txt": [["e/v1.jpg", "e/v0.wav", "f/v0.wav"]],
        "match_g_v2f_2_test.txt": [["g/v1.wav", "g/v0.jpg", "e/v0.jpg"]],
        "match_v2f_3_test.txt": [["e/v0.wav", "e/v1.jpg", "f/v1.jpg", "g/v1.jpg"]],
    }
    for name, lines in expected.items():
        assert lists.read_matching(folder / name)[:1] == lines, name
    assert lists.read_verification(folder / "verify_v2f_test.txt")[1] == ["e/v0.wav", "f/v0.jpg"]
    assert (folder / "verify_g_v2f_test.txt").exists() and (folder / "verify_v2f_val.txt").exists()
    for direction, probe in (("v2f", "wav"), ("f2v", "jpg")):
        galleries = lists.read_retrieval(folder / f"retrieval_{direction}_test.txt")
        assert len(galleries) == 2
        assert all(x.endswith(probe) for g in galleries for x in g.probes)


def test_figures_are_those_of_vfal_evas_formulas(converted):
    """Its mAP: per group and probe, the mean of precision at each match; then over all."""
    random = np.random.default_rng(3)
    vectors = {m: {p: random.normal(size=4) for n in NAMES for p in of[n]} for m, of in SIDES}
    labels = {path: path[0] for found in vectors.values() for path in found}
    unit = {p: x / np.linalg.norm(x) for found in vectors.values() for p, x in found.items()}
    folder = converted / "set" / "lists"

    def figures(name):
        path = folder / name
        its = lists.parse_name(path)
        query = list_tasks.Query(its, path, space.Space(vectors, labels))
        return {r.metric.key: r.value for r in list_tasks.TASKS[its.protocol].evaluate(query)}

    precisions = []
    for gallery in lists.read_retrieval(folder / "retrieval_v2f_test.txt"):
        for probe in gallery.probes:
            order = sorted(gallery.gallery, key=lambda f: -(unit[probe] @ unit[f]))
            hits = [k for k, f in enumerate(order) if f[0] == probe[0]]
            precisions.append(np.mean([(n + 1) / (k + 1) for n, k in enumerate(hits)]))
    assert len(precisions) == 12 and 0.3 < np.mean(precisions) < 0.99
    assert figures("retrieval_v2f_test.txt")["map"] == pytest.approx(np.mean(precisions))
    trials = lists.read_matching(folder / "match_f2v_2_test.txt")
    right = [unit[probe] @ unit[own] > unit[probe] @ unit[other] for probe, own, other in trials]
    assert figures("match_f2v_2_test.txt")["accuracy"] == pytest.approx(np.mean(right))
