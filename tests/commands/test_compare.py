"""Variants over seeds in one command: nothing is repeated, nothing is lost, a failure is named."""

import json
import os
import pathlib
import re
import signal
import time

import numpy as np
import pytest

from tests import forked, small
from tfav import files, registry
from tfav.commands import compare, plans
from tfav.evaluation import list_tasks, result
from tfav.experiment import evaluations

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = os.path.join(ROOT, "configs", "voice_face.py")
VARIANTS = ["ablation_implicit", "ablation_triplet"]
SMALL = {
    "data.audio_seconds": (0.4, 0.5),
    "embedding_size": 8,
    "image.size": 32,
    "train.batch_size": 4,
    "train.num_steps": 2,
    "train.warmup_steps": 0,
    "train.steps_per_call": 2,
    "train.validate_every": 0,
    "eval.num_bootstrap": 0,
}

NO_SIZE = {"embedding_size": None}  # given by a sweep


def _start(forks, folder, *flags: str) -> forked.Process:
    command = [os.path.join(ROOT, "bin", "compare.py"), "--config=configs/voice_face.py"]
    command += [f"--output={folder / 'out'}", f"--data={folder}/data{{seed}}"]
    command += [*(f"--config.{name}={value}" for name, value in SMALL.items()), *flags]
    return forks.start(command)


def _compare(folder, variants=VARIANTS, seeds=(7, 8), overrides=None, **more) -> str:
    fields = {k: v for k, v in {**SMALL, **(overrides or {})}.items() if v is not None}
    output, data = str(folder / "out"), f"{folder}/data{{seed}}"
    return compare.compare(CONFIG, variants, seeds, output, data, overrides=fields, **more)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("compare")
    for seed in (7, 8):
        small.write_dataset(str(folder / f"data{seed}"))
    return folder


@pytest.fixture
def folder(datasets, tmp_path) -> pathlib.Path:
    """A folder with the data of the seeds 7 and 8."""
    for seed in (7, 8):
        (tmp_path / f"data{seed}").symlink_to(datasets / f"data{seed}")
    return tmp_path


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, str, int]]:
    """What ran, in order, in place of processes; every run reaches a tenth of its seed."""
    made = []

    def call(run, binary, arguments):
        made.append((binary, run.variant, run.seed))
        if binary == "train":
            os.makedirs(run.workdir, exist_ok=True)
            files.write_json(os.path.join(run.workdir, "config.json"), run.stamp["experiment"])
            weights = {"w": np.array(json.dumps(run.stamp))}  # others for every other stamp
            files.write_npz(os.path.join(run.workdir, "weights.npz"), weights)
        else:
            tags = arguments[1].removeprefix("--tags=").split(",")
            evaluations.write(run.workdir, list(_evaluated(run, tags)), {})

    monkeypatch.setattr(compare, "_call", call)
    return made


def _evaluated(run, tags):
    for place in plans.plan(run.workdir, tags).measured():
        (tag,) = place.tags
        figure = result.measured(
            run.seed / 10,
            0.5,
            None,
            protocol="matching",
            metric=list_tasks.ACCURACY,
            n=2,
            direction="v2f",
            tag=tag,
            num_trials=9,
            num_identities=3,
        )
        yield evaluations.Evaluation([place], [figure], {})


def test_two_variants_are_trained_evaluated_and_set_side_by_side(folder, forks):
    code, text, errors = _start(
        forks, folder, f"--variants={','.join(VARIANTS)}", "--seeds=7"
    ).done()
    assert code == 0, errors[-3000:]
    assert (folder / "out" / "table.md").read_text() == text
    assert text.startswith("| test, %, 1 seed: mean [least, greatest] | 1:2 V->F U | 1:2 F->V U |")
    assert "| test, %, 1 seed: difference to ablation_implicit |" in text
    results = json.loads((folder / "out" / "results.json").read_text())
    assert results["about"]["seeds"] == [7]
    for variant in VARIANTS:
        run = folder / "out" / variant / "seed7"
        config = json.loads((run / "config.json").read_text())
        assert config["seed"] == 7 and config["train"]["num_steps"] == 2
        assert config["data"]["directory"] == f"{folder}/data7"
        assert config["model"]["explicit_weight"] == (variant == "ablation_triplet")
        metrics = json.loads((run / "metrics.json").read_text())["results"]
        (found,) = [r for r in metrics if (r["n"], r["direction"]) == (2, "v2f")]
        figure = results["figures"]["test"]["1:2 V->F U"][variant]
        assert figure["values"] == [found["value"]]


