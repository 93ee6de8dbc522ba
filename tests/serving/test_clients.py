"""The REST client against the stand-in: what direct calls answer, and a sentence for mistakes."""

import ast
import http.client
import http.server
import io
import json
import pathlib
import subprocess
import sys
import threading
import time
import urllib.error

import numpy as np
import pytest
import tensorflow as tf

from tests.export import test_localize
from tests.serving import loopback, sounds
from tests.serving.loaded import Loaded
from tfav.clients import client as client_lib
from tfav.inference import embedders
from tfav.recipes import outputs

FILE = pathlib.Path(client_lib.__file__)


@pytest.fixture
def client(server):
    return client_lib.Client(server.url, "demo", retries=2)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_lib, "FIRST_PAUSE", 0.01)


def refused(call, *arguments, **named) -> client_lib.ServingError:
    with pytest.raises(client_lib.ServingError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return caught.value


def test_sound_by_samples_and_by_wav_gives_the_embedding_of_the_direct_call(client, direct, clip):
    length = np.array([len(clip)], np.int32)
    expected = direct("embed_audio", waveform=clip[np.newaxis], num_samples=length)["embedding"][0]
    for samples in (clip, clip.tolist(), tuple(clip)):
        np.testing.assert_allclose(client.embed_audio(samples), expected, atol=1e-6)
    np.testing.assert_allclose(client.embed_wav(sounds.wav(clip)), expected, atol=1e-6)


def test_files_are_taken_by_path_too(client, clip, jpeg, tmp_path):
    (tmp_path / "a.wav").write_bytes(sounds.wav(clip))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    assert client.embed_wav(tmp_path / "a.wav") == client.embed_wav(sounds.wav(clip))
    assert client.embed_jpeg(str(tmp_path / "a.jpg")) == client.embed_jpeg(jpeg)


def test_a_picture_gives_the_embedding_of_the_direct_call(client, direct, jpeg):
    expected = direct("embed_jpeg", jpeg=[jpeg])["embedding"][0]
    np.testing.assert_allclose(client.embed_jpeg(jpeg), expected, atol=1e-6)


def test_one_probe_is_matched_with_three_candidates(client):
    probe = np.eye(16)[2]
    candidates = [np.eye(16)[0], np.eye(16)[2], (3 * np.eye(16)[2] + 4 * np.eye(16)[5])]
    found = client.match(probe, candidates)
    np.testing.assert_allclose(found.scores, [0, 1, 0.6], atol=1e-6)  # 3 / sqrt(3^2 + 4^2)
    assert found.best == 1


def test_several_probes_are_matched_with_their_own_candidates_through_predict(client):
    eye = np.eye(16)
    inputs = {"probe": eye[:2], "candidates": [eye[:3], eye[1:4]]}
    found = client.predict("match", inputs)
    del found["embedding_space"]
    assert found == {"scores": [[1, 0, 0], [1, 0, 0]], "best": [0, 0]}
    inputs["candidates"] = inputs["candidates"][:1]
    assert "candidates and probe hold different" in str(refused(client.predict, "match", inputs))


def test_vectors_of_another_space_are_refused_by_name(client, recipe):
    space = outputs.embedding_space(recipe)
    one = np.eye(16)[0]
    assert client.match(one, [one]).embedding_space == space
    assert client.match(one, [one], embedding_space=space).best == 0
    sentence = str(refused(client.match, one, [one], embedding_space="f" * 16))
    assert sentence == (
        f"the vectors are of the embedding space {'f' * 16} and the served model of {space}: embed "
        "both with one model."
    )


ANSWERS = {
    # What a model answers: what the client makes of it, and what the command line prints.
    "an older export": (
        {"scores": [[0.25, 0.5]], "best": [1]},
        (None, None, None),
        ["0.5000 b.wav", "0.2500 a.wav"],
    ),
    "no calibration": (
        {"scores": [[0.25, 0.5]], "best": [1], "embedding_space": [[0, -1]]},
        (None, None, "00000000ffffffff"),
        ["0.5000 b.wav", "0.2500 a.wav"],
    ),
    "a calibration": (
        {
            "scores": [[0.25, 0.5]],
            "best": [1],
            "probability": [[0.125, 0.75]],
            "matched": [[False, True]],
            "embedding_space": [[1, 2]],
        },
        ([0.125, 0.75], [False, True], "0000000100000002"),
        ["0.5000 0.750 match b.wav", "0.2500 0.125 not sure a.wav"],
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_match_says_what_the_model_knows(kind, monkeypatch, capsys):
    answer, further, lines = ANSWERS[kind]
    monkeypatch.setattr(client_lib.Client, "predict", lambda self, signature, inputs: answer)
    monkeypatch.setattr(client_lib, "_embed_file", lambda client, path: [1.0])
    client = client_lib.Client("http://localhost:1", "demo")
    assert client.match([1.0], [[1.0], [1.0]]) == ([0.25, 0.5], 1, *further)
    command = ["--url=http://localhost:1", "--model=demo", "match", "p.wav", "a.wav", "b.wav"]
    assert client_lib.main(command) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == lines
    said = "no probability: the served model holds no calibration\n"
    assert printed.err == ("" if kind == "a calibration" else said)
    if kind == "an older export":
        error = refused(client.match, [1.0], [[1.0], [1.0]], embedding_space="f" * 16)
        assert "the served model of one that it does not tell: embed" in str(error)


def test_channels_of_a_wav_are_averaged(client, clip):
    left, right = clip, sounds.clip(len(clip), seed=1)
    # The sum of two samples of 16 bits is even where both are: half of it is one again.
    left, right = (np.round(x * 16_384) / 16_384 for x in (left, right))
    both = sounds.wav(np.stack([left, right], 1), channels=2)
    found = client.embed_wav(both)
    np.testing.assert_allclose(found, client.embed_audio((left + right) / 2), atol=1e-6)
    assert np.abs(np.subtract(found, client.embed_audio(left))).max() > 1e-3


def test_score_is_the_cosine(client):
    assert client.score([3.0] + 15 * [0.0], [3.0, 4.0] + 14 * [0.0]) == pytest.approx(0.6)


def test_status_and_metadata_tell_what_is_served(client):
    assert client.status() == {1: "AVAILABLE"}
    found = client.metadata()
    assert {"embed_audio", "embed_jpeg", "score", "serving_default"} <= set(found)
    assert found["embed_audio"]["inputs"] == {
        "num_samples": {"dtype": "DT_INT32", "shape": [-1]},
        "waveform": {"dtype": "DT_FLOAT", "shape": [-1, -1]},
    }
    assert found["embed_jpeg"]["outputs"]["embedding"]["shape"][-1] in (16, -1)


def test_a_version_is_asked_for_by_its_number(server):
    assert client_lib.Client(server.url, "demo", version=1).status() == {1: "AVAILABLE"}
    error = refused(client_lib.Client(server.url, "demo", version=7).status)
    assert error.status == 404 and "Specific(demo, 7)" in str(error)


def test_several_rows_and_bytes_go_through_predict(client, clip, jpeg):
    rows = client.predict("embed_jpeg", {"jpeg": [jpeg, jpeg]})
    assert rows[0] == rows[1] == client.embed_jpeg(jpeg)


def test_a_refusal_of_the_server_is_its_sentence_alone(client):
    inputs = {"waveform": [[0.5, 0.5]], "num_samples": [3]}
    error = refused(client.predict, "embed_audio", inputs)
    assert error.status == 400
    assert str(error).startswith("embed_audio: num_samples is more than the waveform holds")
    assert "Condition" not in str(error) and "node" not in str(error)


def test_what_the_server_does_not_have_is_named(server, client):
    error = refused(client.predict, "embed_nothing", {"x": [1]})
    assert error.status == 400 and "embed_nothing" in str(error)
    error = refused(client.predict, "embed_audio", {"waveform": [[0.5]]})
    assert error.status == 400 and "num_samples" in str(error)
    error = refused(client_lib.Client(server.url, "other").status)
    assert error.status == 404 and "other" in str(error)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([], "the clip is empty"),
        ([[0.1, 0.2], [0.1, 0.2]], "not one clip"),
        (np.zeros([2, 16_000], np.float32), "not one clip"),
        ("voice.wav", "not one clip"),
        (None, "not one clip"),
        (np.array([100, -200], np.int16), "divide those of 16 bits by 32768"),
        ([0.1, float("nan")], "NaN"),
        (np.zeros(60 * 16_000 + 1_600), "the clip has 60.1 s, more than max_seconds=60"),
    ],
)
def test_a_clip_that_no_server_would_take_is_refused_before_it_is_sent(client, samples, sentence):
    error = refused(client.embed_audio, samples)
    assert sentence in str(error) and error.status is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"rate_hz": 44_100}, "has 44100 Hz and 16 bits per sample"),
        ({"rate_hz": 44_100, "channels": 2}, "has 44100 Hz and 16 bits per sample"),
        ({"width": 1}, "and 8 bits per sample"),
    ],
)
def test_a_wav_of_another_form_is_refused_with_what_would_convert_it(client, clip, form, sentence):
    error = refused(client.embed_wav, sounds.wav(clip, **form))
    assert sentence in str(error) and "ffmpeg" in str(error)


