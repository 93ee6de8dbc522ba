"""A figure as a record: its JSON form, its text form, and what it says about chance."""

import dataclasses
import json

import numpy as np
import pytest

from tfav.evaluation import catalogue, paired_runs, result
from tfav.evaluation.metric import Metric
from tfav.reports import page

SHARE = Metric("accuracy", "1:{n} matching")
ERROR = Metric("eer", "verification EER", lower_is_better=True, short="EER")
COST = Metric("nll", "NLL (nats)", unit="nats", digits=3, lower_is_better=True)


def make(metric=SHARE, value=0.9, chance=0.5, low=0.8, high=0.95, **more):
    fields = {"protocol": "matching", "direction": "v2f", "tag": "test", "num_trials": 65550}
    fields |= {"num_identities": 189, **more}
    return result.Result(metric=metric, value=value, chance=chance, low=low, high=high, **fields)


def test_the_text_form_has_the_metrics_unit_and_digits():
    assert make(n=10).name == "1:10 matching"
    assert make().cells() == ("90.0", "[80.0, 95.0]", "50.00", "65,550")
    assert make().cells().figure == "90.0 [80.0, 95.0]"
    assert make(low=None, high=None).cells().interval == ""
    assert make(low=None, high=None).cells().figure == "90.0"
    of_cost = make(COST, 0.4123, 2.3026, None, None).cells()
    assert (of_cost.value, of_cost.chance) == ("0.412", "2.303")
    assert make(chance=None).cells().chance == "-"
    assert make(chance=0.00525).cells().chance == "0.53"  # small chances need two digits


def test_json_gives_the_record_back():
    whole = make(
        n=2,
        list_name="match_v2f_2_test.txt",
        sha256="ab" * 32,
        resampled="the probes' identities",
        notes=("x.txt: two items are not in the data.",),
        details={"folds": {"1": 0.5}},
    )
    entry = json.loads(json.dumps(whole.to_json()))
    assert result.from_json(entry, {"matching": {"accuracy": SHARE}}) == whole
    # What is empty is not written, and an equal error rate keeps its threshold.
    assert not {"threshold", "notes", "resampled"} & make().to_json().keys()
    of_error = make(ERROR, 0.1, protocol="verification", threshold=0.25)
    again = result.from_json(of_error.to_json(), catalogue.METRICS)
    assert again == dataclasses.replace(of_error, metric=again.metric)
    assert again.threshold == 0.25 and again.metric.lower_is_better


def test_a_metric_that_nobody_knows_is_called_by_its_key():
    entry = {**make().to_json(), "metric": "surprise", "protocol": "mine"}
    assert result.from_json(entry, catalogue.METRICS).name == "surprise"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": None}, "there is no value"),
        ({"value": "0.9"}, "value is '0.9'"),
        ({"value": float("nan")}, "value is nan"),
        ({"value": True}, "value is True"),
        ({"num_trials": 1.5}, "num_trials is 1.5"),
        ({"tag": 3}, "tag is 3"),
        ({"chance": "x"}, "chance is 'x'"),
        ({"notes": "one"}, "notes is 'one'"),
        (None, "a result is no object"),
    ],
)
def test_an_entry_of_another_kind_is_refused_by_its_field(change, says):
    entry = None if change is None else {**make().to_json(), **change}
    with pytest.raises(ValueError, match=says):
        result.from_json(entry, catalogue.METRICS)


@pytest.mark.parametrize(
    ("metric", "low", "high", "beats"),
    [
        (SHARE, 0.51, 0.6, True),
        (SHARE, 0.5, 0.6, False),  # touching chance is not above it
        (SHARE, 0.3, 0.4, False),
        (ERROR, 0.3, 0.4, True),
        (ERROR, 0.3, 0.5, False),
        (SHARE, None, None, None),
    ],
)
def test_only_a_whole_interval_on_the_better_side_beats_chance(metric, low, high, beats):
    assert make(metric, low=low, high=high).beats_chance is beats


def test_without_a_chance_level_nothing_beats_it():
    assert make(chance=None).beats_chance is None


def of_run(values, metric=SHARE, **more):
    """A figure whose replicates are given; its interval is that of `bootstrap`."""
    replicates = np.array(values, float)
    fields = {"direction": "v2f", "tag": "test", "num_trials": 9, "num_identities": 3, **more}
    return result.measured(
        replicates.mean(), 0.5, replicates, protocol="matching", metric=metric, **fields
    )


def test_a_difference_is_taken_resample_by_resample():
    # Both move from 0.2 to 0.9 over the resamples, always 0.1 apart: alone their intervals overlap,
    # together they are told apart.
    base = np.linspace(0.2, 0.9, 50)
    (found,), left_out = paired_runs.differences([of_run(base + 0.1)], [of_run(base)])
    assert left_out == 0 and found.value == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found.better == 1 and found.cell() == "+10.0 [10.0, 10.0]"
    (worse,), _ = paired_runs.differences([of_run(base + 0.1, ERROR)], [of_run(base, ERROR)])
    assert worse.better == -1  # of an error rate, more is worse
    noise = np.where(np.arange(50) % 2, 0.1, -0.1)
    (neither,), _ = paired_runs.differences([of_run(base + noise)], [of_run(base)])
    assert neither.better == 0 and neither.low < 0 < neither.high


def test_undefined_resamples_and_unlike_numbers_of_them_leave_the_others():
    first = of_run([0.5, 0.6, 0.7, 0.9])
    other = dataclasses.replace(first, replicates=np.array([0.4, np.nan, 0.6]))
    (found,), _ = paired_runs.differences([first], [other])
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_other_trials_are_left_out_and_counted_and_other_questions_ignored():
    base = np.linspace(0.2, 0.9, 50)
    few = of_run(base, num_trials=8)
    found, left_out = paired_runs.differences([of_run(base)], [few])
    assert (found, left_out) == ([], 1)
    assert paired_runs.differences([of_run(base)], [of_run(base, tag="val")]) == ([], 0)
    read = dataclasses.replace(of_run(base), replicates=None)  # as it comes from a file
    (found,), _ = paired_runs.differences([of_run(base)], [read])
    assert (found.low, found.better, found.cell()) == (None, None, "+0.0")


def test_of_a_neutral_figure_neither_side_is_better_and_chance_is_not_beaten():
    neutral = Metric("use_entropy", "entropy of use", neutral=True)
    one, other = (make(neutral, value, 0.1, 0.5, 0.9) for value in (0.9, 0.6))
    assert one.beats_chance is None and page.Tile("use", one).verdict == ""
    higher = paired_runs.Difference(one, other, 0.3, 0.2, 0.4)
    assert (higher.better, page.differs(higher)) == (0, "higher")
    assert page.differs(higher._replace(low=-0.4, high=-0.2)) == "lower"
    assert page.differs(higher._replace(low=-0.1)) == "not told apart"
    assert result.from_json(one.to_json(), {"matching": {"use_entropy": neutral}}) == one
