"""What is saved comes back whole, or a sentence says why not; a full disk spoils nothing."""

import errno
import os
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.training import toy
from tfav import files, registry
from tfav.experiment import models
from tfav.training import checkpoints, environment


def _line(kernel=(3.0, 1.0)):
    return toy.make(tf.distribute.OneDeviceStrategy("/cpu:0"), kernel=kernel)


def _kept(loop, folder, keep=3):
    return checkpoints.Checkpoints(loop.recipe, loop.optimizer, str(folder), loop.strategy, keep)


def _kernel(loop):
    return loop.recipe.named_weights()["line/kernel"].numpy()[:, 0].tolist()


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


# Checkpoints ------------------------------------------------------------------------------------


def test_weights_optimizer_and_best_metric_come_back(tmp_path):
    loop = _line()
    loop.optimizer.iterations.assign(4)
    kept = _kept(loop, tmp_path)
    assert not kept.restore()
    kept.best.assign(0.7)
    kept.save(4)
    other = _line(kernel=(0.0, 0.0))
    again = _kept(other, tmp_path)
    assert again.restore()
    assert _kernel(other) == [3.0, 1.0] and other.step == 4
    assert again.best.numpy() == 0.7  # to the last bit: the next metric may be the same


def test_only_the_last_few_stay(tmp_path):
    kept = _kept(_line(), tmp_path, keep=2)
    for step in (1, 2, 3):
        kept.save(step)
    assert {n.split(".")[0] for n in _files(tmp_path)} == {"checkpoint", "ckpt-2", "ckpt-3"}


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named_and_deleting_it_continues_from_the_one_before(
    tmp_path, part
):
    loop = _line(kernel=(1.0, 1.0))
    kept = _kept(loop, tmp_path)
    kept.save(1)
    loop.recipe.named_weights()["line/kernel"].assign([[2.0], [2.0]])
    kept.save(2)
    _flip(tmp_path / "checkpoints" / f"ckpt-2.{part}")
    other = _line()
    with pytest.raises(registry.UserError, match=r"ckpt-2 is damaged .*delete .*ckpt-2\.\* to"):
        _kept(other, tmp_path).restore()
    for path in (tmp_path / "checkpoints").glob("ckpt-2.*"):
        path.unlink()
    assert _kept(other, tmp_path).restore()
    assert _kernel(other) == [1.0, 1.0]


def test_a_checkpoint_of_other_variables_is_refused(tmp_path):
    loop = _line()
    _kept(loop, tmp_path).save(1)
    loop.recipe.heads["second"] = toy.Line()
    with pytest.raises(registry.UserError, match="ckpt-1 holds other variables than this exp"):
        _kept(loop, tmp_path).restore()


def test_what_a_killed_run_left_half_written_goes(tmp_path):
    loop = _line()
    _kept(loop, tmp_path).save(1)
    before = _files(tmp_path)
    for folder in ("checkpoints/ckpt-2_temp", ".worker-1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part-00000-of-00001.data").touch()
    assert _kept(loop, tmp_path).restore()
    assert _files(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints"]


def _full(folder):
    """Returns a `CheckpointManager.save` that fails as TensorFlow's does on a full disk."""

    def save(self, checkpoint_number):
        for name in (".data-00000-of-00001", ".index", "_temp/part.index"):
            path = folder / f"ckpt-{checkpoint_number}{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        message = f"{path}; No space left on device [Op:MergeV2Checkpoints]"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    return save


def test_a_full_disk_names_the_folder_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    loop = _line()
    kept = _kept(loop, tmp_path)
    kept.save(1)
    before = _files(tmp_path)
    monkeypatch.setattr(tf.train.CheckpointManager, "save", _full(tmp_path / "checkpoints"))
    with pytest.raises(OSError) as caught:
        kept.save(2)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "checkpoints")
    assert _files(tmp_path) == before
    assert _kept(loop, tmp_path).restore()


# weights.npz ------------------------------------------------------------------------------------


