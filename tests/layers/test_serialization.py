"""Every layer is made again by its config, and a Keras model of them survives a file."""

import importlib
import inspect
import itertools
import json
import pkgutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfav.encoders
import tfav.layers
from tests.conformance import walk
from tfav import weights
from tfav.encoders import array, base, encoder, vector_heads
from tfav.layers import classifiers, frontend, layer

BASES = (layer.Layer, frontend.Frontend, classifiers.ModalityClassifier)
BASES += (encoder.Encoder, base.AudioEncoder, base.ImageEncoder, array.ArrayEncoder)
BASES += (vector_heads._Head,)
SIZES = {"image": 3, "audio": 3, "flow": 3}  # not in the order of the alphabet


def _normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


FEATURES = {m: _normal(2, d) for m, d in SIZES.items()}
MAP, FRAMES, VECTORS = _normal(2, 6, 6, 4), _normal(2, 5, 4), _normal(2, 3)
# Layer to its arguments, none of them a default where there is a choice, and an input.
EXAMPLES = {
    "BasicBlock": ({"channels": 4, "filters": 5, "stride": 2, "seeds": range(9)}, MAP),
    "BatchNorm": (
        {
            "epsilon": 0.1,
            "momentum": 0.5,
            "gamma_initializer": keras.initializers.RandomNormal(1.0, 0.1, seed=3),
            "dtype": "float64",
        },
        VECTORS,
    ),
    "PReLU": ({}, MAP),
    "ChannelAttentivePooling": (
        {"size": 4, "hidden_size": 3, "deviation": True, "seeds": range(2)},
        FRAMES,
    ),
    "ContextAttentivePooling": ({"size": 4, "hidden_size": 3, "seeds": range(2)}, FRAMES),
    "ClassSampler": ({"num_classes": 9, "share": 0.3, "seed": 2}, np.array([0, 2])),
    "Concat": ({"sizes": SIZES, "seed": 1}, FEATURES),
    "CommonClassifier": ({"num_classes": 4, "sizes": SIZES, "scale": None, "seed": 1}, FEATURES),
    "ConcatClassifier": ({"num_classes": 4, "sizes": SIZES, "scale": None, "seed": 1}, FEATURES),
    "Conv": (
        {
            "filters": 5,
            "kernel_size": (3, 1),
            "strides": (2, 1),
            "seed": 1,
            "init": "kaiming_normal",
            "use_bias": True,
        },
        MAP,
    ),
    "Convex": ({"sizes": SIZES, "seed": 1}, FEATURES),
    "CosineClassifier": (
        {"num_classes": 4, "sizes": SIZES, "scale": 7.0, "sub_centers": 2, "seed": 1},
        FEATURES,
    ),
    "DepthwiseConv": ({"kernel_size": (3, 1), "stride": 2, "seed": 1, "padded": False}, MAP),
    "FiLM": ({"sizes": SIZES, "seed": 1}, FEATURES),
    "Gated": ({"sizes": SIZES, "seed": 1}, FEATURES),
    "IRBlock": (
        {"channels": 4, "filters": 16, "stride": 2, "se": True, "seeds": range(9)},
        MAP,
    ),
    "LogMel": (
        {
            "num_mels": 8,
            "frame_length_samples": 320,
            "frame_step_samples": 80,
            "fft_length": 400,
            "lower_hz": 20.0,
            "upper_hz": 7000.0,
            "slopes": "mel",
            "window": "hann",
            "power": 1.0,
            "log_offset": 0.1,
            "amplitude": 3.0,
            "preemphasis": 0.5,
            "centered": False,
            "form": "conv",
            "instance_norm": False,
            "silence_db": 20.0,
            "level_norm": True,
            "sample_rate_hz": 15_000,
        },
        _normal(2, 900),
    ),
    "LogSpectrogram": (
        {
            "frame_length_samples": 320,
            "frame_step_samples": 80,
            "window": "hann",
            "log_offset": 0.1,
            "form": "conv",
            "silence_db": 20.0,
            "level_norm": True,
            "sample_rate_hz": 15_000,
        },
        _normal(2, 900),
    ),
    "Margin": (
        {"scale": 7.0, "kind": "additive_angular", "margin": 0.4, "warmup_steps": 3},
        FEATURES,
    ),
    "ResNet": ({"num_blocks": (1, 1, 2, 1), "seeds": range(99)}, MAP),
    "SEBasicBlock": (
        {
            "channels": 4,
            "filters": 8,
            "stride": 2,
            "seeds": range(9),
            "init": "kaiming_normal",
        },
        MAP,
    ),
    "SERes2Block": (
        {"channels": 128, "dilation": 2, "seeds": range(99), "scale": 4},
        _normal(2, 6, 1, 128),
    ),
    "SeededDropout": ({"rate": 0.5, "seed": 3, "dtype": "float32"}, VECTORS),
    "SelfAttentivePooling": ({"size": 4, "seeds": range(2)}, FRAMES),
    "SharedClassifier": (
        {
            "num_classes": 4,
            "embedding_size": 3,
            "normalized": True,
            "scale": 7.0,
            "sub_centers": 2,
            "seed": 1,
        },
        VECTORS,
    ),
    "SoftClustering": (
        {
            "num_clusters": 2,
            "cluster_size": 3,
            "num_iterations": 2,
            "sharpness": 4.0,
            "mode": "spherical",
            "squash": True,
            "seed": 1,
        },
        FRAMES,
    ),
    "SpeechBrainFbank": (
        {
            "num_mels": 8,
            "frame_length_samples": 320,
            "frame_step_samples": 80,
            "lower_hz": 20.0,
            "upper_hz": 7000.0,
            "range_db": 20.0,
            "form": "conv",
            "silence_db": 20.0,
            "level_norm": True,
            "sample_rate_hz": 15_000,
        },
        _normal(2, 900),
    ),
    "SqueezeExcite": ({"channels": 4, "reduction": 2, "use_bias": True, "seeds": range(2)}, MAP),
    "TDNN": ({"filters": 5, "kernel_size": 3, "dilation": 2, "seed": 1}, MAP[:, :, :1]),
    "Temperature": ({"temperature": 0.5, "max_scale": 3.0}, VECTORS),
    "Tail": ({"embedding_size": 2, "dropout": 0.5, "seeds": range(2)}, VECTORS),
    # Of the encoders' packages; the encoders themselves: conformance/test_encoders.py.
    "ApplicationsNorm": (
        {
            "epsilon": 0.1,
            "momentum": 0.5,
            "gamma_initializer": keras.initializers.RandomNormal(1.0, 0.1, seed=3),
            "dtype": "float64",
        },
        VECTORS,
    ),
    "Bottleneck": (
        {"channels": 4, "filters": 5, "expansion": 2, "stride": 2, "seeds": range(9)},
        MAP,
    ),
    "SeparableBlock": ({"filters": 5, "kernel": 3, "repeats": 2, "seeds": range(9)}, MAP[:, :, :1]),
    "Trunk": ({"stages": ((3,), (4, 5)), "partial": False, "seeds": range(9)}, MAP),
}


