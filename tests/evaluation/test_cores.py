"""Work in parts: each part once, and no error of a part is lost."""

import threading

import pytest

from tfav.evaluation import cores


@pytest.mark.parametrize("available", [1, 3])
def test_every_part_is_worked_on_once_and_a_part_alone_stays_in_its_thread(monkeypatch, available):
    monkeypatch.setattr(cores, "count", lambda: available)
    done = []
    cores.each(done.append, range(100))
    assert sorted(done) == list(range(100))
    cores.each(lambda _: done.append(threading.current_thread()), ["alone"])
    assert done[-1] is threading.current_thread()


@pytest.mark.parametrize("available", [1, 3])
def test_the_error_of_a_part_reaches_the_caller(monkeypatch, available):
    monkeypatch.setattr(cores, "count", lambda: available)

    def work(part):
        if part == 7:
            raise ValueError("part seven")

    with pytest.raises(ValueError, match="part seven"):
        cores.each(work, range(10))


def test_no_more_cores_than_have_room_for_their_blocks(monkeypatch):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(200)), raising=False)
    assert cores.count() == cores.MOST
