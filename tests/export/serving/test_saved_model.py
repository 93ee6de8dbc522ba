import errno
import os
import resource
import sys

import pytest
import tensorflow as tf

from tests.export import conftest
from tfav import compat, registry
from tfav.export import servable as servable_lib
from tfav.export.serving import saved_model

D = conftest.EMBEDDING_SIZE


def tensor(dtype, *shape):
    return {"dtype": dtype, "shape": list(shape)}


def test_names_types_and_shapes_of_the_signatures_are_fixed(published):
    embedding = {"embedding": tensor("float32", None, D)}
    assert published.certificate["artefacts"]["1"]["signatures"] == {
        "embed_audio": {
            "inputs": {
                "num_samples": tensor("int32", None),
                "waveform": tensor("float32", None, None),
            },
            "outputs": embedding,
        },
        "embed_image": {
            "inputs": {"image": tensor("uint8", None, None, None, 3)},
            "outputs": embedding,
        },
        "embed_jpeg": {"inputs": {"jpeg": tensor("string", None)}, "outputs": embedding},
        "embed_wav": {"inputs": {"wav": tensor("string", None)}, "outputs": embedding},
        "match": {
            "inputs": {
                "probe": tensor("float32", None, D),
                "candidates": tensor("float32", None, None, D),
            },
            "outputs": {
                "scores": tensor("float32", None, None),
                "best": tensor("int32", None),
                "embedding_space": tensor("int32", None, 2),
            },
        },
        "score": {
            "inputs": {
                "audio_embedding": tensor("float32", None, D),
                "image_embedding": tensor("float32", None, D),
            },
            "outputs": {"score": tensor("float32", None)},
        },
        "serving_default": {
            "inputs": {
                "num_samples": tensor("int32", None),
                "waveform": tensor("float32", None, None),
            },
            "outputs": embedding,
        },
    }


def test_no_op_of_a_compiled_extra_is_in_the_graph(published):
    ops = saved_model.describe(os.path.join(published.directory, "1"))["ops"]
    assert ops["Conv2D"] > 0
    assert not [op for op in ops if op.startswith(("IO>", "Addons>"))]


@pytest.mark.skipif(compat.KERAS_3, reason="tensorflow-io runs on the addons line only")
def test_an_encoder_with_an_op_of_tensorflow_io_is_refused(recipe, tmp_path):
    audio = compat.tensorflow_io("a test").audio

    class Resampling(servable_lib.Servable):
        def _embed(self, **inputs):
            if "waveform" in inputs:
                resampled = audio.resample(inputs["waveform"], 8000, 16000)
                inputs["waveform"] = tf.ensure_shape(resampled, [None, None])
            return super()._embed(**inputs)

    resampling = Resampling(recipe)
    with pytest.raises(registry.UserError, match="IO>AudioResample.*no server has"):
        saved_model.save(resampling, str(tmp_path / "1"), resampling.signatures())


@pytest.mark.skipif(
    "TFAV_OTHER_PYTHON" not in os.environ,
    reason="TFAV_OTHER_PYTHON names no interpreter of the other dependency line",
)
def test_the_other_dependency_line_loads_it_and_answers_the_same(published, recipe, monkeypatch):
    monkeypatch.setattr(sys, "executable", os.environ["TFAV_OTHER_PYTHON"])
    servable = servable_lib.Servable(recipe)
    saved_model.verify(servable, os.path.join(published.directory, "1"))


def test_every_weight_is_in_the_file_once(published, recipe):
    path = os.path.join(published.directory, "1", "variables", "variables")
    stored = [shape for name, shape in tf.train.list_variables(path) if name.startswith("tracked/")]
    expected = [v.shape.as_list() for v in recipe.encoder_weights().values()]
    assert sorted(stored) == sorted(expected)
    kernels = sum(4 * v.shape.num_elements() for v in recipe.encoder_weights().values())
    assert os.path.getsize(path + ".data-00000-of-00001") < 1.1 * kernels + 10_000


