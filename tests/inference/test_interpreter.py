"""What the runtime of `.tflite` files writes to the console."""

import os

import pytest

from tfav.inference import interpreter

NOTE, ERROR = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n", b"ERROR: no memory\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(interpreter, "_has_noted", type(interpreter._has_noted)())


def runner(**inputs):
    os.write(2, NOTE + ERROR)
    if "bad" in inputs:
        raise ValueError("bad")
    return inputs


def test_a_note_of_the_runtime_is_dropped_once_and_its_errors_are_not(capfd):
    assert interpreter.run(runner, {"x": 1}) == {"x": 1}
    assert capfd.readouterr().err == ERROR.decode()
    interpreter.run(runner, {"x": 1})  # it says it once, so nothing is looked through any more
    assert capfd.readouterr().err == (NOTE + ERROR).decode()


def test_the_console_is_back_after_a_failure(capfd):
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            interpreter.run(runner, {"bad": 1})
    os.write(2, b"here\n")
    assert capfd.readouterr().err == 2 * ERROR.decode() + "here\n"
