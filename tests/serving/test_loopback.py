"""The stand-in answers as TensorFlow Serving's sources say: forms, codes, paths."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from tfav.recipes import outputs

WAVEFORM = [[0.5, 0.25] * 800 + [0.0, 0.0] * 400, [0.5, 0.25] * 1_200]
COLUMNS = {"waveform": WAVEFORM, "num_samples": [1_600, 2_400]}
ROWS = [{"waveform": w, "num_samples": n} for w, n in zip(WAVEFORM, (1_600, 2_400))]


def ask(server, path: str, body=None) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{server.url}/v1/models/{path}", data, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_rows_and_columns_are_the_same_question(server, direct):
    expected = direct(
        "embed_audio",
        waveform=np.array(WAVEFORM, np.float32),
        num_samples=np.array([1_600, 2_400], np.int32),
    )["embedding"]
    code, answer = ask(server, "demo:predict", {"instances": ROWS})
    assert code == 200 and list(answer) == ["predictions"]
    np.testing.assert_allclose(answer["predictions"], expected, atol=1e-6)
    code, answer = ask(server, "demo/versions/1:predict", {"inputs": COLUMNS})
    assert code == 200 and list(answer) == ["outputs"]
    np.testing.assert_allclose(answer["outputs"], expected, atol=1e-6)


def test_bytes_are_base64_in_either_form(server, jpeg, direct):
    content = {"b64": base64.b64encode(jpeg).decode()}
    expected = direct("embed_jpeg", jpeg=[jpeg])["embedding"]
    for body in (
        {"instances": [content]},
        {"instances": [{"jpeg": content}]},
        {"inputs": [content]},
        {"inputs": {"jpeg": [content]}},
    ):
        code, answer = ask(server, "demo:predict", {"signature_name": "embed_jpeg", **body})
        assert code == 200
        np.testing.assert_allclose(next(iter(answer.values())), expected, atol=1e-6)


def test_probes_each_among_three_are_matched_in_columns_and_in_rows(server, recipe):
    eye = np.eye(16).tolist()
    probes, candidates = eye[:2], [eye[:3], eye[2:0:-1] + eye[:1]]
    columns = {"probe": probes, "candidates": candidates}
    found = {"scores": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "best": [0, 1]}
    space = outputs.embedding_space(recipe)
    halves = np.array([int(space[:8], 16), int(space[8:], 16)]).astype(np.int32).tolist()
    found["embedding_space"] = [halves, halves]
    body = {"signature_name": "match", "inputs": columns}
    assert ask(server, "demo:predict", body) == (200, {"outputs": found})
    rows = [{"probe": p, "candidates": c} for p, c in zip(probes, candidates)]
    body = {"signature_name": "match", "instances": rows}
    predictions = [dict(zip(found, row)) for row in zip(*found.values())]
    assert ask(server, "demo:predict", body) == (200, {"predictions": predictions})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"inputs": COLUMNS, "instances": ROWS}, "one of 'inputs' or 'instances'"),
        ({}, "one of 'inputs' or 'instances'"),
        ([1], "Is not object"),
        ({"instances": []}, "list with values"),
        ({"instances": [1, 2]}, "instances is a plain list"),
        ({"inputs": [1, 2]}, "inputs is a plain value"),
        ({"instances": [{"waveform": [0.5]}]}, "keys must be equal to: num_samples,waveform"),
        ({"inputs": {"waveform": WAVEFORM}}, "Missing named input: num_samples"),
        ({"inputs": {**COLUMNS, "num_samples": [2.5, 1_600]}}, "2.5 is not of type: int32"),
        ({"inputs": {**COLUMNS, "waveform": [["a"]]}}, "a is not of type: float32"),
        ({"inputs": {**COLUMNS, "waveform": [[0.5], [0.5, 0.5]]}}, "unexpected size"),
        ({"inputs": COLUMNS, "signature_name": "none"}, 'signature key "none" not found'),
        ({"inputs": {"jpeg": [{"b64": "!"}]}, "signature_name": "embed_jpeg"}, "base64 decode"),
    ],
)
def test_what_it_cannot_read_is_http_400(server, body, sentence):
    code, answer = ask(server, "demo:predict", body)
    assert code == 400 and sentence in answer["error"]


def test_other_models_versions_and_paths_are_refused(server):
    assert ask(server, "other")[0] == ask(server, "demo/versions/2")[0] == 404
    assert ask(server, "demo:classify", {})[0] == ask(server, "demo/metadata", {})[0] == 400
    assert ask(server, "demo:predict")[0] == 400  # a GET


WRONG_SHAPES = [
    ("embed_audio", "waveform", {"waveform": [0.5, 0.5], "num_samples": [2]}),
    ("embed_audio", "waveform", {"waveform": [[[0.5], [0.5]]], "num_samples": [1]}),
    ("embed_audio", "num_samples", {"waveform": [[0.5, 0.5]], "num_samples": 2}),
    ("embed_image", "image", {"image": [[[0, 0, 0]]]}),
    ("embed_image", "image", {"image": [[[[0, 0, 0, 0]]]]}),
    ("embed_jpeg", "jpeg", {"jpeg": "x"}),
    ("match", "probe", {"probe": 16 * [0.1], "candidates": [[16 * [0.1]]]}),
    ("match", "candidates", {"probe": [16 * [0.1]], "candidates": [16 * [0.1]]}),
]


@pytest.mark.parametrize(("signature", "name", "inputs"), WRONG_SHAPES)
def test_a_wrong_shape_is_refused_at_the_door_by_the_input_s_name(server, signature, name, inputs):
    code, answer = ask(server, "demo:predict", {"signature_name": signature, "inputs": inputs})
    assert code == 400
    assert f"{signature}_{name}" in answer["error"] and "expected shape" in answer["error"]
