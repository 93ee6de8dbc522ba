"""Every row of `HEADS` and `FUSIONS` keeps the promises of a head and of a fusion."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import walk
from tfav import compat, weights
from tfav.layers import classifiers, fusion

CLASSES, ROWS, SIZE = 5, 4, 6
MODALITIES = ("audio", "image", "flow")
HEADS = {"cosine": {"scale": 3.0}, "vanilla": {"scale": None}, "common": {"scale": None}}
FUSIONS = ("concat", "gated", "film", "convex")


def _head(name, seed=0):
    sizes = {m: SIZE + (name != "common") * i for i, m in enumerate(MODALITIES)}
    return classifiers.HEADS[name](CLASSES, sizes, seed=seed, name="head", **HEADS[name]), sizes


def _fusion(name, seed=0):
    sizes = dict.fromkeys(MODALITIES, SIZE)
    return fusion.FUSIONS[name](sizes, seed=seed), sizes


def _features(sizes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {m: tf.constant(rng.normal(size=(ROWS, d)), dtype) for m, d in sizes.items()}


def test_every_head_and_fusion_has_settings():
    add = "add 'ROW': {its arguments} to HEADS in tests/conformance/test_heads.py."
    walk.check_complete(classifiers.HEADS, HEADS, "HEADS", add)
    add = "add 'ROW' to FUSIONS in tests/conformance/test_heads.py."
    walk.check_complete(fusion.FUSIONS, FUSIONS, "FUSIONS", add)


@pytest.mark.parametrize("dtype", [np.float32, tf.bfloat16])
@pytest.mark.parametrize("name", walk.rows(classifiers.HEADS, HEADS))
def test_a_head_gives_float32_logits_of_the_modalities_it_is_given(name, dtype):
    head, sizes = _head(name)
    features = _features(sizes, dtype)
    whole = head(features)
    assert set(whole) == set(MODALITIES) == set(head.weight_norms())
    for logits in whole.values():
        assert logits.shape == (ROWS, CLASSES) and logits.dtype == tf.float32
    part = head({"flow": features["flow"]})
    np.testing.assert_array_equal(part["flow"], whole["flow"])
    assert set(part) == {"flow"}


@pytest.mark.parametrize("dtype", [np.float32, tf.bfloat16])
@pytest.mark.parametrize("name", walk.rows(fusion.FUSIONS, FUSIONS))
def test_a_fusion_gives_float32_features_of_the_same_sizes(name, dtype):
    layer, sizes = _fusion(name)
    fused = layer(_features(sizes, dtype))
    assert isinstance(layer.needs_all, bool)
    assert {m: (x.shape, x.dtype) for m, x in fused.items()} == {
        m: ((ROWS, d), tf.float32) for m, d in sizes.items()
    }


@pytest.mark.parametrize("name", walk.rows(fusion.FUSIONS, FUSIONS))
def test_a_fusion_does_as_it_says_of_absent_modalities_and_has_no_favourite(name):
    layer, sizes = _fusion(name)
    features = _features(sizes)
    whole = layer(features)
    other = layer({**features, "audio": features["audio"] + 1.0})
    depends = np.abs(other["image"] - whole["image"]).max() > 1e-6
    assert depends == layer.needs_all
    # The order in which modalities are given does not matter.
    backwards = layer({m: features[m] for m in reversed(MODALITIES)})
    for m in MODALITIES:
        np.testing.assert_allclose(backwards[m], whole[m], atol=1e-6)


@pytest.mark.parametrize("make", [_head, _fusion])
def test_all_weights_are_there_from_the_start_named_and_seeded(make):
    rows = HEADS if make is _head else FUSIONS
    for name in rows:
        layers = [make(name, seed)[0] for seed in (1, 1, 2)]
        names = [weights.named_weights(layer, "layer") for layer in layers]
        assert len(names[0]) == len(layers[0].trainable_weights)
        before = {k: v.numpy() for k, v in names[0].items()}
        features = _features(make(name)[1])
        variables = [compat.raw(w) for w in layers[0].trainable_weights]
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(x**2) for x in layers[0](features).values()])
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            assert np.abs(gradient).max() > 1e-6, variable.name
        for k, value in before.items():
            np.testing.assert_array_equal(names[1][k].numpy(), value, err_msg=k)
            if k.endswith("kernel"):
                assert np.abs(names[2][k].numpy() - value).max() > 0.01, k
