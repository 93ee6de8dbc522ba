"""The tables of one run, of several, and of how far two of them are apart."""

import numpy as np
import pytest

from tfav.evaluation import classification, list_tasks, localisation, paired_runs, result, trials
from tfav.evaluation.metric import Metric
from tfav.reports import curves, drawing, tables

PROTOCOLS = {"accuracy": "matching", "auc": "verification", "eer": "verification"}
LISTS = {m.key: m for task in list_tasks.TASKS.values() for m in task.metrics}
CLASSES = {m.key: m for m in (*classification.METRICS, trials.MIN_DCF)}


def of_list(key, direction, value, *, n=None, stratum="unrestricted", chance=0.5, **more):
    fields = {
        "protocol": PROTOCOLS.get(key, "retrieval"),
        "low": value - 0.02,
        "high": value + 0.01,
        "num_trials": 65550,
        "num_identities": 189,
        "list_name": "x.txt",
        "tag": "test",
        "resampled": list_tasks.RESAMPLED,
        **more,
    }
    place = {"direction": direction, "n": n, "stratum": stratum}
    return result.Result(metric=LISTS[key], value=value, chance=chance, **place, **fields)


def of_classes(key, direction, value, chance=0.1, low=None, **more):
    fields = {"protocol": "classification", "num_trials": 65550, "num_identities": 189, **more}
    return result.Result(
        metric=CLASSES[key],
        direction=direction,
        tag="test",
        value=value,
        chance=chance,
        low=low,
        high=low and value + 0.02,
        resampled="rows",
        **fields,
    )


@pytest.fixture
def results():
    return [
        of_list("accuracy", "v2f", 0.872, n=2),
        of_list("accuracy", "v2f", 0.5, n=10, chance=0.1),
        of_list("accuracy", "f2v", 0.865, n=2),
        of_list("auc", "v2f", 0.775, stratum="same_gender", list_name="verify_g_v2f_test.txt"),
        of_list("map", "v2f", 0.0547, chance=0.0058),
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
    without = tables.text_table(results[:4])
    assert without.endswith("\n\nIntervals resample the probes' identities.\n")
    assert "mAP" not in without


def test_notes_stand_below_the_table_each_once(results):
    noted = [
        of_list("accuracy", d, 0.9, n=2, notes=("x.txt: 2 items are not in the data.",))
        for d in ("v2f", "f2v")
    ]
    assert tables.text_table(noted).count("x.txt: 2 items are not in the data.") == 1


def test_what_the_intervals_resample_is_one_sentence():
    maps = of_classes("accuracy", "audio to image", 0.5, protocol="localisation")
    both = [of_classes("accuracy", "fused", 0.5), of_classes("nll", "fused", 0.5)]
    assert tables.interval_note(both[:1]) == "Intervals resample rows."
    assert tables.interval_note(both) == "Intervals resample rows. Lower is better in NLL."
    images = result.measured(
        0.5,
        0.1,
        None,
        protocol="localisation",
        metric=localisation.POINTING,
        direction="audio to image",
        tag="test",
        num_trials=3,
        num_identities=3,
        resampled="images",
    )
    assert tables.interval_note([*both[:1], images]) == (
        "Intervals resample rows (classification) and images (localisation)."
    )
    read = of_classes("accuracy", "fused", 0.5)
    old = result.from_json({**read.to_json(), "resampled": None}, {})
    assert tables.interval_note([old]) == "" and maps.resampled == "rows"


def test_other_directions_have_a_row_each_in_their_own_units():
    rows = [
        of_classes("accuracy", "fused", 0.871, low=0.85),
        of_classes("ece", "fused", 0.0312, chance=None),
        of_classes("nll", "fused", 0.4123, chance=2.3026),
        of_classes("accuracy", "image", 0.5),
        of_classes("min_dcf", "fused", 0.42, chance=1.0, protocol="trials"),
    ]
    text = tables.text_table(rows)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:6] == [
        "test (%) value [95 %] chance trials",
        "accuracy, fused 87.1 [85.0, 89.1] 10.00 65,550",
        "accuracy, image 50.0 10.00 65,550",
        "calibration error, fused 3.1 - 65,550",
        "NLL (nats), fused 0.412 2.303 65,550",
        "verification minDCF, fused 0.420 1.000 65,550",
    ]
    assert "Lower is better in calibration error, NLL and minDCF." in " ".join(lines)
    assert "most frequent class's share" in " ".join(lines) and "mAP" not in text
    assert "It has no interval: resampling adds noise to the gap of every bin." in " ".join(lines)
    assert max(map(len, text.splitlines())) <= 100


