"""Every row of `PROTOCOLS` keeps the promises of a protocol."""

import numpy as np
import pytest

from tests.conformance import walk
from tfav import lists
from tfav.evaluation import protocols, space

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
ROWS = walk.rows(protocols.PROTOCOLS, EXPECTED)


def test_every_row_is_expected():
    add = (
        "add 'ROW': (file name, lines, best value of each metric) to EXPECTED in "
        "tests/conformance/test_protocols.py."
    )
    walk.check_complete(protocols.PROTOCOLS, EXPECTED, "PROTOCOLS", add)
    assert set(lists.PREFIXES.values()) == set(protocols.PROTOCOLS)


def judge(name, folder, embeddings, num_bootstrap=100):
    file, lines, _ = EXPECTED[name]
    (folder / file).write_text("\n".join(lines()) + "\n")
    of = {
        "audio": {item: embeddings[item] for item in VOICES},
        "image": {item: embeddings[item] for item in FACES},
    }
    figures = protocols.PROTOCOLS[name](
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
