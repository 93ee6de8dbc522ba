import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav import registry, weights
from tfav.layers import fusion

THREE = ("audio", "image", "flow")


def _features(modalities, size=3, rows=4):
    rng = np.random.default_rng(0)
    return {m: rng.normal(size=(rows, size)).astype(np.float32) for m in modalities}


def _given(layer, seed=0):
    """Draws the dense layers' weights and biases anew; returns both by modality."""
    rng = np.random.default_rng(seed)
    names = weights.named_weights(layer, "fusion")
    for variable in names.values():
        variable.assign(rng.normal(size=variable.shape))
    held = next(part.split("/")[1] for part in names)
    return [
        {
            m: names[f"fusion/{held}/{m}/{leaf}"].numpy().astype(np.float64)
            for m in THREE
            if f"fusion/{held}/{m}/{leaf}" in names
        }
        for leaf in ("kernel", "bias")
    ]


@pytest.mark.parametrize("modalities", [THREE[:2], THREE])
@pytest.mark.parametrize("name", ["gated", "film", "convex"])
def test_fusions_equal_the_naive_formula(name, modalities):
    layer = fusion.FUSIONS[name]({m: 3 for m in modalities})
    kernel, bias = _given(layer)
    features = _features(modalities)
    expected = getattr(reference, name)(
        [features[m].astype(np.float64) for m in modalities],
        [kernel[m] for m in modalities],
        [bias[m] for m in modalities],
    )
    found = layer({m: tf.constant(x) for m, x in features.items()})
    assert set(found) == set(modalities)
    for m, value in zip(modalities, expected):
        np.testing.assert_allclose(found[m], value, atol=1e-5, err_msg=m)


def test_gates_of_two_by_hand():
    # U = 1, c = 0: p = 2, q = 0: (sigmoid(0) * 2, sigmoid(2) * 0) = (1, 0); p = 0 and q = ln 3
    # gives (0, 0.5 ln 3).
    layer = fusion.Gated({"audio": 1, "image": 1})
    for name, variable in weights.named_weights(layer, "f").items():
        variable.assign(tf.fill(variable.shape, 1.0 if name.endswith("kernel") else 0.0))
    found = layer(
        {"audio": tf.constant([[2.0], [0.0]]), "image": tf.constant([[0.0], [np.log(3)]])}
    )
    np.testing.assert_allclose(found["audio"], [[1.0], [0.0]], atol=1e-6)
    np.testing.assert_allclose(found["image"], [[0.0], [0.5 * np.log(3)]], atol=1e-6)


def test_film_says_scale_in_its_first_half_and_shift_in_its_second():
    layer = fusion.FiLM({"audio": 1, "image": 1})
    for name, variable in weights.named_weights(layer, "f").items():
        variable.assign([[2.0, 5.0]] if name.endswith("kernel") else [0.5, -1.0])
    # From an image of 3: gamma = 2 * 3 + 0.5 = 6.5, beta = 5 * 3 - 1 = 14; 6.5 * 10 + 14 = 79.
    # From an audio of 10: gamma = 20.5, beta = 49; 20.5 * 3 + 49 = 110.5.
    found = layer({"audio": tf.constant([[10.0]]), "image": tf.constant([[3.0]])})
    np.testing.assert_allclose([found["audio"][0, 0], found["image"][0, 0]], [79.0, 110.5])


def test_concat_changes_nothing_and_has_no_weights():
    layer = fusion.Concat({"audio": 3, "image": 5})
    audio = tf.constant([[1.0, 2.0, 3.0]])
    found = layer({"audio": audio})  # the other may be absent
    np.testing.assert_array_equal(found["audio"], audio)
    assert layer.weights == [] and not layer.needs_all and fusion.Gated.needs_all


@pytest.mark.parametrize("name", ["gated", "film", "convex"])
def test_every_modality_has_weights_of_its_own_that_follow_the_seed(name):
    def kernels(seed):
        layer = fusion.FUSIONS[name]({m: 3 for m in THREE}, seed=seed)
        return [
            v.numpy() for k, v in weights.named_weights(layer, "f").items() if k.endswith("kernel")
        ]

    one, again, other = kernels(1), kernels(1), kernels(2)
    assert len(one) == 3
    for a, b in zip(one, again):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one[0] - one[1]).max() > 0.1 and np.abs(one[0] - other[0]).max() > 0.1


@pytest.mark.parametrize("name", ["gated", "film", "convex"])
@pytest.mark.parametrize(
    "sizes, says",
    [({"audio": 3}, "needs two modalities"), ({"audio": 3, "image": 4}, "embeddings of one size")],
)
def test_a_fusion_that_cannot_be_made_names_concat(name, sizes, says):
    with pytest.raises(registry.UserError, match=f"{name}.*{says}.*fusion='concat'"):
        fusion.FUSIONS[name](sizes)
