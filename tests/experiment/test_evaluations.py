"""The store of figures: what is found under which key, what is a run's own, what is damaged."""

import json
import pathlib
import re
import shutil
import threading

import pytest

from tests import untrained
from tfav import config_file, files, registry
from tfav.commands import plans
from tfav.evaluation import catalogue, result
from tfav.evaluation.metric import Metric
from tfav.experiment import evaluations, measurement, provenance
from tfav.training import environment


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    data = untrained.write_data(folder / "data")
    untrained.write(folder / "run", data, "voice_face")
    return folder


@pytest.fixture
def workdir(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def place(**changes):
    fields = {
        "protocol": "lists",
        "tags": ("test",),
        "data": "d" * 64,
        "lists": {"match_v2f_2_test.txt": "a" * 64},
        "weights": "w" * 64,
        "settings": {"audio_seconds": 10.0},
        "seed": 0,
    }
    return measurement.Measured(**{**fields, **changes})


def figure(value=0.7, metric=catalogue.METRICS["verification"]["eer"], **more):
    fields = {"direction": "v2f", "tag": "test", "num_trials": 9, "num_identities": 3}
    fields |= {"protocol": "verification", "threshold": 0.25, **more}
    return result.measured(value, 0.5, None, metric=metric, **fields)


def evaluation(*places, value=0.7, **about):
    return evaluations.Evaluation(list(places), [figure(value)], about)


CHANGES = {
    "other data": {"data": "e" * 64},
    "another list": {"lists": {"match_v2f_2_test.txt": "b" * 64}},
    "a further list": {"lists": {"match_v2f_2_test.txt": "a" * 64, "x.txt": "c" * 64}},
    "another tag": {"tags": ("val",)},
    "another protocol": {"protocol": "trials"},
    "other weights": {"weights": "v" * 64},
    "another setting": {"settings": {"audio_seconds": 5.0}},
    "another seed": {"seed": 1},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_figure_is_found_under_all_it_was_measured_on_and_under_nothing_else(tmp_path, change):
    evaluations.write(tmp_path, [evaluation(place())], {})
    assert evaluations.find(tmp_path, place()).results == [figure()]
    other = place(**CHANGES[change])
    assert evaluations.find(tmp_path, other) is None
    evaluations.write(tmp_path, [evaluation(other, value=0.2)], {})
    assert evaluations.find(tmp_path, other).results[0].value == 0.2
    assert evaluations.find(tmp_path, place()).results[0].value == 0.7  # neither replaced the other
    index = json.loads((tmp_path / "evaluations" / "index.json").read_text())["evaluations"]
    assert len(index) == 2
    for entry in index:
        assert (tmp_path / "evaluations" / entry["file"]).exists()
        assert entry["protocol"] in ("lists", "trials")


def test_the_settings_of_a_measurement_are_those_that_change_figures(made):
    c = untrained.config(str(made / "data"), "voice_face")
    before = measurement.settings(c, "lists")
    c.eval.batch_size, c.eval.protocols = 7, ("trials",)
    assert measurement.settings(c, "lists") == before
    # What localisation alone reads leaves the figures of others where they are found.
    maps = measurement.settings(c, "localisation")
    c.eval.binarise = "top_half"
    assert measurement.settings(c, "lists") == before
    assert measurement.settings(c, "localisation") != maps
    c.eval.num_bootstrap = 3
    assert measurement.settings(c, "lists") != before


def test_a_metric_of_ones_own_comes_back_from_its_file(tmp_path):
    mine = Metric("hits", "hits of {n}", unit="", digits=2, definition="Hits are hits.")
    own = figure(1.5, mine, protocol="odd", threshold=None, n=3)
    evaluations.write(tmp_path, [evaluations.Evaluation([place()], [own], {})], {})
    found = evaluations.find(tmp_path, place())
    assert found.results == [own] and found.results[0].name == "hits of 3"
    document = json.loads(next((tmp_path / "evaluations").glob("lists-*.json")).read_text())
    assert document["definitions"] == {"hits": "Hits are hits."}


def test_a_file_that_says_something_else_than_its_name_is_refused(tmp_path):
    evaluations.write(tmp_path, [evaluation(place())], {})
    name = evaluations.path_of(tmp_path, place().key)
    shutil.move(name, evaluations.path_of(tmp_path, place(seed=1).key))
    with pytest.raises(registry.UserError, match="holds another measurement than its name says"):
        evaluations.find(tmp_path, place(seed=1))


DAMAGES = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "another kind": lambda text: "[1, 2]",
    "no results": lambda text: json.dumps({"about": {}}),
    "results of another kind": lambda text: json.dumps({"about": {}, "results": {"a": 1}}),
    "a value that is no number": lambda text: text.replace("0.7", '"high"'),
    "not a number": lambda text: text.replace("0.7", "NaN"),
    "a metric that is none": lambda text: text.replace('"metrics": {', '"metrics": {"x": 3, '),
    "not text": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
}


def test_a_figure_that_was_changed_by_hand_is_not_taken_for_one_that_was_measured(tmp_path):
    evaluations.write(tmp_path, [evaluation(place())], {}, evaluation(place()))
    for path in (
        tmp_path / "metrics.json",
        pathlib.Path(evaluations.path_of(tmp_path, place().key)),
    ):
        text = path.read_text()
        changed = re.sub(r'"value": 0\.\d+', '"value": 0.99', text)
        assert changed != text
        path.write_text(changed)
        with pytest.raises(registry.UserError, match="is not what was written, its sha256 does n"):
            evaluations.read(path)
        # As an older version wrote it: without a seal.
        path.write_text(re.sub(r',\s*"sha256": "[0-9a-f]{64}"\s*}\s*$', "}", text))
        assert "sha256" not in json.loads(path.read_text())
        assert evaluations.read(path).results == [figure()]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_sentence_that_names_it_and_the_command(tmp_path, damage):
    evaluations.write(tmp_path, [evaluation(place())], {}, evaluation(place()))
    for path in (tmp_path / "metrics.json", evaluations.path_of(tmp_path, place().key)):
        with open(path) as file:
            broken = DAMAGES[damage](file.read())
        with open(path, "wb") as file:
            file.write(broken if isinstance(broken, bytes) else broken.encode())
        with pytest.raises(registry.UserError) as error:
            evaluations.read(path)
        assert re.match(f"{path} is (damaged|empty|not)", str(error.value))
        fix = f"make it again with tfav-eval --workdir={tmp_path}"
        assert fix in str(error.value)
    # A further measurement is written all the same, and the index says what is damaged.
    evaluations.write(tmp_path, [evaluation(place(seed=1))], {})
    index = json.loads((tmp_path / "evaluations" / "index.json").read_text())["evaluations"]
    assert ["damaged" in entry for entry in index].count(True) == 1 and len(index) == 2


def test_two_at_once_leave_every_measurement_and_a_whole_index(tmp_path):
    def write(seed):
        evaluations.write(tmp_path, [evaluation(place(seed=seed))], {})

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index = json.loads((tmp_path / "evaluations" / "index.json").read_text())["evaluations"]
    assert sorted(entry["seed"] for entry in index) == list(range(12))


# The run's own figures ---------------------------------------------------------------------------


def own_of(workdir):
    """Writes what an evaluation on the run's own terms writes."""
    (only,) = plans.plan(str(workdir), ["test"]).measured()
    mine = evaluation(only, weights={"step": 7.0})
    evaluations.write(str(workdir), [mine], {}, mine)
    return mine


def test_a_runs_own_figures_are_those_of_metrics_json(workdir):
    assert evaluations.own(str(workdir)) is None
    mine = own_of(workdir)
    assert evaluations.own(str(workdir)).results == mine.results
    found = provenance.evaluation(str(workdir))
    assert found["weights"] == {"step": 7.0}
    (kept,) = found["figures"]
    assert kept == {
        "protocol": "verification",
        "stratum": "unrestricted",
        "direction": "v2f",
        "tag": "test",
        "metric": "eer",
        "value": 0.7,
        "threshold": 0.25,
    }


def change_weights(workdir):
    files.write_npz(workdir / "weights.npz", {"w": files.np.zeros(1)})


def change_settings(workdir):
    c = config_file.load(str(workdir)).unlock()
    c.eval.num_bootstrap = 9
    config_file.save(c, str(workdir))


def change_data(workdir):
    environment.record(str(workdir), environment.facts(step=9, labels=[], data_sha256="0" * 64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_weights, "other weights"),
        (change_settings, "other settings"),
        (change_data, "other data"),
    ],
)
def test_what_is_no_longer_the_runs_own_goes_into_no_export(workdir, change, words):
    own_of(workdir)
    change(workdir)
    with pytest.raises(registry.UserError, match=f"metrics.json is of {words}.*tfav-eval --workd"):
        provenance.evaluation(str(workdir))


