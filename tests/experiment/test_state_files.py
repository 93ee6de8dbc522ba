"""State files x damages x doors: each ends in a sentence, or in what the whole file would give."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import soundfile

from tests import small
from tfav import config_file, files, registry, scalars, states
from tfav.annotations import list_folder, lists
from tfav.commands import evaluate, train
from tfav.data import shards
from tfav.training import checkpoints, environment, lock, weights_file

LIST = "data/lists/match_v2f_2_test.txt"


def experiment(folder):
    c = small.config(f"{folder}/data")
    c.train.validate_every = 5
    return c


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """A data set with hashed lists, and a finished run of it that was validated and evaluated."""
    folder = tmp_path_factory.mktemp("states")
    small.write_dataset(str(folder / "data"))
    paths = (folder / "data" / "lists").iterdir()
    hashes = {path.name: {"sha256": files.sha256(path)} for path in paths}
    files.write_json(folder / "data" / "lists" / "lists.json", hashes)
    train.train(experiment(folder), str(folder / "run"))
    list(evaluate.evaluate([str(folder / "run")], ["test"]))
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> pathlib.Path:
    """The same once more, to damage; its data set is named by a link, as the run's config says."""
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def _index(folder):
    index = shards.Index.read(folder / "data")
    columns = {name: getattr(index, name).tolist() for name in shards.COLUMNS}
    return columns, index.info, {k: v.tolist() for k, v in {**index.frames, **index.extra}.items()}


def _weights(folder):
    arrays, facts = weights_file.read(str(folder / "run" / "weights.npz"))
    return {name: value.tolist() for name, value in arrays.items()}, facts


def _lists(folder):
    found = list_folder.find(folder / "data" / "lists", "test")
    return {path.name: lists.read_matching(path) for _, path in found}


READERS = {
    "run/config.json": lambda folder: config_file.load(str(folder / "run")).to_dict(),
    "run/environment.json": lambda folder: environment.starts(str(folder / "run")),
    "run/weights.npz": _weights,
    "run/scalars.jsonl": lambda folder: scalars.read(folder / "run", whole=True),
    "data/dataset.json": _index,
    "data/index.csv": _index,
    "data/test-00000-of-00001.tfrecord": _index,  # its size
    "data/lists/lists.json": _lists,
    LIST: _lists,
}


def _json(change):
    def damage(content):
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return damage


def _first_key(value):
    key = next(iter(value))
    value[f"{key}x"] = value.pop(key)


def _first_value(value):
    value[next(iter(value))] = 7.5


def _flip(place):
    def damage(content):
        at = min(int(place * len(content)), len(content) - 1)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return damage


DAMAGES = {
    "missing": None,
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-2],
    "text": lambda content: b"hello\n",
    "zeros": lambda content: bytes(len(content)),
    **{f"another bit at {place}": _flip(place) for place in (0.0, 0.2, 0.4, 0.6, 0.8, 0.999)},
}
OF_JSON = {
    "wrong type": lambda content: b"[1, 2]",
    "null": lambda content: b"null",
    "wrong key": _json(_first_key),
    "wrong value": _json(_first_value),
    "other version": _json(lambda value: value.update(format=9)),
}


def _damages(name):
    return DAMAGES | (OF_JSON if name.endswith(".json") else {})


def _damage(folder, name, damage):
    path = folder / name
    change = _damages(name)[damage]
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))


CASES = [(name, damage) for name in READERS for damage in _damages(name)]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_file_is_a_sentence_where_it_is_read(copy, name, damage):
    before = READERS[name](copy)
    _damage(copy, name, damage)
    if (name, damage) in NO_FILE:
        assert READERS[name](copy) == NO_FILE[name, damage](before)
        return
    try:
        found = READERS[name](copy)
    except registry.UserError as error:
        text = str(error)
        assert os.path.basename(name) in text or os.path.dirname(name).split("/")[-1] in text
        assert len(text.splitlines()) == 1
        return
    # Whoever reads it gets what was written: a bit that means nothing, such as a date in an
    # archive, or what a kill leaves of a line.
    assert found == before or (name, damage) in SHORTER and found == before[: len(found)]


