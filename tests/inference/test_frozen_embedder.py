"""A SavedModel or `.tflite` that somebody else has made embeds files, and a run trains on it."""

import json
import os

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tfav import registry
from tfav.commands import embed
from tfav.data.prepare import manifest, sources
from tfav.inference import embedders, file_embedding

SIDE = 16
KERNEL = np.random.default_rng(0).normal(size=(SIDE * SIDE * 3, 5)).astype(np.float32)


class Stranger(tf.Module):
    """Pixels in [-1, 1] to five numbers, which are not normalised; and their sum."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(KERNEL)

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "pixels")])
    def features(self, pixels):
        found = tf.reshape(pixels, [1, -1]) @ self.kernel
        return {"features": found, "total": tf.reduce_sum(found)}


class Listener(tf.Module):
    """Mean and root mean square of any waveform."""

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.float32, "wave")])
    def __call__(self, wave):
        return tf.stack([tf.reduce_mean(wave), tf.sqrt(tf.reduce_mean(wave**2))])[tf.newaxis]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two forms of the stranger, five images of two people, and a listener with two clips."""
    folder = tmp_path_factory.mktemp("stranger")
    module = Stranger()
    concrete = module.features.get_concrete_function()
    tf.saved_model.save(module, str(folder / "saved"), signatures={"features": concrete})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "model.tflite").write_bytes(converter.convert())
    listener = Listener()
    tf.saved_model.save(
        listener, str(folder / "ear"), signatures=listener.__call__.get_concrete_function()
    )
    random = np.random.default_rng(1)
    for person in ("ada", "bo"):
        (folder / "images" / person).mkdir(parents=True)
        for n in range(2):
            # Of one colour: what embeds files brings them to JPEG, as prepare does.
            pixels = np.tile(random.integers(0, 256, 3, np.uint8), (SIDE, SIDE, 1))
            Image.fromarray(pixels).save(folder / "images" / person / f"{n}.png")
    (folder / "sounds").mkdir()
    for n in (1, 2):
        time = np.arange(n * 4000) / 16_000
        soundfile.write(folder / f"sounds/{n}.wav", 0.1 * n + 0.2 * np.sin(900 * time), 16_000)
    return folder


def describe(folder, name, **more):
    path = folder / name
    path.write_text(json.dumps({"modality": "image", "size": SIDE, "range": [-1, 1], **more}))
    return str(path)


def expected(folder, names):
    found = []
    for name in names:
        pixels = np.asarray(Image.open(folder / "images" / name), np.float32) / 127.5 - 1
        found.append(pixels.reshape(-1) @ KERNEL)
    return np.stack([x / np.linalg.norm(x) for x in found])


@pytest.mark.parametrize("model", ["saved", "model.tflite"])
def test_what_a_stranger_embeds_becomes_a_table_that_a_run_is_prepared_from(model, folder):
    path = describe(folder, f"{model}.json", frozen=model, output="features")
    output = str(folder / f"{model}.npz")
    embed.embed(path, [str(folder / "images")], output, 0.0, False, False)
    with np.load(output) as found:
        ids = found["image_id"].tolist()
        np.testing.assert_allclose(found["image"], expected(folder, ids), atol=0.03)
    assert sorted(ids) == ["ada/0.png", "ada/1.png", "bo/0.png", "bo/1.png"]
    rows = sources.SOURCES["vectors"].rows(
        manifest.Options(own={"image": output}, test_fraction=0.5)
    )
    assert {(row.id, row.label) for row in rows} == {(i, i.split("/")[0]) for i in ids}
    assert {row.split for row in rows} == {"train", "test"}


def test_a_tflite_without_signatures_is_run_by_its_tensors(folder):
    concrete = tf.function(
        lambda x: tf.reshape(x, [1, -1]) @ KERNEL,
        input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32)],
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    content = converter.convert()
    (folder / "bare.tflite").write_bytes(content)
    embedder = embedders.load(describe(folder, "bare.json", frozen="bare.tflite"))
    pixels = np.asarray(Image.open(folder / "images/ada/0.png"))
    found = embedder.embed("image", {"image": pixels[np.newaxis]})
    np.testing.assert_allclose(found, expected(folder, ["ada/0.png"]), atol=1e-5)


def test_a_space_is_the_models_and_the_descriptions(folder):
    one = embedders.load(describe(folder, "a.json", frozen="saved", output="features"))
    again = embedders.load(describe(folder, "b.json", frozen="saved", output="features"))
    other = embedders.load(
        describe(folder, "c.json", frozen="saved", output="features", range=[0, 1])
    )
    assert one.embedding_space == again.embedding_space != other.embedding_space
    assert not one.shares_space and one.modalities == ("image",)
    for ability in (one.classify, one.localize, one.score_pairs):
        with pytest.raises(registry.UserError, match="a.json .*strangers embeds alone"):
            ability({})


def test_sound_of_any_length_or_of_one(folder):
    path = describe(folder, "ear.json", frozen="ear", modality="audio")
    clips = [folder / "sounds/1.wav", folder / "sounds/2.wav"]
    waves = [soundfile.read(c, dtype="float32")[0] for c in clips]

    def answers(path, waves):
        found = np.stack([[w.mean(), np.sqrt((w**2).mean())] for w in waves])
        arrays = file_embedding.embed(
            embedders.load(path),
            {"audio": [(c.name, str(c)) for c in clips]},
            batch_size=2,
            max_bad_fraction=0.0,
        ).arrays
        return arrays["audio"], found / np.linalg.norm(found, axis=1, keepdims=True)

    np.testing.assert_allclose(*answers(path, waves), atol=1e-4)
    path = describe(folder, "cut.json", frozen="ear", modality="audio", samples=6000)
    # 4000 samples repeat themselves, and 8000 are cut.
    waves = [np.concatenate([waves[0], waves[0][:2000]]), waves[1][:6000]]
    np.testing.assert_allclose(*answers(path, waves), atol=1e-4)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"frozen": "none.tflite"}, "none.tflite does not exist: write it as"),
        (
            {"frozen": "saved", "modality": "text"},
            "'text', and it is one of image, audio",
        ),
        ({"frozen": "saved", "range": [1]}, "of images it needs size, 1 to 4096, and range"),
        ({"frozen": "saved", "size": 0}, "of images it needs size, 1 to 4096, and range"),
        ({"frozen": "saved"}, "saved has the outputs features, total: name one .*'output'"),
        ({"frozen": "saved", "output": "x"}, "outputs features, total and not x: name one"),
        ({"frozen": "saved", "signature": "x"}, "signatures features and not x"),
        ({"frozen": "images"}, "images cannot be opened"),
        ({"frozen": "images/ada/0.png"}, "0.png cannot be opened"),
        ({"frozen": "ear", "modality": "audio", "samples": 0}, "samples is 0"),
        ({"frozen": 5}, "frozen"),
        ({"frozen": "saved", "scale": 3}, "scale"),
    ],
)
def test_a_description_that_does_not_fit_is_a_sentence(more, message, folder):
    with pytest.raises(registry.UserError, match=message):
        embedders.load(describe(folder, "bad.json", **more))


def test_a_model_of_another_input_is_a_sentence(folder):
    embedder = embedders.load(
        describe(folder, "w.json", frozen="saved", output="features", size=17)
    )
    with pytest.raises(
        registry.UserError, match=r"w.json: the model does not take \[1, 17, 17, 3\]"
    ):
        embedder.embed("image", {"image": np.zeros([1, 17, 17, 3], np.uint8)})
    assert os.path.exists(folder / "w.json")
