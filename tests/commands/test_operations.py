"""Operations by hand, of encoders whose layers one can count."""

from tests.recipes.test_mmcosine import make
from tfav.commands.protocols import by_operations
from tfav.encoders import image
from tfav.evaluation import operations
from tfav.recipes import recipe as base


def test_a_linear_encoder_multiplies_and_adds_each_weight_once():
    # 5 x 3 products and sums, and 3 biases.
    assert by_operations.count(make(), "audio", [5], "float32") == 2 * 5 * 3 + 3


def test_a_convolution_costs_its_kernel_at_every_position_and_no_weight_is_changed():
    recipe = base.Recipe({"image": image.Tiny(8, 32)}, heads={})
    before = [w.numpy() for w in recipe.named_weights().values()]
    # Four 3 x 3 convolutions of stride 2 and two dense layers, from 32 x 32 x 3.
    sides, channels = (16, 8, 4, 2), (3, 16, 32, 64, 96)
    products = sum(2 * s * s * 9 * a * b for s, a, b in zip(sides, channels, channels[1:]))
    products += 2 * (4 * 96 * 256 + 256 * 8)
    found = by_operations.count(recipe, "image", [32, 32, 3], "uint8")
    assert products <= found < 1.05 * products  # beside them biases, norms and rectifiers
    after = [w.numpy() for w in recipe.named_weights().values()]
    assert all((a == b).all() for a, b in zip(before, after))


def test_several_modalities_have_a_sum():
    found = operations.evaluate(
        {"audio": 3_000_000, "image": 500_000}, {"audio": "5", "image": "4"}
    )
    values = {r.direction: r.value for r in found}
    assert values == {"audio": 3.0, "image": 0.5, operations.EVERY: 3.5}
    assert [r.direction for r in operations.evaluate({"audio": 1}, {"audio": "5"})] == ["audio"]
