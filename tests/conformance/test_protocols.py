"""Every row of `PROTOCOLS` keeps the promises of a protocol."""

import numpy as np
import pytest

from tests.conformance import walk
from tfav.annotations import lists
from tfav.evaluation import (
    classification,
    correspondence,
    linear_probe,
    localisation,
    query_lists,
    space,
    trials,
)
from tfav.reports import tables

NUM_IDENTITIES, PER_IDENTITY = 30, 4
VOICES = [f"{k}/{i}.wav" for k in range(NUM_IDENTITIES) for i in range(PER_IDENTITY)]
FACES = [name.replace("wav", "jpg") for name in VOICES]
LABELS = {name: f"person {name.split('/')[0]}" for name in VOICES + FACES}


def _wrong(faces_of_others=2):
    """For every voice, faces of other people."""
    random = np.random.default_rng(0)
    for i, voice in enumerate(VOICES):
        others = [face for face in FACES if LABELS[face] != LABELS[voice]]
        yield voice, FACES[i], random.choice(others, faces_of_others, replace=False)


# A list of each protocol: its file name and its lines; what perfect embeddings reach.
EXPECTED = {
    "matching": (
        "match_v2f_3_test.txt",
        lambda: [f"{voice} {right} {a} {b}" for voice, right, (a, b) in _wrong()],
        {"accuracy": 1.0},
    ),
    "verification": (
        "verify_v2f_test.txt",
        lambda: [
            f"{voice} {face}" for voice, right, (other,) in _wrong(1) for face in (right, other)
        ],
        {"auc": 1.0, "eer": 0.0},
    ),
    "retrieval": (
        "retrieval_v2f_test.txt",
        lambda: [" ".join(VOICES), " ".join(FACES)],
        {"map": 1.0, "recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0},
    ),
}
ROWS = walk.rows(query_lists.PROTOCOLS, EXPECTED)


def test_every_row_is_expected():
    add = (
        "add 'ROW': (file name, lines, best value of each metric) to EXPECTED in "
        "tests/conformance/test_protocols.py."
    )
    walk.check_complete(query_lists.PROTOCOLS, EXPECTED, "PROTOCOLS", add)
    assert set(lists.PREFIXES.values()) == set(query_lists.PROTOCOLS)


def judge(name, folder, embeddings, num_bootstrap=100):
    file, lines, _ = EXPECTED[name]
    (folder / file).write_text("\n".join(lines()) + "\n")
    of = {
        "audio": {item: embeddings[item] for item in VOICES},
        "image": {item: embeddings[item] for item in FACES},
    }
    figures = query_lists.PROTOCOLS[name](
        folder / file, space.Space(of, LABELS), "v2f", num_bootstrap, 0
    )
    for figure in figures:
        for value in (figure.value, figure.chance, figure.low, figure.high):
            assert 0.0 <= value <= 1.0, figure
        assert figure.low <= figure.value <= figure.high
        assert figure.num_identities == NUM_IDENTITIES
        assert figure.num_trials >= len(VOICES)
    return {figure.metric: figure for figure in figures}


@pytest.mark.parametrize("name", ROWS)
def test_perfect_embeddings_reach_the_best_value(name, tmp_path):
    random = np.random.default_rng(1)
    centre = {label: random.normal(size=16) for label in LABELS.values()}
    figures = judge(name, tmp_path, {item: centre[label] for item, label in LABELS.items()})
    best = EXPECTED[name][2]
    assert {metric: figure.value for metric, figure in figures.items()} == best
    assert all(figure.low == figure.high == best[metric] for metric, figure in figures.items())


@pytest.mark.parametrize("name", ROWS)
def test_unrelated_embeddings_are_at_chance(name, tmp_path):
    random = np.random.default_rng(2)
    figures = judge(name, tmp_path, {item: random.normal(size=16) for item in LABELS})
    for metric, figure in figures.items():
        # 120 probes of 30 identities: one standard deviation is at most sqrt(0.25 / 30) = 0.09.
        assert abs(figure.value - figure.chance) < 0.18, metric


def test_every_way_to_judge_gives_the_same_keys_and_metrics_that_have_a_name(tmp_path):
    file, lines, _ = EXPECTED["verification"]
    (tmp_path / file).write_text("\n".join(lines()) + "\n")
    random = np.random.default_rng(3)
    vectors = {item: random.normal(size=16) for item in LABELS}
    of_lists = query_lists.evaluate(tmp_path, "test", {"audio": vectors, "image": vectors}, LABELS)
    logits, label = {"fused": random.normal(size=(20, 3))}, np.arange(20) % 3
    of_classes = classification.evaluate(logits, label, class_names=["a", "b", "c"])
    (tmp_path / "pairs.csv").write_text("1,0/a,0/b\n0,0/a,1/a\n1,1/a,1/b\n0,1/b,0/b\n")
    ids = ["0/a", "0/b", "1/a", "1/b"]
    of_trials = trials.evaluate(tmp_path / "pairs.csv", ids, {"fused": random.normal(size=(4, 3))})
    of_pairs = correspondence.evaluate(
        random.normal(size=(6, 6)), list("ababab"), tag="test", num_bootstrap=5, seed=0
    )
    of_maps = localisation.evaluate([np.eye(4)], [[(0.0, 0.0, 0.5, 0.5)]], tag="test")
    tested = linear_probe.Probe(
        np.array(["a", "b"]), np.array([0, 1]), np.array([0, 0]), np.array(["1", "1"]), {"1": 0.1}
    )
    (of_probe,) = linear_probe.figures(tested, "trained", tag="test", num_bootstrap=5, seed=0)
    assert of_probe.pop("folds") == {"1": 0.5} and of_probe.pop("constants") == {"1": 0.1}
    for result in of_lists:  # the threshold of an equal error rate goes out with exports
        assert ("threshold" in result) == (result["metric"] == "eer")
        result.pop("threshold", None)
    others = (*of_classes, *of_trials, *of_pairs, *of_maps, of_probe)
    for result in (*of_lists, *others):
        assert sorted(result) == sorted(of_lists[0])
        assert tables.metric_name(result["metric"], result["n"])
    metrics = {r["metric"] for r in others}
    assert metrics >= set(tables.LOWER_IS_BETTER)
    assert set(tables.METRICS) == metrics | {m for _, _, best in EXPECTED.values() for m in best}


def test_perfect_logits_reach_the_best_value_and_unrelated_ones_are_at_chance():
    random = np.random.default_rng(4)
    label = random.permutation(np.arange(600) % 4)
    logits = {"fused": 50 * np.eye(4)[label], "audio": random.normal(size=(600, 4))}
    results = classification.evaluate(logits, label, class_names=list("abcd"))
    found = {(r["direction"], r["metric"]): r for r in results}
    for metric, best in (("accuracy", 1.0), ("ece", 0.0), ("nll", 0.0)):
        assert abs(found["fused", metric]["value"] - best) < 1e-12
    accuracy = found["audio", "accuracy"]  # one standard deviation is sqrt(0.19 / 600) = 0.018
    assert accuracy["chance"] == 0.25 and abs(accuracy["value"] - 0.25) < 0.06
    assert found["audio", "nll"]["value"] > found["audio", "nll"]["chance"]
