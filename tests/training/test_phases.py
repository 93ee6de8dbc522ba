"""Runs of two phases: what the second takes from the first, and what it refuses to go without."""

import dataclasses
import json
import logging
import os
import shutil

import pytest

from tests import small
from tfav import registry, scalars
from tfav.commands import train
from tfav.data import shards
from tfav.training import environment


def _write(folder, change=lambda row: row):
    rows = [change(row) for row in small.paired_records(24)]
    shards.write(folder, rows, columns=["speaker"], modalities=["flow"])
    return str(folder)


def _blended(directory):
    """G-Blend: a first phase of all losses alike, whose validations weigh those of the second."""
    c = small.classes_config(directory)
    c.loss = {"scale": 5.0, "blending": "estimated"}
    c.first_phase.loss = {"blending": "equal"}
    c.train.num_steps = 6
    c.train.validate_every = 3
    return c


@pytest.fixture(scope="module")
def blended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blended")
    c = _blended(_write(folder / "data"))
    train.train(c, str(folder / "run"), "one_device")
    return folder


def test_blending_without_a_val_split_names_what_helps_before_anything_is_trained(tmp_path):
    def other(row):
        return dataclasses.replace(row, split="test") if row.split == "val" else row

    c = _blended(_write(tmp_path / "data", other))
    sentence = "cannot validate the first phase, by whose .*: prepare the data with a split val, or"
    with pytest.raises(registry.UserError, match=sentence) as caught:
        train.train(c, str(tmp_path / "run"), "one_device")
    assert "validate_every=0" not in str(caught.value)  # which would only move the mistake
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("every", "times"), [(0, 0), (6, 1), (7, 1)])
def test_a_first_phase_that_is_not_validated_twice_is_refused_at_once(tmp_path, every, times):
    c = _blended(_write(tmp_path / "data"))
    c.first_phase.train = {"validate_every": every}
    sentence = f"first_phase would be validated {times} times, .*train.validate_every to 3 or fewer"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(c, str(tmp_path / "run"), "one_device")
    assert not (tmp_path / "run").exists()


def test_a_damaged_log_of_the_first_phase_is_no_base_for_weights(blended, tmp_path):
    shutil.copytree(blended / "run", tmp_path / "run")
    for name in os.listdir(tmp_path / "run"):
        if name != "first_phase":  # the second phase starts anew
            path = tmp_path / "run" / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    log = tmp_path / "run" / "first_phase" / "scalars.jsonl"
    text = log.read_text()
    log.write_text(text.replace('"val/loss_fused": ', '"val/loss_fused": 1', 1))
    before = sorted(p.name for p in (tmp_path / "run").rglob("*"))
    with pytest.raises(registry.UserError, match=r"has 1 damaged lines \(first: line 1\)"):
        train.train(_blended(str(blended / "data")), str(tmp_path / "run"), "one_device")
    after = sorted(p.name for p in (tmp_path / "run").rglob("*"))
    assert {n for n in after if "tfevents" not in n} == {n for n in before if "tfevents" not in n}


def test_a_second_phase_that_is_under_way_goes_on_without_the_first(blended, tmp_path):
    shutil.copytree(blended / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "first_phase")
    train.train(_blended(str(blended / "data")), str(tmp_path / "run"), "one_device")
    assert not (tmp_path / "run" / "first_phase").exists()
    assert [s["step"] for s in environment.starts(str(tmp_path / "run"))] == [0, 6]


def test_the_weights_are_those_of_the_first_and_the_last_validation(blended):
    first = scalars.read(blended / "run" / "first_phase", whole=True)
    assert [line["step"] for line in first if "val/loss_fused" in line] == [3, 6]
    last = scalars.read(blended / "run", whole=True)[-1]
    names = ("fused", "audio", "image", "flow")
    gained = {k: max(0.0, first[0][f"val/loss_{k}"] - first[-1][f"val/loss_{k}"]) for k in names}
    gap = [{k: x[f"val/loss_{k}"] - x[f"loss_{k}"] for k in names} for x in (first[0], first[-1])]
    over = {k: max(abs(gap[1][k] - gap[0][k]), 1e-3) for k in names}
    raw = {k: gained[k] / over[k] ** 2 for k in names}
    for k in names:
        expected = raw[k] / sum(raw.values()) if sum(raw.values()) else 0.25
        assert last[f"blend_{k}"] == pytest.approx(expected, abs=1e-5)


def test_training_says_how_many_clips_are_longer_than_it_hears(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    c = small.config(small.write_dataset(str(tmp_path / "data"), 8))  # clips of 0.75 s
    c.train.num_steps = 1
    c.train.batch_size = 4
    train.train(c, str(tmp_path / "run"), "one_device")
    assert "hears up to 0.5 s of a clip, from any place on: 8 of 8 clips of train" in caplog.text
    caplog.clear()
    c.data.audio_seconds = (0.5, 0.75)
    train.train(c, str(tmp_path / "other"), "one_device")
    assert "are longer" not in caplog.text


def test_a_run_lives_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / "a [1] b*? {c} %d"
    c = small.config(small.write_dataset(str(folder / "data"), 8))
    c.train.num_steps = 5
    train.train(c, str(folder / "run"), "one_device")
    c.train.num_steps = 10
    train.train(c, str(folder / "run"), "one_device")
    assert [s["step"] for s in environment.starts(str(folder / "run"))] == [0, 5]
    assert [line["step"] for line in scalars.read(folder / "run", whole=True)] == [5, 10]
    other = small.config(str(folder / "data"))
    other.train.init_from = str(folder / "run")
    other.train.num_steps = 1
    train.train(other, str(folder / "other"), "one_device")
    assert json.loads((folder / "other" / "scalars.jsonl").read_text())["step"] == 1
