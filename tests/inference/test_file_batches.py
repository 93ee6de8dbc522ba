"""Files are read ahead in order, and batched by length."""

import threading

import numpy as np
import pytest
import soundfile

from tfav import hearing
from tfav import items as item_specs
from tfav.inference import file_batches, file_embedding


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


class Counting:
    """Embeds a clip as its number of samples, and remembers the lengths of each batch."""

    modalities = ("audio",)
    items = {"audio": item_specs.clip().of("audio")}
    hearing = hearing.Hearing(max_seconds=0.5)
    embedding_space, shares_space = "samples", True

    def __init__(self):
        self.batches = []

    def refuses(self, modality, item):
        return "is refused" if len(item) == 7_000 else ""

    def embed(self, modality, batch):
        self.batches.append(batch["num_samples"].tolist())
        return batch["num_samples"].astype(np.float32)[:, np.newaxis]


def test_rows_come_in_the_order_of_the_files_though_batches_are_of_like_length(tmp_path):
    lengths = {"a": 5_000, "b": 9_000, "c": 2_000, "d": 7_000, "e": 3_000}
    for name, samples in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", np.full(samples, 0.1), 16_000, subtype="PCM_16")
    found = {"audio": [(name, str(tmp_path / f"{name}.wav")) for name in lengths]}
    counting = Counting()
    done = file_embedding.embed(counting, found, batch_size=2, max_bad_fraction=0.5)
    assert counting.batches == [[2_000, 3_000], [5_000, 8_000]]  # half a second of b is heard
    assert done.arrays["audio_id"].tolist() == ["a", "b", "c", "e"]
    assert done.arrays["audio"][:, 0].tolist() == [5_000, 8_000, 2_000, 3_000]
    assert done.bad == [(str(tmp_path / "d.wav"), "is refused")]
    assert done.unheard == {str(tmp_path / "b.wav"): 1_000 / 16_000}
