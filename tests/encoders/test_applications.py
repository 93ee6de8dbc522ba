"""The networks of keras.applications with weights that Keras has saved."""

import h5py
import keras
import numpy as np
import pytest

from tests.encoders import test_vgg
from tfav import registry, weights
from tfav.encoders import applications, image
from tfav.interop import initial_weights

SIDE = 64
# What keras.applications does to pixels before its ImageNet weights.
PREPARE = {
    "resnet50": keras.applications.resnet.preprocess_input,
    "efficientnet_b0": lambda pixels: pixels,  # inside the model
    "mobilenet_v2": keras.applications.mobilenet_v2.preprocess_input,
    "mobilenet_v3_large": lambda pixels: pixels,  # inside the model
    "mobilenet_v3_small": lambda pixels: pixels,
}
CREATE = {
    "resnet50": keras.applications.ResNet50,
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
}


def original(network, **arguments):
    """Keras's own model with random weights; the pixels of EfficientNet scaled as ImageNet's."""
    model = CREATE[network](weights=None, input_shape=(SIDE, SIDE, 3), **arguments)
    random = np.random.default_rng(0)
    for part in model.layers:
        values = part.get_weights()
        if isinstance(part, keras.layers.BatchNormalization):
            gains = [random.uniform(0.8, 1.2, v.shape) for v in values]
            offsets = [random.normal(0, 0.1, v.shape) for v in values]
            values = [gains[0], offsets[1], offsets[2], gains[3]]
        elif len(values) == 2 and values[1].ndim == 1:  # biases
            values[1] = random.normal(0, 0.1, values[1].shape)
        part.set_weights(values)
    if network == "efficientnet_b0":
        scale(model, applications.IMAGENET_DEVIATION)
    return model


def scale(model, variance):
    """Gives EfficientNet the mean of ImageNet and a variance."""
    (part,) = [p for p in model.layers if isinstance(p, keras.layers.Normalization)]
    part.set_weights([np.array(applications.IMAGENET_MEAN), np.array(variance), np.array(0)])
    if hasattr(part, "finalize_state"):
        part.finalize_state()


def legacy(model, path):
    """As keras.applications' own files are: a group for each layer, names in the attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [part.name.encode() for part in model.layers]
        for part in model.layers:
            group = file.require_group(part.name)  # Keras 2 names one within another
            names = [f"{part.name}/weight_{n}:0" for n in range(len(part.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, part.get_weights()):
                group[name] = value


def embeddings(network, model, pixels):
    if network == "efficientnet_b0":  # Keras divides by the deviation in two steps
        scale(model, np.square(applications.IMAGENET_DEVIATION))
    return model.predict(PREPARE[network](pixels.astype(np.float32)), verbose=0)


@pytest.mark.parametrize("network", CREATE)
def test_weights_of_keras_applications_give_its_embeddings(network, tmp_path):
    model = original(network, include_top=False, pooling="avg")
    path = str(tmp_path / "notop.h5")
    legacy(model, path)
    size = applications.NETWORKS[network].feature_size
    encoder = applications.Applications(network, size, SIDE)
    initial_weights.load(encoder, path)
    pixels = test_vgg.pixels(2, SIDE, SIDE, 3)
    expected = embeddings(network, model, pixels)
    assert expected.shape == (2, size) and expected.std() > 0.01
    error = np.abs(encoder(pixels) - expected).max()
    assert error < 1e-4 * np.abs(expected).max(), error


WRITERS = {
    "whole.h5": lambda model, path: model.save(path),
    "new.weights.h5": lambda model, path: model.save_weights(path),
    "legacy.h5": legacy,
}


@pytest.fixture(scope="module")
def small_encoder():
    """One whose weights every test sets."""
    return applications.Applications("mobilenet_v3_small", 576, SIDE)


@pytest.fixture(scope="module")
def small_model():
    """Keras's own without its top."""
    return original("mobilenet_v3_small", include_top=False)


@pytest.fixture(scope="module", params=[True, False], ids=["True", "False"])
def written(request):
    """Whether a model has its top, and the model."""
    if request.param:
        return True, keras.applications.MobileNetV3Small(weights=None)
    return False, request.getfixturevalue("small_model")


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_of_file_gives_the_same_weights(name, written, small_encoder, tmp_path):
    include_top, model = written
    path = str(tmp_path / name)
    WRITERS[name](model, path)
    variables = [v for part in small_encoder.body for v in part.weights]
    for variable in variables:
        variable.assign(np.full(variable.shape, np.nan))
    small_encoder.load_keras_weights(path)
    theirs = [v for part in model.layers for v in part.get_weights()]
    for own, value in zip(variables, theirs):
        np.testing.assert_array_equal(own.numpy(), value)
    assert len(variables) == len(theirs) - 4 * include_top  # two dense convolutions on top


def test_what_is_no_such_file_is_a_sentence_and_changes_nothing(tmp_path):
    encoder = applications.Applications("mobilenet_v3_small", 8, 32)
    before = {n: v.numpy() for n, v in weights.named_weights(encoder, "x").items()}
    (tmp_path / "text.h5").write_text("weights")
    legacy(keras.applications.MobileNetV2(weights=None, include_top=False), tmp_path / "v2.h5")
    for name in ("missing.h5", "text.h5", "v2.h5"):
        with pytest.raises(registry.UserError, match="cannot be read as weights of mobilenet_v3"):
            encoder.load_keras_weights(str(tmp_path / name))
    model = original("mobilenet_v3_small", include_top=False)
    last = [part for part in model.layers if part.weights][-1]
    last.set_weights([np.full_like(v, np.nan) for v in last.get_weights()])
    legacy(model, tmp_path / "nan.h5")
    with pytest.raises(registry.UserError, match="nan.h5 holds weights that are not finite"):
        encoder.load_keras_weights(str(tmp_path / "nan.h5"))
    for name, variable in weights.named_weights(encoder, "x").items():
        np.testing.assert_array_equal(variable, before[name])


def test_an_efficientnet_of_other_pixels_is_refused(tmp_path):
    model = original("efficientnet_b0", include_top=False)
    scale(model, np.ones(3))
    legacy(model, tmp_path / "b0.h5")
    with pytest.raises(
        registry.UserError, match=r"variance \[1.0, 1.0, 1.0\], not as the ImageNet"
    ):
        applications.Applications("efficientnet_b0", 8, 32).load_keras_weights(
            str(tmp_path / "b0.h5")
        )


def test_mistakes_end_in_a_sentence():
    with pytest.raises(registry.UserError, match="images of 31 pixels: give them at least 32"):
        image.IMAGE_ENCODERS["mobilenet_v2"](image_size=31)
    with pytest.raises(registry.UserError, match="'resnet51'"):
        applications.Applications("resnet51")
    encoder = image.IMAGE_ENCODERS["tiny"](8)
    with pytest.raises(
        registry.UserError, match="a Tiny does not take: name one of vgg16, resnet50"
    ):
        initial_weights.load(encoder, "a.h5")


def test_the_first_position_looks_at_the_pixel_that_moves_it_most():
    """Five strides of 2, each on the second pixel of two: 1 + 2 + 4 + 8 + 16."""
    assert applications.Applications("mobilenet_v2", 8, 64).map_offset == 31.0
    assert applications.Applications("resnet50", 8, 32).map_offset == 0.0
    # 63 is odd and lies evenly; 32, 16, 8 and 4 do not: 2 + 4 + 8 + 16.
    assert applications.Applications("mobilenet_v2", 8, 63).map_offset == 30.0
