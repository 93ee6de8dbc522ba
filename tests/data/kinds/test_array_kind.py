"""Vectors and sequences, from `.npy` files to a trained run's batches."""

import dataclasses
import shutil
import zipfile

import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import config as config_lib
from tfav import items, registry
from tfav.commands import train
from tfav.data import kinds, shards
from tfav.data.input import endless
from tfav.data.prepare import dataset, manifest
from tfav.data.prepare.sources import csv_manifest
from tfav.experiment import inputs, models
from tfav.inference import input_files
from tfav.media import bad_file, limits

ROWS = 8


def lengths(row):
    return 2 + row % 3


def sequence(row):
    """Number k of step t of row r is 100 r + 10 t + k."""
    step, number = np.meshgrid(np.arange(lengths(row)), np.arange(2), indexing="ij")
    return 100.0 * row + 10 * step + number


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrays")
    lines = ["id,split,label,imu,face"]
    for row in range(ROWS):
        np.save(folder / f"{row}.npy", sequence(row))
        np.save(folder / f"{row}v.npy", np.arange(3) + row)  # whole numbers become float32
        lines.append(f"r{row},train,class{row % 2},{row}.npy,{row}v.npy")
    (folder / "mine.csv").write_text("\n".join(lines) + "\n")
    rows = csv_manifest.read(folder / "mine.csv", modalities=["imu=array", "face=array"])
    dataset.prepare(rows, dataset.Settings(output=str(folder / "set"), draw_lists=False))
    return folder


def config(folder):
    c = small.config(str(folder / "set"))
    c.recipe = "mmcosine"
    c.modalities = ("face", "imu")
    c.further.imu = config_lib.further_of("array", "tiny", size=2, sequence=True)
    c.further.face = config_lib.further_of("array", "tiny", size=3, sequence=False)
    c.data.sampling = "rows"
    return c


def test_a_data_set_tells_the_kind_of_what_is_no_image(folder):
    index = shards.Index.read(folder / "set")
    assert index.modalities == ("imu", "face")
    assert index.info["kinds"] == {"imu": "array", "face": "array"}
    assert index.kind("imu") == "array" and index.kind("flow") == "image"


def test_training_pads_sequences_with_zeros_and_counts_their_steps(folder):
    make = inputs.training_batches(config(folder), 0)
    for batch in make(None).take(4).as_numpy_iterator():
        rows = batch["face"][:, 0].astype(int)
        assert batch["imu_steps"].tolist() == [lengths(row) for row in rows]
        assert batch["imu"].shape == (4, max(batch["imu_steps"]), 2)
        for row, value in zip(rows, batch["imu"]):
            np.testing.assert_array_equal(value[: lengths(row)], sequence(row))
            assert not value[lengths(row) :].any()
        np.testing.assert_array_equal(batch["face"][:, 2], rows + 2)


def plus_noise(array, seed):
    return array + tf.random.stateless_uniform([], seed)


def test_an_augmentation_of_arrays_gets_a_seed_of_its_row_and_step(folder):
    c = config(folder)
    c.further.face.augment = (f"{__name__}.plus_noise",)
    first, again = (next(inputs.training_batches(c, 0)(None).as_numpy_iterator()) for _ in range(2))
    np.testing.assert_array_equal(first["face"], again["face"])
    shares = first["face"][:, 0] % 1
    assert len(set(shares.tolist())) == 4
    c.further.face.augment = ("gain",)
    with pytest.raises(registry.UserError, match="of 'face' are gain.*change waveforms"):
        inputs.training_batches(c, 0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 0, "--config.further.imu.size=0 is out of range"),
        ("kind", "audio", "the modality `audio` alone is of that kind"),
        ("kind", "sensor", "unknown kind of modality 'sensor': choose one of array, audio, image"),
        ("kind", "tfav.tensors.SAMPLE_RATE_HZ", "is a int: choose one of .*, or name an instance"),
        ("kind", "image", "has no field 'num_frames'"),
    ],
)
def test_a_section_that_its_kind_refuses_is_one_sentence(folder, field, value, message):
    c = config(folder)
    c.further.imu[field] = value
    with pytest.raises(registry.UserError, match=message):
        models.sections(c)


def test_a_field_that_the_kind_does_not_have_is_refused(folder):
    c = config(folder)
    c.further.imu.steps = 3
    with pytest.raises(registry.UserError, match="imu.steps is no field of the kind array"):
        models.sections(c)


def test_a_config_that_does_not_fit_the_data_is_told_in_a_sentence(folder):
    c = config(folder)
    c.further.imu.size = 5
    with (
        pytest.raises(
            registry.UserError,
            match=r"imu of a record has another shape than \[any, 5\], namely \[",
        ),
        inputs.whole(c.data.directory),
    ):
        list(inputs.evaluation_batches(c, c.data.directory, ["r0"], "imu", 1))


