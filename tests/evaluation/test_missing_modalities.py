"""What a modality is worth, by games that one can work out."""

import numpy as np
import pytest

from tfav.evaluation import missing_modalities
from tfav.reports import missing_curves


def test_shapley_values_of_two_by_hand():
    # audio: (0.6 - 0.1 + 0.9 - 0.8) / 2 = 0.3, image: (0.8 - 0.1 + 0.9 - 0.6) / 2 = 0.5.
    worth = {(): 0.1, ("audio",): 0.6, ("image",): 0.8, ("audio", "image"): 0.9}
    found = missing_modalities.shapley(worth)
    assert found == pytest.approx({"audio": 0.3, "image": 0.5})


def test_shapley_values_of_the_gloves_game_sum_to_the_whole_and_a_dummy_has_none():
    # Worth 1 with a left glove and one of two right ones: 2/3, 1/6, 1/6 are the known values.
    players = ("left", "one", "two")
    worth = {
        s: float("left" in s and len(s) > 1) for s in [(), *missing_modalities.subsets(players)]
    }
    found = missing_modalities.shapley(worth)
    assert found == pytest.approx({"left": 2 / 3, "one": 1 / 6, "two": 1 / 6})
    alone = {s: float("left" in s) for s in worth}
    assert missing_modalities.shapley(alone) == pytest.approx({"left": 1, "one": 0, "two": 0})


LABEL = np.array([0, 0, 0, 1, 1, 1, 1, 1])


def _logits():
    """Image is right in every row, audio in the first four; together they are right."""
    right = 5.0 * np.eye(2)[LABEL]
    audio = np.where(np.arange(8)[:, np.newaxis] < 4, right, right[:, ::-1])
    return {("audio",): audio, ("image",): right, ("audio", "image"): audio + 2 * right}


def evaluate(**options):
    return missing_modalities.evaluate(_logits(), LABEL, tag="test", **options)


def test_the_accuracy_falls_with_the_rows_that_lack_what_it_needs():
    found = {(r.metric.key, r.direction): r for r in evaluate()}
    # Chance is 5/8. v(audio) = 1/2, v(image) = v(both) = 1.
    assert found["shapley", "audio"].value == pytest.approx((0.5 - 5 / 8 + 0) / 2)
    assert found["shapley", "image"].value == pytest.approx((1 - 5 / 8 + 0.5) / 2)
    values = [found["missing_accuracy", f"image, {s} of rows"].value for s in ("0%", "100%")]
    assert values == [1.0, 0.5]
    halves = [r.value for r in evaluate(seed=1) if r.details.get("lost") == "image"]
    assert halves == sorted(halves, reverse=True)  # the rows that are lost are nested
    assert all(r.value == 1.0 for r in evaluate() if r.details.get("lost") == "audio")
    assert found["missing_accuracy", "image, 50% of rows"].low is not None
    assert evaluate(num_bootstrap=0)[-1].low is None


def test_the_chart_has_a_curve_per_modality_that_is_lost():
    chart = missing_curves.chart(evaluate())
    assert [curve.label for curve in chart.curves] == ["without audio", "without image", "chance"]
    np.testing.assert_allclose(chart.curves[1].y[[0, -1]], [100.0, 50.0])
    assert chart.table()[0][0] == "0" and chart.draw().axes