def test_every_seed_sees_its_own_data_and_all_variants_before_the_next(folder, calls):
    text = _compare(folder)
    a, b = VARIANTS
    assert calls == [
        (binary, variant, seed)
        for seed in (7, 8)
        for variant in (a, b)
        for binary in ("train", "eval")
    ]
    assert f"| {a} | **75.0** [70.0, 80.0] |" in text  # seed 7 reaches 0.7, seed 8 0.8


def test_a_second_call_runs_nothing_and_returns_the_same(folder, calls):
    text = _compare(folder)
    calls.clear()
    assert _compare(folder) == text and not calls
    _compare(folder, tags=["test", "val"])
    assert {binary for binary, *_ in calls} == {"eval"} and len(calls) == 4


def test_what_was_interrupted_is_finished_and_nothing_else_runs(folder, calls, monkeypatch):
    whole = compare._call

    def killed(run, binary, arguments):
        if (run.variant, run.seed, binary) == ("ablation_triplet", 7, "eval"):
            raise KeyboardInterrupt
        whole(run, binary, arguments)

    monkeypatch.setattr(compare, "_call", killed)
    with pytest.raises(KeyboardInterrupt):
        _compare(folder)
    assert calls[-1] == ("train", "ablation_triplet", 7)
    calls.clear()
    monkeypatch.setattr(compare, "_call", whole)
    _compare(folder)
    assert calls[0] == ("eval", "ablation_triplet", 7)
    assert len(calls) == 5 and {seed for *_, seed in calls[1:]} == {8}


def test_another_field_or_other_data_is_no_finished_run(folder, calls):
    _compare(folder)
    calls.clear()
    _compare(folder, overrides={"train.learning_rate": 0.5})  # which train itself then refuses
    assert len(calls) == 8
    calls.clear()
    (folder / "data8").unlink()
    small.write_dataset(str(folder / "data8"), num_identities=12)
    _compare(folder, overrides={"train.learning_rate": 0.5})
    assert len(calls) == 4 and {seed for *_, seed in calls} == {8}


def test_figures_of_other_weights_or_other_data_are_never_taken_for_a_runs_own(folder, calls):
    _compare(folder, VARIANTS[:1], seeds=(7,))
    run = folder / "out" / VARIANTS[0] / "seed7"
    calls.clear()
    files.write_npz(run / "weights.npz", {"w": np.zeros(1)})  # trained on since it was evaluated
    _compare(folder, VARIANTS[:1], seeds=(7,))
    assert calls == [("eval", VARIANTS[0], 7)]
    calls.clear()
    lists = folder / "data7" / "lists"
    (folder / "data7").unlink()
    small.write_dataset(str(folder / "data7"))
    with (lists / "match_v2f_2_test.txt").open("a") as file:
        file.write("\n")  # another list, the same data
    _compare(folder, VARIANTS[:1], seeds=(7,))
    assert calls == [("eval", VARIANTS[0], 7)]


def test_a_damaged_state_or_figure_is_a_sentence(folder, calls):
    _compare(folder, VARIANTS[:1], seeds=(7,))
    run = folder / "out" / VARIANTS[0] / "seed7"
    whole = (run / "compare.json").read_text()
    for damaged in ("[1]", "{", "{}", '"x"'):
        (run / "compare.json").write_text(damaged)
        with pytest.raises(registry.UserError, match="compare.json is .*: delete it, and"):
            _compare(folder, VARIANTS[:1], seeds=(7,))
    (run / "compare.json").write_text(whole)
    (path,) = (run / "evaluations").glob("lists-*.json")
    path.write_text(path.read_text()[:200])
    with pytest.raises(registry.UserError, match=f"{path.name} is .*--workdir={run}"):
        _compare(folder, VARIANTS[:1], seeds=(7,))


