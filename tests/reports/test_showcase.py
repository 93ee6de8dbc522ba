"""Which probes are shown, and in which order their gallery."""

import numpy as np
import pytest

from tests import showcases
from tfav.annotations import lists
from tfav.evaluation import retrieval
from tfav.evaluation import space as spaces
from tfav.reports import showcase

NAME = lists.ListName("retrieval", "unrestricted", "v2f", None, "test")


def at(*degrees):
    return [np.array([np.cos(np.radians(d)), np.sin(np.radians(d))]) for d in degrees]


def make(voices, faces, labels, **options):
    """A task of voices and faces {id: angle}; labels {id: identity}."""
    embeddings = {
        "audio": dict(zip(voices, at(*voices.values()))),
        "image": dict(zip(faces, at(*faces.values()))),
    }
    gallery = lists.Gallery(list(voices), list(faces))
    space = spaces.Space(embeddings, labels)
    options = {"num_probes": 9, "origin": "a list", **options}
    return showcase.task(NAME, [gallery], space, **options)


def test_the_gallery_is_shown_closest_first_with_its_scores():
    # At 0 degrees, faces at 60, 10 and 30: cosines 0.5, 0.985, 0.866.
    task = make({"v": 0}, {"f": 60, "g": 10, "h": 30}, {"v": "a", "f": "a", "g": "b", "h": "b"})
    (probe,) = task.probes
    assert [(hit.id, round(hit.score, 3), hit.match) for hit in probe.hits] == [
        ("g", 0.985, False),
        ("h", 0.866, False),
        ("f", 0.5, True),
    ]
    assert (probe.first_rank, probe.num_relevant, probe.gallery_size) == (3, 1, 3)
    assert probe.average_precision == pytest.approx(1 / 3)  # one match, at rank 3
    assert probe.groups == ("all",)


def test_a_tie_shows_the_mismatch_first_as_its_average_precision_says():
    task = make({"v": 0}, {"right": 20, "wrong": 20}, {"v": "a", "right": "a", "wrong": "b"})
    (probe,) = task.probes
    assert [hit.id for hit in probe.hits] == ["wrong", "right"]
    assert probe.first_rank == 2 and probe.average_precision == 0.5


def test_only_the_top_is_kept_and_the_rest_is_counted():
    faces = {f"f{i}": 5 * i for i in range(8)}
    task = make({"v": 0}, faces, {"v": "a", "f7": "a", **{f"f{i}": "b" for i in range(7)}}, top=3)
    (probe,) = task.probes
    assert [hit.id for hit in probe.hits] == ["f0", "f1", "f2"]
    assert probe.first_rank == 8 and probe.gallery_size == 8


def test_a_probe_without_a_match_counts_zero_and_is_counted():
    task = make({"v": 0, "w": 40}, {"f": 0}, {"v": "a", "w": "lonely", "f": "a"})
    assert task.num_probes == 2 and task.num_unanswerable == 1
    assert task.result.value == 0.5  # (1 + 0) / 2
    lonely = next(probe for probe in task.probes if probe.id == "w")
    assert lonely.first_rank is None and lonely.num_relevant == 0
    np.testing.assert_allclose(task.recall, [0.5])


def test_the_recall_curve_is_that_of_the_metric():
    tasks, _, space = showcases.small()
    voices = [f"{name}/{j}" for name in ("ada", "bo", "cy") for j in (0, 1)]
    faces = ["cy", "bo", "ada"]
    gallery = lists.Gallery(voices, faces)
    task = showcase.task(NAME, [gallery], space, origin="", num_probes=3)
    sides = space.vectors("", "audio", voices), space.vectors("", "image", faces)
    labels = space.identities(voices), space.identities(faces)
    expected = [(retrieval.rank(*sides, *labels).first_rank <= k).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(task.recall, expected)
    np.testing.assert_allclose(task.chance_recall, [1 / 3, 2 / 3, 1])
    assert len(tasks[0].recall) == 4  # no further than the gallery goes


def test_each_probe_looks_in_its_own_gallery_only():
    embeddings = {
        "audio": dict(zip(("v", "w"), at(0, 90))),
        "image": dict(zip(("f", "g"), at(0, 90))),
    }
    space = spaces.Space(embeddings, {"v": "a", "f": "a", "w": "b", "g": "b"})
    galleries = [lists.Gallery(["v"], ["g"]), lists.Gallery(["w"], ["g"])]
    task = showcase.task(NAME, galleries, space, origin="", num_probes=2)
    assert {probe.id: probe.num_relevant for probe in task.probes} == {"v": 0, "w": 1}


def test_best_and_worst_are_the_ends_and_the_rest_is_drawn_from_all():
    precision = np.arange(100) / 100
    groups = showcase.choose(precision, np.ones(100, bool), 30, seed=0)
    of = {g: [row for row, names in groups.items() if g in names] for g in showcase.GROUPS}
    assert of["best"] == list(range(99, 89, -1))
    assert of["worst"] == list(range(9, -1, -1))
    assert len(of["random"]) == 10
    assert list(groups) == sorted(groups, reverse=True)
    assert groups == showcase.choose(precision, np.ones(100, bool), 30, seed=0)
    assert groups != showcase.choose(precision, np.ones(100, bool), 30, seed=1)


def test_every_row_is_drawn_at_random_equally_often():
    # 600 draws of 2 of 6 (of 4 shown, one is the best and one the worst): 200 each, sd 11.5.
    precision, count = np.arange(6) / 6, np.zeros(6)
    for seed in range(600):
        for row, names in showcase.choose(precision, np.ones(6, bool), 4, seed).items():
            count[row] += "random" in names
    assert count.sum() == 1200
    np.testing.assert_allclose(count, 200, atol=60)


def test_what_cannot_be_answered_is_not_the_worst():
    precision = np.array([0.0, 0.9, 0.5, 0.1, 0.7, 0.3, 0.2])
    groups = showcase.choose(precision, precision > 0, 3, seed=0)
    assert "worst" in groups[3] and "best" in groups[1]


def test_among_equals_the_seed_decides_not_the_order_of_the_list():
    chosen = {
        next(
            r
            for r, g in showcase.choose(np.ones(50), np.ones(50, bool), 3, s).items()
            if "best" in g
        )
        for s in range(8)
    }
    assert len(chosen) > 3


def test_a_film_runs_from_the_best_to_the_worst_of_the_worst_and_then_on():
    def probe(name, precision, *groups):
        return showcase.Probe(name, groups, precision, 1, 1, 1, [])

    shown = [probe("a", 0.9, "best"), probe("b", 0.5, "random"), probe("c", 0.2, "worst", "random")]
    shown += [probe("d", 0.1, "worst")]
    task = showcases.small()[0][0]._replace(probes=shown)
    assert [p.id for p in task.in_groups()] == ["a", "d", "c", "b"]
