"""What is special to the image encoders; tests/conformance holds what every row promises."""

import zlib

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


def test_each_modality_of_pictures_has_seeds_of_its_own():
    # "image" and "audio" keep the streams that earlier runs drew from.
    encoders = {
        name: image.Tiny(16, image_size=16, seed=3, name=name) for name in ("image", "flow")
    }
    kernels = [encoder.convs[0].kernel.numpy() for encoder in encoders.values()]
    assert (kernels[0] != kernels[1]).all()
    assert encoders["image"].tail.dropout.seed != encoders["flow"].tail.dropout.seed
    assert next(encoders["image"].new_seeds(3)) == zlib.crc32(b"image/3") % 2**30
    assert next(audio.Tiny(seed=3).new_seeds(3)) == zlib.crc32(b"audio/3") % 2**30


def test_the_map_of_the_tiny_encoder_has_a_position_every_16_pixels():
    encoder = image.Tiny(8)
    assert encoder.map_stride == 16
    images = pixels(2, 48, 48, 3)
    assert encoder.feature_map(images).shape == (2, 3, 3, 96)
    features, valid = encoder.feature_positions(images)
    np.testing.assert_array_equal(features[1, 5], encoder.feature_map(images)[1, 1, 2])
    np.testing.assert_array_equal(valid, np.ones([2, 9]))


def test_a_position_of_the_map_encoder_sees_22_pixels_around_the_8_it_stands_for():
    encoder = image.TinyMap(8, image_size=64)
    assert encoder.map_stride == 8
    # Each 3 x 3 adds a pixel of its scale on either side: 1 + 2 + 4 = 7 beside 24 .. 31.
    images = np.tile(pixels(1, 64, 64, 3), (3, 1, 1, 1))
    images[1, :, :17], images[1, :, 39:] = 0, 255
    images[2, :, 17:20] ^= 255
    maps = encoder.feature_map(images).numpy()
    assert maps.shape == (3, 8, 8, 64)
    np.testing.assert_allclose(maps[1, 3, 3], maps[0, 3, 3], atol=1e-5)
    assert np.abs(maps[2, 3, 3] - maps[0, 3, 3]).max() > 1e-3


def test_voice_and_face_of_one_seed_drop_different_values():
    voice, face = audio.Tiny(seed=3), image.Tiny(seed=3)
    assert voice.tail.dropout.seed != face.tail.dropout.seed


def test_ir50_has_the_shape_of_the_paper():
    encoder = image.IMAGE_ENCODERS["ir50"]()
    feature_map = encoder.feature_map(pixels(1, 112, 112, 3))
    assert feature_map.shape == (1, 7, 7, 512)
    assert encoder.fc.kernel.shape == (25088, 512)
    assert len(encoder.body) == 24
