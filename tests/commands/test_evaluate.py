"""Evaluating runs: what is written where, what may stand in one table, how far apart two are."""

import dataclasses
import errno
import json
import os
import shutil
import sys

import pytest
import tensorflow as tf

from tests import small, untrained
from tfav import registry
from tfav.commands import comparable, evaluate, plans, report
from tfav.commands.protocols import by_lists, protocol
from tfav.data import shards
from tfav.evaluation import result
from tfav.experiment import evaluations, models


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two data sets of one shape, and two untrained runs of unlike weights on the first."""
    folder = tmp_path_factory.mktemp("evaluate")
    data = untrained.write_data(folder / "data")
    untrained.write_data(folder / "other", num_rows=48)
    untrained.write(folder / "a", data, "voice_face")
    untrained.write(folder / "b", data, "voice_face", seed=1)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(made / name, tmp_path / name)
    for name in ("data", "other"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


def run(*workdirs, tags=("test",), **options):
    return list(evaluate.evaluate([str(w) for w in workdirs], tags, **options))


def own(workdir):
    path = workdir / "metrics.json"
    return path.read_text() if path.exists() else None


def test_a_runs_own_figures_are_metrics_json_with_plots_beside_it(folder):
    lines = run(folder / "a")
    document = json.loads(own(folder / "a"))
    assert {"about", "definitions", "results"} <= document.keys()
    assert {r["protocol"] for r in document["results"]} == {
        "matching",
        "verification",
        "retrieval",
    }
    assert document["about"]["data"].endswith("/data") and document["about"]["seed"] == 0
    assert (folder / "a" / "plots" / "test" / "roc.png").exists()
    (path,) = (folder / "a" / "evaluations").glob("lists-test-*.json")
    assert json.loads(path.read_text())["results"] == document["results"]
    assert lines[-1] == f"wrote {folder / 'a' / 'metrics.json'}"


ELSEWHERE = {
    "other data": {"directory": "other"},
    "other lists": {"lists_dir": "lists"},
    "other tags": {"tags": ("val",)},
    "another protocol": {"protocols": ["linear_probe"]},
    "another seed": {"seed": 3},
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_is_measured_elsewhere_leaves_the_runs_own_figures_and_plots_alone(folder, what):
    run(folder / "a")
    before, plot = own(folder / "a"), (folder / "a" / "plots" / "test" / "roc.png").read_bytes()
    options = dict(ELSEWHERE[what])
    if "directory" in options:
        options["directory"] = str(folder / "other")
    if "lists_dir" in options:
        shutil.copytree(folder / "data" / "lists", folder / "lists")
        (folder / "lists" / "verify_v2f_test.txt").unlink()
        options["lists_dir"] = str(folder / "lists")
    if "tags" in options:
        for path in (folder / "data" / "lists").glob("*_test.txt"):
            text = path.read_text()
            val = path.with_name(path.name.replace("_test", "_val"))
            val.write_text(text)
    lines = run(folder / "a", **options)
    if "tags" in options:
        for path in (folder / "data" / "lists").glob("*_val.txt"):
            path.unlink()
    assert own(folder / "a") == before
    assert (folder / "a" / "plots" / "test" / "roc.png").read_bytes() == plot
    assert len(list((folder / "a" / "evaluations").glob("*-*.json"))) == 2
    assert any("metrics.json stays as it is" in line for line in lines)


def test_a_further_tag_leaves_the_runs_own_figures_what_they_are(folder):
    run(folder / "a")
    before = json.loads(own(folder / "a"))
    for path in (folder / "data" / "lists").glob("match_*_test.txt"):
        path.with_name(path.name.replace("_test", "_more")).write_text(path.read_text())
    run(folder / "a", tags=["test", "more"])
    for path in (folder / "data" / "lists").glob("*_more.txt"):
        path.unlink()
    assert json.loads(own(folder / "a"))["results"] == before["results"]
    assert len(list((folder / "a" / "evaluations").glob("lists-more-*.json"))) == 1


def test_an_output_of_ones_own_gets_the_figures_and_the_run_nothing(folder):
    before = sorted(os.listdir(folder / "a"))
    run(folder / "a", directory=str(folder / "other"), output=str(folder / "out"))
    assert sorted(os.listdir(folder / "out")) == ["metrics.json", "plots"]
    found = evaluations.read(folder / "out" / "metrics.json")
    assert found.about["data"] == str(folder / "other") and found.measured[0].tags == ("test",)
    assert sorted(os.listdir(folder / "a")) == before
    with pytest.raises(registry.UserError, match="--output=.* the figures of one run and .* 2"):
        run(folder / "a", folder / "b", output=str(folder / "out"))


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS])
def test_a_workdir_that_cannot_be_written_prints_its_table_and_says_so(folder, monkeypatch, reason):
    def refuse(path, *_, **__):
        raise OSError(reason, os.strerror(reason), str(path))

    monkeypatch.setattr(evaluations.os, "makedirs", refuse)
    lines = run(folder / "a")
    assert lines[0].startswith("test, unrestricted (%)")
    assert lines[-1].startswith(f"nothing was written: {folder / 'a'} cannot be written (")
    assert lines[-1].endswith("name another folder with --output=DIR.")
    assert own(folder / "a") is None


def test_a_full_disk_is_no_read_only_one(folder, monkeypatch):
    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(evaluations.os, "makedirs", full)
    with pytest.raises(OSError, match="No space left"):
        run(folder / "a")


# Several runs ------------------------------------------------------------------------------------


def test_two_runs_on_the_same_trials_have_a_mean_and_a_paired_difference(folder):
    lines = run(folder / "a", folder / "b")
    spread, difference = lines[-2:]
    assert spread.startswith("| %, mean of 2 runs")
    assert difference.startswith("| %, b less a [95 %, both on the same resamples] | V->F | F->V |")
    values = [
        {r["list"]: r["value"] for r in json.loads(own(folder / n))["results"] if r["n"] == 2}
        for n in ("a", "b")
    ]
    name = "match_v2f_2_test.txt"
    row = next(line for line in difference.splitlines() if "1:2 matching" in line)
    expected = 100 * (values[1][name] - values[0][name])
    assert row.split(" | ")[1].startswith(f"{expected:+.1f} [")
    planned = plans.plan(str(folder / "a"), ["test"])
    results = evaluate._evaluate(models.trained(str(folder / "a")), planned).results
    (itself,) = comparable.differences(["a", "a"], [results, results], True)
    for line in itself.splitlines()[2:]:
        cells = [cell for cell in line.strip("| ").split(" | ")[1:] if cell]
        assert set(cells) <= {"+0.0 [0.0, 0.0]", "+0.00 [0.00, 0.00]"}


def test_one_run_under_two_names_has_no_mean(folder):
    os.symlink(folder / "a", folder / "link")
    shutil.copytree(folder / "a", folder / "copied")
    for other in ("a", "a/", "link", "copied"):
        with pytest.raises(registry.UserError, match="a and .* are one run .*: name each run once"):
            run(folder / "a", f"{folder}/{other}")
    assert own(folder / "a") is None


def test_runs_that_hear_otherwise_have_no_common_mean(folder):
    c = {"eval.audio_seconds": 0.5, "seed": 3}
    untrained.write(folder / "d", str(folder / "data"), "voice_face", **c)
    sentence = r"d is evaluated with other settings .eval.audio_seconds=0.5. than .*a, so that"
    with pytest.raises(registry.UserError, match=sentence):
        run(folder / "a", folder / "d")
    assert own(folder / "a") is None


@pytest.mark.parametrize("kind", ["run", "data", "export", "comparison"])
def test_figures_are_never_written_into_what_another_command_has_made(folder, kind):
    place = {"run": folder / "b", "data": folder / "data"}.get(kind, folder / kind)
    place.mkdir(exist_ok=True)
    if kind == "export":
        (place / "parity.json").write_text("{}")
    if kind == "comparison":
        (place / "results.json").write_text('{"about": {}, "figures": []}')
    before = sorted(place.rglob("*"))
    with pytest.raises(
        registry.UserError, match=f"--output={place} is .* .it holds .*: name anoth"
    ):
        run(folder / "a", output=str(place))
    assert sorted(place.rglob("*")) == before


@pytest.fixture
def others(folder):
    """Run c is on other data than a, d by another protocol."""
    untrained.write(folder / "c", str(folder / "other"), "voice_face", seed=2)
    untrained.write(
        folder / "d",
        str(folder / "data"),
        "voice_face",
        **{"eval.protocols": ("trials",), "seed": 3},
    )
    return folder


def test_runs_on_other_data_have_no_common_mean_unless_evaluated_on_one(others):
    with pytest.raises(
        registry.UserError, match="c is evaluated on other data .*/other.* than .*a,"
    ):
        run(others / "a", others / "c")
    assert own(others / "a") is None  # refused before anything is evaluated
    lines = run(others / "a", others / "c", directory=str(others / "data"))
    assert "c less a" in lines[-1]


def test_runs_by_other_protocols_or_lists_have_no_common_mean(others):
    with pytest.raises(
        registry.UserError, match="d is evaluated by other protocols than .*--protoc"
    ):
        run(others / "a", others / "d")
    copy = str(others / "copy")
    shutil.copytree(others / "data", copy)
    with open(os.path.join(copy, "lists", "match_v2f_2_test.txt"), "a") as file:
        file.write("\n")
    untrained.write(others / "e", copy, "voice_face", seed=4)
    with pytest.raises(registry.UserError, match="e is evaluated on other lists .*--lists=DIR"):
        run(others / "a", others / "e")


def test_corpora_of_other_seeds_may_be_averaged_but_have_no_paired_difference(folder):
    for seed in (0, 1):
        shards.write(folder / f"drawn{seed}", _drawn(seed), source="synthetic")
        untrained.write(
            folder / f"s{seed}", str(folder / f"drawn{seed}"), "dmc", **PAIRS, seed=seed
        )
    lines = run(folder / "s0", folder / "s1")
    assert lines[-2].startswith("| %, mean of 2 runs")
    assert (
        lines[-1] == "no differences between the runs: each was evaluated on data of its own seed"
    )
    shards.write(folder / "few", _drawn(2)[:-3], source="synthetic")  # of another shape
    untrained.write(folder / "s2", str(folder / "few"), "dmc", **PAIRS, seed=2)
    with pytest.raises(registry.UserError, match="other data"):
        run(folder / "s0", folder / "s2")


PAIRS = {"eval.protocols": ("correspondence",)}


def _drawn(seed):
    return [
        shards.Record(f"{r.id}-{seed}", r.split, r.label, r.audio, r.image, r.height, r.width)
        for r in small.paired_records(seed=seed)
    ]


def test_runs_are_called_by_as_much_of_their_path_as_tells_them_apart():
    assert comparable.short(["runs/a", "runs/b"]) == ["a", "b"]
    assert comparable.short(["x/seed0/run", "x/seed1/run"]) == ["seed0/run", "seed1/run"]
    assert comparable.short(["runs/a", "runs/a"]) == ["a", "a"]


# A protocol of one's own -------------------------------------------------------------------------

MINE = '''
"""Loudness as a protocol: how loud the audio of a split is. One object in one file."""

import numpy as np

from tfav.commands.protocols import by_lists, protocol
from tfav.evaluation import bootstrap, result
from tfav.evaluation.metric import Metric

LENGTH = Metric("length", "mean length", unit="s", digits=2, lower_is_better=True,
                definition="Length is that of the audio, in seconds.")


class Lengths(protocol.Protocol):
    metrics = (LENGTH,)
    compares = "nothing, it measures clips"

    def fits(self, recipe, c):
        return "audio" in c.modalities

    def evaluate(self, context):
        found = []
        for tag in context.tags:
            seconds = context.index.select(tag).num_samples / 16_000
            rows = np.arange(len(seconds))
            found.append(result.measured(
                seconds.mean(), 1.0,
                bootstrap.mean(seconds, rows, context.num_bootstrap, context.seed),
                protocol="lengths", metric=LENGTH, direction="audio", tag=tag,
                num_trials=len(rows), num_identities=len(rows), resampled="clips"))
        return protocol.Evaluated(found)


PROTOCOL = Lengths()
'''


@pytest.fixture
def mine(folder, monkeypatch):
    (folder / "mine_of_ones_own.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(folder))
    yield "mine_of_ones_own.PROTOCOL"
    sys.modules.pop("mine_of_ones_own", None)


def test_a_protocol_of_ones_own_prints_stores_spreads_compares_and_has_a_page(folder, mine):
    lines = run(folder / "a", folder / "b", protocols=[mine])
    table, spread, difference = lines[0], lines[-2], lines[-1]
    assert "mean length, audio         0.50 [0.50, 0.50]" in table
    assert "Length is that of the audio, in seconds." in table
    assert "Lower is better in mean length." in table
    assert "| test: mean length | 0.50 [0.50, 0.50] | 1.00 |" in spread
    assert "| test: mean length | +0.00 [0.00, 0.00] |" in difference
    (path,) = (folder / "a" / "evaluations").glob("PROTOCOL-test-*.json")
    sys.modules.pop("mine_of_ones_own")  # who reads the file needs no such module
    (found,) = evaluations.read(path).results
    assert found.metric.name == "mean length" and found.cells().value == "0.50"
    assert isinstance(found, result.Result)
    untrained.write(folder / "own", str(folder / "data"), "dmc", **{"eval.protocols": (mine,)})
    list(report.make_report(str(folder / "own")))
    text = (folder / "own" / "report.html").read_text()
    assert "mean length" in text and "<b> 0.50&nbsp;s</b>" in text.replace("\n", "")
    run(folder / "own")
    assert json.loads(own(folder / "own"))["results"][0]["metric"] == "length"


def test_data_of_any_file_system_that_tensorflow_knows_gives_the_same_figures(folder):
    far, found = "ram://evaluated/data", ({}, {})
    tf.io.gfile.makedirs(far)
    for path in (p for p in (folder / "data").iterdir() if p.is_file()):
        tf.io.gfile.copy(str(path), f"{far}/{path.name}")
    run(folder / "a", found=found[0])
    run(folder / "a", directory=far, lists_dir=str(folder / "data" / "lists"), found=found[1])
    assert found[0] == found[1] and found[0]
    with pytest.raises(registry.UserError, match=f"{far} is no folder .* to pick the weights by"):
        by_lists.Lists().check(models.trained(str(folder / "a")).config, shards.Index.read(far))


def test_a_dotted_path_to_something_else_is_a_sentence(folder):
    with pytest.raises(
        registry.UserError, match="'numpy.pi' is a float: choose .* name an instance"
    ):
        run(folder / "a", protocols=["numpy.pi"])


def test_a_protocol_that_mixes_up_its_tags_is_a_mistake_of_its_author(folder, mine, monkeypatch):
    import mine_of_ones_own

    whole = mine_of_ones_own.Lengths.evaluate

    def mixed(self, context):
        found = [dataclasses.replace(r, tag="all") for r in whole(self, context).results]
        return protocol.Evaluated(found)

    monkeypatch.setattr(mine_of_ones_own.Lengths, "evaluate", mixed)
    with pytest.raises(ValueError, match="its by_tag must be False"):
        run(folder / "a", tags=["test", "train"], protocols=[mine])
