"""A real MLServer serves an export through our runtime, by REST and by gRPC."""

import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.serving import sounds

pytest.importorskip("mlserver")

import grpc
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

from tfav.clients import mlserver_runtime

MODEL = "demo"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def ports(base, tmp_path_factory) -> tuple[int, int]:
    """REST and gRPC ports of an MLServer in a process of its own, ready."""
    folder = tmp_path_factory.mktemp("mlserver")
    mlserver_runtime.write_settings(base, MODEL, str(folder))
    http, rpc, metrics = free_ports(3)
    names = {"http_port": http, "grpc_port": rpc, "metrics_port": metrics}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, **names}
    (folder / "settings.json").write_text(json.dumps(settings))
    server = os.path.join(os.path.dirname(sys.executable), "mlserver")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([server, "start", str(folder)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while status(http, f"models/{MODEL}/ready") != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"MLServer did not start:\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)
        yield http, rpc
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # seen: more than 2 s after SIGTERM
            process.kill()
            process.wait()


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/{path}", timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def rest(port: int, inputs: list, signature: str | None = None) -> tuple[int, dict]:
    body = {"inputs": inputs}
    if signature:
        body["parameters"] = {"signature": signature}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/models/{MODEL}/infer",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def outputs(answer: dict) -> dict:
    return {x["name"]: np.reshape(x["data"], x["shape"]) for x in answer["outputs"]}


def sent(name: str, value: np.ndarray, datatype: str = "FP32") -> dict:
    return {
        "name": name,
        "shape": list(value.shape),
        "datatype": datatype,
        "data": value.ravel().tolist(),
    }


def bytes_of(name: str, values: list[bytes]) -> dict:
    data = [base64.b64encode(value).decode() for value in values]
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data}


def call(port: int, method: str, request):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return getattr(GRPCInferenceServiceStub(channel), method)(request, timeout=60)


def infer(port: int, inputs: list, signature: str | None = None) -> dict:
    request = pb.ModelInferRequest(model_name=MODEL, inputs=inputs)
    if signature:
        request.parameters["signature"].string_param = signature
    answer = call(port, "ModelInfer", request)
    return {x.name: np.reshape(x.contents.fp32_contents, x.shape) for x in answer.outputs}


def test_it_is_alive_and_ready_and_says_what_it_takes(ports):
    http, rpc = ports
    assert status(http, "health/live") == status(http, "health/ready") == 200
    assert status(http, "models/other/ready") == 404
    assert call(rpc, "ServerLive", pb.ServerLiveRequest()).live
    assert call(rpc, "ModelReady", pb.ModelReadyRequest(name=MODEL)).ready
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/v2/models/{MODEL}") as response:
        found = json.load(response)
    assert found["platform"] == "tensorflow_savedmodel" and found["versions"] == ["1"]
    assert {x["name"]: (x["datatype"], x["shape"]) for x in found["inputs"]} == {
        "num_samples": ("INT32", [-1]),
        "waveform": ("FP32", [-1, -1]),
    }
    assert [x["name"] for x in found["outputs"]] == ["embedding"]
    assert {"embed_jpeg", "score"} <= set(found["parameters"]["signatures"].split(","))
    same = call(rpc, "ModelMetadata", pb.ModelMetadataRequest(name=MODEL))
    assert {x.name: list(x.shape) for x in same.inputs} == {
        "num_samples": [-1],
        "waveform": [-1, -1],
    }


def test_sound_by_rest_and_by_grpc_gives_the_embedding_of_the_direct_call(ports, direct, clip):
    length = np.array([len(clip)], np.int32)
    expected = direct("embed_audio", waveform=clip[np.newaxis], num_samples=length)["embedding"]
    inputs = [sent("waveform", clip[np.newaxis]), sent("num_samples", length, "INT32")]
    for signature in (None, "embed_audio"):
        code, answer = rest(ports[0], inputs, signature)
        assert code == 200
        np.testing.assert_allclose(outputs(answer)["embedding"], expected, atol=1e-6)
    waveform = pb.ModelInferRequest.InferInputTensor(
        name="waveform", datatype="FP32", shape=[1, len(clip)]
    )
    waveform.contents.fp32_contents.extend(clip.tolist())
    num_samples = pb.ModelInferRequest.InferInputTensor(
        name="num_samples", datatype="INT32", shape=[1]
    )
    num_samples.contents.int_contents.append(len(clip))
    found = infer(ports[1], [waveform, num_samples], "embed_audio")
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["wav", "jpeg"])
def test_bytes_by_rest_and_by_grpc_give_the_embedding_of_the_direct_call(
    ports, direct, clip, jpeg, kind
):
    content = jpeg if kind == "jpeg" else sounds.wav(clip)
    expected = direct(f"embed_{kind}", **{kind: [content, content]})["embedding"]
    code, answer = rest(ports[0], [bytes_of(kind, [content, content])], f"embed_{kind}")
    assert code == 200
    np.testing.assert_allclose(outputs(answer)["embedding"], expected, atol=1e-6)
    tensor = pb.ModelInferRequest.InferInputTensor(name=kind, datatype="BYTES", shape=[2])
    tensor.contents.bytes_contents.extend([content, content])
    found = infer(ports[1], [tensor], f"embed_{kind}")
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-6)