@pytest.mark.skipif(not compat.KERAS_3, reason="Keras 2 layers are tracked whole")
def test_keras_layers_in_place_of_tracked_variables_fail_the_session_loader(recipe, tmp_path):
    servable = servable_lib.Servable(recipe)
    servable.tracked = []
    servable.network = list(recipe.encoders.values())
    path = str(tmp_path / "1")
    saved_model.save(servable, path, servable.signatures())
    assert tf.saved_model.load(path).signatures  # Python finds nothing wrong
    with pytest.raises(ValueError, match="(?s)C\\+\\+ Session loader.*Could not find variable"):
        saved_model.verify(servable, path)


def test_a_saved_model_with_other_weights_than_the_recipe_fails(published, recipe):
    servable = servable_lib.Servable(recipe)
    kernel = next(v for v in servable.tracked if len(v.shape) == 4)
    before = kernel.numpy()
    kernel.assign(2.0 * before + 0.1)
    try:
        with pytest.raises(ValueError, match="answers embedding .* away from its own model"):
            saved_model.verify(servable, os.path.join(published.directory, "1"))
    finally:
        kernel.assign(before)


def test_the_next_version_follows_the_newest_integer(tmp_path):
    assert saved_model.choose_version(str(tmp_path / "none")) == 1
    for name in ("2", "10", "latest", "12.5"):
        (tmp_path / name).mkdir()
    (tmp_path / "11").write_text("a file is no version")
    assert saved_model.choose_version(str(tmp_path)) == 11
    assert saved_model.choose_version(str(tmp_path), "7") == 7


@pytest.mark.parametrize("version", ["v0.1", "1.0", "-1", "0", "", "²"])
def test_a_version_that_is_no_positive_integer_is_refused(tmp_path, version):
    with pytest.raises(registry.UserError, match="TensorFlow Serving ignores .*use --version=1"):
        saved_model.choose_version(str(tmp_path), version)


def test_an_existing_version_is_refused(tmp_path):
    (tmp_path / "3").mkdir()
    with pytest.raises(
        registry.UserError, match="3 exists: leave --version out to write version 4"
    ):
        saved_model.choose_version(str(tmp_path), 3)


def test_write_makes_the_next_version_and_leaves_nothing_else(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "verify", lambda *_: None)  # `published` runs it
    servable = servable_lib.Servable(recipe)
    directory = tmp_path / "demo"
    (directory / "4").mkdir(parents=True)
    assert saved_model.write(servable, str(directory)) == str(directory / "5")
    assert sorted(os.listdir(directory)) == ["4", "5"]
    assert os.listdir(tmp_path) == ["demo"]
    assert tf.saved_model.contains_saved_model(str(directory / "5"))


def test_a_failed_check_leaves_nothing(recipe, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("not what it was")

    monkeypatch.setattr(saved_model, "verify", fail)
    with pytest.raises(ValueError, match="not what it was"):
        saved_model.write(servable_lib.Servable(recipe), str(tmp_path / "demo"))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(recipe, tmp_path):
    servable = servable_lib.Servable(recipe)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the weights need 1 MB
    try:
        with pytest.raises(registry.UserError, match="nothing was published to .*free disk space"):
            saved_model.write(servable, str(tmp_path / "demo"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_a_version_taken_meanwhile_is_not_overwritten(tmp_path):
    taken = OSError(errno.ENOTEMPTY, "Directory not empty")
    with (
        pytest.raises(registry.UserError, match="something else has taken that name"),
        saved_model.staging(str(tmp_path / "demo")),
    ):
        raise taken
    assert os.listdir(tmp_path) == []


def test_what_a_killed_export_left_goes_with_the_next_one_and_nothing_else(tmp_path):
    kept = {"demo", ".demo.settings", ".demo.partial-mine", "demo.partial-abcdefgh"}
    for name in kept | {".demo.partial-abcdefgh"}:
        (tmp_path / name).mkdir()
    with saved_model.staging(str(tmp_path / "demo")) as stage:
        assert os.path.basename(stage).startswith(".demo.partial-")
        assert set(os.listdir(tmp_path)) == kept | {os.path.basename(stage)}
    assert set(os.listdir(tmp_path)) == kept


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(registry.UserError, match="demo is a file: name a folder"):
        saved_model.choose_version(str(tmp_path / "demo"))