# A file whose absence has a meaning of its own: who needs it says so, see the doors below.
NO_FILE = {
    ("run/environment.json", "missing"): lambda before: [],
    ("run/scalars.jsonl", "empty"): lambda before: [],
    ("run/scalars.jsonl", "zeros"): lambda before: [],
    ("data/lists/lists.json", "missing"): lambda before: before,
}
# A log whose last line has no end: a run was killed while it wrote it.
SHORTER = {
    ("run/scalars.jsonl", damage)
    for damage in ("cut short", "one byte short", "another bit at 0.999")
}


@pytest.mark.parametrize("name", sorted(set(READERS) - {"data/test-00000-of-00001.tfrecord"}))
def test_no_bit_of_a_file_changes_what_is_read_without_a_word(copy, name):
    before, path = READERS[name](copy), copy / name
    content = path.read_bytes()
    places = np.unique(np.linspace(0, len(content) - 1, 250).astype(int))
    if name.endswith(".npz"):
        ends = np.arange(300)  # the first header, and the directory at the end
        places = np.concatenate([ends[::3], len(content) - 1 - ends, places[::10]])
    seen = 0
    for place in places.tolist():
        path.write_bytes(_flip(place / len(content) + 1e-12)(content))
        try:
            found = READERS[name](copy)
        except registry.UserError:
            seen += 1
            continue
        if name == "run/scalars.jsonl" and found != before:
            assert found == before[: len(found)]  # the last line's end
        else:
            assert found == before, place
    assert seen > 0.6 * len(places)


# Doors ------------------------------------------------------------------------------------------


def _tree(folder):
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


READ_BY_TRAIN = [
    (name, damage)
    for name, damage in CASES
    if "lists" not in name
    and name != "run/scalars.jsonl"
    and "bit at 0" not in damage
    # Of a record, a checksum is checked when it is read, and a finished run reads none.
    and (name, damage) != ("data/test-00000-of-00001.tfrecord", "zeros")
]


@pytest.mark.parametrize(("name", "damage"), READ_BY_TRAIN)
def test_training_goes_nowhere_over_a_damaged_file(whole, tmp_path, name, damage):
    for part in ("run", "data"):
        shutil.copytree(whole / part, tmp_path / part)
    c = experiment(whole)
    c.data.directory = str(tmp_path / "data")  # a run may find its data elsewhere
    _damage(tmp_path, name, damage)
    before = _tree(tmp_path)
    with pytest.raises(registry.UserError):
        train.train(c, str(tmp_path / "run"))
    assert _tree(tmp_path) == before


RECOVERED = ("missing", "empty", "cut short", "text")


@pytest.mark.parametrize("damage", RECOVERED)
@pytest.mark.parametrize("name", ["run/scalars.jsonl", "run/checkpoints/checkpoint"])
def test_a_run_goes_on_without_what_it_can_do_without(copy, whole, name, damage):
    _damage(copy, name, damage)
    train.train(experiment(whole), str(copy / "run"))
    assert checkpoints.saved_steps(copy / "run") == [5, 10]
    assert _weights(copy) == _weights(whole)
    assert [start["step"] for start in environment.starts(str(copy / "run"))] == [0, 10]


def test_a_finished_run_without_its_checkpoints_is_never_started_again(copy, whole):
    shutil.rmtree(copy / "run" / "checkpoints")
    before = _tree(copy)
    sentence = (
        r"run holds weights.npz and scalars up to step 10 and no checkpoint to go on from: copy"
    )
    with pytest.raises(registry.UserError, match=sentence):
        train.train(experiment(whole), str(copy / "run"))
    for name in ("scalars.jsonl", "weights.npz"):  # each of them alone tells of the run
        shutil.move(copy / "run" / name, copy / name)
        with pytest.raises(registry.UserError, match="and no checkpoint to go on from"):
            train.train(experiment(whole), str(copy / "run"))
        shutil.move(copy / name, copy / "run" / name)
    assert _tree(copy) == before


LEFT = ("metrics.json", "evaluations", "tensorboard", "report.html")


def _leave(run, *names):
    (run / "report.html").touch()
    for path in run.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("left", LEFT)
def test_results_without_the_run_that_they_are_of_are_never_trained_over(copy, whole, left):
    _leave(copy / "run", left)
    before = _tree(copy)
    sentence = f"holds results of a run .{left}. and no config.json: restore"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(experiment(whole), str(copy / "run"))
    assert _tree(copy) == before


