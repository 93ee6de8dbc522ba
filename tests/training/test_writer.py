"""scalars.jsonl: one line a look of the host, and none twice."""

import errno
import json
import os
import zlib

import pytest
import tensorflow as tf

from tfav import registry, scalars
from tfav.training import writer


def _lines(folder):
    return scalars.read(folder)


def _events(folder):
    """The (step, tag, value) of all event files, in the order of the files."""
    return [
        (event.step, value.tag, float(tf.make_ndarray(value.tensor)))
        for path in sorted((folder / "tensorboard").iterdir())
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]


def test_a_line_holds_the_step_the_scalars_and_a_checksum_and_tensorboard_has_them(tmp_path):
    log = writer.Writer(str(tmp_path), 0)
    log.write(5, {"loss": 1.5, "val/metric": 0.25})
    log.write(10, {"loss": 0.5})
    assert _lines(tmp_path) == [
        {"step": 5, "loss": 1.5, "val/metric": 0.25},
        {"step": 10, "loss": 0.5},
    ]
    first, _ = (tmp_path / "scalars.jsonl").read_text().splitlines()
    text = '{"step": 5, "loss": 1.5, "val/metric": 0.25}'
    assert json.loads(first)["crc32"] == f"{zlib.crc32(text.encode()):08x}"
    assert _events(tmp_path) == [(5, "loss", 1.5), (5, "val/metric", 0.25), (10, "loss", 0.5)]


@pytest.mark.parametrize("folder", ["run", "a [1]*?"])
def test_a_resumed_run_leaves_no_step_twice_in_tensorboard(tmp_path, folder):
    (tmp_path / folder).mkdir()
    place = tmp_path / folder
    log = writer.Writer(str(place), 0)
    for step in (5, 10, 15):
        log.write(step, {"loss": step + 0.5})
    (events,) = (place / "tensorboard").iterdir()
    with open(events, "ab") as f:
        f.write(b"half an event")  # what a kill leaves
    events.rename(events.with_name("events.out.tfevents.1.x"))  # before the next one by its name
    again = writer.Writer(str(place), 10)
    assert _events(place) == [(5, "loss", 5.5), (10, "loss", 10.5)]
    again.write(15, {"loss": 7.0})
    assert _events(place) == [(5, "loss", 5.5), (10, "loss", 10.5), (15, "loss", 7.0)]
    assert _lines(place)[-1] == {"step": 15, "loss": 7.0}


def test_an_event_file_of_nothing_but_steps_that_are_done_again_goes(tmp_path):
    writer.Writer(str(tmp_path), 0).write(5, {"loss": 1.0})
    (old,) = (tmp_path / "tensorboard").iterdir()
    old.rename(old.with_name("events.out.tfevents.1.x"))
    writer.Writer(str(tmp_path), 0).write(5, {"loss": 2.0})
    assert _events(tmp_path) == [(5, "loss", 2.0)]


def test_lines_that_will_be_written_again_and_half_a_line_go(tmp_path):
    log = writer.Writer(str(tmp_path), 0)
    for step in (5, 10, 15):
        log.write(step, {"loss": 1.0})
    with open(tmp_path / "scalars.jsonl", "a") as f:
        f.write('{"step": 20, "lo')  # what a kill leaves
    again = writer.Writer(str(tmp_path), 10)
    assert [line["step"] for line in _lines(tmp_path)] == [5, 10]
    again.write(15, {"loss": 2.0})
    assert [line["step"] for line in _lines(tmp_path)] == [5, 10, 15]
    assert sorted(os.listdir(tmp_path)) == ["scalars.jsonl", "tensorboard"]


GOOD = scalars.line(5, {"loss": 1.0})
BAD = {
    "text": "loss=1",
    "no step": '{"loss": 1}',
    "a list": "[]",
    "a number": "7",
    "a text for a number": '{"step": 5, "loss": "low"}',
    "a step that is no count": '{"step": 5.0}',
    "another number": GOOD.replace("1.0", "1.5").strip(),
    "another checksum": GOOD.replace('"crc32": "', '"crc32": "0').strip(),
    "no UTF-8": b"\xff\xfe".decode(errors="surrogateescape"),
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_a_damaged_line_is_counted_and_stays_and_the_run_goes_on(tmp_path, line, caplog):
    path = tmp_path / "scalars.jsonl"
    content = f"{GOOD}{line}\n{scalars.line(15, {})}".encode(errors="surrogateescape")
    path.write_bytes(content)
    log = writer.Writer(str(tmp_path), 5)
    assert path.read_bytes() == content[: content.rindex(b'{"step": 15')]
    log.write(10, {"loss": 0.5})
    assert "scalars.jsonl: 1 of 3 lines are damaged and left out (first: line 2)" in caplog.text
    caplog.clear()
    assert scalars.read(tmp_path) == [{"step": 5, "loss": 1.0}, {"step": 10, "loss": 0.5}]
    assert "1 of 3 lines are damaged" in caplog.text
    with pytest.raises(registry.UserError, match=r"has 1 damaged lines \(first: line 2\): restore"):
        scalars.read(tmp_path, whole=True)


def test_lines_without_a_checksum_are_those_of_older_versions(tmp_path):
    (tmp_path / "scalars.jsonl").write_text('{"step": 5, "loss": 1.0}\n{"step": 10}\n{"step": 1')
    assert scalars.read(tmp_path, whole=True) == [{"step": 5, "loss": 1.0}, {"step": 10}]
    assert scalars.last_step(tmp_path) == 10


def test_a_log_that_is_gone_is_said(tmp_path, caplog):
    writer.Writer(str(tmp_path), 20)
    assert "scalars.jsonl is missing or empty: the log up to step 20 is lost" in caplog.text
    assert scalars.last_step(tmp_path) == 0
    with pytest.raises(registry.UserError, match="scalars.jsonl does not exist: give the folder"):
        scalars.read(tmp_path / "nowhere")


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    log = writer.Writer(str(tmp_path), 0)
    (tmp_path / "scalars.jsonl").unlink()
    os.symlink("/dev/full", tmp_path / "scalars.jsonl")
    with pytest.raises(OSError) as caught:
        log.write(5, {"loss": 1.0})
    assert caught.value.errno == errno.ENOSPC