def test_a_wav_that_is_none_or_empty_or_missing_is_refused(client, clip, tmp_path):
    assert "no WAV file" in str(refused(client.embed_wav, b"ID3 mp3"))
    assert "no WAV file" in str(refused(client.embed_wav, sounds.wav(clip)[:30]))
    assert "is empty" in str(refused(client.embed_wav, sounds.wav(clip[:0])))
    assert "is empty" in str(refused(client.embed_wav, sounds.wav(clip)[:44]))
    missing = str(tmp_path / "none.wav")
    assert f"{missing} cannot be read: No such file" in str(refused(client.embed_wav, missing))
    long = client_lib.Client("http://127.0.0.1:1", "demo", max_seconds=0.25)
    assert "0.5 s, more than max_seconds=0.25" in str(refused(long.embed_wav, sounds.wav(clip)))
    stereo = sounds.wav(np.repeat(clip, 2), channels=2)
    assert "0.5 s, more than max_seconds=0.25" in str(refused(long.embed_wav, stereo))


def test_an_empty_picture_and_what_is_no_picture_are_refused(client):
    assert "is empty" in str(refused(client.embed_jpeg, b""))
    error = refused(client.embed_jpeg, b"no picture")
    assert error.status == 400


def test_embeddings_of_other_sizes_are_refused(client):
    one = 16 * [0.1]
    assert "no candidates" in str(refused(client.match, one, []))
    assert "has 16 values and candidate 1 8" in str(refused(client.match, one, [one, one[:8]]))
    assert "lists of floats" in str(refused(client.match, one, one))
    assert "lists of floats" in str(refused(client.match, [one], [one]))
    assert "has 8 values" in str(refused(client.score, one[:8], one))


