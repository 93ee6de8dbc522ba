"""Five of the kills of `make chaos`, and what it would call lost."""

import json

import numpy as np
import pytest

from tests.chaos import Kill, __main__, moments

PAIRS = [
    ("voice_face", "step"),
    ("voice_face", "saving"),
    ("voice_face", "best weights"),
    ("prepare", "files"),
    ("prepare", "files"),
]


def test_five_kills_lose_nothing(tmp_path, forks):
    kills = list(__main__.run(tmp_path, forks, PAIRS, seed=3))
    assert [(one.recipe, one.moment) for one in kills] == PAIRS
    assert not [one for one in kills if one.lost]
    assert all(0 < one.event <= one.of for one in kills)
    assert all(one.again <= 4 for one in kills)  # no more than between two checkpoints


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": np.ones(2), "b": "x"}, ""),
        ({"a": np.ones(2)}, "b is in the undisturbed end alone"),
        ({"a": np.ones(2), "b": "x", "c": 1}, "c is in the end alone"),
        ({"a": np.array([1.0, 1.0 + 1e-15]), "b": "x"}, "a differs"),
        ({"a": np.ones(2), "b": "y"}, "b differs"),
    ],
)
def test_an_end_that_differs_is_told(found, said):
    assert moments.differences(found, {"a": np.ones(2), "b": "x"}) == said


def test_what_a_kill_leaves_is_told(tmp_path):
    for name in ("weights.npz.tmp", "data.partial-x", "weights.npz"):
        (tmp_path / name).write_text("")
    assert sorted(moments.leftovers(tmp_path)) == ["data.partial-x", "weights.npz.tmp"]


def test_every_recipe_meets_every_moment_and_every_command_is_killed():
    assert len(__main__.ALL) == 5 * 5 + 6 == len(set(__main__.ALL))


def test_the_table_counts_kills_and_losses():
    kills = [Kill("dmc", "step", 1, 9, 2, ""), Kill("dmc", "step", 2, 9, 3, "a differs")]
    assert __main__.table(kills).splitlines()[2:] == [
        "| dmc | step | 2 | 3 | 1 |",
        "| all |  | 2 | 3 | 1 |",
    ]


def test_exports_differ_in_their_files_and_not_in_what_tensorflow_draws(tmp_path):
    ends = []
    for number, (model, drawn) in enumerate([("a", "1"), ("a", "2"), ("b", "2")]):
        place = tmp_path / str(number) / "export" / "1" / "assets.extra"
        place.mkdir(parents=True)
        its = {"files": {"saved_model.pb": model, "fingerprint.pb": drawn}, "sha256": drawn}
        (place / "tfav.json").write_text(json.dumps(its))
        look = moments.other("export", tmp_path).look
        ends.append(look(tmp_path / str(number)))
    assert moments.differences(ends[0], ends[1]) == ""
    assert moments.differences(ends[2], ends[1]) == "facts differs"


def test_kills_from_one_on_are_those_of_the_whole_list(monkeypatch):
    class Place:
        def __init__(self, folder, server):
            del folder, server

        def kill(self, pair, draw):
            return pair, draw.random()

    monkeypatch.setattr(__main__, "Place", Place)
    whole = list(__main__.run(None, None, PAIRS, seed=3))
    assert list(__main__.run(None, None, PAIRS, seed=3, first=4)) == whole[3:] and whole[3:]