def test_names_of_weights_are_structural_and_those_released_files_have(tmp_path):
    """A `weights.npz` of one dependency line loads on the other because these are its names."""
    bn = ["beta", "gamma", "moving_mean", "moving_variance"]
    expected = ["classifier/kernel", *(f"audio/bn/{x}" for x in bn)]
    for encoder, convs in (("audio", 3), ("image", 4)):
        expected += [f"{encoder}/convs/{i}/kernel" for i in range(convs)]
        expected += [f"{encoder}/bns/{i}/{x}" for i in range(convs) for x in bn]
        expected += [f"{encoder}/tail/bn/{x}" for x in bn]
        expected += [f"{encoder}/{x}" for x in ("fc/kernel", "tail/dense/kernel")]
        expected += [f"{encoder}/tail/dropout/calls"]
    names = models.model(small.config(""), num_classes=5).named_weights()
    assert sorted(names) == sorted(expected)
    shapes = {"audio/convs/0/kernel": (5, 1, 40, 64), "image/tail/dense/kernel": (256, 8)}
    assert {name: tuple(names[name].shape) for name in shapes} == shapes
    path = str(tmp_path / "weights.npz")
    checkpoints.save_weights(path, names, write=True, step=3)
    with np.load(path) as file:
        assert sorted(file.files) == sorted([*expected, "fact:step"])


def test_weights_and_facts_come_back_from_the_file_or_its_workdir(tmp_path):
    names = _line().recipe.named_weights()
    checkpoints.save_weights(str(tmp_path / "weights.npz"), names, write=True, step=40, metric=0.75)
    for path in (tmp_path, tmp_path / "weights.npz"):
        other = _line(kernel=(0.0, 0.0))
        facts = checkpoints.load_weights(str(path), other.recipe.named_weights())
        assert facts == {"step": 40.0, "metric": 0.75}
        assert _kernel(other) == [3.0, 1.0]


def test_a_worker_that_only_takes_part_writes_nothing(tmp_path):
    path = tmp_path / "weights.npz"
    checkpoints.save_weights(str(path), _line().recipe.named_weights(), write=False)
    assert not path.exists()


def _damage(folder, kind):
    """Writes a weights file that is wrong in one way."""
    path = folder / "weights.npz"
    arrays = {"line/kernel": np.zeros([2, 1], np.float32), "line/bias": np.zeros([1], np.float32)}
    if kind == "lacks one":
        del arrays["line/bias"]
    elif kind == "other shape":
        arrays["line/kernel"] = np.zeros([3, 1], np.float32)
    if kind != "missing":
        files.write_npz(str(path), arrays)
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "flipped":
        _flip(path)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("weights")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", "weights.npz does not exist: train first"),
        ("cut short", "weights.npz is not a readable weights file"),
        ("flipped", "weights.npz is not a readable weights file"),
        ("empty", "weights.npz is not a readable weights file"),
        ("text", "weights.npz is not a readable weights file"),
        ("lacks one", "weights.npz has no weight line/bias"),
        ("other shape", r"line/kernel has shape \(3, 1\) and this model wants \(2, 1\)"),
    ],
)
def test_a_weights_file_that_does_not_fit_is_named_and_nothing_is_assigned(
    tmp_path, kind, sentence
):
    _damage(tmp_path, kind)
    loop = _line()
    with pytest.raises(registry.UserError, match=sentence):
        checkpoints.load_weights(str(tmp_path), loop.recipe.named_weights())
    assert _kernel(loop) == [3.0, 1.0]


# Files whole or not at all ----------------------------------------------------------------------


@pytest.mark.parametrize("write", ["npz", "text"])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, write):
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")
    os.symlink("/dev/full", f"{path}.tmp")  # where the new one is written first
    with pytest.raises(OSError) as caught:
        if write == "npz":
            files.write_npz(str(path), {"a": np.zeros(9_000), "b": np.zeros(9)})
        else:
            files.write_text(str(path), "new\n" * 9_000)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x.npz"]


def test_a_rename_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    files.write_text(str(path), "old")

    def refuse(*_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="quota.*config.json"):
        files.write_text(str(path), "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["config.json"]


def test_arrays_of_any_kind_survive_the_file(tmp_path):
    arrays = {
        "a/b": np.arange(6.0).reshape(2, 3).T,
        "id": np.array(["x", "longer"]),
        "none": np.zeros([0, 4], np.float32),
    }
    files.write_npz(str(tmp_path / "x.npz"), arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name], array)
            assert file[name].dtype == array.dtype
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"start": []}'])
def test_damaged_facts_of_a_run_are_named(tmp_path, text):
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(registry.UserError, match="environment.json is damaged"):
        environment.starts(str(tmp_path))


def test_facts_of_every_start_are_kept(tmp_path):
    assert environment.starts(str(tmp_path)) == []
    for step in (0, 20):
        environment.record(str(tmp_path), environment.facts(step=step))
    starts = environment.starts(str(tmp_path))
    assert [s["step"] for s in starts] == [0, 20]
    assert starts[0]["tensorflow"] == tf.__version__
