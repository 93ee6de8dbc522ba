import os
import re
import resource
import shlex

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from tfav import registry
from tfav.export import servable as servable_lib
from tfav.export.serving import deployment, saved_model

SIZES = list(deployment.BATCH_SIZES)


@pytest.fixture(scope="module")
def servable(recipe):
    return servable_lib.Servable(recipe)


# Configuration ----------------------------------------------------------------------------------


def batching_parameters() -> type:
    """Returns BatchingParameters of tensorflow_serving's session_bundle_config.proto.

    tensorflow-serving-api does not ship it.
    """
    wrapped = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches"]
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate([*wrapped, "num_batch_threads"], start=1):
        kind = ".google.protobuf.Int64Value"
        message.field.add(name=name, number=number, type=11, type_name=kind, label=1)
    message.field.add(name="allowed_batch_sizes", number=6, type=3, label=3)
    message.field.add(name="pad_variable_length_inputs", number=7, type=8, label=1)
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))


def test_the_batching_file_is_what_the_server_parses_and_allows_the_warmed_sizes():
    text = deployment.config_files("demo")["batching_parameters.txt"]
    found = text_format.Parse(text, batching_parameters()())
    assert list(found.allowed_batch_sizes) == sorted(SIZES)
    assert found.max_batch_size.value == SIZES[-1]  # the server refuses any other
    assert found.num_batch_threads.value >= 1
    assert found.batch_timeout_micros.value > 0 and found.max_enqueued_batches.value > 0


def test_the_servers_padding_is_harmless_for_sound_and_not_for_pictures_so_it_is_off(servable):
    signatures = servable.signatures()
    sound, picture = np.full([1, 5_000], 0.3, np.float32), np.zeros([1, 20, 20, 3], np.uint8)
    sound += np.sin(np.arange(5_000, dtype=np.float32) / 7)
    picture[:, 10:] = 255
    # As TensorFlow Serving's AddPadding does: behind, with the first value of the tensor.
    longer = np.pad(sound, [(0, 0), (0, 3_000)], constant_values=sound[0, 0])
    larger = np.pad(picture, [(0, 0), (0, 12), (0, 12), (0, 0)], constant_values=picture.flat[0])
    embed, lengths = signatures["embed_audio"], np.array([5_000], np.int32)
    np.testing.assert_allclose(
        embed(waveform=longer, num_samples=lengths)["embedding"],
        embed(waveform=sound, num_samples=lengths)["embedding"],
        atol=1e-6,
    )
    changed, right = (signatures["embed_image"](image=x)["embedding"] for x in (larger, picture))
    assert np.abs(changed - right).max() > 1e-3
    text = deployment.config_files("demo")["batching_parameters.txt"]
    assert not text_format.Parse(text, batching_parameters()()).pad_variable_length_inputs


def test_a_list_of_candidates_that_the_server_pads_has_a_best_that_nobody_sent(servable):
    inputs = {"probe": np.ones([1, 16], np.float32), "candidates": np.eye(16)[np.newaxis, :2]}
    inputs["candidates"] = inputs["candidates"].astype(np.float32)
    longer = np.pad(inputs["candidates"], [(0, 0), (0, 1), (0, 0)], constant_values=1)
    match = servable.signatures()["match"]
    assert match(**inputs)["best"].numpy().tolist() == [0]
    assert match(**{**inputs, "candidates": longer})["best"].numpy().tolist() == [2]


def test_rows_that_come_together_are_answered_as_each_alone(servable):
    examples = servable.examples()
    for name, function in servable.signatures().items():
        (rows,) = {len(value) for value in examples[name].values()}
        inputs = {n: tf.constant(x) for n, x in examples[name].items()}
        together = function(**inputs)
        for row in range(rows):
            alone = function(**{n: x[row : row + 1] for n, x in inputs.items()})
            for output, value in alone.items():
                found = together[output][row : row + 1]
                np.testing.assert_allclose(found, value, atol=1e-5, err_msg=f"{name} {output}")


@pytest.mark.parametrize("name", ["demo", 'a "b" \\c'])
def test_the_models_file_is_what_the_server_parses(name):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = deployment.config_files(name)["models.config"]
    (found,) = text_format.Parse(text, config.ModelServerConfig()).model_config_list.config
    assert (found.name, found.base_path) == (name, f"/models/{name}")
    assert found.model_platform == "tensorflow"
    assert found.model_version_policy.latest.num_versions == 1


def test_the_commands_name_the_folder_the_model_and_the_files(tmp_path):
    directory = str(tmp_path / "my exports" / "demo")
    text = deployment.commands(directory)
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("  ")]
    docker, binary, here, there = lines
    assert f"{directory}:/models/demo:ro" in docker
    assert f"tensorflow/serving:{tf.__version__}" in docker
    assert "--model_config_file=/models/demo/models.config" in docker
    assert {"8500:8500", "8501:8501"} < set(docker)
    assert {"--model_name=demo", f"--model_base_path={directory}"} < set(binary)
    assert {"--port=8500", "--rest_api_port=8501"} < set(binary)
    for folder, words in (("/models/demo", here), (directory, there)):
        file = f"--batching_parameters_file={folder}/batching_parameters.txt"
        assert words == ["--enable_batching", file]
    assert set(re.findall(r"\w+\.(?:txt|config)", text)) == set(deployment.config_files("demo"))


# Old versions -----------------------------------------------------------------------------------


def versions(directory, *names):
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / name / "saved_model.pb").write_text(name)


def test_only_the_newest_versions_are_kept_and_nothing_else_is_touched(tmp_path):
    directory = tmp_path / "demo"
    versions(directory, "1", "2", "9", "10", "latest")
    (directory / "parity.json").write_text("{}")
    assert deployment.prune(str(directory), 2) == [1, 2]
    assert sorted(os.listdir(directory)) == ["10", "9", "latest", "parity.json"]
    assert deployment.prune(str(directory), 1) == [9]
    assert deployment.prune(str(directory), 1) == []
    assert sorted(os.listdir(directory)) == ["10", "latest", "parity.json"]
    assert os.listdir(tmp_path) == ["demo"]


def test_zero_keeps_all_versions(tmp_path):
    versions(tmp_path / "demo", "1", "2")
    assert deployment.prune(str(tmp_path / "demo"), 0) == []
    assert sorted(os.listdir(tmp_path / "demo")) == ["1", "2"]


def test_a_negative_number_of_versions_is_refused(tmp_path):
    versions(tmp_path / "demo", "1", "2")
    with pytest.raises(registry.UserError, match="--keep_versions=-1: give how many"):
        deployment.prune(str(tmp_path / "demo"), -1)
    assert sorted(os.listdir(tmp_path / "demo")) == ["1", "2"]


def test_a_version_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    versions(tmp_path / "demo", "1", "2")

    def refuse(*_):
        raise PermissionError("not yours")

    monkeypatch.setattr(deployment.os, "rename", refuse)
    with pytest.raises(registry.UserError, match="demo/1 cannot be removed .not yours.: remove"):
        deployment.prune(str(tmp_path / "demo"), 1)
    assert sorted(os.listdir(tmp_path / "demo")) == ["1", "2"]


def test_a_disk_that_fills_up_under_the_warm_up_ends_in_a_sentence(servable, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with (
            pytest.raises(registry.UserError, match="nothing was published to .*free disk space"),
            saved_model.staging(str(tmp_path / "demo")) as stage,
        ):
            os.makedirs(os.path.join(stage, "1", "assets.extra"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # it needs 130 kB
            deployment.finish(servable, os.path.join(stage, "1"), "demo")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []
