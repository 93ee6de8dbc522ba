import pytest

from tfav import registry, weights
from tfav.layers import blending


def test_weights_come_by_name_whatever_the_order_they_are_given_in():
    table = blending.BlendingWeights({"fused": 0.5, "audio": 0.5})
    table.assign({"audio": 0.0, "fused": 2.0})
    assert {k: float(v) for k, v in table.weights().items()} == {"fused": 2.0, "audio": 0.0}
    names = weights.named_weights(table, "blending")
    assert list(names) == ["blending/weight"] and not names["blending/weight"].trainable


@pytest.mark.parametrize(
    "given, says",
    [
        ({"fused": 1.0}, "weights of fused: give one of each of fused, audio"),
        ({"fused": 1.0, "audio": 1.0, "image": 1.0}, "audio, fused, image: give one"),
        ({"fused": 1.0, "audio": -1.0}, "not be negative"),
        ({"fused": 0.0, "audio": 0.0}, "nor all zero"),
        ({"fused": 1.0, "audio": float("nan")}, "not be negative"),
    ],
)
def test_weights_that_make_no_sense_are_refused_and_change_nothing(given, says):
    table = blending.BlendingWeights({"fused": 0.25, "audio": 0.75})
    with pytest.raises(registry.UserError, match=says):
        table.assign(given)
    assert table.weight.numpy().tolist() == [0.25, 0.75]
