"""What is special to the image encoders; tests/conformance holds what every row promises."""

import numpy as np
import pytest
import tensorflow as tf

from tfav.encoders import audio, image


def pixels(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [[None, 32, 32, 3], [None, None, 32, 32, 3]])
def test_one_trace_takes_any_number_of_images_and_frames(shape):
    encoder = image.Tiny(8, image_size=32)
    traced = tf.function(encoder, input_signature=[tf.TensorSpec(shape, tf.uint8)])
    for count in (1, 2):
        images = pixels(*(count if size is None else size for size in shape))
        np.testing.assert_allclose(traced(images), encoder(images), rtol=1e-3, atol=1e-5)


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


def test_voice_and_face_of_one_seed_drop_different_values():
    voice, face = audio.Tiny(seed=3), image.Tiny(seed=3)
    assert voice.tail.dropout.seed != face.tail.dropout.seed


def test_ir50_has_the_shape_of_the_paper():
    encoder = image.IMAGE_ENCODERS["ir50"]()
    feature_map = encoder.feature_map(pixels(1, 112, 112, 3))
    assert feature_map.shape == (1, 7, 7, 512)
    assert encoder.fc.kernel.shape == (25088, 512)
    assert len(encoder.body) == 24