FIELDS = """
from tfav import config

def get_config(variant="plain"):
    c = config.base()
    if variant == "rich":
        c.loss.own_weight = 1.0
    return config.variant(variant, {"plain": lambda: c, "rich": lambda: c})
"""


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ("rich", "none/index.csv does not exist"),  # the field is there: on to the data
        ("rich,plain", "config.loss.own_weight: the variant plain of .* has no such field"),
        ("plain,rich", "--config has no such field"),
    ],
)
@pytest.mark.parametrize("named", ["", ":plain", ":rich"])
def test_the_variants_that_are_compared_say_which_fields_there_are(
    tmp_path, forks, variants, sentence, named
):
    (tmp_path / "fields.py").write_text(FIELDS)
    flags = [f"--variants={variants}", f"--output={tmp_path}/out", f"--data={tmp_path}/none"]
    flags += [f"--config={tmp_path}/fields.py{named}", "--config.loss.own_weight=3", "--seeds=7"]
    done = forks.run("compare", *flags)
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert re.search(sentence, line), line


def test_a_failing_run_ends_in_one_sentence_that_names_its_log(folder):
    log = folder / "out" / "ablation_explicit" / "seed7.log"
    with pytest.raises(registry.UserError) as failure:
        _compare(folder, ["ablation_explicit"], overrides={"train.batch_size": 100})
    sentence = str(failure.value)
    assert sentence.startswith("train of ablation_explicit with seed 7 failed (error: ")
    assert "split 'train' of" in sentence and f"see {log}" in sentence
    assert "split 'train' of" in log.read_text()


