"""The published sizes of MMCosine's ResNets; tests/layers holds the twins of their blocks."""

import numpy as np
import pytest

from tfav.encoders import audio, image


def num_parameters(layer):
    return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


def silence(samples):
    return np.zeros([1, samples], np.float32)


def test_the_image_resnets_are_torchvisions_without_their_classes():
    small, large = (image.IMAGE_ENCODERS[name](512) for name in ("resnet18", "resnet34"))
    # torchvision's 11 689 512 and 21 797 672 less fc's 513 000
    assert num_parameters(small) == 11_176_512
    assert num_parameters(large) == 21_284_672
    assert small.image_size == 224 and small.map_stride == 32
    assert small.feature_map(np.zeros([1, 224, 224, 3], np.uint8)).shape == (1, 7, 7, 512)
    layers = (large.resnet.layer1, large.resnet.layer2, large.resnet.layer3, large.resnet.layer4)
    assert [len(layer) for layer in layers] == [3, 4, 6, 3]


def test_the_audio_resnet_takes_the_spectrogram_of_crema_d():
    encoder = audio.AUDIO_ENCODERS["resnet18"](512)
    assert num_parameters(encoder) == 11_170_240  # two channels of 7 x 7 x 64 fewer
    frames, _ = encoder.frontend(silence(48_000))
    assert frames.shape == (1, 299, 257)
    assert encoder.feature_map(silence(48_000)).shape == (1, 10, 9, 512)  # ceil(299 / 32), ...


def test_an_embedding_of_512_is_the_average_itself():
    encoder = image.IMAGE_ENCODERS["resnet18"](512, image_size=64)
    assert not encoder.projection
    pictures = np.random.default_rng(0).integers(0, 256, [2, 64, 64, 3], np.uint8)
    feature_map = encoder.feature_map(pictures)
    np.testing.assert_allclose(encoder(pictures), np.mean(feature_map, (1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    "make", [audio.AUDIO_ENCODERS["resnet18"], image.IMAGE_ENCODERS["resnet18"]]
)
def test_another_size_is_a_projection_without_bias(make):
    (layer,) = make(20).projection
    assert layer.kernel.shape == (512, 20) and not layer.use_bias


def test_pixels_are_scaled_as_imagenets():
    seen = []
    encoder = image.IMAGE_ENCODERS["resnet18"](512, image_size=32)
    encoder.resnet = lambda pixels, training: seen.append(pixels) or pixels
    encoder.feature_map(np.full([1, 32, 32, 3], 51, np.uint8))
    # (51 / 255 - mean) / deviation of torchvision's transforms
    expected = (0.2 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(seen[0][0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name, pooled_size", [("resnet34_se_sap", 1280), ("resnet34_se_asp", 2560)]
)
def test_the_speech_resnet_has_the_shape_of_its_original(name, pooled_size):
    encoder = audio.AUDIO_ENCODERS[name](512)
    assert encoder.frontend.preemphasis == pytest.approx(0.97)
    # 200 frames of training, 200 * 160 + 240 samples, are 202 centred frames: ceil(202 / 8) = 26.
    assert encoder.feature_map(silence(32_240)).shape == (1, 26, 5, 256)
    assert encoder.fc.kernel.shape == (pooled_size, 512)
    assert encoder.conv1.bias.shape == (32,) and encoder.conv1.strides == (1, 1)
    layers = (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)
    assert [len(layer) for layer in layers] == [3, 4, 6, 3]
    assert encoder.attention.squeeze.kernel.shape == (1280, 128)
    # Kaiming-normal, fan-out: sqrt(2 / (9 * 256)) = 0.0295
    assert np.std(encoder.layer4[2].conv1.kernel.numpy()) == pytest.approx(0.0295, rel=0.01)
