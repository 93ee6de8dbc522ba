"""scalars.jsonl: one line a look of the host, and none twice."""

import errno
import json
import os

import pytest
import tensorflow as tf

from tfav import registry
from tfav.training import writer


def _lines(folder):
    return [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]


def test_a_line_holds_the_step_and_the_scalars_and_so_does_tensorboard(tmp_path):
    log = writer.Writer(str(tmp_path), 0)
    log.write(5, {"loss": 1.5, "val/metric": 0.25})
    log.write(10, {"loss": 0.5})
    assert _lines(tmp_path) == [
        {"step": 5, "loss": 1.5, "val/metric": 0.25},
        {"step": 10, "loss": 0.5},
    ]
    (events,) = (tmp_path / "tensorboard").iterdir()
    found = [
        (event.step, value.tag, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert found == [(5, "loss", 1.5), (5, "val/metric", 0.25), (10, "loss", 0.5)]


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


@pytest.mark.parametrize("line", ["loss=1", '{"loss": 1}', "[]", "7"])
def test_a_line_that_is_none_of_ours_is_named(tmp_path, line):
    (tmp_path / "scalars.jsonl").write_text(line + "\n")
    with pytest.raises(registry.UserError, match="scalars.jsonl has the line .*remove that line"):
        writer.Writer(str(tmp_path), 0)
    assert (tmp_path / "scalars.jsonl").read_text() == line + "\n"


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    log = writer.Writer(str(tmp_path), 0)
    (tmp_path / "scalars.jsonl").unlink()
    os.symlink("/dev/full", tmp_path / "scalars.jsonl")
    with pytest.raises(OSError) as caught:
        log.write(5, {"loss": 1.0})
    assert caught.value.errno == errno.ENOSPC
