"""What is saved comes back whole, or a sentence says why not; a full disk spoils nothing."""

import contextlib
import errno
import functools
import importlib.metadata
import json
import os
import subprocess
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import tfav
from tests import small
from tests.training import toy
from tfav import compat, files, registry
from tfav.experiment import models
from tfav.training import checkpoints, environment, weights_file


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


class _Killed(Exception):
    pass


@pytest.mark.parametrize("event", range(7))
def test_a_save_that_is_killed_leaves_no_checkpoint_too_many_and_no_list_too_old(
    tmp_path, monkeypatch, event
):
    for run in ("whole", "killed"):
        _saved(tmp_path / run, 1, 2)
    _saved(tmp_path / "whole", 3, keep=2)
    events = iter(range(99))

    def deadly(function):
        def wrapped(*arguments):
            if "/checkpoints/" in str(arguments[-1]) and next(events) == event:
                raise _Killed
            return function(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("replace", "remove"):
            patch.setattr(os, name, deadly(getattr(os, name)))
        with contextlib.suppress(_Killed):
            _saved(tmp_path / "killed", 3, keep=2)
    loop = _line()
    assert _kept(loop, tmp_path / "killed", keep=2).restore()
    if loop.step < 3:  # it goes on from where it was
        _saved(tmp_path / "killed", 3, keep=2)
    folders = [tmp_path / run / "checkpoints" for run in ("whole", "killed")]
    assert _files(folders[0]) == _files(folders[1])
    assert len({(folder / "checkpoint").read_text() for folder in folders}) == 1


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named_and_deleting_it_continues_from_the_one_before(
    tmp_path, part
):
    _saved(tmp_path, 1, 2)
    _flip(tmp_path / "checkpoints" / f"ckpt-2.{part}")
    other = _line()
    sentence = r"ckpt-2 is damaged .*: delete .*ckpt-2\.\* to continue from ckpt-1, or train into"
    with pytest.raises(registry.UserError, match=sentence) as caught:
        _kept(other, tmp_path).restore()
    assert "/proc/" not in str(caught.value)
    for path in (tmp_path / "checkpoints").glob("ckpt-2.*"):
        path.unlink()
    assert _kept(other, tmp_path).restore()
    assert _kernel(other) == [1.0, 1.0]


def _saved(folder, *steps, keep=3):
    """Saves a run at some steps, its kernel being the step's number."""
    loop = _line()
    for step in steps:
        loop.optimizer.iterations.assign(step)
        loop.recipe.named_weights()["line/kernel"].assign([[step], [step]])
        _kept(loop, folder, keep).save(step)


def _cut(content):
    return content[: len(content) // 2]


DAMAGES = {
    "empty": lambda content: b"",
    "cut short": _cut,
    "one byte short": lambda content: content[:-1],
    "text": lambda content: b"hello",
    "another first bit": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "another last bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "missing": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_every_damage_of_the_only_checkpoint_is_a_sentence(tmp_path, part, damage, caplog):
    _saved(tmp_path, 3)
    path = tmp_path / "checkpoints" / f"ckpt-3.{part}"
    if DAMAGES[damage]:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    else:
        path.unlink()
    kept = _kept(_line(), tmp_path)
    if (part, damage) == ("index", "missing"):  # as a kill between two renames leaves it
        assert not kept.restore() and "ckpt-3 has no index and is left out" in caplog.text
        return
    sentence = r"ckpt-3 is damaged \([^{}]*\): train into a new --w"  # and no {{function_node ...}}
    with pytest.raises(registry.UserError, match=sentence):
        kept.restore()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_list_of_checkpoints_is_for_others_and_its_damage_loses_nothing(tmp_path, damage):
    _saved(tmp_path, 1, 2)
    state = tmp_path / "checkpoints" / "checkpoint"
    assert tf.train.latest_checkpoint(state.parent) == str(state.parent / "ckpt-2")
    if DAMAGES[damage]:
        state.write_bytes(DAMAGES[damage](state.read_bytes()))
    else:
        state.unlink()
    other = _line()
    assert _kept(other, tmp_path).restore() and _kernel(other) == [2.0, 2.0]


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path):
    _saved(tmp_path, 1)
    for path in (tmp_path / "checkpoints").glob("ckpt-1.*"):
        path.rename(path.with_name(path.name.replace("ckpt-1", "ckpt-9")))
    with pytest.raises(registry.UserError, match="ckpt-9 was saved after step 1, not there: train"):
        _kept(_line(), tmp_path).restore()


@pytest.mark.parametrize("name", ["a [1]", "b*?", "c[!x]", "%d {0}", "é ü"])
def test_a_folder_of_any_name_holds_checkpoints(tmp_path, name):
    folder = tmp_path / name
    for step in (1, 2, 3):
        loop = _line(kernel=(step, step))
        loop.optimizer.iterations.assign(step)
        _kept(loop, folder, keep=2).save(step)
    assert {n.split(".")[0] for n in _files(folder)} == {"checkpoint", "ckpt-2", "ckpt-3"}
    other = _line()
    assert _kept(other, folder).restore() and _kernel(other) == [3.0, 3.0]


def test_a_checkpoint_of_the_versions_before_is_restored(tmp_path):
    loop = _line(kernel=(4.0, 5.0))
    loop.optimizer.iterations.assign(7)
    before = tf.train.Checkpoint(
        weights=loop.recipe.named_weights(),
        optimizer=compat.optimizer_state(loop.optimizer),
        best=tf.Variable(0.5, dtype=tf.float64),
    )
    manager = tf.train.CheckpointManager(before, str(tmp_path / "checkpoints"), max_to_keep=3)
    manager.save(checkpoint_number=7)
    other = _line()
    kept = _kept(other, tmp_path)
    assert kept.restore() and _kernel(other) == [4.0, 5.0] and kept.best.numpy() == 0.5


def test_a_checkpoint_of_other_variables_is_refused(tmp_path):
    loop = _line()
    _kept(loop, tmp_path).save(1)
    loop.recipe.heads["second"] = toy.Line()
    with pytest.raises(registry.UserError, match="ckpt-1 holds other variables than this exp"):
        _kept(loop, tmp_path).restore()


def test_what_a_killed_run_left_half_written_goes(tmp_path):
    _saved(tmp_path, 1)
    loop = _line()
    before = _files(tmp_path)
    for folder in ("checkpoints/ckpt-2_temp", ".worker-1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part-00000-of-00001.data").touch()
    assert _kept(loop, tmp_path).restore()
    assert _files(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints"]


def _full(self, path):
    """Fails as TensorFlow's `Checkpoint.write` does on a full disk."""
    for name in (".data-00000-of-00001", ".index", "_temp/part.index"):
        os.makedirs(os.path.dirname(path + name), exist_ok=True)
        with open(path + name, "w"):
            pass
    message = f"{path}; No space left on device [Op:MergeV2Checkpoints]"
    raise tf.errors.ResourceExhaustedError(None, None, message)


def test_a_full_disk_names_the_folder_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    _saved(tmp_path, 1)
    loop = _line()
    kept = _kept(loop, tmp_path)
    before = _files(tmp_path)
    monkeypatch.setattr(tf.train.Checkpoint, "write", _full)
    with pytest.raises(OSError) as caught:
        kept.save(2)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "checkpoints")
    assert _files(tmp_path) == before
    assert _kept(loop, tmp_path).restore()


def test_a_kill_between_any_two_steps_of_a_save_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    """Of a second save of one step: never the index of one and the data of the other."""
    _saved(tmp_path, 1, 2)
    calls = {name: getattr(os, name) for name in ("replace", "remove")}
    for last in range(4):
        done = []

        def counted(*arguments, call, last=last, done=done):
            if len(done) == last:
                raise KeyboardInterrupt
            done.append(call(*arguments))

        loop = _line(kernel=(9.0, 9.0))
        loop.optimizer.iterations.assign(2)
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            for name, call in calls.items():
                patch.setattr(os, name, functools.partial(counted, call=call))
            _kept(loop, tmp_path).save(2)
        other = _line()
        assert _kept(other, tmp_path).restore()
        assert _kernel(other) in ([1.0, 1.0], [2.0, 2.0], [9.0, 9.0])


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
    weights_file.save(path, names, write=True, step=3)
    with np.load(path) as file:
        assert sorted(file.files) == sorted([*expected, "fact:step", "sha256"])


def test_weights_and_facts_come_back_from_the_file_or_its_workdir(tmp_path):
    names = _line().recipe.named_weights()
    weights_file.save(str(tmp_path / "weights.npz"), names, write=True, step=40, metric=0.75)
    for path in (tmp_path, tmp_path / "weights.npz"):
        other = _line(kernel=(0.0, 0.0))
        facts = weights_file.load(str(path), other.recipe.named_weights())
        assert facts == {"step": 40.0, "metric": 0.75}
        assert _kernel(other) == [3.0, 1.0]


def test_a_worker_that_only_takes_part_writes_nothing(tmp_path):
    path = tmp_path / "weights.npz"
    weights_file.save(str(path), _line().recipe.named_weights(), write=False)
    assert not path.exists()


def _damage(folder, kind):
    """Writes a weights file that is wrong in one way."""
    path = folder / "weights.npz"
    arrays = {"line/kernel": np.zeros([2, 1], np.float32), "line/bias": np.zeros([1], np.float32)}
    if kind == "lacks one":
        del arrays["line/bias"]
    elif kind == "other shape":
        arrays["line/kernel"] = np.zeros([3, 1], np.float32)
    elif kind == "texts":
        arrays["line/kernel"] = np.array([["a"], ["b"]])
    elif kind == "counts":
        arrays["line/kernel"] = np.array([[1], [2]])
    elif kind == "facts of two numbers":
        arrays["fact:step"] = np.zeros(2)
    if kind == "objects":
        np.savez(path, **{"line/kernel": np.array([{}, {}], object)})
    elif kind in ("another value", "another name"):
        names = _line().recipe.named_weights()
        weights_file.save(str(path), names, write=True, step=1)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        if kind == "another value":
            arrays["line/kernel"][0] += 1e-6
        else:
            arrays["line/kernel"], arrays["line/bias"] = (arrays[n][:1] for n in sorted(names))
        files.write_npz(str(path), arrays)
    elif kind != "missing":
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
        ("another value", "weights.npz is damaged, its checksum does not fit"),
        ("another name", "weights.npz is damaged, its checksum does not fit"),
        ("texts", "weights.npz is damaged, line/kernel holds no numbers"),
        ("counts", "line/kernel is of type int64 and this model wants float32"),
        ("objects", "weights.npz is not a readable weights file"),
        ("facts of two numbers", "weights.npz is not a readable weights file"),
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
        weights_file.load(str(tmp_path), loop.recipe.named_weights())
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


FACTS = {"data_sha256": "0", "labels": ["a"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("{", "is not readable JSON"),
        ("[]", r"is damaged \(it is \[\] instead of an object\)"),
        ('{"start": []}', r"is damaged \(it has no field 'starts'\)"),
        ('{"starts": [{"step": "0"}]}', r"is damaged \(starts\[0\] has no field 'data_sha256'\)"),
        (
            json.dumps({"starts": [{"step": "0", **FACTS}]}),
            r"is damaged \(starts\[0\].step is \"0\" instead of a whole number\)",
        ),
    ],
)
def test_damaged_facts_of_a_run_are_named(tmp_path, text, sentence):
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(registry.UserError, match=f"environment.json {sentence}"):
        environment.starts(str(tmp_path))


def test_facts_of_every_start_are_kept(tmp_path):
    assert environment.starts(str(tmp_path)) == []
    for step in (0, 20):
        environment.record(str(tmp_path), environment.facts(step=step, **FACTS))
    starts = environment.starts(str(tmp_path))
    assert [s["step"] for s in starts] == [0, 20]
    assert starts[0]["tensorflow"] == tf.__version__
    assert starts[0]["tfav"] == tfav.__version__ == importlib.metadata.version("tfav")


def test_a_revision_is_that_of_the_repository_which_holds_the_file_itself(tmp_path):
    def git(*command):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *name, *command], check=True, capture_output=True)

    git("init")
    (tmp_path / "mine.py").write_text("1")
    git("add", "mine.py")
    git("commit", "-m", "mine")
    installed = tmp_path / "site-packages" / "tfav"  # in somebody's repository, and no part of it
    installed.mkdir(parents=True)
    (installed / "environment.py").write_text("2")
    assert environment.revision(str(installed / "environment.py")) is None
    revision = environment.revision(str(tmp_path / "mine.py"))
    assert len(revision) == 40
    (tmp_path / "mine.py").write_text("3")
    assert environment.revision(str(tmp_path / "mine.py")) == f"{revision}-dirty"
    assert environment.revision("/proc/none.py") is None