def test_a_message_above_the_limit_is_refused_and_sent_by_wav_it_fits(server):
    clip = sounds.clip(32_000)
    small = client_lib.Client(server.url, "demo", max_message_bytes=200_000)
    error = refused(small.embed_audio, clip)
    assert "more than max_message_bytes=200000" in str(error) and "embed_wav" in str(error)
    assert len(small.embed_wav(sounds.wav(clip))) == 16


def test_values_that_json_does_not_have_are_refused(client):
    error = refused(client.predict, "score", {"audio_embedding": [[float("inf")]]})
    assert "NaN or infinite" in str(error)
    assert "a set" in str(refused(client.predict, "score", {"audio_embedding": {1}}))


def test_a_server_that_is_not_ready_is_asked_again(server, client, clip):
    server.unavailable = 2  # as many as the client's further tries
    assert len(client.embed_audio(clip)) == 16
    server.unavailable = 3
    error = refused(client.embed_audio, clip)
    assert error.status == 503 and "starting" in str(error)
    assert server.unavailable == 0


def test_a_refusal_is_not_sent_again(server, client):
    before = server.answered
    refused(client.predict, "embed_nothing", {"x": [1]})
    assert server.answered == before + 1


def test_a_server_that_takes_too_long_is_asked_again_then_given_up(server, clip):
    hasty = client_lib.Client(server.url, "demo", timeout_seconds=0.2, retries=1)
    server.seconds = 1.0
    error = refused(hasty.embed_audio, clip)
    assert "did not answer in 2 tries" in str(error) and "timed out" in str(error)


