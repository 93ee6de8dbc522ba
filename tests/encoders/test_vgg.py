"""What is special to the VGG trunks of Deep Multimodal Clustering."""

import h5py
import keras
import numpy as np
import pytest

from tfav import compat, registry
from tfav.encoders import audio, image, vgg
from tfav.layers import frontend_table


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_vggish_has_the_shape_of_the_paper():
    encoder = vgg.VGGish()
    # 496 frames of 64 bands, halved thrice; 5 s of 80/50 ms are 99 frames: 50, 25, 13.
    assert encoder.feature_map(np.zeros([1, 79_600], np.float32)).shape == (1, 62, 8, 512)
    slow = vgg.VGGish(frontend=frontend_table.PRESETS["dmc_80_50"])
    assert slow.feature_map(np.zeros([1, 80_000], np.float32)).shape == (1, 13, 8, 512)
    channels = [tuple(conv.kernel.shape[2:]) for conv in encoder.trunk.convs]
    sizes = [(1, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    assert channels == sizes and encoder.trunk.pool_before == [1, 2, 4]


def test_vgg16_has_the_shape_of_the_paper():
    encoder = vgg.VGG16()
    assert encoder.feature_map(pixels(1, 256, 256, 3)).shape == (1, 16, 16, 512)
    assert sum(int(np.prod(w.shape)) for w in encoder.trainable_weights) == 14_714_688  # Keras's


@pytest.mark.parametrize("global_pool, pool", [("max", np.max), ("mean", np.mean)])
def test_an_embedding_of_512_is_the_pooled_map_itself(global_pool, pool):
    eye = vgg.VGG16(image_size=32, global_pool=global_pool)
    pictures = pixels(2, 32, 32, 3)
    np.testing.assert_allclose(eye(pictures), pool(eye.feature_map(pictures), (1, 2)), rtol=1e-5)
    ear = vgg.VGGish(global_pool=global_pool)
    clips = noise(1, 9_000)
    np.testing.assert_allclose(ear(clips), pool(ear.feature_map(clips), (1, 2)), rtol=1e-5)


def test_the_mean_counts_sound_alone():
    encoder = vgg.VGGish(global_pool="mean")
    clip = noise(1, 4_000)
    longer = np.concatenate([clip, noise(1, 3_000)], axis=1)
    np.testing.assert_allclose(encoder(longer, np.array([4_000])), encoder(clip), rtol=1e-4)


def test_mistakes_end_in_a_sentence():
    with pytest.raises(registry.UserError, match="global pool 'sum': choose one of max, mean"):
        vgg.VGGish(global_pool="sum")
    with pytest.raises(registry.UserError, match="images of 15 pixels: give them at least 16"):
        image.IMAGE_ENCODERS["vgg16"](image_size=15)
    with pytest.raises(registry.UserError, match="pixels 'unit': choose one of scaled, caffe"):
        vgg.VGG16(pixels="unit")
    assert audio.AUDIO_ENCODERS["vggish"] is vgg.VGGish


@pytest.fixture(scope="module")
def original():
    """VGG16 of keras.applications with random weights; even its biases are not 0."""
    keras.utils.set_random_seed(3)
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(40, 40, 3))
    random = np.random.default_rng(0)
    model.set_weights([w + random.normal(0, 0.02, w.shape) for w in model.get_weights()])
    return model


def legacy(model, path):
    """As keras.applications' own files are: a group for each layer, names in the attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w}:0".encode() for w in ("kernel", "bias")]
            values = [w.numpy() for w in layer.weights]
            group.attrs["weight_names"] = names[: len(values)]
            for name, value in zip(names, values):
                group[name.decode()] = value


WRITERS = {
    "vgg16.h5": legacy,
    "whole.h5": lambda model, path: model.save(path),
    "vgg16.weights.h5": lambda model, path: model.save_weights(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_weights_of_keras_applications_give_their_features(original, name, tmp_path):
    path = str(tmp_path / name)
    WRITERS[name](original, path)
    features = keras.Model(original.input, original.get_layer("block5_conv3").output)
    pictures = pixels(2, 40, 40, 3)  # 40 / 16 is not whole: pools drop the last row
    encoder = vgg.VGG16(image_size=40, pixels="caffe")
    encoder.load_keras_weights(path)
    prepared = keras.applications.vgg16.preprocess_input(pictures.astype(np.float32))
    expected = features.predict(prepared, verbose=0)
    assert expected.shape == (2, 2, 2, 512)
    error = np.abs(encoder.feature_map(pictures) - expected).max()
    assert error < 1e-4 * np.abs(expected).max()
    scaled = vgg.VGG16(image_size=40)
    scaled.load_keras_weights(path)
    expected = features.predict(pictures / 127.5 - 1, verbose=0)
    error = np.abs(scaled.feature_map(pictures) - expected).max()
    assert error < 1e-4 * np.abs(expected).max()


def test_a_file_of_something_else_changes_nothing(original, tmp_path):
    encoder = vgg.VGG16(image_size=16)
    before = compat.raw(encoder.trunk.convs[0].kernel).numpy()
    with pytest.raises(registry.UserError, match="missing.h5 cannot be read"):
        encoder.load_keras_weights(str(tmp_path / "missing.h5"))
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(registry.UserError, match="text.h5 cannot be read"):
        encoder.load_keras_weights(str(tmp_path / "text.h5"))
    other = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(64, 3)])
    legacy(other, tmp_path / "other.h5")
    with pytest.raises(registry.UserError, match="other.h5 holds no VGG16: its first 1 conv"):
        encoder.load_keras_weights(str(tmp_path / "other.h5"))
    np.testing.assert_array_equal(compat.raw(encoder.trunk.convs[0].kernel), before)
