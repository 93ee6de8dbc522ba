"""The real TensorFlow Serving, where it is: it is in no package registry, so CI skips this file."""

import base64
import concurrent.futures
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.export.conftest import recipe  # noqa: F401
from tests.serving import sounds
from tfav.export import servable
from tfav.export.serving import deployment, saved_model

BINARY = os.environ.get("TFAV_MODEL_SERVER") or shutil.which("tensorflow_model_server")

pytestmark = pytest.mark.skipif(
    BINARY is None,
    reason="the real server was not tried: no tensorflow_model_server on PATH, and "
    "TFAV_MODEL_SERVER names none",
)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def exported(recipe, tmp_path_factory) -> str:  # noqa: F811
    """A model base path with warm-up and configuration; read only."""
    directory = tmp_path_factory.mktemp("exports") / "demo"
    served = servable.Servable(recipe)
    saved_model.save(served, str(directory / "1"), served.signatures())
    deployment.finish(served, str(directory / "1"), "demo")
    for name, text in deployment.config_files("demo").items():
        # The file is for Docker, where the folder is mounted at /models/demo.
        (directory / name).write_text(text.replace("/models/demo", str(directory)))
    return str(directory)


@pytest.fixture(scope="module", params=["plain", "batching"])
def url(request, exported, tmp_path_factory):
    """Of a running server that has loaded and warmed up version 1."""
    rest, log = free_port(), tmp_path_factory.mktemp("server") / "log.txt"
    command = [BINARY, f"--port={free_port()}", f"--rest_api_port={rest}"]
    command += [f"--model_config_file={exported}/{deployment.MODELS_FILE}"]
    if request.param == "batching":
        file = f"{exported}/{deployment.BATCHING_FILE}"
        command += ["--enable_batching", f"--batching_parameters_file={file}"]
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    found = f"http://127.0.0.1:{rest}/v1/models/demo"
    try:
        _wait(server, found, log)
        yield found
    finally:
        server.terminate()
        server.wait(30)


def _wait(server: subprocess.Popen, url: str, log: pathlib.Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-4000:]
        try:
            status = json.load(urllib.request.urlopen(url, timeout=5))
            if status["model_version_status"][0]["state"] == "AVAILABLE":
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-4000:])


def predict(url: str, signature: str, inputs: dict):
    """Returns what the columns `inputs` are answered with."""
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
    request = urllib.request.Request(f"{url}:predict", body)
    return json.load(urllib.request.urlopen(request, timeout=60))["outputs"]


@pytest.fixture(scope="module")
def direct(recipe):  # noqa: F811
    """The signatures without a server."""
    return servable.Servable(recipe).signatures()


def test_sound_is_embedded_as_without_a_server(url, direct):
    clip = sounds.clip()[np.newaxis]
    inputs = {"waveform": clip.tolist(), "num_samples": [clip.shape[1]]}
    expected = direct["embed_audio"](waveform=clip, num_samples=[clip.shape[1]])["embedding"]
    np.testing.assert_allclose(predict(url, "embed_audio", inputs), expected, atol=1e-5)


@pytest.mark.parametrize("signature, name", [("embed_jpeg", "jpeg"), ("embed_wav", "wav")])
def test_files_are_embedded_as_without_a_server(url, direct, recipe, signature, name):  # noqa: F811
    files = servable.Servable(recipe).examples()[signature][name]
    encoded = [{"b64": base64.b64encode(file).decode()} for file in files]
    expected = direct[signature](**{name: files.tolist()})["embedding"]
    np.testing.assert_allclose(predict(url, signature, {name: encoded}), expected, atol=1e-5)


def questions(direct, *counts):
    """Returns inputs of `match`, one probe each, with so many candidates."""
    random = np.random.default_rng(0)
    size = direct["match"].structured_input_signature[1]["probe"].shape[1]
    return [
        {
            "probe": random.normal(size=[1, size]).astype(np.float32),
            "candidates": random.normal(size=[1, count, size]).astype(np.float32),
        }
        for count in counts
    ]


def together(url, asked):
    """Returns what the inputs of `match` are answered with, or the error, asked at once."""

    def ask(inputs):
        try:
            return predict(url, "match", {name: x.tolist() for name, x in inputs.items()})
        except urllib.error.HTTPError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(ask, asked))


def check(found, inputs, direct):
    expected = direct["match"](**inputs)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    assert found["best"] == expected["best"].numpy().tolist()


def test_probes_that_come_together_are_matched_each_with_its_own_candidates(url, direct):
    asked = questions(direct, *[5] * 8)
    for found, inputs in zip(together(url, asked), asked):
        check(found, inputs, direct)


def test_lists_of_unequal_lengths_that_come_together_are_refused_or_right(url, direct, request):
    asked = questions(direct, *range(1, 9))
    for found, inputs in zip(together(url, asked), asked):
        if isinstance(found, urllib.error.HTTPError):
            assert "batching" in request.node.name and found.code == 400
            assert "different shapes and padding is turned off" in found.read().decode()
        else:
            check(found, inputs, direct)


def test_a_probe_is_matched_in_row_form(url, direct):
    (inputs,) = questions(direct, 5)
    row = {name: value[0].tolist() for name, value in inputs.items()}
    body = json.dumps({"signature_name": "match", "instances": [row]}).encode()
    request = urllib.request.Request(f"{url}:predict", body)
    (found,) = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
    check({name: [value] for name, value in found.items()}, inputs, direct)


def test_bad_input_is_a_bad_request_with_our_sentence(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        predict(url, "embed_audio", {"waveform": [[0.0, 0.1]], "num_samples": [3]})
    assert caught.value.code == 400
    assert "num_samples is more than the waveform holds" in caught.value.read().decode()


def test_files_that_come_together_are_answered_each_for_itself(url, direct):
    files = [sounds.wav(sounds.clip(length, length)) for length in range(2_000, 10_000, 1_000)]

    def embed(file):
        return predict(url, "embed_wav", {"wav": [{"b64": base64.b64encode(file).decode()}]})[0]

    with concurrent.futures.ThreadPoolExecutor(len(files)) as threads:
        found = list(threads.map(embed, files))
    np.testing.assert_allclose(found, direct["embed_wav"](wav=files)["embedding"], atol=1e-5)
