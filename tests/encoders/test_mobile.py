"""What is special to the phone-sized encoders; tests/conformance holds what every row promises."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import encoder_rows
from tfav.encoders import audio, image, mobile
from tfav.export import servable
from tfav.export.lite import conversion, tflite
from tfav.recipes import recipe as base


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def num_trainable(encoder):
    return sum(int(np.prod(w.shape)) for w in encoder.trainable_weights)


def test_mobilefacenet_has_the_table_of_the_paper():
    encoder = image.IMAGE_ENCODERS["mobile_facenet"]()
    assert encoder.feature_map(pixels(1, 112, 112, 3)).shape == (1, 7, 7, 512)
    body = encoder.body
    # Channels inside, out, and stride, as in table 1; t times the input's are inside.
    inside = [block.depthwise.kernel.shape[2] for block in body]
    assert inside == [128] * 5 + [256] + [256] * 6 + [512] + [256] * 2
    assert [block.project.filters for block in body] == [64] * 5 + [128] * 10
    strides = [block.depthwise.stride for block in body]
    assert [i for i, stride in enumerate(strides) if stride == 2] == [0, 5, 12]
    # A sum where neither the size nor the channels change: all but those three.
    assert [i for i, block in enumerate(body) if not block.adds] == [0, 5, 12]


def test_mobilefacenet_has_a_million_parameters():
    # A bottleneck of c to f channels, h = t c inside, has c h + 9 h + h f weights and 2 (2 h + f)
    # of its norms: (c + 13 + f) h + 2 f.
    bottlenecks = (
        5 * ((64 + 13 + 64) * 128 + 2 * 64)
        + ((64 + 13 + 128) * 256 + 2 * 128)
        + 6 * ((128 + 13 + 128) * 256 + 2 * 128)
        + ((128 + 13 + 128) * 512 + 2 * 128)
        + 2 * ((128 + 13 + 128) * 256 + 2 * 128)
    )
    first = (27 + 2) * 64 + (9 + 2) * 64
    last = (128 + 2) * 512 + (49 + 2) * 512 + 512 * 128 + 2 * 128
    assert first + bottlenecks + last == 995_584
    assert num_trainable(mobile.MobileFaceNet(128)) == 995_584


@pytest.mark.parametrize("size, side", [(32, 2), (64, 4), (100, 7), (112, 7)])
def test_the_global_convolution_has_the_size_of_the_map(size, side):
    encoder = mobile.MobileFaceNet(8, image_size=size)
    assert encoder.feature_map(pixels(1, size, size, 3)).shape == (1, side, side, 512)
    assert encoder.whole.kernel.shape == (side, side, 512, 1)
    assert encoder(pixels(1, size, size, 3)).shape == (1, 8)


def test_a_channel_of_the_map_is_a_weighted_sum_over_positions():
    encoder = mobile.MobileFaceNet(8, image_size=64)
    feature_map = encoder.feature_map(pixels(2, 64, 64, 3))
    expected = np.sum(feature_map * encoder.whole.kernel.numpy()[None, ..., 0], axis=(1, 2))
    np.testing.assert_allclose(encoder.whole(feature_map)[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_the_small_speakernet_has_a_quarter_million_parameters():
    # A block of kernel k: twice k 128 + 128 128 + 2 128 of its norm, and its 1 x 1 with a norm.
    blocks = sum(2 * (k * 128 + 128 * 128 + 2 * 128) + 128 * 128 + 2 * 128 for k in (7, 11, 15))
    first = 40 * 3 + 40 * 128 + 2 * 128
    last = 128 * 256 + 2 * 256 + 2 * 512 + 512 * 128
    assert first + blocks + last == 263_544
    assert num_trainable(audio.AUDIO_ENCODERS["mobile_speakernet"]()) == 263_544


def test_the_small_speakernet_has_a_position_every_second_frame():
    encoder = mobile.SpeakerNet(8)
    # 16000 samples are 101 frames; one stride leaves 51.
    assert encoder.feature_map(np.zeros([1, 16_000], np.float32)).shape == (1, 51, 1, 256)


def test_a_position_of_the_small_speakernet_sees_123_frames():
    # Two kernels each of 7, 11 and 15 reach 2 (3 + 5 + 7) = 30 positions to either side, 60 frames;
    # the first, of 3, a frame further.
    encoder = mobile.SpeakerNet(8)
    encoder_rows.as_if_trained(encoder)
    frames = np.random.default_rng(0).normal(size=[1, 200, 40]).astype(np.float32)

    def position(changed):
        x = frames.copy()
        x[0, changed] += 9.0
        return encoder.frames_to_map(tf.constant(x), None, training=False)[0][0, 50, 0].numpy()

    # Position 50 lies on frame 100.
    for inside in (100 - 61, 100 + 61):
        assert np.abs(position(inside) - position(0)).max() > 1e-5, inside
    for outside in (100 - 62, 100 + 62):
        np.testing.assert_array_equal(position(outside), position(0))


@pytest.mark.parametrize(
    "make",
    [lambda: mobile.MobileFaceNet(8, 32), lambda: mobile.SpeakerNet(8)],
    ids=["face", "voice"],
)
def test_its_tflite_has_no_op_that_int8_is_slow_in(make, tmp_path):
    encoder = make()
    recipe = base.Recipe({encoder.modality: encoder}, heads={})
    (name,) = tflite.write(
        servable.Servable(recipe), str(tmp_path), audio_samples=3_200, precisions=("float32",)
    )
    ops = conversion.describe((tmp_path / name).read_bytes())["ops"]
    assert ops["DEPTHWISE_CONV_2D"] >= 7 and ops["CONV_2D"] >= 11
    slow = {"PRELU", "HARD_SWISH", "LOGISTIC", "RELU6", "BATCH_TO_SPACE_ND"}
    assert not slow & ops.keys()  # RELU6 alone would not be fused into its convolution
