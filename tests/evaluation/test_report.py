"""The table, the JSON and the pictures."""

import json

import numpy as np
import pytest

from tfav.evaluation import report


def result(metric, direction, value, *, n=None, stratum="unrestricted", chance=0.5, name="x.txt"):
    protocol = {"accuracy": "matching", "auc": "verification", "eer": "verification"}
    return {
        "protocol": protocol.get(metric, "retrieval"),
        "stratum": stratum,
        "direction": direction,
        "n": n,
        "tag": "test",
        "metric": metric,
        "value": value,
        "chance": chance,
        "low": value - 0.02,
        "high": value + 0.01,
        "num_trials": 65550,
        "num_identities": 189,
        "list": name,
        "sha256": "0123456789abcdef" * 4,
    }


@pytest.fixture
def results():
    return [
        result("accuracy", "v2f", 0.872, n=2, name="match_v2f_2_test.txt"),
        result("accuracy", "v2f", 0.5, n=10, chance=0.1, name="match_v2f_10_test.txt"),
        result("accuracy", "f2v", 0.865, n=2, name="match_f2v_2_test.txt"),
        result("auc", "v2f", 0.775, stratum="same_gender", name="verify_g_v2f_test.txt"),
        result("map", "v2f", 0.0547, chance=0.0058, name="retrieval_v2f_test.txt"),
    ]


def test_a_cell_is_value_interval_and_chance_in_percent(results):
    table = report.text_table(results)
    (row,) = [line for line in table.splitlines() if line.startswith("1:2 matching")]
    assert " ".join(row.split()[2:6]) == "87.2 [85.2, 88.2] 50.00"
    assert " ".join(row.split()[6:]) == "65,550 86.5 [84.5, 87.5] 50.00 65,550"
    (row,) = [line for line in table.splitlines() if line.startswith("retrieval mAP")]
    assert " ".join(row.split()[2:]) == "5.47 [3.47, 6.47] 0.58 65,550"


def test_rows_stand_under_their_stratum_and_columns_under_their_direction(results):
    lines = report.text_table(results).splitlines()
    heads = [i for i, line in enumerate(lines) if "V->F" in line]
    assert [lines[i].split(" (%)")[0] for i in heads] == [
        "test, unrestricted",
        "test, same-gender",
    ]
    names = [line[:14].strip() for line in lines[heads[0] + 1 : heads[0] + 4]]
    assert names == ["1:2 matching", "1:10 matching", "retrieval mAP"]
    assert lines[heads[0] + 1].index("86.5") >= lines[heads[0]].index("F->V") - 1
    assert lines[heads[1] + 1].startswith("verification AUC")
    assert max(map(len, lines)) <= 100


def test_several_runs_stand_as_mean_least_and_greatest():
    def run(value):
        figure = {
            "tag": "test",
            "stratum": "same_gender",
            "metric": "accuracy",
            "n": 2,
            "chance": 0.5,
        }
        return [{**figure, "direction": "v2f", "value": value}]

    # (60 + 70 + 95) / 3 = 75
    table = report.spread_table([run(0.6), run(0.95), run(0.7)])
    assert "| test, same-gender: 1:2 matching | 75.0 [60.0, 95.0] |  | 50.0 |" in table
    assert "mean of 3 runs" in table


def test_a_figure_without_interval_shows_dashes(results):
    table = report.text_table([{**results[0], "low": None, "high": None}])
    assert "87.2 [-, -]" in table


def test_json_keeps_every_figure_and_refuses_nan(results):
    document = json.loads(report.to_json(results, {"checkpoint": "step 10"}))
    assert document == {"about": {"checkpoint": "step 10"}, "results": results}
    with pytest.raises(ValueError):
        report.to_json([{**results[0], "value": float("nan")}])


def test_pictures_are_written_whole_and_only_for_what_there_is(results, tmp_path):
    rng = np.random.default_rng(0)
    label = rng.random(300) < 0.5
    scores = {"verify_g_v2f_test.txt": (label + rng.normal(size=300), label)}
    paths = report.plots(results, scores, tmp_path / "plots")
    assert [path.name for path in paths] == ["roc.png", "matching.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["matching.png", "roc.png"]
    # One point is no curve.
    assert report.plots(results[2:3], {}, tmp_path / "none") == []
