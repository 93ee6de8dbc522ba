"""A Keras model with our layers and losses trains in `fit`, as our own trainer would train it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfav.keras
import tfav.layers
from tfav import compat, recipes, weights
from tfav.encoders import audio, image
from tfav.training import trainer

PEOPLE, BATCH, STEPS = 5, 4, 10


def _data():
    rng = np.random.default_rng(0)
    rows = BATCH * STEPS
    voices = 0.1 * rng.normal(size=(rows, 1600)).astype(np.float32)
    faces = rng.integers(0, 256, (rows, 16, 16, 3)).astype(np.uint8)
    return voices, faces, rng.integers(0, PEOPLE, rows).astype(np.int32)


def _optimizer():
    return keras.optimizers.SGD(0.05, momentum=0.9)


def _encoders():
    return {"audio": audio.Tiny(8, dropout=0.5), "image": image.Tiny(8, 16, dropout=0.5)}


def _by_fit(voices, faces, identity):
    """Two towers, one classifier for both, and the explicit loss between them."""
    encoders = _encoders()
    classifier = tfav.layers.SharedClassifier(PEOPLE, embedding_size=8)
    voice, face = keras.Input((1600,)), keras.Input((16, 16, 3), dtype="uint8")
    voice_tower, face_tower = encoders["audio"](voice), encoders["image"](face)
    pair = keras.layers.Concatenate(name="pair")([voice_tower, face_tower])
    outputs = {"voice": classifier(voice_tower), "face": classifier(face_tower), "pair": pair}
    model = keras.Model([voice, face], outputs)
    losses = {
        "voice": tfav.keras.CrossEntropy(),
        "face": tfav.keras.CrossEntropy(),
        "pair": tfav.keras.ExplicitAlignment(),
    }
    model.compile(_optimizer(), losses)
    labels = dict.fromkeys(outputs, identity)
    model.fit([voices, faces], labels, batch_size=BATCH, shuffle=False, verbose=0)
    return model, {**encoders, "classifier": classifier}


def _by_trainer(voices, faces, identity):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        recipe = recipes.RECIPES["voice_face"](_encoders(), PEOPLE)
        optimizer = _optimizer()
        compat.build_optimizer(optimizer, recipe.trainable_weights)
    data = {"audio": voices, "image": faces, "label": identity}
    batches = tf.data.Dataset.from_tensor_slices(data).batch(BATCH)
    loop = trainer.Trainer(recipe, optimizer, strategy, batch_size=BATCH)
    loop.run(iter(strategy.experimental_distribute_dataset(batches)), STEPS)
    return recipe


def test_ten_steps_of_fit_end_where_ten_of_our_trainer_do(float64):
    data = _data()
    _, layers = _by_fit(*data)
    recipe = _by_trainer(*data)
    fresh = {name: v.numpy() for name, v in _names(_encoders()).items()}
    ours, theirs = recipe.named_weights(), _names(layers)
    assert set(ours) == set(theirs)
    for name, variable in ours.items():
        value = variable.numpy()
        np.testing.assert_allclose(theirs[name].numpy(), value, atol=1e-9, err_msg=name)
        if name in fresh and name.endswith(("kernel", "gamma", "variance")):
            assert np.abs(value - fresh[name]).max() > 1e-6, name


def _names(layers):
    found = {}
    for name, layer in layers.items():
        found.update(weights.named_weights(layer, name))
    return found


def test_fit_of_two_replicas_trains_as_one_where_rows_are_summed(mirrored, float64):
    x, identity = np.random.default_rng(0).normal(size=(8, 6)), np.arange(8) % 3
    kernels = []
    for strategy in (tf.distribute.OneDeviceStrategy("CPU:0"), mirrored):
        with strategy.scope():
            pair = keras.Input((6,))
            model = keras.Model(pair, keras.layers.Dense(6, kernel_initializer="identity")(pair))
            options = {"jit_compile": False} if compat.KERAS_3 else {}  # XLA knows no collectives
            loss = tfav.keras.ExplicitAlignment(reduction="sum")
            model.compile(keras.optimizers.SGD(0.1), loss, **options)
        model.fit(x, identity, batch_size=8, verbose=0)
        kernels.append(model.get_weights()[0])
    np.testing.assert_allclose(kernels[1], kernels[0], atol=1e-12)
    assert np.abs(kernels[0] - np.eye(6)).max() > 0.1


def test_a_compiled_model_is_loaded_with_its_losses_and_trains_on(tmp_path):
    data = _data()
    model, _ = _by_fit(*data)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    voices, faces, identity = (x[:BATCH] for x in data)
    labels = dict.fromkeys(("voice", "face", "pair"), identity)
    values = [
        m.evaluate([voices, faces], labels, batch_size=BATCH, verbose=0, return_dict=True)
        for m in (model, loaded)
    ]
    assert values[0]["loss"] > 0
    assert values[1] == pytest.approx(values[0], rel=1e-6)
    before = loaded.get_weights()
    loaded.fit([voices, faces], labels, batch_size=BATCH, verbose=0)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(before, loaded.get_weights()))
