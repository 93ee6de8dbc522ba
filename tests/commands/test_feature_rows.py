"""Rows of a comparison that nobody trains, and comparisons on other data than that of training."""

import json
import os

import numpy as np
import pytest

from tests import untrained
from tfav import registry
from tfav.commands import compare, feature_rows
from tfav.commands.protocols import by_probe
from tfav.data import index_files
from tfav.encoders import handmade
from tfav.evaluation import linear_probe
from tfav.evaluation import result as results_lib

CONFIG = """
from tests import untrained

def get_config(variant="l3"):
    c = untrained.config("", variant)
    c.train.num_steps = c.train.checkpoint_every = 1
    c.data.sampling = "rows"
    c.eval.protocols = ("correspondence",)
    return c
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return untrained.write_data(tmp_path_factory.mktemp("features") / "data")


def _probe(predicted):
    predicted = np.array(predicted)
    names = np.array([str(i) for i in range(len(predicted))])
    return linear_probe.Probe(names, np.zeros(len(predicted), int), predicted, names, {"1": 0.1})


def test_a_vote_is_the_majority_and_the_first_where_all_differ():
    found = linear_probe.vote([_probe([1, 1, 3, 4]), _probe([1, 2, 2, 5]), _probe([0, 2, 1, 5])])
    assert found.predicted.tolist() == [1, 2, 3, 5] and found.constants == {}


def _features(data, output, names=feature_rows.ROWS):
    return feature_rows.measure(names, untrained.config(data, "l3"), data, str(output))


@pytest.fixture
def counted(monkeypatch):
    """The hand-made features, each of two numbers alone, and how often each was asked for."""
    counts = dict.fromkeys(handmade.FEATURES, 0)

    def make(name):
        def function(waveform):
            counts[name] += 1
            return np.array([np.abs(np.diff(waveform)).mean(), 0.0])

        return function

    monkeypatch.setattr(handmade, "FEATURES", {name: make(name) for name in counts})
    return counts


def test_every_row_is_measured_once_and_found_again(data, tmp_path, counted):
    first = _features(data, tmp_path)
    assert list(first) == ["rg", "ltt", "rnh", "ensemble"]
    for (row,) in first.values():  # the pitch tells the class
        assert (row.value, row.direction, row.tag) == (1.0, "features", "probe")
        assert row.num_trials == 24 and row.low is not None
    assert set(counted.values()) == {24}
    again = _features(data, tmp_path)
    assert again == first and set(counted.values()) == {24}
    (tmp_path / "features").joinpath(os.listdir(tmp_path / "features")[0]).unlink()
    assert _features(data, tmp_path) == first and sum(counted.values()) > 3 * 24


def test_other_settings_are_measured_anew_and_a_damaged_file_is_a_sentence(data, tmp_path, counted):
    _features(data, tmp_path, ["rg"])
    c = untrained.config(data, "l3")
    c.eval.audio_seconds = 0.25
    feature_rows.measure(["rg"], c, data, str(tmp_path))
    assert counted["rg"] == 48
    (path,) = (tmp_path / "features").iterdir()
    path.write_text(path.read_text()[:50])
    with pytest.raises(registry.UserError, match="delete it, and the features are measured again"):
        _features(data, tmp_path, ["rg"])


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"features": ["rg", "mfcc"]}, "--features=rg,mfcc: there is no feature mfcc: choose from"),
        ({"features": ["rg"], "protocols": ["correspondence"]}, "give --protocols=linear_probe"),
        ({"features": ["rg", "rg"]}, "--features=rg,rg names rg twice"),
        ({"features": ["rg"], "baseline": "ltt"}, "--baseline=ltt is not among rg, log-mel stat"),
        ({"eval_data": "/no/where"}, "/no/where/index.csv does not exist"),
        ({"protocols": ["lists"]}, "the recipe l3 cannot be evaluated by lists, which compares"),
    ],
)
def test_what_cannot_be_is_a_sentence_before_anything_runs(data, tmp_path, arguments, sentence):
    (tmp_path / "c.py").write_text(CONFIG)
    with pytest.raises(registry.UserError, match=sentence):
        compare.compare(str(tmp_path / "c.py"), ["l3"], [0], str(tmp_path), data, **arguments)


def _result(direction, value):
    return results_lib.measured(
        value,
        0.1,
        None,
        protocol="linear_probe",
        metric=linear_probe.ACCURACY,
        direction=direction,
        tag="probe",
        num_trials=9,
        num_identities=9,
    )


def test_the_table_has_a_row_per_kind_of_features_and_each_untrained_encoder_once():
    def run(trained, untrained):
        return [
            _result(by_probe.TRAINED, trained),
            _result(by_probe.UNTRAINED, untrained),
            _result(by_probe.STATISTICS, 0.5),
        ]

    found = feature_rows.beside(
        [{"rg": [_result("features", 0.2)]}, {"rg": [_result("features", 0.2)]}],
        {
            "dmc": [run(0.7, 0.4), run(0.8, 0.3)],
            "l3": [run(0.6, 0.4), run(0.6, 0.3)],  # the same encoder as dmc
            "other": [run(0.9, 0.4), run(0.9, 0.2)],
        },
    )
    values = {
        name: [r.value for results in seeds for r in results] for name, seeds in found.items()
    }
    assert values == {
        "rg": [0.2, 0.2],
        "log-mel statistics": [0.5, 0.5],
        "dmc, untrained": [0.4, 0.3],
        "other, untrained": [0.4, 0.2],
        "dmc": [0.7, 0.8],
        "l3": [0.6, 0.6],
        "other": [0.9, 0.9],
    }
    assert {r.direction for seeds in found.values() for its in seeds for r in its} == {"features"}


def test_one_command_trains_on_one_corpus_and_probes_on_another(data, tmp_path, forks):
    (tmp_path / "c.py").write_text(CONFIG)
    other = untrained.write_data(tmp_path / "other", num_rows=36)
    flags = [f"--config={tmp_path}/c.py", "--variants=l3", "--seeds=0", f"--data={data}"]
    flags += [f"--features={','.join(feature_rows.ROWS)}", f"--eval_data={other}"]
    flags += ["--baseline=log-mel statistics", f"--output={tmp_path}/out"]
    code, text, errors = forks.run("compare", *flags)
    assert code == 0, errors[-3000:]
    rows = [line.split(" | ")[0][2:] for line in text.splitlines()[2:9]]
    assert rows == [*feature_rows.ROWS, "log-mel statistics", "l3, untrained", "l3"]
    assert "features linear probe" in text.splitlines()[0]
    figures = json.loads((tmp_path / "out" / "results.json").read_text())
    assert figures["about"]["eval_data"] == other
    (column,) = figures["figures"]["probe"].values()
    assert set(column) == {*rows}
    stored = json.loads(
        (tmp_path / "out" / "l3" / "seed0" / "evaluations" / "index.json").read_text()
    )
    (entry,) = stored["evaluations"]
    assert entry["protocol"] == "linear_probe"
    assert entry["data"] == index_files.sha256(other)
    log = tmp_path / "out" / "l3" / "seed0.log"
    before = log.read_bytes()
    assert forks.run("compare", *flags).stdout == text and log.read_bytes() == before