def test_a_modality_that_is_called_as_the_steps_of_another_is_refused(folder):
    c = config(folder)
    c.further.imu_steps = config_lib.further_of("array", "tiny", size=3, sequence=False)
    models.sections(c)  # no modality yet
    c.modalities = ("imu", "imu_steps")
    with pytest.raises(registry.UserError, match="count the steps of imu as imu_steps: ren"):
        models.sections(c)
    c.further.imu.sequence = False
    assert list(models.sections(c)) == ["imu", "imu_steps"]
    c.further.imu_id = c.further.imu_steps
    c.modalities = ("imu", "imu_id")
    with pytest.raises(registry.UserError, match="a file of tfav-embed calls the ids of imu imu_"):
        models.sections(c)


@pytest.mark.parametrize("modality", ["imu", "face"])
@pytest.mark.parametrize("tolerated", [0, 8])
def test_a_shape_that_the_data_does_not_have_is_told_before_a_run_begins(
    folder, modality, tolerated
):
    c = config(folder)
    c.data.max_bad_records = tolerated
    index = shards.Index.read(c.data.directory)
    inputs.check_shapes(c, index)
    c.further[modality].size = 5
    with pytest.raises(registry.UserError, match=f"set size and .* --config.further.{modality} to"):
        inputs.check_shapes(c, index)


def test_sequences_of_another_size_than_the_config_says_leave_no_workdir(folder, tmp_path):
    c = config(folder)
    c.further.imu.size = 5
    c.model, c.loss = ml_collections.ConfigDict(), ml_collections.ConfigDict()
    c.eval.protocols, c.train.validate_every = ("missing_modalities",), 0
    with pytest.raises(registry.UserError, match="the imu of a record has another shape"):
        train.train(c, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_first_record_that_is_damaged_is_told_where_none_is_tolerated(folder, tmp_path):
    shutil.copytree(folder / "set", tmp_path / "set")
    c = config(tmp_path)
    (shard,) = (tmp_path / "set").glob("train*.tfrecord")
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    index = shards.Index.read(c.data.directory)
    with pytest.raises(registry.UserError, match="a record of .* cannot be read"):
        inputs.check_shapes(c, index)
    c.data.max_bad_records = 1
    inputs.check_shapes(c, index)


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        (["imu=audio"], "--modalities=imu=audio: the column `audio` alone holds audio"),
        (["imu=sensor"], "unknown kind of modality 'sensor'"),
        (["imu=array", "split=array"], "'split' cannot be the name of a further modality"),
        (["imu=array", "wav=array"], "'wav' cannot be the name of a further modality"),
        (["imu=array", "shares_space=array"], "'shares_space' cannot be the name"),
        (["gyro=array"], "has no column 'gyro'"),
    ],
)
def test_columns_that_cannot_hold_arrays_are_refused(folder, modalities, message):
    with pytest.raises(registry.UserError, match=message):
        csv_manifest.read(folder / "mine.csv", modalities=modalities)


def test_rows_of_a_source_that_disagree_on_a_kind_are_refused(tmp_path):
    rows = [
        manifest.Row("a", "train", "x", further={"imu": ("a.npy",)}, kinds={"imu": "array"}),
        manifest.Row("b", "train", "x", further={"imu": ("b.png",)}),
    ]
    with pytest.raises(registry.UserError, match="'b' has imu of the kind image and .* array"):
        dataset.prepare(rows, dataset.Settings(output=str(tmp_path / "set")))


@pytest.mark.parametrize("first", ["imu", "audio"])
def test_a_modality_that_is_called_as_the_ids_of_another_is_no_data_set(first, tmp_path):
    further = {f"{first}_id": ("b.npy",)} | ({"imu": ("a.npy",)} if first == "imu" else {})
    sound = "a.wav" if first == "audio" else None
    row = manifest.Row("a", "train", "x", audio=sound, further=further)
    row = dataclasses.replace(row, kinds=dict.fromkeys(further, "array"))
    with pytest.raises(registry.UserError, match=f"calls the ids of {first} {first}_id: rename"):
        dataset.prepare([row], dataset.Settings(output=str(tmp_path / "set")))
    assert not (tmp_path / "set").exists()


def test_identities_are_drawn_of_audio_and_image_alone(folder):
    c = config(folder)
    c.data.sampling = "identities"
    with pytest.raises(registry.UserError, match="image and not face: set it to rows"):
        inputs.training_batches(c, 0)


def test_a_bad_file_is_a_bad_row_with_its_column(folder, tmp_path):
    rows = csv_manifest.read(folder / "mine.csv", modalities=["imu=array"])
    (tmp_path / "no.npy").write_bytes(b"x")
    further = {"imu": (str(tmp_path / "no.npy"),)}
    rows.append(manifest.Row("bad", "train", "class0", further=further, kinds={"imu": "array"}))
    output = str(tmp_path / "set")
    dataset.prepare(rows, dataset.Settings(output=output, draw_lists=False, max_bad_fraction=0.2))
    line = (tmp_path / "set" / "bad_rows.csv").read_text().splitlines()[1]
    assert line.startswith(f"bad,imu,{tmp_path}/no.npy,is no whole .npy file of numbers")
    assert "bad" not in shards.Index.read(output).id


