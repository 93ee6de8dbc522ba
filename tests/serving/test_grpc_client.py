"""The gRPC client, and an independent one, against the stand-in's official services."""

import threading
import time

import numpy as np
import pytest

from tests.serving import sounds
from tests.serving.test_clients import refused

pytest.importorskip("tensorflow_serving")

import grpc

from tests.serving import loopback_grpc
from tfav.clients import client as client_lib
from tfav.clients import grpc_client


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_lib, "FIRST_PAUSE", 0.01)


@pytest.fixture(scope="module")
def target(loaded):
    server, port = loopback_grpc.serve(loaded)
    yield f"127.0.0.1:{port}"
    server.stop(0)


@pytest.fixture
def client(target):
    with grpc_client.Client(target, "demo", retries=2) as client:
        yield client


def test_every_call_answers_as_the_direct_one(client, direct, clip, jpeg):
    length = np.array([len(clip)], np.int32)
    sound = direct("embed_audio", waveform=clip[np.newaxis], num_samples=length)["embedding"][0]
    picture = direct("embed_jpeg", jpeg=[jpeg])["embedding"][0]
    np.testing.assert_allclose(client.embed_audio(clip), sound, atol=1e-6)
    np.testing.assert_allclose(client.embed_wav(sounds.wav(clip)), sound, atol=1e-6)
    np.testing.assert_allclose(client.embed_jpeg(jpeg), picture, atol=1e-6)
    found = client.match(sound, [picture, sound])
    np.testing.assert_allclose(found.scores, [sound @ picture, 1], atol=1e-5)
    assert found.best == 1
    assert client.score(sound, picture) == pytest.approx(sound @ picture, abs=1e-5)


def test_it_answers_as_the_rest_client(client, server, clip, jpeg):
    rest = client_lib.Client(server.url, "demo")
    assert client.status() == rest.status() == {1: "AVAILABLE"}
    assert client.metadata() == rest.metadata()
    np.testing.assert_allclose(client.embed_audio(clip), rest.embed_audio(clip), atol=1e-7)
    pixels = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3], np.uint8)
    np.testing.assert_allclose(
        client.predict("embed_image", {"image": pixels}),
        rest.predict("embed_image", {"image": pixels}),
        atol=1e-7,
    )


def test_zeros_at_the_end_of_a_file_arrive(client, direct):
    content = sounds.wav(np.concatenate([sounds.clip(4_000), np.zeros(4_000, np.float32)]))
    expected = direct("embed_wav", wav=[content])["embedding"][0]
    np.testing.assert_allclose(client.embed_wav(content), expected, atol=1e-6)


def test_a_refusal_is_the_sentence_of_the_server_with_its_code(client, target):
    inputs = {"waveform": [[0.5, 0.5]], "num_samples": [3]}
    error = refused(client.predict, "embed_audio", inputs)
    assert error.status == "INVALID_ARGUMENT"
    assert str(error).startswith("embed_audio: num_samples is more than the waveform holds")
    error = refused(client.predict, "embed_audio", {"waveform": [[0.5]]})
    assert error.status == "INVALID_ARGUMENT" and "num_samples" in str(error)
    error = refused(client.predict, "embed_audio", {"waveform": [[1]], "num_samples": [1]})
    assert error.status == "INVALID_ARGUMENT" and "waveform must be float32" in str(error)
    # TensorFlow Serving calls it so by gRPC, and INVALID_ARGUMENT by REST.
    error = refused(client.predict, "embed_nothing", {"x": [1]})
    assert error.status == "FAILED_PRECONDITION" and "embed_nothing" in str(error)
    with grpc_client.Client(target, "demo", version=7) as other:
        assert refused(other.status).status == "NOT_FOUND"


def test_what_no_server_would_take_is_refused_before_it_is_sent(client):
    assert "the clip is empty" in str(refused(client.embed_audio, []))
    assert "no WAV file" in str(refused(client.embed_wav, b"ID3"))
    assert "no candidates" in str(refused(client.match, 16 * [0.1], []))
    assert "several lengths" in str(refused(client.predict, "score", {"x": [[1.0], [1.0, 2.0]]}))
    assert "NaN" in str(refused(client.predict, "score", {"x": [float("nan")]}))


