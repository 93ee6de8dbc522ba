"""Files are read ahead in order, and batched by length."""

import threading

import numpy as np
import pytest

from tfav.inference import file_batches


def test_files_are_read_ahead_as_far_as_asked_and_come_in_order():
    items = [(f"name{k}", f"path{k}") for k in range(9)]
    read, third = [], threading.Event()

    def one(path):
        if path == "path0":
            third.wait()  # the first is the last to be ready
        read.append(path)
        if len(read) == 2:
            third.set()
        return path.upper()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_batches.os, "sched_getaffinity", lambda _: {0, 1})
        found = file_batches.ahead(one, items, 3)
        assert next(found) == (("name0", "path0"), "PATH0")
        assert set(read) == {"path0", "path1", "path2"}
        assert [item[0] for item, _ in found] == [f"name{k}" for k in range(1, 9)]
    assert sorted(read) == [path for _, path in items]


def test_what_a_file_raises_comes_in_its_turn():
    def one(path):
        if path == "b":
            raise OSError("gone")
        return path

    found = file_batches.ahead(one, [("1", "a"), ("2", "b"), ("3", "c")], 3)
    assert next(found)[1] == "a"
    with pytest.raises(OSError, match="gone"):
        next(found)


def _lengths(batches):
    return [[len(value) for _, value in batch] for batch in batches]


def test_of_four_batches_the_shortest_come_first_and_nothing_is_lost():
    lengths = [9, 1, 8, 2, 7, 3, 6, 4, 5]  # eight of them, four batches of two, and one more
    values = [(str(n), np.zeros(n)) for n in lengths]
    assert _lengths(file_batches.of_like_length(values, 2)) == [[1, 2], [3, 4], [6, 7], [8, 9], [5]]


def test_values_of_one_length_keep_their_order():
    values = [(str(k), np.zeros(3)) for k in range(5)]
    batches = file_batches.of_like_length(values, 2)
    assert [[name for name, _ in batch] for batch in batches] == [["0", "1"], ["2", "3"], ["4"]]


def test_long_clips_wait_in_memory_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(file_batches, "_WINDOW_BYTES", 8 * 10)  # of float64
    values = [(str(n), np.zeros(n)) for n in (7, 4, 6, 5)]
    # 7 + 4 is more than 10, and so is 6 + 5.
    assert _lengths(file_batches.of_like_length(values, 2)) == [[4, 7], [5, 6]]
    assert _lengths(file_batches.of_like_length(iter(values[:1]), 2)) == [[7]]