def test_no_server_and_no_address_are_told(server):
    server.close()
    error = refused(client_lib.Client(server.url, "demo", retries=1).status)
    assert "did not answer in 2 tries" in str(error) and "refused" in str(error)
    assert "http://HOST:8501" in str(refused(client_lib.Client, "localhost:8501", "demo"))


def test_a_restart_is_outlasted(loaded, clip):
    first = loopback.Server(loaded)
    patient = client_lib.Client(first.url, "demo", retries=10)
    expected = patient.embed_audio(clip)
    first.close()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(patient.embed_audio(clip)))
    waiting.start()
    time.sleep(0.3)
    assert not answers
    second = loopback.Server(loaded, first.port)
    waiting.join(30)
    second.close()
    assert answers == [expected]


class Cut(http.server.BaseHTTPRequestHandler):
    """Sends the first answers as far as a server does that is killed while it answers."""

    protocol_version = "HTTP/1.1"
    whole = {
        200: b'{"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}',
        400: b'{"error": "too many rows"}',
        503: b'{"error": "the server is starting"}',
    }

    def do_GET(self):  # noqa: N802
        owner = self.server
        owner.asked += 1
        self.send_response(owner.status)
        self.send_header("Content-Length", str(len(self.whole[owner.status])))
        self.end_headers()
        cut = owner.asked <= owner.cut
        self.wfile.write(self.whole[owner.status][: owner.sent if cut else None])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("sent", [0, 9])
@pytest.mark.parametrize("status", sorted(Cut.whole))
def test_an_answer_that_did_not_arrive_whole_is_asked_for_again(status, sent):
    """A server that is killed between its headers and its sentence has refused nothing yet."""
    other = http.server.HTTPServer(("127.0.0.1", 0), Cut)
    other.status, other.sent, other.asked, other.cut = status, sent, 0, 2
    threading.Thread(target=other.serve_forever, daemon=True).start()
    client = client_lib.Client(f"http://127.0.0.1:{other.server_address[1]}", "demo", retries=2)
    if status == 200:
        assert client.status() == {1: "AVAILABLE"}
    else:
        error = refused(client.status)
        assert error.status == status and str(error) == json.loads(Cut.whole[status])["error"]
    assert other.asked == 3
    other.cut = 6  # the last answer too
    error = refused(client.status)
    assert other.asked == 6
    if status == 200:
        assert "did not answer in 3 tries" in str(error) and "IncompleteRead" in str(error)
    else:
        sentence = "and the rest of the answer did not arrive"
        assert error.status == status and str(error).endswith(sentence)
    other.shutdown()


@pytest.mark.parametrize("end", [ConnectionResetError, TimeoutError, http.client.IncompleteRead])
def test_a_refusal_may_end_in_any_way_before_it_is_whole(end, monkeypatch):
    class Ended(io.BytesIO):
        def read(self, *args):
            raise end(b"")

    def answer(request, timeout):
        if opened.append(timeout) or len(opened) < 3:
            raise urllib.error.HTTPError("http://h", 400, "Bad Request", {}, Ended())
        return io.BytesIO(Cut.whole[200])

    opened = []
    monkeypatch.setattr(client_lib.urllib.request, "urlopen", answer)
    assert client_lib.Client("http://h", "demo", retries=2).status() == {1: "AVAILABLE"}
    assert len(opened) == 3


class Other(http.server.BaseHTTPRequestHandler):
    """Some other web server."""

    def do_GET(self):  # noqa: N802
        found = self.path.startswith("/v1")
        self.send_response(200 if found else 502)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *args):
        pass


