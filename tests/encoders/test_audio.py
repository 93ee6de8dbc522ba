import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, weights
from tfav.encoders import audio


def noise(*shape, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture(scope="module", params=sorted(audio.AUDIO_ENCODERS))
def encoder(request):
    encoder = audio.AUDIO_ENCODERS[request.param](seed=1)
    randomize_statistics(encoder)
    return encoder


def randomize_statistics(encoder):
    """Fresh norms shift nothing and so hide a missing mask: give them statistics and offsets."""
    random = np.random.RandomState(5)
    for name, variable in weights.named_weights(encoder, "x").items():
        if name.endswith(("beta", "moving_mean")):
            variable.assign(0.3 * random.randn(*variable.shape))


def test_the_embedding_is_float32_of_the_asked_size(encoder):
    embedding = encoder(noise(2, 4000))
    assert embedding.shape == (2, encoder.embedding_size) and embedding.dtype == tf.float32


@pytest.mark.parametrize("length", [1, 159, 161, 1599, 3521, 4800])
def test_what_follows_the_clip_never_changes_its_embedding(encoder, length):
    clip = noise(1, length, seed=length)
    alone = encoder(clip)
    for rest in (np.zeros((1, 640)), noise(1, 3333), np.full((1, 1), np.nan)):
        longer = np.concatenate([clip, rest.astype(np.float32)], axis=1)
        padded = encoder(longer, tf.constant([length]))
        np.testing.assert_allclose(padded, alone, rtol=1e-3, atol=1e-4)


def test_a_full_length_changes_nothing(encoder):
    clips = noise(2, 3000)
    explicit = encoder(clips, tf.constant([3000, 3000], tf.int64))
    np.testing.assert_allclose(explicit, encoder(clips), rtol=1e-3, atol=1e-4)


def test_the_feature_map_is_zero_beyond_the_sound(encoder):
    feature_map = encoder.feature_map(noise(1, 6400), tf.constant([1600]))
    assert len(feature_map.shape) == 4
    used = np.abs(feature_map.numpy()).max(axis=(0, 2, 3)) > 0
    # 1600 // 160 + 1 = 11 frames of 41, which the strides make ceil(11 / s) of ceil(41 / s).
    stride = round(41 / len(used))
    assert used.tolist() == [True] * -(-11 // stride) + [False] * (len(used) - -(-11 // stride))


def test_a_row_does_not_depend_on_its_batch(encoder):
    clips = noise(3, 2500)
    lengths = tf.constant([2500, 700, 1601])
    together = encoder(clips, lengths)
    for i in range(3):
        alone = encoder(clips[i : i + 1], lengths[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-3, atol=1e-4)


def test_one_trace_takes_every_batch_and_length(encoder):
    traced = tf.function(
        lambda waveform, num_samples: encoder(waveform, num_samples),
        input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)],
    )
    for batch, length in ((1, 800), (3, 2111)):
        clips, lengths = noise(batch, length), np.full(batch, length // 2, np.int32)
        np.testing.assert_allclose(
            traced(clips, lengths), encoder(clips, lengths), rtol=1e-3, atol=1e-4
        )


def test_every_weight_gets_a_gradient(encoder):
    named = {k: v for k, v in weights.named_weights(encoder, "x").items() if v.trainable}
    assert len(named) == len(encoder.trainable_variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(noise(4, 3200), training=True) ** 2)
    for name, gradient in tape.gradient(loss, named).items():
        assert gradient is not None and np.isfinite(gradient).all(), name
        if name.endswith("kernel") and "/se/" not in name:  # a gate's few ReLUs may all be dead
            assert np.abs(gradient).max() > 0, name


def test_training_moves_every_batch_norm_statistic(encoder):
    named = weights.named_weights(encoder, "x")
    before = {name: v.numpy() for name, v in named.items() if "moving" in name}
    encoder(noise(4, 3200), training=True)
    assert before and all((named[name].numpy() != old).any() for name, old in before.items())


def test_every_weight_has_a_name(encoder):
    named = weights.named_weights(encoder, "audio")
    assert {id(v) for v in named.values()} >= {id(compat.raw(v)) for v in encoder.weights}
    assert "audio/tail/dropout/calls" in named


@pytest.mark.parametrize("name", sorted(audio.AUDIO_ENCODERS))
def test_the_seed_decides_the_weights(name):
    first, again, other = (audio.AUDIO_ENCODERS[name](seed=seed) for seed in (1, 1, 2))
    clip = noise(1, 1600)
    np.testing.assert_array_equal(first(clip), again(clip))
    assert np.abs(first(clip) - other(clip)).max() > 1e-3


@pytest.mark.parametrize("name", sorted(audio.AUDIO_ENCODERS))
def test_bfloat16_trains_and_returns_float32(name):
    clips = noise(2, 2000)
    expected = audio.AUDIO_ENCODERS[name](embedding_size=16)(clips).numpy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        encoder = audio.AUDIO_ENCODERS[name](embedding_size=16)
        embedding = encoder(clips, tf.constant([2000, 2000]))
        trained = encoder(clips, tf.constant([2000, 1000]), training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert embedding.dtype == trained.dtype == tf.float32
    assert all(compat.raw(v).dtype == tf.float32 for v in encoder.trainable_variables)
    cosine = np.sum(embedding * expected, 1) / np.linalg.norm(embedding, axis=1)
    assert (cosine / np.linalg.norm(expected, axis=1) > 0.98).all()


def test_the_front_end_takes_its_arguments():
    encoder = audio.Tiny(frontend={"num_mels": 24, "form": "conv"})
    assert encoder.frontend.num_mels == 24
    assert encoder(noise(1, 1600)).shape == (1, 128)


def test_weights_land_in_the_strategy_they_were_made_in(mirrored):
    with mirrored.scope():
        encoder = audio.Tiny()
    for variable in encoder.weights:
        assert mirrored.extended.variable_created_in_scope(compat.raw(variable))