def _classes(package):
    """Every class of Keras layers that is written in a package, by its registered name."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            is_layer = issubclass(cls, keras.layers.Layer) and cls not in BASES
            if is_layer and cls.__module__ == module.name:
                found[keras.saving.get_registered_name(cls)] = cls
    return found


CLASSES = {**_classes(tfav.layers), **_classes(tfav.encoders)}
BLOCKS = {
    name.split(">")[-1]: cls
    for name, cls in CLASSES.items()
    if not issubclass(cls, encoder.Encoder)
}


def _make(name):
    arguments = {k: iter(v) if isinstance(v, range) else v for k, v in EXAMPLES[name][0].items()}
    return BLOCKS[name](name=f"its_{name.lower()}", **arguments)


def _outputs(made, x, training=False):
    taken = inspect.signature(made.call).parameters
    given = {"training": training, "label": np.array([0, 2])}
    return tf.nest.flatten(made(x, **{k: v for k, v in given.items() if k in taken}))


def test_every_layer_is_registered_and_has_an_example():
    add = "register it by @keras.saving.register_keras_serializable('tfav')."
    for name in CLASSES:
        assert name.startswith("tfav>"), f"{name} is not registered: {add}"
    add = "add its arguments and an input to EXAMPLES in tests/layers/test_serialization.py."
    walk.check_complete(BLOCKS, EXAMPLES, "the layers of tfav", add)


def test_the_public_names_are_the_layers():
    written_here = {c.__name__ for c in _classes(tfav.layers).values()}
    assert written_here <= set(tfav.layers.__all__)
    for name in tfav.layers.__all__:
        assert inspect.isclass(getattr(tfav.layers, name))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", walk.rows(EXAMPLES, BLOCKS))
def test_a_layer_is_made_again_by_its_config(name, policy):
    x = EXAMPLES[name][1]
    keras.mixed_precision.set_global_policy(policy)
    try:
        made = _make(name)
        expected = _outputs(made, x)
        config = json.loads(json.dumps(made.get_config()))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    extra = {"name", "trainable", "policy"}
    arguments = set(inspect.signature(BLOCKS[name].__init__).parameters) - {"self", "kwargs"}
    assert set(config) == arguments | extra | set(EXAMPLES[name][0])
    again = BLOCKS[name].from_config(config)
    assert again.name == made.name and json.loads(json.dumps(again.get_config())) == config
    for a, b in zip(_outputs(again, x), expected):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(tf.cast(a, tf.float64), tf.cast(b, tf.float64))
    ours, theirs = (weights.named_weights(x, "x") for x in (made, again))
    assert list(ours) == list(theirs)
    for key, variable in ours.items():
        np.testing.assert_array_equal(theirs[key].numpy(), variable.numpy(), err_msg=key)
    if "training" in inspect.signature(made.call).parameters and policy == "float32":
        for a, b in zip(_outputs(again, x, True), _outputs(made, x, True)):
            np.testing.assert_array_equal(a, b)


def test_a_frozen_layer_comes_back_frozen():
    made = tfav.layers.Conv(2, (1, 1), seed=0)
    made.trainable = False
    assert not tfav.layers.Conv.from_config(made.get_config()).trainable


def test_seeds_remember_what_they_gave_and_a_part_takes_from_the_whole():
    whole = layer.Seeds(itertools.count(5))
    part = layer.Seeds(whole)
    assert [next(whole), next(part), next(part), next(whole)] == [5, 6, 7, 8]
    assert whole.given == [5, 6, 7, 8] and part.given == [6, 7]
    with pytest.raises(StopIteration):
        next(layer.Seeds([]))


def _model():
    """A functional model of every kind: front-ends, convolutions, pooling, fusions, heads."""
    clip = keras.Input((1600,), name="clip")
    num_samples = keras.Input((), dtype="int32", name="num_samples")
    image = keras.Input((8, 8, 3), name="image")
    log_mel, num_frames = tfav.layers.LogMel(num_mels=8)(clip, num_samples)
    spectrum, _ = tfav.layers.LogSpectrogram(frame_length_samples=64, name="spectrum")(clip)
    pooled = tfav.layers.SelfAttentivePooling(8, itertools.count(1))(log_mel)
    statistics = tfav.layers.ChannelAttentivePooling(33, 4, True, itertools.count(2))(spectrum)
    x = tfav.layers.Conv(8, (3, 3), (2, 2), seed=3, init="kaiming_normal")(image)
    x = tfav.layers.BatchNorm()(x)
    x = tfav.layers.SEBasicBlock(8, 8, 1, itertools.count(4))(x)
    x = tfav.layers.SeededDropout(0.5, seed=5)(x)
    positions = keras.layers.Reshape((16, 8))(x)
    centers, assignments = tfav.layers.SoftClustering(3, 4)(positions)
    face = tfav.layers.Tail(8, 0.5, itertools.count(6))(keras.layers.Flatten()(positions))
    voice = tfav.layers.Tail(8, 0.5, itertools.count(7))(statistics)
    sizes = {"image": 8, "audio": 8, "more": 8}
    fused = {"image": face, "audio": voice, "more": pooled}
    for number, fusion in enumerate((tfav.layers.Gated, tfav.layers.FiLM, tfav.layers.Concat)):
        fused = fusion(sizes, name=f"fusion{number}")(fused)
    cosine = tfav.layers.CosineClassifier(5, sizes, scale=3.0, name="cosine")(fused)
    vanilla = tfav.layers.ConcatClassifier(5, sizes, name="vanilla")(fused)
    shared = tfav.layers.SharedClassifier(5, embedding_size=8, normalized=False, name="shared")
    outputs = [centers, assignments, num_frames, shared(face), shared(voice)]
    outputs += [logits[m] for logits in (cosine, vanilla) for m in sizes]
    return keras.Model([clip, num_samples, image], outputs)


READ = """
import sys
import keras, numpy as np
import tfav.layers
data = np.load(sys.argv[2])
model = keras.models.load_model(sys.argv[1])
outputs = model.predict([data["clip"], data["num_samples"], data["image"]], verbose=0)
np.savez(sys.argv[3], *outputs)
"""


def test_a_functional_model_survives_its_file_in_another_process(tmp_path):
    model = _model()
    clip, image = 0.1 * _normal(4, 1600), _normal(4, 8, 8, 3)
    num_samples = np.array([1600, 900, 200, 50], np.int32)
    for _ in range(2):  # moves the statistics of the norms and the counters of the masks
        model([clip, num_samples, image], training=True)
    expected = model.predict([clip, num_samples, image], verbose=0)
    path, given, found = (str(tmp_path / n) for n in ("m.keras", "given.npz", "found.npz"))
    model.save(path)
    np.savez(given, clip=clip, num_samples=num_samples, image=image)
    subprocess.run([sys.executable, "-c", READ, path, given, found], check=True)
    with np.load(found) as outputs:
        assert len(outputs.files) == len(expected) == 11
        for name, value in zip(outputs.files, expected):
            np.testing.assert_array_equal(outputs[name], value, err_msg=name)


def test_a_loaded_model_trains_on_as_the_saved_one_would(tmp_path):
    """Masks go on where they were, and a policy of the loader's does not reach the model."""
    x = keras.Input((3,))
    model = keras.Model(x, tfav.layers.Tail(4, 0.5, itertools.count(1))(x))
    model(VECTORS, training=True)
    model.save(tmp_path / "m.keras")
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        loaded = keras.models.load_model(tmp_path / "m.keras")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for _ in range(2):
        np.testing.assert_array_equal(loaded(VECTORS, training=True), model(VECTORS, training=True))


def test_encoders_are_towers_of_a_functional_model(tmp_path):
    from tfav.encoders import audio, image

    clip, picture = keras.Input((1600,)), keras.Input((16, 16, 3), dtype="uint8")
    towers = [audio.Tiny(4, {"num_mels": 8}, seed=3)(clip), image.Tiny(4, 16, seed=3)(picture)]
    model = keras.Model([clip, picture], towers)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    batch = [_normal(2, 1600), np.arange(2 * 16 * 16 * 3).reshape(2, 16, 16, 3).astype(np.uint8)]
    for a, b in zip(loaded(batch), model(batch)):
        np.testing.assert_array_equal(a, b)