@pytest.mark.parametrize("left", LEFT)
def test_figures_tell_of_weights_that_there_were_and_a_log_alone_does_not(copy, whole, left):
    _leave(copy / "run", left, "config.json", "environment.json")
    if left in ("tensorboard", "report.html"):  # it was killed before its first checkpoint
        train.train(experiment(whole), str(copy / "run"))
        assert checkpoints.saved_steps(copy / "run") == [5, 10]
        return
    with pytest.raises(registry.UserError, match=f"holds {left} and no checkpoint to go on from"):
        train.train(experiment(whole), str(copy / "run"))


@pytest.mark.parametrize("name", ["config.json", "environment.json"])
def test_a_run_without_its_config_or_environment_is_not_taken_for_a_new_one(copy, whole, name):
    (copy / "run" / name).unlink()
    sentence = f"holds ckpt-10 and weights.npz and scalars up to step 10 and no {name}: restore"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(experiment(whole), str(copy / "run"))


def test_another_run_that_is_training_is_named_before_anything_is_said_of_the_workdir(
    tmp_path, whole, caplog
):
    c = experiment(whole)
    (tmp_path / "run").mkdir()
    config_file.save(c, str(tmp_path / "run"))
    shutil.copy(whole / "run" / "environment.json", tmp_path / "run")
    (tmp_path / "run" / "scalars.jsonl").write_text(scalars.line(5, {"loss": 1.0}))
    named = pytest.raises(registry.UserError, match="run is being trained by process")
    with lock.held(str(tmp_path / "run")), named:
        train.train(c, str(tmp_path / "run"))
    assert "starts again" not in caplog.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eval.groups": "nowhere"}, "eval.groups=nowhere: .*data has no such column: choose from"),
        ({"train.tables_from": "/nowhere"}, "tables_from=/nowhere: this recipe takes no weights"),
        ({"eval.window_seconds": 1e-5}, "eval.window_seconds=1e-05: .* less than one sample"),
        ({"eval.min_seconds": 1e-5}, "eval.min_seconds=1e-05: .* less than one sample"),
        ({"audio.frontend.num_mels": 200}, "num_mels=200: 12 of its bands"),
        ({"audio.frontend.lower_hz": 7999.0}, "num_mels=40: 39 of its bands hold no bin"),
        ({"audio.frontend.log_offset": 1e9}, "log_offset=1e.09 hides all .* full scale"),
        ({"audio.frontend.amplitude": 1e-30}, "log_offset=1e-06 hides all .* full scale"),
    ],
)
def test_a_field_that_would_do_nothing_or_leave_nothing_is_refused(
    tmp_path, whole, fields, sentence
):
    c = experiment(whole)
    c.update_from_flattened_dict(fields)
    with pytest.raises(registry.UserError, match=sentence):
        train.train(c, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path, whole, caplog):
    c = experiment(whole)
    c.train.checkpoint_every = 10
    workdir = tmp_path / "run"
    workdir.mkdir()
    config_file.save(c, str(workdir))
    for name in ("environment.json", "weights.npz"):  # of the best validation so far, at step 5
        shutil.copy(whole / "run" / name, workdir)
    (workdir / "scalars.jsonl").write_text(scalars.line(5, {"loss": 1.0}))
    train.train(c, str(workdir))
    assert "was stopped at step 5, before its first checkpoint: it starts again" in caplog.text
    assert [line["step"] for line in scalars.read(workdir)] == [5, 10]


def test_the_kept_weights_of_a_run_that_is_not_validated_are_written_again(tmp_path, whole):
    c = small.config(f"{whole}/data")
    c.train.num_steps = 5
    train.train(c, str(tmp_path / "run"))
    kept = (tmp_path / "run" / "weights.npz").read_bytes()
    (tmp_path / "run" / "weights.npz").unlink()
    train.train(c, str(tmp_path / "run"))
    assert (tmp_path / "run" / "weights.npz").read_bytes() == kept


def test_an_old_data_set_without_hashes_is_read_and_held_to_what_it_says(copy):
    path = copy / "data" / "dataset.json"
    info = json.loads(path.read_text())
    del info["sha256"], info["index_sha256"]
    path.write_text(json.dumps(info))
    _index(copy)
    table = copy / "data" / "index.csv"
    text = table.read_text()
    for wrong, sentence in {
        text.replace(",train,id0,", ",train,id7,"): r"differ \(label 'id[07]' of split 'train'\)",
        text.replace(",test,id3,", ",val,id3,", 1): r"differ \(split 'train' has|split 'val' has",
        text.replace(",train,", ",other,", 1): "differ .the split 'other' is in the rows alone",
        text.replace("tfrecord,12,", "tfrecord,99999999,", 1): "lies outside its shard",
        text.replace("tfrecord,12,", "tfrecord,1x,", 1): "row 1: offset is '1x', which is no count",
        text.replace("tfrecord,12,", "tfrecord,", 1): "row 1 has 10 fields instead of 11",
        text.replace("id,split", "id,part", 1): "has the columns id,part,.* instead of id,split",
        f"{text}\0\n": "row 65 has 1 fields|not a readable table",
    }.items():
        table.write_text(wrong)
        with pytest.raises(registry.UserError, match=sentence):
            shards.Index.read(copy / "data")