def test_a_stopped_command_stops_its_run_which_saves_itself(folder, forks):
    flags = ("--variants=ablation_both", "--seeds=7", "--config.train.num_steps=100000")
    process = _start(forks, folder, *flags)
    scalars = folder / "out" / "ablation_both" / "seed7" / "scalars.jsonl"
    deadline = time.time() + 120
    while not (scalars.exists() and scalars.stat().st_size):
        assert process.poll() is None, process.done()
        assert time.time() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    log = (folder / "out" / "ablation_both" / "seed7.log").read_text()
    assert "SIGTERM: saved step" in log


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"variants": ["ablation_both", "none_such"]}, "no variant 'none_such'"),
        ({"baseline": "ablation_both"}, "--baseline=ablation_both is not among"),
        ({"seeds": (7, 9)}, "data9/index.csv does not exist"),
        ({"overrides": {"seed": 3}}, "--seeds"),
        ({"overrides": {"data.directory": "x"}}, "--data"),
    ],
)
def test_a_wrong_name_is_a_sentence_before_anything_runs(folder, calls, arguments, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        _compare(folder, **arguments)
    assert not calls


# Sweeps ------------------------------------------------------------------------------------------


def _swept(folder, sweep, variants=VARIANTS, **more):
    return _compare(folder, variants, sweep=sweep, **more)


def test_a_sweep_has_a_row_per_value_beside_the_other_variants(folder, calls):
    text = _swept(folder, "model.explicit_weight:0.5, 2")
    rows = ["ablation_triplet", "model.explicit_weight=0.5", "model.explicit_weight=2"]
    assert calls == [
        (binary, row, seed) for seed in (7, 8) for row in rows for binary in ("train", "eval")
    ]
    found = [line.split(" | ")[0][2:] for line in text.splitlines()[2:5]]
    assert found == rows and "difference to ablation_triplet" in text
    out = folder / "out"
    assert (out / "sensitivity.png").read_bytes().startswith(b"\x89PNG")
    stamp = out / "ablation_implicit" / "model.explicit_weight=2" / "seed7" / "compare.json"
    assert json.loads(stamp.read_text())["trained"]["experiment"]["model"]["explicit_weight"] == 2.0
    stamp = out / "ablation_triplet" / "seed7" / "compare.json"
    assert json.loads(stamp.read_text())["trained"]["experiment"]["model"]["explicit_weight"] == 1.0
    results = json.loads((out / "results.json").read_text())
    assert results["about"]["sweep"] == "model.explicit_weight:0.5, 2"


def test_a_sweep_goes_on_where_it_was_and_a_further_value_runs_alone(folder, calls):
    first = _swept(folder, "embedding_size:8,16", ["ablation_implicit"], overrides=NO_SIZE)
    assert "difference to embedding_size=8" in first
    calls.clear()
    again = _swept(folder, "embedding_size:8,16", ["ablation_implicit"], overrides=NO_SIZE)
    assert again == first and not calls
    _swept(folder, "embedding_size:8,16,32", ["ablation_implicit"], overrides=NO_SIZE)
    assert {row for _, row, _ in calls} == {"embedding_size=32"} and len(calls) == 4
    calls.clear()
    _compare(folder, ["ablation_implicit"])  # is not one of the rows of the sweep
    assert len(calls) == 4


def test_values_are_of_the_fields_type_and_each_is_run_once(folder, calls):
    _swept(folder, "model.scale:2,2.0,1e1", ["ablation_implicit"], seeds=(7,))  # None till now
    assert [row for _, row, _ in calls[::2]] == ["model.scale=2", "model.scale=1e1"]
    calls.clear()
    _swept(folder, "model.normalized:True,false", ["ablation_implicit"], seeds=(7,))
    _swept(folder, "image.encoder:tiny,a/b", ["ablation_implicit"], seeds=(7,))
    assert len(calls) == 8
    assert (folder / "out" / "ablation_implicit" / "image.encoder=a%2Fb" / "seed7").is_dir()


@pytest.mark.parametrize(
    "sweep, sentence",
    [
        ("model.scale", "--sweep=model.scale: write FIELD:VALUE,VALUE"),
        ("model.scale:", "write FIELD:VALUE,VALUE"),
        ("model.scale:1,,2", "write FIELD:VALUE,VALUE"),
        (":1", "write FIELD:VALUE,VALUE"),
        ("model.scales:1", "variant ablation_implicit of .* has no field model.scales: name one"),
        ("modle.scale:1", "has no field modle.scale"),
        ("seed.scale:1", "has no field seed.scale"),
        ("model:1", "model holds no single value .ConfigDict."),
        ("data.augment:flip", "data.augment holds no single value .tuple."),
        ("model.scale:2,high", "'high' is no value of model.scale: give numbers"),
        ("model.scale:nan", "'nan' is no value of model.scale: give numbers"),
        ("train.decay_factor:0.1,x", "'x' is no value of train.decay_factor"),
        ("train.num_steps:2.5", "'2.5' is no value of train.num_steps: give whole numbers"),
        ("model.normalized:1", "'1' is no value of model.normalized: give true or false"),
        ("seed:1,2", "seed is what --seeds gives"),
        ("data.directory:a", "data.directory is what --data gives"),
        ("embedding_size:8", "--config.embedding_size and --sweep=.*leave one of them out"),
    ],
)
def test_a_sweep_that_cannot_be_is_a_sentence_before_anything_runs(folder, calls, sweep, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        _swept(folder, sweep, overrides={"train.num_steps": None})
    assert not calls


def test_a_sweep_takes_the_variant_of_the_config_and_says_what_is_missing(folder, forks):
    flags = [f"--output={folder / 'out'}", f"--data={folder}/data{{seed}}", "--seeds=7"]
    for config, more, sentence in (
        (CONFIG, "--sweep=model.scale:5", "--variants is missing: give --variants=NAME,NAME, or"),
        (f"{CONFIG}:demo", "--baseline=", "--variants is missing"),
        (f"{CONFIG}:demo", "--sweep=model.scale:x", "'x' is no value of model.scale"),
    ):
        done = forks.run("compare", *flags, f"--config={config}", more)
        assert done.code == 2 and not done.stdout
        (line,) = done.stderr.strip().splitlines()
        assert re.search(sentence, line)


def test_a_seed_that_is_no_number_is_a_sentence(folder, forks):
    code, text, errors = _start(forks, folder, "--variants=ablation_both", "--seeds=1,x").done()
    assert code == 2 and not text
    (sentence,) = errors.strip().splitlines()
    assert "--seeds=1,x" in sentence and "whole numbers" in sentence