def test_messages_above_grpc_s_own_4_mb_pass_up_to_the_limit(client, target):
    clips = np.full([75, 16_000], 0.3, np.float32)  # 4.8 MB
    lengths = np.full(75, 16_000, np.int32)
    found = client.predict("embed_audio", {"waveform": clips, "num_samples": lengths})
    assert found.shape == (75, 16)
    with grpc_client.Client(target, "demo", max_message_bytes=1_000_000) as small:
        inputs = {"waveform": clips, "num_samples": lengths}
        error = refused(small.predict, "embed_audio", inputs)
    assert "more than max_message_bytes=1000000" in str(error)


def test_a_call_that_takes_too_long_is_ended(loaded, monkeypatch, clip):
    monkeypatch.setattr(loaded, "check", lambda *_: time.sleep(1))
    server, port = loopback_grpc.serve(loaded)
    with grpc_client.Client(f"127.0.0.1:{port}", "demo", timeout_seconds=0.2) as hasty:
        error = refused(hasty.embed_audio, clip)
    server.stop(0).wait()
    assert error.status == "DEADLINE_EXCEEDED" and "timeout_seconds=0.2" in str(error)


def test_no_server_is_told(loaded):
    server, port = loopback_grpc.serve(loaded)
    server.stop(0).wait()
    with grpc_client.Client(f"127.0.0.1:{port}", "demo", retries=1) as client:
        error = refused(client.status)
    assert error.status == "UNAVAILABLE" and "did not answer in 2 tries" in str(error)


def test_a_restart_is_outlasted(loaded, clip):
    first, port = loopback_grpc.serve(loaded)
    with grpc_client.Client(f"127.0.0.1:{port}", "demo", retries=12) as patient:
        expected = patient.embed_audio(clip)
        first.stop(0).wait()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(patient.embed_audio(clip)))
        waiting.start()
        time.sleep(0.3)
        assert not answers
        second, _ = loopback_grpc.serve(loaded, port)
        waiting.join(30)
        second.stop(0).wait()
    np.testing.assert_array_equal(answers, [expected])


def test_a_tensor_whose_content_does_not_fill_its_shape_is_refused(client, target):
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "demo"
    request.inputs["waveform"].dtype = 1
    request.inputs["waveform"].tensor_shape.dim.add().size = 3
    request.inputs["waveform"].tensor_content = b"\0\0"
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("carrier", ["http", "grpc"])
def test_an_independent_client_gets_the_same(server, target, direct, clip, carrier):
    ovmsclient = pytest.importorskip("ovmsclient")
    if carrier == "http":
        other = ovmsclient.make_http_client(server.url.removeprefix("http://"))
    else:
        other = ovmsclient.make_grpc_client(target)
    assert other.get_model_status("demo")[1]["state"] == "AVAILABLE"
    metadata = other.get_model_metadata("demo")
    if carrier == "grpc":  # by HTTP it reads the spelling of OpenVINO's server only
        assert metadata["inputs"]["waveform"] == {"shape": [-1, -1], "dtype": "DT_FLOAT"}
    length = np.array([len(clip)], np.int32)
    inputs = {"waveform": clip[np.newaxis], "num_samples": length}
    expected = direct("embed_audio", **inputs)["embedding"]
    np.testing.assert_allclose(other.predict(inputs, "demo"), expected, atol=1e-6)
    inputs["num_samples"] = length + 1
    with pytest.raises(Exception, match="num_samples is more than the waveform holds"):
        other.predict(inputs, "demo")


def test_both_carriers_come_from_one_process(base, clip):
    import json
    import subprocess
    import sys

    command = [sys.executable, "-m", "tests.serving.loopback", f"--base={base}", "--name=demo"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*command, "--with_parent"], **pipes, text=True) as process:
        try:
            ports = json.loads(process.stdout.readline())
            rest = client_lib.Client(f"http://127.0.0.1:{ports['rest_port']}", "demo")
            with grpc_client.Client(f"127.0.0.1:{ports['grpc_port']}", "demo") as rpc:
                np.testing.assert_allclose(rpc.embed_audio(clip), rest.embed_audio(clip), atol=1e-7)
        finally:
            process.kill()
