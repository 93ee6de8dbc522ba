"""A run that the code of an earlier version made: it is evaluated, continued and exported.

`tests/golden/old_run_*.tar.xz` hold its bytes, see `tests/golden/make_old_run.py`.
"""

import json
import os
import pathlib
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, config_file, scalars
from tfav.data import shards
from tfav.experiment import models
from tfav.training import checkpoints, environment

ROOT = pathlib.Path(__file__).parent.parent.parent
SET = "current" if compat.KERAS_3 else "addons"
GO_ON = """\
from tests.golden import make_old_run
from tfav.commands import train
c = make_old_run.experiment(num_steps=11)
c.data.num_lengths = {num_lengths}
train.train(c, "run")
"""


@pytest.fixture(params=["current", "addons"])
def old(request, tmp_path, monkeypatch) -> pathlib.Path:
    """The folder of the old run, as the working directory: its config names the data relatively."""
    archive = ROOT / "tests" / "golden" / f"old_run_{request.param}.tar.xz"
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(old, request) -> pathlib.Path:
    """That of this dependency set: optimizers' states are not those of the other one."""
    if request.node.callspec.params["old"] != SET:
        pytest.skip("checkpoints are continued on the dependency set that made them")
    return old


def _run(forks, binary, *flags):
    done = forks.run(binary, *flags, cwd=os.getcwd())
    assert done.code == 0, done.stderr[-3000:]
    return done.stdout


def test_what_the_old_files_hold_is_read_with_its_old_meaning(old):
    c = config_file.load("run")
    assert "instance_norm" not in c.audio.frontend and "sha256" not in json.loads(
        (old / "run" / "config.json").read_text()
    )
    assert environment.starts("run")[0]["labels"] == ["id0", "id1", "id2", "id3"]
    assert (
        shards.Index.read("data").info["index_sha256"]
        == environment.starts("run")[0]["data_sha256"]
    )
    assert scalars.last_step("run") == 10 and checkpoints.saved_steps("run") == [10]


def test_the_old_weights_embed_as_they_did(old):
    recipe = models.trained("run").recipe
    frontend = recipe.encoders["audio"].frontend
    assert frontend.silence_db == 0 and not frontend.level_norm
    answers = json.loads((old / "answers.json").read_text())
    index = shards.Index.read("data")
    names = {m: index.id[index.held(m)][-1] for m in ("audio", "image")}
    assert names == {"audio": "v7/1.wav", "image": "f7/1.jpg"}
    features = {}
    for record in tf.data.TFRecordDataset("data/test-00000-of-00001.tfrecord"):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        features[feature["id"].bytes_list.value[0].decode()] = feature
    pcm = np.frombuffer(features["v7/1.wav"]["audio"].bytes_list.value[0], "<i2")
    jpeg = tf.io.decode_jpeg(features["f7/1.jpg"]["image"].bytes_list.value[0])
    batch = {"audio": pcm[np.newaxis].astype(np.float32) / 32768, "image": jpeg[tf.newaxis]}
    for modality in ("audio", "image"):
        found = recipe.embed(modality, {modality: tf.convert_to_tensor(batch[modality])})[0]
        np.testing.assert_allclose(found, answers[modality], rtol=1e-3, atol=1e-7)


def test_the_old_run_is_evaluated_to_its_old_figures(old, forks):
    before = json.loads((old / "run" / "metrics.json").read_text())["results"]
    (old / "run" / "metrics.json").unlink()
    _run(forks, "eval", "--workdir=run")
    (path,) = (old / "run").rglob("metrics.json")
    after = json.loads(path.read_text())["results"]
    kept = ("protocol", "direction", "metric", "value", "chance", "num_trials", "sha256")
    assert [{k: r.get(k) for k in kept} for r in after] == [
        {k: r.get(k) for k in kept} for r in before
    ]


def test_the_old_run_goes_on_where_it_stopped(mine, forks):
    done = {}
    for num_lengths in (8, 0):
        (mine / "go_on.py").write_text(GO_ON.format(num_lengths=num_lengths))
        done[num_lengths] = forks.start([mine / "go_on.py"], cwd=mine).done()
    assert "run with data.num_lengths=0 and this one has 8: give the old value" in done[8].stderr
    assert done[0].code == 0, done[0].stderr[-3000:]
    lines = scalars.read("run", whole=True)
    assert [line["step"] for line in lines] == [5, 10, 11]
    answers = json.loads((mine / "answers.json").read_text())
    assert lines[-1]["loss"] == pytest.approx(answers["next_loss"], rel=1e-4)
    assert checkpoints.saved_steps("run") == [11]
    assert [start["step"] for start in environment.starts("run")] == [0, 10]
    assert config_file.load("run").audio.frontend.instance_norm is True


def test_the_old_run_is_exported_and_told_of_to_machines(mine, forks):
    flags = ("--workdir=run", "--output=exports", "--precisions=float32", "--json")
    told = json.loads(_run(forks, "export", *flags))
    assert told == json.loads((mine / "exports" / "parity.json").read_text())
    assert (mine / "exports" / "1" / "saved_model.pb").exists()
    assert json.loads((mine / "exports" / "parity.json").read_text())["artefacts"]
