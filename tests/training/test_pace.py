"""How fast a training goes, as the progress bar and the log say it."""

from tfav.training import pace


def test_the_first_call_does_not_count_and_the_second_says_what_to_expect():
    speed = pace.Pace(batch_size=8)
    speed.note(10, 60.0, 5.0)  # it compiled
    assert speed.words() == {} and not speed.is_new
    speed.note(10, 4.0, 1.0)
    assert speed.is_new
    # 10 steps of 8 examples in 4 s, of which 1 s was waited.
    assert speed.words() == {"examples/s": "20", "waiting_for_data": "25%"}
    # 300 steps at 2.5 per second.
    assert speed.expectation(300).startswith("expected time: 2 min 0 s for 300 more steps of 2.5 p")
    speed.note(10, 16.0, 0.0)
    # 20 steps in 20 s, 1 s waited.
    assert speed.words() == {"examples/s": "8", "waiting_for_data": "5%"} and not speed.is_new

    speed.note(10, 20.0, None)
    assert speed.words() == {"examples/s": "6"}  # 30 steps in 40 s, and nobody knows the wait


def test_a_time_is_told_in_its_two_largest_units():
    told = [pace.duration(x) for x in (0.4, 59.4, 61, 3599, 3600, 7500)]
    assert told == ["0 s", "59 s", "1 min 1 s", "59 min 59 s", "1 h 0 min", "2 h 5 min"]
