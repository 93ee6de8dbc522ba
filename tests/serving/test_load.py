"""The load run keeps its promises over a short time, and says so when one is broken."""

import dataclasses
import random
import socket
import subprocess
import sys
import time

import pytest

from tests.serving import bad_requests, load, sounds
from tfav.clients import client as client_lib

MB = 1_000_000


def result(**changes) -> load.Result:
    """Three calls: before, across and after a restart from 10 s to 12 s."""
    calls = [load.Call(6, 7, 0.0), load.Call(9, 13, 1e-7), load.Call(13, 14, 0.0)]
    whole = load.Result(2, 4, calls, 1, [], 5, 10, 12, 500 * MB, 520 * MB, 4.0)
    return dataclasses.replace(whole, **changes)


def test_a_short_run_keeps_every_promise(base, capsys):
    command = [f"--export={base}", "--clients=3", "--seconds=3", "--bad=0.1"]
    assert load.main(command) == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert printed.startswith("| what | value |") and "| errors | 0 |" in printed
    assert "| wrong answers | 0 |" in printed
    assert "| bad requests, all refused in a sentence | 0 |" not in printed


@pytest.mark.parametrize("kind", bad_requests.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_bad_request_is_refused_in_its_sentence(server, direct, kind):
    client = client_lib.Client(server.url, "demo", retries=0)
    size = direct("embed_wav", wav=[sounds.wav(sounds.clip())])["embedding"].shape[1]
    for seed in range(3):
        request = kind(random.Random(seed), size)
        assert load.refusal(request, client) == ""
    answered = request._replace(signature="embed_wav", inputs={"wav": [sounds.wav(sounds.clip())]})
    assert "a bad request to embed_wav was answered" in load.refusal(answered, client)
    wrong = request._replace(sentence="something else")
    assert f"to {request.signature} was refused by 400: " in load.refusal(wrong, client)


def test_the_stand_in_ends_where_the_run_is_killed(base):
    script = "from tests.serving import load; import sys, time; "
    script += "print(load.Served(sys.argv[1], 'demo').port, flush=True); time.sleep(600)"
    command = [sys.executable, "-c", script, base]
    with subprocess.Popen(command, cwd=load.ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            address = "127.0.0.1", int(parent.stdout.readline())
            socket.create_connection(address, timeout=10).close()
        finally:
            parent.kill()  # SIGKILL: it cannot end its child itself
    end = time.monotonic() + 30
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < end:
            socket.create_connection(address, timeout=10).close()
            time.sleep(0.1)


def test_an_export_that_is_not_there_is_told(tmp_path, capsys):
    assert load.main([f"--export={tmp_path}"]) == 2
    assert "holds no SavedModel: make demo publishes one" in capsys.readouterr().err


def test_calls_are_sorted_by_the_restart():
    assert load.broken(result()) == []
    assert [c.start for c in result().steady] == [6]
    assert [c.start for c in result().outlasting] == [9]
    assert result().per_second == pytest.approx(0.2)  # one call in the 5 s from 5 to 10
    assert "| ratio | 0.05 |" in load.table(result())  # 0.2 / 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"failures": ["no answer"], "asked": 5}, "1 calls failed, the first: no answer"),
        ({"asked": 6}, "2 of 6 requests have no answer"),
        ({"calls": [load.Call(6, 7, 1e-3)] + result().calls, "asked": 5}, "0.001 away"),
        ({"calls": [load.Call(6, 7, float("nan"))] + result().calls, "asked": 5}, "nan away"),
        ({"calls": result().calls[1:], "asked": 3}, "between warm-up and restart"),
        ({"calls": result().calls[::2], "asked": 3}, "under way when the server was killed"),
        ({"calls": result().calls[:2], "asked": 3}, "by the server that was started again"),
        ({"rss_after": 567 * MB}, "grew by 67 MB"),  # 10 % of 500 and 16 are allowed
    ],
)
def test_each_broken_promise_has_its_sentence(changes, sentence):
    (found,) = load.broken(result(**changes))
    assert sentence in found
    load.table(result(**changes))