def test_a_metric_of_ones_own_brings_its_name_unit_and_definition():
    mine = Metric("hits", "hits of {n}", unit="", digits=2, definition="Hits are hits.")
    own = result.measured(
        1.5,
        1.0,
        None,
        protocol="mine.odd",
        metric=mine,
        n=3,
        direction="x",
        tag="test",
        num_trials=4,
        num_identities=4,
    )
    text = tables.text_table([own])
    assert (
        "hits of 3, x" in text
        and " ".join(text.split()).count("hits of 3, x 1.50 1.00 4") == 1
        and "Hits are hits." in text
    )
    assert "| test: hits of 3 | 1.50 [1.50, 1.50] | 1.00 |" in tables.spread_table([[own], [own]])


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
        return [of_list("accuracy", "v2f", value, n=2, stratum="same_gender")]

    # (60 + 70 + 95) / 3 = 75
    table = tables.spread_table([run(0.6), run(0.95), run(0.7)])
    assert "| test, same-gender: 1:2 matching | 75.0 [60.0, 95.0] |  | 50.0 |" in table
    assert "mean of 3 runs" in table


def test_only_figures_that_all_runs_have_are_averaged():
    one = [of_list("accuracy", "v2f", 0.6, n=2), of_list("accuracy", "f2v", 0.7, n=2)]
    table = tables.spread_table([one, one[:1]])
    assert "| test, unrestricted: 1:2 matching | 60.0 [60.0, 60.0] |  | 50.0 |" in table


def test_differences_stand_in_the_columns_of_their_directions():
    def run(values):
        return [
            result.measured(
                np.mean(values),
                0.5,
                np.array(values),
                protocol="matching",
                metric=LISTS["accuracy"],
                n=2,
                direction=d,
                tag="test",
                num_trials=9,
                num_identities=3,
            )
            for d in ("v2f", "f2v")
        ]

    found, _ = paired_runs.differences(run([0.6, 0.8]), run([0.5, 0.7]))
    assert tables.difference_table(found, "b", "a").splitlines() == [
        "| %, b less a [95 %, both on the same resamples] | V->F | F->V |",
        "|---|---|---|",
        "| test, unrestricted: 1:2 matching | +10.0 [10.0, 10.0] | +10.0 [10.0, 10.0] |",
    ]


def test_a_figure_without_interval_shows_none():
    (only,) = [of_list("accuracy", "v2f", 0.872, n=2, low=None, high=None)]
    assert "1:2 matching 87.2 50.00 " in " ".join(tables.text_table([only]).split())


def test_curves_are_drawn_only_for_what_there_is(results):
    rng = np.random.default_rng(0)
    label = rng.random(300) < 0.5
    scores = {"verify_g_v2f_test.txt": (label + rng.normal(size=300), label)}
    found = curves.pictures(results, scores)
    assert list(found) == ["roc", "matching"]
    assert all(content.startswith(b"\x89PNG") for content in found.values())
    assert curves.pictures(results[2:3], {}) == {}  # one point is no curve


def test_a_chart_has_its_numbers_as_a_table_and_is_the_same_svg_every_time(results):
    chart = curves.matching(results)
    assert [curve.label for curve in chart.curves] == [
        "Voice → face, unrestricted",
        "Face → voice, unrestricted",
        "chance",
    ]
    assert chart.table() == [("2", ["87.2", "86.5", "50.0"]), ("10", ["50.0", "-", "10.0"])]
    drawn = [drawing.svg(chart.draw(titled=False)) for _ in range(2)]
    assert drawn[0] == drawn[1] and b"<svg" in drawn[0]


def test_the_roc_of_a_chart_is_that_of_the_scores(results):
    scores = {"verify_g_v2f_test.txt": (np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0]))}
    chart = curves.roc(results, scores)
    line = chart.curves[0]
    # Accepted from the highest score on: a right pair, a wrong one, the other right, the other.
    np.testing.assert_array_equal(line.x, [0, 0, 50, 50, 100])
    np.testing.assert_array_equal(line.y, [0, 50, 50, 100, 100])
    assert line.label == "Voice → face, same-gender: AUC 77.5 %"
