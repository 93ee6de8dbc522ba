"""A run that tells classes apart, from its data to its page and its artefacts."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tests import small
from tfav import registry
from tfav.commands import evaluate, export, report, train
from tfav.commands.protocols import by_classes, by_trials, protocol
from tfav.data import shards
from tfav.evaluation import fusion_weights
from tfav.experiment import models


def write(directory, change=lambda row: row, **options):
    rows = [change(row) for row in small.paired_records(**options)]
    shards.write(directory, rows, columns=["speaker"], modalities=["flow"])
    return str(directory)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    c = small.classes_config(write(folder / "data"))
    c.train.validate_every = 15
    train.train(c, str(folder / "run"), "one_device")
    return folder


def results(workdir):
    document = json.loads((workdir / "metrics.json").read_text())
    return {(r["metric"], r["direction"]): r for r in document["results"]}


def test_three_modalities_are_told_apart_fused_and_alone(run):
    text = "\n".join(evaluate.evaluate([str(run / "run")], ["test"]))
    found = results(run / "run")
    directions = {d for _, d in found}
    assert directions == {"fused", "audio", "image", "flow"}
    assert found["accuracy", "fused"]["value"] == 1.0
    # Six rows of four speakers, which the interval resamples.
    assert (found["accuracy", "fused"]["num_trials"], found["accuracy", "fused"]["chance"]) == (
        6,
        pytest.approx(1 / 3),
    )
    assert found["accuracy", "fused"]["num_identities"] <= 4
    assert "accuracy, fused" in text
    assert (run / "run" / "plots" / "test" / "confusion.png").exists()


def test_validation_gives_accuracy_and_loss_of_every_modality(run):
    lines = [json.loads(x) for x in (run / "run" / "scalars.jsonl").read_text().splitlines()]
    validated = [line for line in lines if "val/metric" in line]
    assert [line["step"] for line in validated] == [15, 30]
    last = validated[-1]
    assert last["val/metric"] == last["val/accuracy_fused"]
    assert {"val/loss_fused", "val/loss_flow", "share_flow", "gradient_norm_flow"} <= last.keys()
    assert last["val/loss_fused"] < np.log(3)


def test_the_classes_are_those_of_the_training_split_and_their_order_is_kept(run):
    labels = shards.Index.read(str(run / "data")).labels("train")
    assert models.trained(str(run / "run")).labels == tuple(labels)


def test_the_page_shows_figures_confusion_and_balance(run):
    (line,) = report.make_report(str(run / "run"), ["test"], baseline=str(run / "run"))
    text = (run / "run" / "report.html").read_text()
    assert "report.html" in line and text.count("data:image/svg+xml") == 5
    assert "Missing modalities" in text
    assert "6 of 6 rows are right" in text and "Balance of the modalities" in text
    # All six are right and none wrong; each is seen and heard.
    assert "<h3>Right (6)</h3>" in text and "<h3>Wrong (0)</h3>" in text
    assert text.count("data:image/jpeg") == text.count("<audio controls") == 6
    assert "+0.0 [0.0, 0.0]" in text  # compared with itself, on the same resamples
    assert "not told apart" in text and ">better<" not in text and ">worse<" not in text


def test_the_page_without_media_has_no_example(run, tmp_path):
    list(report.make_report(str(run / "run"), ["test"], str(tmp_path / "p.html"), media=False))
    text = (tmp_path / "p.html").read_text()
    assert "data:image/jpeg" not in text and "<audio" not in text and "Examples" not in text
    assert "6 of 6 rows are right" in text and "Learning curves" in text
    index = shards.Index.read(str(run / "data"))
    assert not [name for name in index.id.tolist() if name in text]


def test_the_export_classifies_and_names_the_classes(run, tmp_path):
    lines = export.export(str(run / "run"), str(tmp_path / "model"), precisions=("float32",))
    assert any("classify:flow_logits" in line for line in lines)
    names = (tmp_path / "model" / "labels.txt").read_text().split()
    assert names == ["class0", "class1", "class2"]
    assert (tmp_path / "model" / "classifier_float32.tflite").exists()


def test_a_missing_modality_at_test_time_is_scored_by_the_others(run, tmp_path):
    def deaf(row):
        # Two of the six test rows have no sound.
        lost = row.split == "test" and row.id.endswith(("/15.wav", "/16.wav"))
        return dataclasses.replace(row, audio=None) if lost else row

    data = write(tmp_path / "deaf", deaf)
    output = tmp_path / "out"
    lines = evaluate.evaluate([str(run / "run")], ["test"], directory=data, output=str(output))
    text = "\n".join(lines)
    found = results(output)
    assert found["accuracy", "audio"]["num_trials"] == 4
    assert found["accuracy", "fused"]["num_trials"] == 6
    assert "2 of 6 rows have no audio" in " ".join(text.split())


def test_trials_are_scored_by_the_cosine_of_logits(run, tmp_path):
    part = shards.Index.read(str(run / "data")).select("test")
    pairs = [(a, b) for a in range(len(part)) for b in range(a)]
    same = [part.label[a] == part.label[b] for a, b in pairs]
    lines = [f"{int(s)},/{part.id[a]},{part.id[b]}" for s, (a, b) in zip(same, pairs)]
    (tmp_path / "pairs.csv").write_text("\n".join(["label,wav1,wav2", *lines]))
    done = models.trained(str(run / "run"))
    with done.config.unlocked():
        done.config.eval.protocols = ("trials",)
    index = shards.Index.read(str(run / "data"))
    context = protocol.Context(done, index, ["test"], str(tmp_path), 0)
    rows, _ = by_trials.Trials().evaluate(context)
    fused = {r.metric.key: r.value for r in rows if r.direction == "fused"}
    assert fused["auc"] == 1.0 and fused["eer"] == 0.0  # classes that are told apart
    elsewhere = dataclasses.replace(context, lists_dir=str(run))
    with pytest.raises(registry.UserError, match="no trial list"):
        by_trials.Trials().evaluate(elsewhere)


def test_blending_weights_come_from_the_first_phase(tmp_path):
    c = small.classes_config(write(tmp_path / "data"))
    c.model.head = "vanilla"
    c.loss = {"blending": "estimated"}
    c.first_phase.loss = {"blending": "equal"}
    c.train.validate_every = 10
    train.train(c, str(tmp_path / "run"), "one_device")
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    weights = [last[f"blend_{k}"] for k in ("fused", "audio", "image", "flow")]
    assert sum(weights) == pytest.approx(1.0, abs=1e-5)
    assert max(weights) > 0.3 and min(weights) < 0.25  # not the equal ones of the first phase
    assert os.path.exists(tmp_path / "run" / "first_phase" / "weights.npz")


def test_a_fitted_late_fusion_comes_from_the_last_validation_and_is_evaluated_with(tmp_path):
    c = small.classes_config(write(tmp_path / "data"))
    c.model.late_fusion, c.loss.balance = "fitted", "mmpareto"
    c.train.num_steps = c.train.validate_every = 10
    train.train(c, str(tmp_path / "run"), "one_device")
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    logged = {m: json.loads(lines[-1])[f"val/fusion_weight_{m}"] for m in c.modalities}
    run = models.trained(str(tmp_path / "run"))
    kept = {m: float(w) for m, w in run.recipe.tables["late_fusion"].weights().items()}
    assert kept == pytest.approx(logged, rel=1e-6) and set(kept.values()) != {1.0}
    index = shards.Index.read(str(tmp_path / "data"))
    scored = by_classes.score(protocol.Context(run, index), "val")
    total = sum(kept[m] * scored.logits[m] for m in kept)
    np.testing.assert_allclose(scored.logits["fused"], total, rtol=1e-5, atol=1e-5)
    alone = {m: scored.logits[m] for m in kept}
    assert fusion_weights.fit(alone, scored.label) == pytest.approx(kept, rel=1e-3)


def test_a_fitted_late_fusion_without_validations_is_a_sentence(tmp_path):
    c = small.classes_config(write(tmp_path / "data"))
    c.model.late_fusion = "fitted"
    with pytest.raises(registry.UserError, match="train.validate_every=0 has none"):
        train.train(c, str(tmp_path / "run"), "one_device")


def test_blending_without_two_validations_is_a_sentence(tmp_path):
    c = small.classes_config(write(tmp_path / "data"))
    c.loss = {"scale": 5.0, "blending": "estimated"}
    c.first_phase.loss = {"blending": "equal"}
    c.first_phase.train = {"num_steps": 5, "validate_every": 0}
    with pytest.raises(registry.UserError, match="validated 0 times"):
        train.train(c, str(tmp_path / "run"), "one_device")


def _refused(tmp_path, sentence, change=lambda row: row, **fields):
    c = small.classes_config(write(tmp_path / "data", change))
    c.update_from_flattened_dict(fields)
    c.train.validate_every = 15
    with pytest.raises(registry.UserError, match=sentence):
        train.train(c, str(tmp_path / "run"), "one_device")
    assert not os.path.exists(tmp_path / "run")


def test_one_class_only_is_refused(tmp_path):
    def same(row):
        return dataclasses.replace(row, label="a")

    _refused(tmp_path, "at least two", same)


def test_a_label_that_training_does_not_have_is_named(tmp_path):
    def strange(row):
        return dataclasses.replace(row, label="owl") if row.split == "val" else row

    _refused(tmp_path, "label 'owl' in its split val", strange)


def test_more_frames_than_there_are_is_refused(tmp_path):
    _refused(tmp_path, "flow", **{"further.flow.num_frames": 3})


def test_a_scale_that_is_not_positive_is_refused(tmp_path):
    _refused(tmp_path, "scale", **{"loss.scale": -1.0})


def test_no_val_split_is_refused_only_where_it_is_needed(tmp_path):
    def other(row):
        return dataclasses.replace(row, split="test") if row.split == "val" else row

    _refused(tmp_path, "no split val .*--config.train.validate_every=0", other)