BINARIES = {
    "eval": ["--workdir={0}/run", "--data={0}/data"],
    "report": ["--workdir={0}/run", "--data={0}/data", "--output={0}/x.html"],
    "export": ["--workdir={0}/run", "--data={0}/data", "--output={0}/exports"],
    "embed": ["--model={0}/run", "--inputs={0}/sounds", "--output={0}/x.npz"],
}


OF_A_RUN = ("run/config.json", "run/weights.npz")
DOORS = [("eval", name) for name in READERS if name != "run/scalars.jsonl"]
DOORS += [(binary, name) for binary in BINARIES if binary != "eval" for name in OF_A_RUN]
DOORS += [(binary, "data/index.csv") for binary in ("report", "export")]


@pytest.mark.parametrize(("binary", "name"), DOORS)
def test_every_command_ends_in_the_sentence_and_writes_nothing(forks, copy, binary, name):
    (copy / "sounds").mkdir()
    soundfile.write(copy / "sounds" / "tone.wav", np.sin(np.arange(16_000) / 9), 16_000)
    _damage(copy, name, "another bit at 0.4" if name.endswith(".npz") else "cut short")
    before = _tree(copy)
    done = forks.run(binary, *(flag.format(copy) for flag in BINARIES[binary]))
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.code == 2 and len(lines) == 1, done.stderr[-3000:]
    assert os.path.basename(name) in lines[0] and "Traceback" not in done.stderr
    assert _tree(copy) == before


def test_a_seal_is_of_all_else_and_its_absence_is_an_old_file(tmp_path):
    path = tmp_path / "x.json"
    states.write(path, {"b": [1.5, {"c": None}], "a": "é"})
    assert states.read(path, {"a": str, "*": object}, "fix it") == {
        "b": [1.5, {"c": None}],
        "a": "é",
    }
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(value.items())), indent=7))  # the same in other words
    assert states.read(path, {"*": object}, "fix it")["a"] == "é"
    path.write_text(json.dumps(value | {"a": "e"}))
    with pytest.raises(registry.UserError, match="its sha256 does not fit: fix it, or remove its"):
        states.read(path, {"*": object}, "fix it")
    path.write_text(json.dumps({"a": "e"}))
    assert states.read(path, {"*": object}, "fix it") == {"a": "e"}


@pytest.mark.parametrize(
    ("value", "form", "sentence"),
    [
        ({"a": 1}, {"a": str}, "a is 1 instead of a text"),
        ({"a": True}, {"a": int}, "a is true instead of a whole number"),
        ({"a": True}, {"a": (bool, type(None))}, ""),
        ({"a": 1.5}, {"a": (int, float)}, ""),
        ({"a": [1, "b"]}, {"a": [int]}, r"a\[1\] is \"b\" instead of a whole number"),
        ({"a": {"b": {}}}, {"a": {"*": {"c": int}}}, "a.b has no field 'c'"),
        ({"a": {"b": {"c": 1}}}, {"a": {"*": {"c": int}}}, ""),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": int}}, "a has a field 'c' that nothing reads"),
        ({}, {"a?": int}, ""),
        ({"a": "b"}, {"a?": int}, 'a is "b" instead of a whole number'),
        ({"a": "b" * 90}, {"a": int}, r"a is \"bbb.*\.\.\. instead"),
        ([], {}, r"it is \[\] instead of an object"),
    ],
)
def test_a_form_says_where_a_value_is_another(tmp_path, value, form, sentence):
    files.write_json(tmp_path / "x.json", value)
    if not sentence:
        assert states.read(tmp_path / "x.json", form, "fix it") == value
        return
    with pytest.raises(registry.UserError, match=rf"x.json is damaged \({sentence}.*: fix it\."):
        states.read(tmp_path / "x.json", form, "fix it")
