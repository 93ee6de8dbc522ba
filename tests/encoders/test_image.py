import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, weights
from tfav.encoders import audio, image

# IR nets at 16 x 16, where the last map is one position: the same weights but for `fc`.
SIZES = {"tiny": 48, "ir50": 16, "ir_se50": 16}


def pixels(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def make(name, **kwargs):
    return image.IMAGE_ENCODERS[name](image_size=SIZES[name], **kwargs)


@pytest.fixture(scope="module", params=sorted(image.IMAGE_ENCODERS))
def encoder(request):
    return make(request.param, seed=1)


def batch(encoder, *lead, seed=0):
    return pixels(*lead, encoder.image_size, encoder.image_size, 3, seed=seed)


def test_the_embedding_is_float32_of_the_asked_size(encoder):
    embedding = encoder(batch(encoder, 2))
    assert embedding.shape == (2, encoder.embedding_size) and embedding.dtype == tf.float32


def test_frames_are_embedded_apart_and_averaged(encoder):
    clip = batch(encoder, 2, 3)
    each = np.stack([encoder(clip[:, f]) for f in range(3)], axis=1)
    np.testing.assert_allclose(encoder(clip), each.mean(axis=1), rtol=1e-3, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(encoder):
    images = batch(encoder, 3)
    together = encoder(images)
    for i in range(3):
        np.testing.assert_allclose(
            together[i : i + 1], encoder(images[i : i + 1]), rtol=1e-3, atol=1e-5
        )


def test_one_trace_takes_every_batch(encoder):
    size = encoder.image_size
    shapes = [[None, None, None, 3]]
    if isinstance(encoder, image.Tiny):  # the others share the code and trace for seconds
        shapes += [[None, size, size, 3], [None, None, size, size, 3]]
    for shape in shapes:
        traced = tf.function(encoder, input_signature=[tf.TensorSpec(shape, tf.uint8)])
        images = batch(encoder, *([2] * (len(shape) - 3)))
        np.testing.assert_allclose(traced(images), encoder(images), rtol=1e-3, atol=1e-5)


def test_every_weight_gets_a_gradient(encoder):
    named = {k: v for k, v in weights.named_weights(encoder, "x").items() if v.trainable}
    assert len(named) == len(encoder.trainable_variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(batch(encoder, 4), training=True) ** 2)
    for name, gradient in tape.gradient(loss, named).items():
        assert gradient is not None and np.isfinite(gradient).all(), name
        if name.endswith("kernel") and "/se/" not in name:  # a gate's few ReLUs may all be dead
            assert np.abs(gradient).max() > 0, name


def test_every_weight_has_a_name(encoder):
    named = weights.named_weights(encoder, "image")
    assert {id(v) for v in named.values()} >= {id(compat.raw(v)) for v in encoder.weights}
    assert "image/tail/dropout/calls" in named


def test_another_size_is_refused(encoder):
    with pytest.raises(ValueError, match="takes images of"):
        encoder(pixels(1, 20, 20, 3))
    with pytest.raises(ValueError, match="image must be"):
        encoder.feature_map(pixels(20, 20, 3))


def test_pixels_are_scaled_to_one():
    seen = []

    class Probe(image.Tiny):
        def pixels_to_map(self, pixels, training):
            seen.append(pixels)
            return super().pixels_to_map(pixels, training)

    # (0 - 127.5) / 127.5 and (255 - 127.5) / 127.5
    black_and_white = np.array([0, 255], np.uint8)[:, None, None, None]
    Probe(image_size=16)(np.tile(black_and_white, (1, 16, 16, 3)))
    assert seen[-1].numpy()[:, 0, 0, 0].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("name", ["tiny", "ir_se50"])
def test_bfloat16_trains_and_returns_float32(name):
    images = pixels(2, SIZES[name], SIZES[name], 3)
    expected = make(name, embedding_size=16)(images).numpy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        encoder = make(name, embedding_size=16)
        embedding, trained = encoder(images), encoder(images, training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert embedding.dtype == trained.dtype == tf.float32
    cosine = np.sum(embedding * expected, 1) / np.linalg.norm(embedding, axis=1)
    assert (cosine / np.linalg.norm(expected, axis=1) > 0.98).all()


def test_voice_and_face_of_one_seed_drop_different_values():
    voice, face = audio.Tiny(seed=3), image.Tiny(seed=3)
    assert voice.tail.dropout.seed != face.tail.dropout.seed


def test_ir50_has_the_shape_of_the_paper():
    encoder = image.IMAGE_ENCODERS["ir50"]()
    feature_map = encoder.feature_map(pixels(1, 112, 112, 3))
    assert feature_map.shape == (1, 7, 7, 512)
    assert encoder.fc.kernel.shape == (25088, 512)
    assert len(encoder.body) == 24