def test_a_config_of_another_kind_than_the_data_is_told_in_a_sentence(folder):
    c = config(folder)
    c.further.imu = config_lib.further("tiny", 32)
    with pytest.raises(registry.UserError, match="imu of the kind array and .* asks for image"):
        inputs.training_batches(c, 0)
    with pytest.raises(registry.UserError, match="imu of the kind array and .* asks for image"):
        inputs.evaluation_batches(c, c.data.directory, ["r0"], "imu", 1)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.npy", b"hello", "is no whole .npy file of numbers"),
        ("empty.npy", b"", "is empty"),
        ("scalar.npy", np.float32(3), r"of the shape \[\], which is neither a vector"),
        ("nothing.npy", np.zeros([0, 3]), "which is neither a vector"),
        ("words.npy", np.array(["a"]), "holds <U1 and no real numbers"),
        ("complex.npy", np.array([1j]), "no real numbers"),
        ("nan.npy", np.array([np.nan, 1.0]), "not finite"),
        ("large.npy", np.array([1e300]), "not finite in float32"),
        ("objects.npy", np.array([{}], object), "is no whole .npy file of numbers"),
    ],
)
def test_a_file_that_holds_no_array_of_numbers_says_why(tmp_path, name, content, reason):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(bad_file.BadFile, match=reason):
        kinds.ARRAY.read(path, limits.DEFAULT)


def test_an_archive_and_a_file_that_promises_too_much_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "several.npy", "w") as file:
        file.writestr("a.npy", b"")
    with pytest.raises(bad_file.BadFile, match="several arrays"):
        kinds.ARRAY.read(tmp_path / "several.npy", limits.DEFAULT)
    np.save(tmp_path / "whole.npy", np.zeros(1000))
    content = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(content[:-1])
    with pytest.raises(bad_file.BadFile, match="is no whole .npy file"):
        kinds.ARRAY.read(tmp_path / "cut.npy", limits.DEFAULT)
    with pytest.raises(bad_file.BadFile, match="--max_decoded_mb=1"):
        np.save(tmp_path / "big.npy", np.zeros(200_000))
        kinds.ARRAY.read(tmp_path / "big.npy", limits.Limits(max_decoded_mb=1))


def test_files_of_a_kind_that_two_modalities_have_are_not_guessed(folder):
    specs = models.items(config(folder))
    with pytest.raises(registry.UserError, match="0.npy may be face or imu.*modality='face'"):
        input_files.find([str(folder / "0.npy")], specs)
    found = input_files.find([str(folder / "0.npy")], specs, "imu")
    assert found == {"imu": [(str(folder / "0.npy"),) * 2]}


def test_each_row_of_a_table_is_an_input_of_the_modality_that_it_names(folder, tmp_path):
    specs = models.items(config(folder))
    arrays = {"face_id": ["a", "b"], "face": np.ones([2, 3]), "voice_id": ["c"], "voice": [[1.0]]}
    np.savez(tmp_path / "e.npz", embedding_space=np.array("x"), **arrays)
    file = str(tmp_path / "e.npz")
    both = [("a", f"{file}@face#a"), ("b", f"{file}@face#b")]
    assert input_files.find([file], specs)["face"] == both  # the model has no voice
    assert input_files.find([f"{file}@face#b"], specs)["face"] == both[1:]
    np.savez(tmp_path / "plain.npz", id=["a"], vector=np.ones([1, 3]))
    plain = str(tmp_path / "plain.npz")
    assert input_files.find([f"{plain}@imu"], specs)["imu"] == [("a", f"{plain}@imu#a")]
    for path, message in (
        (plain, "plain.npz may be face or imu: write .*plain.npz@NAME"),
        (f"{plain}@audio", "is a table of vectors, which this model does not take"),
        (f"{file}@face#z", "has no row 'z' among its 2"),
        (str(tmp_path / "none.npz"), "none.npz does not exist"),
    ):
        with pytest.raises(registry.UserError, match=message):
            input_files.find([path], specs)


def test_a_kind_that_is_not_installed_leaves_the_files_of_the_others(folder, tmp_path):
    specs = {"audio": items.clip().of("audio"), "gas": items.array(3, kind="nose.GAS").of("gas")}
    (tmp_path / "a.wav").touch()
    assert input_files.find([str(tmp_path)], specs)["audio"] == [("a.wav", f"{tmp_path}/a.wav")]
    with pytest.raises(registry.UserError, match="'nose.GAS' cannot be imported"):
        input_files.find([str(tmp_path)], specs, "gas")


def test_what_holds_no_sequences_is_batched_without_padding(folder):
    c = config(folder)
    item = kinds.Item(kinds.ARRAY, models.items(c)["face"])
    make = endless.row_batches(
        c.data.directory, "train", items={"face": item}, batch_size=4, seed=1, audio_seconds=(1, 1)
    )
    assert make(None).element_spec["face"].shape == [4, 3]