def old(workdir, made, **changes):
    """A metrics.json of before there was a store."""
    about = {
        "weights": {"step": 7.0},
        "data": str(made / "data"),
        "lists": str(made / "data" / "lists"),
        "seed": 0,
    }
    name = "verify_v2f_test.txt"
    entry = figure(list_name=name, sha256=files.sha256(made / "data" / "lists" / name)).to_json()
    entry |= {"sha256": changes.pop("sha256", entry["sha256"])}
    document = {"about": {**about, **changes}, "definitions": {}, "results": [entry]}
    (workdir / "metrics.json").write_text(json.dumps(document))


def test_an_old_file_is_read_where_it_is_of_the_run_as_it_stands(workdir, made):
    old(workdir, made)
    assert provenance.evaluation(str(workdir))["figures"][0]["threshold"] == 0.25


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "/data/other"}, "the data /data/other"),
        ({"lists": "/data/lists"}, "the lists /data/lists"),
        ({"weights": {"step": 3.0}}, "the weights .'step': 3.0."),
        ({"weights": None}, "the weights None"),
        ({"sha256": "0" * 64}, "another verify_v2f_test.txt"),
    ],
)
def test_an_old_file_of_something_else_says_to_evaluate_again(workdir, made, changes, words):
    old(workdir, made, **changes)
    with pytest.raises(registry.UserError, match=f"metrics.json is of {words}.*evaluate it again"):
        provenance.evaluation(str(workdir))
