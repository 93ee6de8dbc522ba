"""The official VoxCeleb1/VGGFace lists and those of real voices and faces, embeddings made up."""

import csv
import gzip
import pathlib

import numpy as np
import pytest

from tfav.annotations import list_folder, lists
from tfav.evaluation import query_lists
from tfav.evaluation import space as spaces


def identities(rows) -> dict[str, str]:
    names = {}
    for row in rows:
        names[row["VoxCeleb1_ID"]] = names[row["VGGFace1_ID"]] = row["VoxCeleb1_ID"]
    return names


def made_up(folder: pathlib.Path, tag: str, names: dict[str, str], signal: float):
    """A space of every item the lists name: identity times signal, plus noise."""
    items = list_folder.items(list_folder.find(folder, tag))
    rng = np.random.default_rng(0)
    centre = {name: rng.normal(size=32) for name in sorted(set(names.values()))}
    labels = {x: names[x.split("/")[0]] for x in sorted([*items["audio"], *items["image"]])}
    vectors = {
        modality: {
            x: signal * centre[labels[x]] + rng.normal(size=32) for x in sorted(items[modality])
        }
        for modality in ("audio", "image")
    }
    return spaces.Space(vectors, labels)


@pytest.fixture(scope="module")
def official(real_data):
    """The folder of the released lists, gzipped, with the names of the three CSVs."""
    folder, names = real_data / "protocols" / "voxceleb1", {}
    for path in folder.glob("vox1_*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            names.update(identities(csv.DictReader(file)))
    return folder, names


def test_the_official_lists_have_their_published_sizes(official):
    folder, names = official
    verify = lists.read_verification(folder / "verify_v2f_test.txt.gz")
    right = sum(names[v.split("/")[0]] == names[f.split("/")[0]] for v, f in verify)
    assert (len(verify), right) == (65550, 32967)
    ((probes, gallery),) = lists.read_retrieval(folder / "reterival_v2f_test.txt.gz")
    assert (len(probes), len(gallery)) == (21850, 20076)
    assert len(lists.read_matching(folder / "match_v2f_2_val.txt.gz")) == 42546
    assert len(lists.read_matching(folder / "match_g_v2f_2_val.txt.gz")) == 42540


def test_the_full_official_lists_are_evaluated_in_one_pass(official):
    folder, names = official
    space = made_up(folder, "test", names, signal=0.0)
    results = query_lists.evaluate(folder, "test", space, num_bootstrap=100)
    value = {(r.metric.key, r.direction, r.stratum): r for r in results}
    assert len(results) == 2 * 4 + 2 * 4
    chance = value["map", "v2f", "unrestricted"]
    assert chance.num_trials == 21850 and chance.num_identities == 189
    # Prevalence 0.525 %; a random ranking's average precision is a little above it.
    assert 0.00525 < chance.chance < 0.006
    assert chance.value == pytest.approx(chance.chance, rel=0.1)
    for (metric, _, _), result in value.items():
        if metric in ("auc", "eer"):
            assert abs(result.value - 0.5) < 0.02


@pytest.mark.parametrize("tag", ["test", "val", "seen"])
def test_the_real_lists_are_evaluated_both_ways(real_data, tag):
    folder = real_data / "voices-faces" / "lists"
    names = {}
    for path in folder.glob("vf_*.csv"):
        with path.open(encoding="utf-8") as file:
            names.update(identities(csv.DictReader(file)))
    space = made_up(folder, tag, names, signal=9.0)
    results = query_lists.evaluate(folder, tag, space, num_bootstrap=20)
    assert {(r.direction, r.stratum, r.protocol) for r in results} == {
        *(
            (d, s, p)
            for d in ("v2f", "f2v")
            for s in lists.STRATA[:2]
            for p in ("matching", "verification")
        ),
        ("v2f", "unrestricted", "retrieval"),
        ("f2v", "unrestricted", "retrieval"),
    }
    assert all(r.value > 0.95 for r in results if r.metric.key in ("accuracy", "auc", "map"))
