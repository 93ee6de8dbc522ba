import os

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav.export import servable as servable_lib
from tfav.export.serving import deployment, saved_model, session_loader, warmup

SIZES = list(deployment.BATCH_SIZES)


@pytest.fixture(scope="module")
def servable(recipe):
    return servable_lib.Servable(recipe)


@pytest.fixture(scope="module")
def finished(published):
    """A SavedModel with the warm-up that it has answered; read only."""
    return os.path.join(published.directory, "1")


@pytest.fixture(scope="module")
def requests(finished):
    return [(s, {n: tf.make_ndarray(x) for n, x in r.items()}) for s, r in warmup.read(finished)]


def test_every_signature_is_warmed_up_in_every_allowed_batch_size(requests, servable):
    found = sorted((name, len(next(iter(x.values())))) for name, x in requests)
    assert found == sorted((name, size) for name in servable.signatures() for size in SIZES)


def test_all_inputs_of_a_warm_up_request_have_the_same_rows_as_batching_demands(requests):
    for name, inputs in requests:
        assert len({len(x) for x in inputs.values()}) == 1, name


def test_warm_up_is_a_second_of_sound_and_pictures_of_the_encoders_size(requests):
    by_name = {name: inputs for name, inputs in requests if len(next(iter(inputs.values()))) == 2}
    assert by_name["embed_audio"]["waveform"].shape == (2, 16_000)
    assert by_name["embed_audio"]["num_samples"].tolist() == [16_000, 16_000]
    assert by_name["embed_image"]["image"].shape == (2, conftest.SIZE, conftest.SIZE, 3)
    clip, _ = tf.audio.decode_wav(by_name["embed_wav"]["wav"][1])
    assert clip.shape == (16_000, 1)
    assert tf.io.decode_jpeg(by_name["embed_jpeg"]["jpeg"][1]).shape == (32, 32, 3)
    assert by_name["match"]["candidates"].shape == (2, 10, conftest.EMBEDDING_SIZE)


def test_warm_up_of_several_modalities_and_frames_can_be_answered(classifying):
    servable = servable_lib.Servable(classifying, {"flow": conftest.FRAMES}, conftest.CLASSES)
    functions = servable.signatures()
    arguments = (1, servable.items)
    for name in ("classify", "embed_flow"):
        specs = functions[name].structured_input_signature[1]
        request = warmup.inputs(specs, *arguments)
        answer = functions[name](**{n: tf.make_ndarray(x) for n, x in request.items()})
        assert all(np.isfinite(x).all() for x in answer.values())


def test_the_file_stays_small(finished):
    assert os.path.getsize(os.path.join(finished, warmup.FILE)) < 500_000


def test_the_official_package_reads_the_same_requests(finished, requests):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = os.path.join(finished, "assets.extra", "tf_serving_warmup_requests")
    records = list(tf.data.TFRecordDataset(file).as_numpy_iterator())
    assert len(records) == len(requests) == len(SIZES) * 7
    for record, (signature, inputs) in zip(records, requests):
        log = logs.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("demo", signature)
        assert set(request.inputs) == set(inputs)
        for name, value in inputs.items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), value)


def test_a_warm_up_that_the_saved_model_refuses_stops_the_export(servable, tmp_path, monkeypatch):
    path = str(tmp_path / "1")
    saved_model.save(servable, path, servable.signatures())
    inputs = warmup.inputs

    def broken(*arguments):
        found = inputs(*arguments)
        if "num_samples" in found:
            found["num_samples"].int_val[:] = [16_001]
        return found

    monkeypatch.setattr(warmup, "inputs", broken)
    with pytest.raises(ValueError, match="(?s)C\\+\\+ Session loader.*more than the waveform"):
        deployment.finish(servable, path, "demo")


@pytest.mark.parametrize(
    "signature, inputs, sentence",
    [
        ("log", {"x": 0.0}, "warm-up: log answers y that is not finite"),
        ("log", {"x": 1.0, "y": 1.0}, r"log takes \['x'\]"),
        ("log", {"x": 1.0}, None),
    ],
)
def test_warm_up_is_replayed_and_its_answers_are_looked_at(tmp_path, signature, inputs, sentence):
    module = tf.Module()
    function = tf.function(lambda x: {"y": tf.math.log(x)}).get_concrete_function(
        tf.TensorSpec([None], tf.float32, "x")
    )
    path = str(tmp_path / "1")
    tf.saved_model.save(module, path, signatures={"log": function})
    os.mkdir(os.path.join(path, "assets.extra"))
    warmup.write(path, [(signature, {n: tf.make_tensor_proto([x]) for n, x in inputs.items()})], "")
    np.savez(tmp_path / "in.npz")
    arguments = path, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")
    if sentence is None:
        session_loader.run(*arguments)
        return
    with pytest.raises(ValueError, match=sentence):
        session_loader.run(*arguments)
