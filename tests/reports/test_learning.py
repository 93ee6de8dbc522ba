"""Learning curves: the losses that were logged, each with the floor of its colour."""

from tfav.reports import learning

LOGGED = [
    {"step": 10, "loss": 5.0, "implicit": 3.0, "implicit_floor": 2.0, "learning_rate": 0.1},
    {"step": 20, "loss": 4.0, "implicit": 2.5, "implicit_floor": 2.25, "val/metric": 0.75},
]


def lines(figure):
    return {
        line.get_label(): (line.get_xydata().tolist(), line.get_color(), line.get_linestyle())
        for axes in figure.axes
        for line in axes.get_lines()
    }


def test_a_floor_has_the_colour_of_its_loss_and_is_dotted():
    found = lines(learning.draw(LOGGED))
    assert list(found) == ["loss", "implicit", "floor of implicit by theory", "val/metric"]
    assert found["implicit"][0] == [[10, 3.0], [20, 2.5]]
    points, colour, style = found["floor of implicit by theory"]
    assert points == [[10, 2.0], [20, 2.25]] and style == ":"
    assert colour == found["implicit"][1] != found["loss"][1]


def test_the_words_say_where_each_line_begins_and_ends():
    assert learning.describe(LOGGED) == (
        "Loss 5 at step 10, 4 at step 20; implicit 3 at step 10, 2.5 at step 20; floor of implicit "
        "by theory 2 at step 10, 2.25 at step 20; val/metric 0.75 at step 20, 0.75 at step 20."
    )


def test_without_a_loss_there_is_nothing_to_draw():
    assert learning.draw([]) is None and learning.describe([{"step": 1, "val/metric": 0.5}]) == ""
