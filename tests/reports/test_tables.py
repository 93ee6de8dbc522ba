"""The table, the JSON and the pictures."""

import json

import numpy as np
import pytest

from tfav.reports import tables


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
    table = tables.text_table(results)
    (row,) = [line for line in table.splitlines() if line.startswith("1:2 matching")]
    assert " ".join(row.split()[2:6]) == "87.2 [85.2, 88.2] 50.00"
    assert " ".join(row.split()[6:]) == "65,550 86.5 [84.5, 87.5] 50.00 65,550"
    (row,) = [line for line in table.splitlines() if line.startswith("retrieval mAP")]
    assert " ".join(row.split()[2:]) == "5.47 [3.47, 6.47] 0.58 65,550"


def test_rows_stand_under_their_stratum_and_columns_under_their_direction(results):
    lines = tables.text_table(results).splitlines()
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


def test_the_definition_of_map_stands_below_the_figure_and_only_there(results):
    text = " ".join(tables.text_table(results).split())
    for words in ("mean over the probes of average precision", "No cut-off", "a tie counts"):
        assert words in text
    assert "chance is the expected value of a random order" in text
    note = "Intervals resample the probes' identities. In EER alone lower is better.\n"
    without = tables.text_table(results[:4])
    assert without.endswith(f"\n\n{note}") and "mAP" not in without


def test_notes_stand_below_the_table_each_once(results):
    noted = [{**r, "notes": ["x.txt: 2 items are not in the data."]} for r in results]
    assert tables.text_table(noted).count("x.txt: 2 items are not in the data.") == 1


def of_classes(metric, direction, value, chance=0.1, low=None, **more):
    figure = result(metric, direction, value, chance=chance)
    ends = {"low": low, "high": low and value + 0.02}
    return {**figure, **ends, "protocol": "classification", "list": None, **more}


def test_other_directions_have_a_row_each_in_their_own_units():
    rows = [
        of_classes("accuracy", "fused", 0.871, low=0.85),
        of_classes("ece", "fused", 0.0312, chance=None),
        of_classes("nll", "fused", 0.4123, chance=2.3026),
        of_classes("accuracy", "image", 0.5),
        of_classes("min_dcf", "fused", 0.42, chance=1.0, protocol="trials", num_identities=40),
    ]
    text = tables.text_table(rows)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:6] == [
        "test (%) value [95 %] chance trials",
        "accuracy, fused 87.1 [85.0, 89.1] 10.00 65,550",
        "accuracy, image 50.0 [-, -] 10.00 65,550",
        "verification minDCF, fused 0.420 [-, -] 1.000 65,550",
        "calibration error, fused 3.1 [-, -] - 65,550",
        "NLL (nats), fused 0.412 [-, -] 2.303 65,550",
    ]
    assert "Lower is better in minDCF, calibration error, NLL." in " ".join(lines)
    assert "most frequent class's share" in " ".join(lines) and "mAP" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_voices_and_faces_and_classes_stand_apart(results):
    both = [*results, of_classes("accuracy", "fused", 0.871)]
    text = tables.text_table(both)
    apart = tables.text_table(results)
    assert text.startswith(apart[: apart.index("Intervals")])
    table = tables.spread_table([both, both])
    assert "| test: accuracy | 87.1 [87.1, 87.1] | 10.0 |" in table
    assert table.startswith(tables.spread_table([results, results]))


def test_a_spread_of_classes_has_a_column_a_direction():
    runs = [
        [
            of_classes("accuracy", "fused", value),
            of_classes("accuracy", "flow", value - 0.1),
            of_classes("nll", "fused", value, chance=2.3),
            of_classes("ece", "fused", value, chance=None),
        ]
        for value in (0.6, 0.8)
    ]
    assert tables.spread_table(runs).splitlines() == [
        "| %, mean of 2 runs [least, greatest] | fused | flow | chance |",
        "|---|---|---|---|",
        "| test: accuracy | 70.0 [60.0, 80.0] | 60.0 [50.0, 70.0] | 10.0 |",
        "| test: NLL (nats) | 0.700 [0.600, 0.800] |  | 2.300 |",
        "| test: calibration error | 70.0 [60.0, 80.0] |  |  |",
    ]


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
    table = tables.spread_table([run(0.6), run(0.95), run(0.7)])
    assert "| test, same-gender: 1:2 matching | 75.0 [60.0, 95.0] |  | 50.0 |" in table
    assert "mean of 3 runs" in table


def test_a_figure_without_interval_shows_dashes(results):
    table = tables.text_table([{**results[0], "low": None, "high": None}])
    assert "87.2 [-, -]" in table


def test_json_keeps_every_figure_and_refuses_nan(results):
    document = json.loads(tables.to_json(results, {"checkpoint": "step 10"}))
    definitions = {"map": tables.DEFINITIONS["map"]}
    about = {"checkpoint": "step 10"}
    assert document == {"about": about, "definitions": definitions, "results": results}
    with pytest.raises(ValueError):
        tables.to_json([{**results[0], "value": float("nan")}])


def test_pictures_are_written_whole_and_only_for_what_there_is(results, tmp_path):
    rng = np.random.default_rng(0)
    label = rng.random(300) < 0.5
    scores = {"verify_g_v2f_test.txt": (label + rng.normal(size=300), label)}
    paths = tables.plots(results, scores, tmp_path / "plots")
    assert [path.name for path in paths] == ["roc.png", "matching.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["matching.png", "roc.png"]
    # One point is no curve.
    assert tables.plots(results[2:3], {}, tmp_path / "none") == []