def test_another_server_is_recognised():
    other = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{other.server_address[1]}"
    error = refused(client_lib.Client(url, "demo").status)
    assert "hello" in str(error) and "REST port" in str(error)
    error = refused(client_lib.Client(f"{url}/gateway", "demo").status)
    assert error.status == 502 and "hello" in str(error)
    other.shutdown()


def test_pauses_double_up_to_the_longest(monkeypatch):
    monkeypatch.setattr(client_lib, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(client_lib.random, "uniform", lambda low, high: high)
    assert client_lib.pauses(5) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert client_lib.pauses(0) == []


def test_the_command_line_embeds_matches_and_says_what_went_wrong(
    server, clip, jpeg, tmp_path, capsys
):
    (tmp_path / "a.wav").write_bytes(sounds.wav(clip))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "b.txt").write_bytes(b"")
    sound, picture, text = (str(tmp_path / name) for name in ("a.wav", "a.jpg", "b.txt"))
    server_is = [f"--url={server.url}", "--model=demo"]
    assert client_lib.main([*server_is, "embed", sound, picture]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == [sound, picture]
    assert [len(line["embedding"]) for line in lines] == [16, 16]
    assert client_lib.main([*server_is, "match", sound, picture, sound]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"1.0000 {sound}"
    assert client_lib.main([*server_is, "status"]) == 0
    assert json.loads(capsys.readouterr().out) == {"1": "AVAILABLE"}
    assert client_lib.main([*server_is, "embed", text]) == 2
    assert capsys.readouterr().err.startswith(f"error: {text} is none of what the server reads")


def test_the_file_needs_nothing_but_python_3_8():
    tree = ast.parse(FILE.read_text(), feature_version=(3, 8))
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    # -I -S: neither site-packages nor the folder of the file.
    done = subprocess.run(
        [sys.executable, "-I", "-S", FILE, "--url=http://127.0.0.1:1", "--model=m"]
        + ["--retries=0", "status"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: http://127.0.0.1:1 did not answer in 1 tries")


# Pairs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "pair"),
    [
        ({"score": [1.5], "matched": [True]}, (1.5, True, None)),
        ({"score": [-1.5], "matched": [False]}, (-1.5, False, None)),
        ({"score": [1.5], "matched": [True], "probability": [0.75]}, (1.5, True, 0.75)),
        ([0.25], (0.25, None, None)),  # of a single output the server sends the value alone
    ],
)
def test_a_pair_is_scored_as_whole_files(answer, pair, clip, jpeg, monkeypatch):
    sent = {}

    def predict(self, signature, inputs):
        sent[signature] = inputs
        return answer

    monkeypatch.setattr(client_lib.Client, "predict", predict)
    client = client_lib.Client("http://localhost:1", "scenes")
    assert client.score_pairs(sounds.wav(clip), jpeg) == pair
    assert sent == {"score_pairs_files": {"wav": [sounds.wav(clip)], "jpeg": [jpeg]}}
    assert "the file is empty" in str(refused(client.score_pairs, sounds.wav(clip), b""))


def test_pairs_of_a_real_export_are_scored_through_the_stand_in(
    clip, jpeg, tmp_path, tmp_path_factory, capsys
):
    directory = test_localize.published_scenes(tmp_path_factory).directory
    (tmp_path / "a.wav").write_bytes(sounds.wav(clip))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    server = loopback.Server(Loaded(directory, "scenes"))
    try:
        command = [f"--url={server.url}", "--model=scenes", "pairs"]
        files = [str(tmp_path / name) for name in ("a.wav", "a.jpg", "a.jpg")]
        assert client_lib.main([*command, *files]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(lines) == 2 and lines[0]["image"] == files[1]
        sent = {"wav": tf.constant([sounds.wav(clip)]), "jpeg": tf.constant([jpeg])}
        direct = embedders.load(directory).run("score_pairs_files", **sent)["score"]
        assert lines[0]["score"] == pytest.approx(float(direct[0]), abs=1e-4)
        assert lines[0]["matched"] is bool(direct[0] >= test_localize.THRESHOLD)
    finally:
        server.close()
