"""The encoder of vectors and sequences: what pads a sequence never counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import items, registry
from tfav.encoders import array, by_kind, vector_heads

ROWS = by_kind.ENCODERS["array"]
FORMS = [(row, sequence) for row in ROWS for sequence in (True, False)]
FORMS.remove(("attentive_pooling", False))  # a vector has no steps to weigh


def steps(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def make(row, sequence=True, name="imu"):
    return ROWS[row](embedding_size=8, size=6, sequence=sequence, seed=1, name=name)


@pytest.mark.parametrize("row", ROWS)
def test_what_follows_a_sequence_never_changes_its_embedding(row):
    encoder = make(row)
    alone = encoder(steps(1, 5, 6))
    for rest in (np.zeros((1, 3, 6)), np.full((1, 2, 6), np.nan)):
        padded = np.concatenate([steps(1, 5, 6), rest.astype(np.float32)], axis=1)
        np.testing.assert_allclose(encoder(padded, tf.constant([5])), alone, rtol=1e-5, atol=1e-6)
    features, valid = encoder.feature_positions(padded, tf.constant([5]))
    assert valid.numpy().tolist() == [[1.0] * 5 + [0.0] * 2]
    assert not features[0, 5:].numpy().any()
    np.testing.assert_array_equal(encoder.feature_map(padded, tf.constant([5]))[:, :, 0], features)


@pytest.mark.parametrize(("row", "sequence"), FORMS)
def test_every_weight_gets_a_gradient_and_the_config_makes_it_again(row, sequence):
    encoder = make(row, sequence)
    x = steps(6, 5, 6) if sequence else steps(6, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(steps(6, 8, seed=1) * encoder(x))
    for gradient in tape.gradient(loss, encoder.trainable_weights):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    again = keras.layers.deserialize(keras.layers.serialize(encoder))
    assert type(again) is type(encoder) and again.item_spec == encoder.item_spec
    np.testing.assert_array_equal(again(x), encoder(x))  # the seed decides


def test_an_item_is_a_vector_or_a_sequence_with_its_steps():
    assert make("tiny", sequence=False).item_spec == items.ItemSpec("array", (6,), "float32")
    spec = items.ItemSpec("array", (None, 6), "float32", length="imu_steps")
    assert make("tiny").item_spec == spec


def test_the_order_of_the_steps_counts_and_a_vector_is_one_step():
    encoder = make("tiny")
    x = steps(1, 5, 6)
    assert np.abs(encoder(x) - encoder(x[:, ::-1])).max() > 1e-4
    vectors = make("tiny", sequence=False)
    assert vectors(steps(3, 6)).shape == (3, 8)
    assert array.ArrayEncoder.modality == "array"


def test_a_linear_encoder_is_a_product_and_a_sequence_is_its_mean():
    encoder = make("linear")
    x = steps(2, 5, 6)
    kernel, bias = encoder.dense.kernel.numpy(), encoder.dense.bias.numpy()
    np.testing.assert_allclose(encoder(x), x.mean(axis=1) @ kernel + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", vector_heads.NORMS)
def test_an_mlp_has_the_layers_that_are_asked_for(norm):
    encoder = ROWS["mlp"](8, size=6, depth=2, width=10, norm=norm, dropout=0.5, seed=1)
    x = steps(4, 6)
    shapes = [w.shape for w in encoder.trainable_weights if len(w.shape) == 2]
    assert shapes == [(6, 10), (10, 10), (10, 8)]
    assert np.abs(encoder(x, training=True) - encoder(x)).max() > 1e-3  # it drops something
    features = x
    for dense, layer in zip(encoder.hidden, encoder.norms):
        features = dense(features) if layer is None else layer(dense(features))
        features = np.maximum(features, 0.0)
    np.testing.assert_allclose(encoder(x), encoder.dense(features), rtol=1e-5, atol=1e-6)


def test_attentive_pooling_weighs_the_steps_and_refuses_vectors():
    encoder = make("attentive_pooling")
    encoder.attention.context.kernel.assign(np.zeros((6, 1)))  # all steps weigh the same
    x = steps(2, 5, 6)
    np.testing.assert_allclose(encoder(x), encoder.dense(x.mean(axis=1)), rtol=1e-5, atol=1e-6)
    with pytest.raises(registry.UserError, match="a vector has no steps to weigh"):
        make("attentive_pooling", sequence=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": -1}, "depth=-1 of the encoder mlp"),
        ({"width": 0}, "width=0 of the encoder mlp"),
        ({"norm": "group"}, "unknown norm of the encoder mlp 'group'"),
    ],
)
def test_an_mlp_without_a_layer_is_refused(arguments, message):
    with pytest.raises(registry.UserError, match=message):
        ROWS["mlp"](8, size=6, **arguments)
