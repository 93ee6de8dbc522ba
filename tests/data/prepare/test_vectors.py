"""The source `vectors`: tables become a data set, and its batches are gathered from memory."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfav import registry
from tfav.commands import check_data
from tfav.commands.pages import stored
from tfav.configs import vectors as configs
from tfav.data import kinds, shards
from tfav.data.input import drawn_batches, endless, vector_table
from tfav.data.prepare import dataset, manifest, sources
from tfav.data.prepare.sources import csv_manifest
from tfav.experiment import inputs
from tfav.media import array_tables, limits
from tfav.training import strategy

PEOPLE = 12
SIZE = {"audio": 3, "image": 4}


def value(modality, person, take):
    """Number k of take t of person p is 100 p + 10 t + k, of an image negative."""
    sign = 1.0 if modality == "audio" else -1.0
    return sign * (100.0 * person + 10 * take + np.arange(SIZE[modality]))


def write(folder, **more):
    for modality in SIZE:
        rows = [(p, t) for p in range(PEOPLE) for t in range(2)]
        np.savez(
            folder / f"{modality}.npz",
            id=[f"p{p:02d}/{modality}{t}" for p, t in rows],
            vector=np.stack([value(modality, p, t) for p, t in rows]),
            **{name: [make(p) for p, _ in rows] for name, make in more.items()},
        )
    return {modality: str(folder / f"{modality}.npz") for modality in SIZE}


def rows(**options):
    return sources.SOURCES["vectors"].rows(manifest.Options(**options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    own = write(folder, gender=lambda p: "fm"[p % 2])
    found = rows(own=own, val_fraction=0.25, test_fraction=0.25)
    dataset.prepare(found, dataset.Settings(output=str(folder / "set")))
    return folder


@pytest.fixture(scope="module")
def rows_of_both(tmp_path_factory):
    """A data set whose rows hold both modalities."""
    folder = tmp_path_factory.mktemp("both")
    own = {}
    for modality, size in SIZE.items():
        ids = [f"p{p}/{t}" for p in range(3) for t in range(3)]
        vectors = np.random.default_rng(size).normal(size=(len(ids), size))
        np.savez(folder / f"{modality}.npz", id=ids, vector=vectors, split=["train"] * 9)
        own[modality] = str(folder / f"{modality}.npz")
    settings = dataset.Settings(output=str(folder / "set"), draw_lists=False)
    dataset.prepare(rows(own=own), settings)
    return str(folder / "set")


def config(folder):
    c = configs.get_config()
    c.data.directory = str(folder / "set")
    for modality, size in SIZE.items():
        c.further[modality].size = size
    c.train.batch_size = 4
    return c


def test_two_tables_are_a_data_set_of_voices_and_faces(folder):
    index = shards.Index.read(folder / "set")
    assert set(index.modalities) == {"audio", "image"}
    assert index.kind("audio") == index.kind("image") == "array"
    assert {s: its["rows"] for s, its in index.info["splits"].items()} == {
        "train": 24,
        "val": 12,
        "test": 12,
    }
    assert {label: name[:3] for label, name in zip(index.label, index.id)} == {
        f"p{p:02d}": f"p{p:02d}" for p in range(PEOPLE)
    }
    assert set(index.extra) == {"gender"}
    assert (folder / "set" / "lists" / "match_v2f_2_test.txt").exists()


def test_batches_are_the_vectors_of_one_person_each(folder):
    index = shards.Index.read(folder / "set")
    people = [int(label[1:]) for label in index.labels("train")]
    takes = set()
    for batch in inputs.training_batches(config(folder), 0)(None).take(9).as_numpy_iterator():
        assert batch["audio"].shape == (4, 3) and batch["image"].shape == (4, 4)
        for audio, image, label in zip(batch["audio"], batch["image"], batch["label"]):
            person = people[label]
            ours = [np.abs(value("audio", person, take) - audio).max() for take in range(2)]
            assert min(ours) == 0
            assert min(np.abs(value("image", person, t) - image).max() for t in range(2)) == 0
            takes.add(int(np.argmin(ours)))
    assert takes == {0, 1}


def test_what_is_gathered_is_what_records_give_at_any_step_and_for_any_replica(folder, monkeypatch):
    def read(start, count, replicas):
        context = tf.distribute.InputContext(1, 0, replicas)
        dataset = inputs.training_batches(config(folder), start)(context)
        return list(dataset.take(count * replicas).as_numpy_iterator())

    gathered = [read(0, 8, 1), read(3, 5, 1), read(0, 8, 2)]
    monkeypatch.setattr(vector_table, "holds", lambda items: False)
    for fast, slow in zip(gathered, [read(0, 8, 1), read(3, 5, 1), read(0, 8, 2)]):
        for one, other in zip(fast, slow, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name], strict=True)


@pytest.mark.parametrize("sampling", ["identities", "rows"])
@pytest.mark.parametrize("large", [False, True])
def test_what_a_step_draws_itself_is_what_records_give_eagerly_and_in_a_loop(
    sampling, large, folder, rows_of_both, monkeypatch
):
    monkeypatch.setattr(endless, "_LARGE_BYTES", 0 if large else 1 << 30)
    c = config(folder)
    if sampling == "rows":
        c.data.sampling, c.data.directory = sampling, rows_of_both
    one = tf.distribute.OneDeviceStrategy("/cpu:0")

    @tf.function
    def three(batches):
        kept = tf.TensorArray(tf.float32, 3, element_shape=[4, 3])
        for place in tf.range(3):
            kept = kept.write(place, next(batches)["audio"])
        return kept.stack()

    batches = strategy.iterate(one, inputs.training_batches(c, 3))
    assert isinstance(batches, drawn_batches.DrawnBatches)
    drawn = [three(batches).numpy(), three(batches).numpy()]
    again = strategy.iterate(one, inputs.training_batches(c, 3))
    first = next(again)
    monkeypatch.setattr(vector_table, "holds", lambda items: False)
    read = strategy.iterate(one, inputs.training_batches(c, 3))
    assert not isinstance(read, drawn_batches.DrawnBatches)
    expected = [next(read) for _ in range(6)]
    assert first.keys() == expected[0].keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, expected[0][name], strict=True)
    np.testing.assert_array_equal(np.concatenate(drawn), [batch["audio"] for batch in expected])


def test_rows_that_hold_one_modality_each_are_no_reason_to_advise_a_batch_of_none(folder):
    c = config(folder)
    c.data.sampling = "rows"
    with pytest.raises(registry.UserError, match="has 0 rows with audio and image and a .*: ask "):
        inputs.training_batches(c, 0)


def test_records_that_may_be_bad_are_not_drawn_in_a_step(folder):
    c = config(folder)
    c.data.max_bad_records = 1
    assert inputs.training_batches(c, 0).in_step() is None


def test_of_vectors_there_is_nothing_that_a_page_could_show(folder):
    index = shards.Index.read(folder / "set")
    assert [stored.content(index, 0, modality) for modality in SIZE] == [None, None]


def test_a_size_that_is_not_the_tables_is_told_in_a_sentence(folder):
    c = config(folder)
    c.further.audio.size = 5
    with (
        pytest.raises(registry.UserError, match="audio of a record has another shape than"),
        inputs.whole(c.data.directory),
    ):
        inputs.training_batches(c, 0)(None)


def test_rows_of_one_id_hold_all_modalities_and_other_names_are_free(tmp_path):
    for name in ("gait", "text"):
        np.savez(tmp_path / f"{name}.npz", id=["a/1", "b/1"], vector=np.ones([2, 3]))
    own = {name: str(tmp_path / f"{name}.npz") for name in ("gait", "text")}
    found = rows(own=own, val_fraction=0.5)
    assert [(row.id, set(row.kinds), row.label) for row in found] == [
        ("a/1", {"gait", "text"}, "a"),
        ("b/1", {"gait", "text"}, "b"),
    ]
    assert {row.split for row in found} == {"train", "val"}


def test_a_manifest_says_label_split_and_columns(tmp_path):
    np.savez(tmp_path / "v.npz", id=["1", "2"], vector=np.ones([2, 3]))
    (tmp_path / "m.csv").write_text("id,split,label,age\n1,train,ada,7\n2,test,bo,8\n3,test,cy,9\n")
    options = {"own": {"audio": str(tmp_path / "v.npz")}, "manifest": str(tmp_path / "m.csv")}
    found = rows(**options)
    assert [(r.id, r.split, r.label, r.extra) for r in found] == [
        ("1", "train", "ada", {"age": "7"}),
        ("2", "test", "bo", {"age": "8"}),
    ]
    (tmp_path / "m.csv").write_text("id,split,label\n1,train,ada\n")
    with pytest.raises(registry.UserError, match="m.csv has no line for the id '2'"):
        rows(**options)


def test_a_second_table_of_one_modality_is_refused():
    with pytest.raises(registry.UserError, match="'audio' has the value 'a.npz' already"):
        sources.own_options("vectors", sources.SOURCES["vectors"], ["audio=a.npz", "audio=b.npz"])


@pytest.mark.parametrize("column", ["label", "split"])
def test_a_label_or_split_that_one_table_alone_has_is_never_left_out(column, tmp_path):
    own = write(tmp_path)
    cells = {column: ["test"] * 2 * PEOPLE}
    with np.load(own["audio"]) as table:
        np.savez(own["audio"], **dict(table), **cells)
    with pytest.raises(registry.UserError, match=f"audio.npz has an array `{column}` and .*image"):
        rows(own=own, val_fraction=0.25, test_fraction=0.25)
    with np.load(own["audio"]) as table:
        ids = table["id"]
    np.savez(own["image"], id=ids, vector=np.ones([len(ids), 4]))
    shares = {"val_fraction": 0.25, "test_fraction": 0.25} if column == "label" else {}
    assert {getattr(row, column) for row in rows(own=own, **shares)} == {"test"}


@pytest.mark.parametrize("share", ["val_fraction", "test_fraction"])
def test_a_share_beside_splits_that_are_given_is_refused(share, tmp_path):
    own = write(tmp_path, split=lambda p: "test")
    with pytest.raises(registry.UserError, match=f"--{share}=0.25 draws nothing, as the tables"):
        rows(own=own, **{share: 0.25})
    lines = [f"p{p:02d}/{m}{t},test,x" for p in range(PEOPLE) for m in SIZE for t in range(2)]
    (tmp_path / "m.csv").write_text("\n".join(["id,split,label", *lines]))
    with pytest.raises(registry.UserError, match="m.csv has a column `split`: leave one of both"):
        rows(own=own, manifest=str(tmp_path / "m.csv"), **{share: 0.25})


def test_a_vector_of_another_size_is_a_bad_row_that_names_both_sizes(tmp_path):
    """In a column of a manifest, where each row may name a file of its own."""
    lines = ["id,split,label,imu"]
    for n, shape in enumerate([(6,), (6,), (5,), (2, 6)]):
        np.save(tmp_path / f"{n}.npy", np.ones(shape))
        lines.append(f"r{n},train,p,{n}.npy")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    found = csv_manifest.read(tmp_path / "m.csv", modalities=["imu=array"])
    settings = {"output": str(tmp_path / "set"), "draw_lists": False}
    says = r"2.npy holds an array \[5\] as imu of the row 'r2', where the row 'r0' has \[6\]: give"
    with pytest.raises(registry.UserError, match=says):
        dataset.prepare(found, dataset.Settings(**settings))
    assert not (tmp_path / "set").exists()
    checked = check_data.check(found, dataset.Settings(**settings), ())
    assert "2 of 4 rows" in checked.refusal or "r2" in checked.refusal, checked.refusal
    dataset.prepare(found, dataset.Settings(max_bad_fraction=0.5, **settings))
    assert shards.Index.read(tmp_path / "set").id.tolist() == ["r0", "r1"]
    text = (tmp_path / "set" / "bad_rows.csv").read_text()
    assert "'r3'" in text and "[T, 6]" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--source=vectors needs --source_option=NAME=FILE.npz"),
        ({"own": {"audio": "none.npz"}}, "none.npz does not exist"),
        ({"own": {"split": "x.npz"}}, "'split' cannot be the name of a further modality"),
        ({"own": {"skipped": "x.npz"}}, "'skipped' cannot be the name of a further modality"),
        ({"own": {"audio": "TABLE"}}, "--val_fraction=0 with --test_fraction=0 draws none"),
        ({"own": {"audio": "TABLE"}, "columns": ["age"]}, "unknown column 'age'"),
        ({"own": {"audio": "NAMELESS"}, "columns": []}, "nameless.npz: a row's id is empty"),
        ({"own": {"audio": "BARE"}}, "the id 'x' of .*bare.npz lies in no folder"),
    ],
)
def test_what_cannot_be_a_data_set_is_a_sentence(options, message, tmp_path):
    np.savez(tmp_path / "bare.npz", id=["x"], vector=np.ones([1, 2]))
    np.savez(tmp_path / "table.npz", id=["a/x", "b/x"], vector=np.ones([2, 2]))
    np.savez(tmp_path / "nameless.npz", id=["", "b/x"], vector=np.ones([2, 2]), label=["a", "b"])
    files = {name.upper(): str(tmp_path / f"{name}.npz") for name in ("table", "bare", "nameless")}
    own = {name: files.get(path, path) for name, path in options.get("own", {}).items()}
    more = {"val_fraction": 0.5} if "columns" in options else {}
    with pytest.raises(registry.UserError, match=message):
        rows(**{**options, "own": own, **more})


def test_a_manifest_says_each_id_once_with_a_label_and_its_lines_are_counted(tmp_path, caplog):
    np.savez(tmp_path / "v.npz", id=["1", "2"], vector=np.ones([2, 3]))
    options = {"own": {"audio": str(tmp_path / "v.npz")}, "manifest": str(tmp_path / "m.csv")}
    header = "id,split,label,shard\n"
    (tmp_path / "m.csv").write_text(header + "1,train,a,\n2,train,b,\n1,test,c,\n")
    with pytest.raises(registry.UserError, match="m.csv line 4 repeats the id '1' of line 2"):
        rows(**options)
    (tmp_path / "m.csv").write_text(header + "1,train,a,\n2,train,,\n")
    with pytest.raises(registry.UserError, match="m.csv line 3 has an empty 'label': fill it in"):
        rows(**options)
    np.savez(tmp_path / "e.npz", id=["1", "2"], vector=np.ones([2, 3]), label=["a", ""])
    with pytest.raises(registry.UserError, match="the id '2' has an empty label: fill it in"):
        rows(own={"audio": str(tmp_path / "e.npz")}, test_fraction=0.5)
    (tmp_path / "m.csv").write_text(header + "1,train,a,x\n2,train,b,x\n4,test,c,x\n3,test,c,x\n")
    caplog.clear()
    assert [row.label for row in rows(**options)] == ["a", "b"]
    assert [r.getMessage() for r in caplog.records] == [
        "left out: shard, columns that the index has itself",
        f"left out: 2 lines of {tmp_path}/m.csv, whose ids no table has (first: 3)",
    ]


def test_a_share_that_draws_nothing_is_warned_of(tmp_path, caplog):
    np.savez(tmp_path / "v.npz", id=["a/1", "b/1"], vector=np.ones([2, 3]))
    found = rows(own={"audio": str(tmp_path / "v.npz")}, val_fraction=0.1, test_fraction=0.5)
    assert sorted(row.split for row in found) == ["test", "train"]
    assert "--val_fraction=0.1 draws none of 2 labels" in caplog.text


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("voice=one.npz", "one.npz holds audio, which is read as voice"),
        ("voice=one.npz@audio", 0.0),
        ("audio=one.npz", 0.0),
        ("audio=two.npz", 0.0),
        ("audio=two.npz@face", 1.0),
        ("voice=two.npz@face", 1.0),
        ("voice=two.npz", "two.npz holds .*, or name one of FILE@audio, FILE@face"),
        ("audio=one.npz@face", "as one.npz holds audio: write --source_option=audio=one.npz@audio"),
        ("audio=plain.npz", 2.0),
        ("audio=plain.npz@audio", "holds one table: write --source_option=audio=plain.npz."),
        ("audio=plain.npz#a/1", "holds one table: write --source_option=audio=plain.npz."),
        ("audio=none.npz@audio", "^none.npz does not exist"),
    ],
)
def test_a_table_is_of_the_modality_that_is_named(option, found, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids, first = ["a/1", "b/1"], {"audio_id": ["a/1", "b/1"], "audio": np.zeros([2, 3])}
    np.savez("one.npz", **first)
    np.savez("two.npz", **first, face_id=ids, face=np.ones([2, 3]))
    np.savez("plain.npz", id=ids, vector=np.full([2, 3], 2.0))
    modality, _, path = option.partition("=")
    warned = isinstance(found, str) and "read as" in found
    if isinstance(found, str) and not warned:
        with pytest.raises(registry.UserError, match=found):
            rows(own={modality: path}, val_fraction=0.5)
        return
    made = rows(own={modality: path}, val_fraction=0.5)
    assert [row.further[modality] for row in made] == [
        (f"{path if '@' in path else f'{path}@{modality}'}#{name}",) for name in ids
    ]
    vector = kinds.ARRAY.values_in(made[0].further[modality][0], limits.Limits())
    assert vector.tolist() == 3 * [0.0 if warned else found]
    assert [r.getMessage() for r in caplog.records if "read as" in r.getMessage()] == (
        [found] if warned else []
    )


def test_columns_of_a_manifest_may_be_vectors_for_audio_and_image(tmp_path):
    own = write(tmp_path)
    lines = ["id,split,label,audio,image"]
    for p in range(2):
        cells = [f"{own[m]}#p0{p}/{m}0" for m in SIZE]
        lines.append(f"r{p},train,p{p},{','.join(cells)}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    found = csv_manifest.read(tmp_path / "m.csv", modalities=["audio=array", "image=array"])
    settings = dataset.Settings(output=str(tmp_path / "set"), draw_lists=False)
    dataset.prepare(found, settings)
    index = shards.Index.read(tmp_path / "set")
    assert index.held("audio").all() and index.held("image").all()
    assert index.kind("image") == "array" and index.num_samples.tolist() == [0, 0]


def test_the_check_of_data_reads_vectors_as_nothing_else(folder, tmp_path):
    own = {modality: str(folder / f"{modality}.npz") for modality in SIZE}
    found = rows(own=own, val_fraction=0.25, test_fraction=0.25)
    checked = check_data.check(found, dataset.Settings(output=str(tmp_path / "out")), ())
    assert not checked.refusal and (tmp_path / "out-check.html").exists()
    assert "Files in two splits" not in checked.text


def test_a_row_of_a_table_that_two_splits_read_is_found(tmp_path):
    np.savez(tmp_path / "v.npz", id=["a", "b"], vector=np.eye(2))
    found = [
        manifest.Row(name, split, name, further={"audio": (f"{tmp_path}/v.npz#{row}",)})
        for name, split, row in (("1", "train", "a"), ("2", "test", "b"), ("3", "test", "a"))
    ]
    found = [dataclasses.replace(row, kinds={"audio": "array"}) for row in found]
    for some, shared in ((found[:2], False), (found, True)):
        checked = check_data.check(some, dataset.Settings(output=str(tmp_path / "out")), ())
        assert ("Files in two splits: 1 file" in checked.text) is shared


def embedded(path, space, people):
    """Writes vectors of both modalities as tfav-embed does; returns their rows."""
    ids = [f"{path.stem}{person}" for person in people]
    vectors = {m: np.ones([len(ids), size], np.float32) for m, size in SIZE.items()}
    named = {f"{m}_id": np.array(ids) for m in SIZE}
    np.savez(path, embedding_space=np.array(space), **vectors, **named)
    rows = []
    for modality in SIZE:
        for name, person in zip(ids, people):
            place = array_tables.name_row(path, modality, name)
            given = {"further": {modality: (place,)}, "kinds": {modality: "array"}}
            rows.append(manifest.Row(f"{modality}-{name}", "train", f"p{person}", **given))
    return rows


@pytest.mark.parametrize("door", [dataset.prepare, check_data.check])
def test_vectors_of_one_modality_are_of_one_embedding_space(tmp_path, door):
    first = embedded(tmp_path / "a.npz", "aaaa", (0, 1))
    same = embedded(tmp_path / "b.npz", "aaaa", (2, 3))
    other = embedded(tmp_path / "c.npz", "cccc", (4, 5))
    out = str(tmp_path / "set")
    sentence = "c.npz is of the embedding space cccc and .*a.npz of aaaa, and both are audio: embed"
    with pytest.raises(registry.UserError, match=sentence):
        door(first + other, dataset.Settings(output=out))
    apart = [r for r in first if "audio" in r.further] + [r for r in other if "image" in r.further]
    door(apart, dataset.Settings(output=out))  # each modality has an encoder of its own
    door(first + same, dataset.Settings(output=str(tmp_path / "again")))