def test_one_probe_is_matched_with_three_candidates(ports):
    candidates = np.stack([np.eye(16)[0], np.eye(16)[2], 3 * np.eye(16)[2] + 4 * np.eye(16)[5]])
    inputs = [sent("probe", np.eye(16)[2:3]), sent("candidates", candidates[np.newaxis])]
    code, answer = rest(ports[0], inputs, "match")
    assert code == 200
    np.testing.assert_allclose(outputs(answer)["scores"], [[0, 1, 0.6]], atol=1e-6)
    np.testing.assert_array_equal(outputs(answer)["best"], [1])


BAD = {
    "no signature other: name one of": ("other", [sent("x", np.zeros(1))]),
    "send the inputs num_samples, waveform, and not waveform": (
        "embed_audio",
        [sent("waveform", np.zeros([1, 8]))],
    ),
    "waveform is FP64: send FP32": (
        "embed_audio",
        [sent("waveform", np.zeros([1, 8]), "FP64"), sent("num_samples", np.array([8]), "INT32")],
    ),
    "waveform has the shape [8]: send [-1, -1]": (
        "embed_audio",
        [sent("waveform", np.zeros(8)), sent("num_samples", np.array([8]), "INT32")],
    ),
    "waveform does not hold [1, 9] FP32": (
        "embed_audio",
        [
            sent("waveform", np.zeros([1, 8])) | {"shape": [1, 9]},
            sent("num_samples", np.array([8]), "INT32"),
        ],
    ),
    "embed_audio: num_samples is more than the waveform holds": (
        "embed_audio",
        [sent("waveform", np.zeros([1, 8])), sent("num_samples", np.array([9]), "INT32")],
    ),
    "jpeg is not base64": (
        "embed_jpeg",
        [{"name": "jpeg", "shape": [1], "datatype": "BYTES", "data": ["!"]}],
    ),
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_cannot_be_embedded_is_http_400_with_a_sentence(ports, sentence):
    signature, inputs = BAD[sentence]
    code, answer = rest(ports[0], inputs, signature)
    assert code == 400
    assert sentence in answer["error"] and "\n" not in answer["error"]


def test_by_grpc_it_is_invalid_argument_with_that_sentence(ports):
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1])
    tensor.contents.fp32_contents.append(0.0)
    with pytest.raises(grpc.RpcError) as caught:
        infer(ports[1], [tensor], "other")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "no signature other: name one of" in caught.value.details()


def test_the_settings_name_the_export_and_the_newest_version_is_served(tmp_path):
    for version in ("2", "10", "notes"):
        (tmp_path / "export" / version).mkdir(parents=True)
    assert mlserver_runtime.newest(str(tmp_path / "export")) == str(tmp_path / "export" / "10")
    path = mlserver_runtime.write_settings(
        str(tmp_path / "export"), "demo", str(tmp_path / "serve"), "embed_wav"
    )
    assert json.loads(pathlib.Path(path).read_text()) == {
        "name": "demo",
        "implementation": "mlserver_runtime.SavedModelRuntime",
        "parameters": {"uri": str(tmp_path / "export"), "extra": {"signature": "embed_wav"}},
    }
    assert sorted(os.listdir(tmp_path / "serve")) == ["mlserver_runtime.py", "model-settings.json"]
