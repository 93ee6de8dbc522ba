import types

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav.data import crops, pipeline
from tfav.encoders import audio
from tfav.export import servable as servable_lib
from tfav.ops import similarity
from tfav.recipes import base


@pytest.fixture(scope="module")
def servable(recipe):
    return servable_lib.Servable(recipe)


@pytest.fixture(scope="module")
def signatures(servable):
    return servable.signatures()


def test_every_variable_of_the_encoders_is_tracked_once(servable, recipe):
    assert len(servable.tracked) == len(recipe.encoder_weights())
    assert len({id(v) for v in servable.tracked}) == len(servable.tracked)
    assert len(servable.variables) == len(servable.tracked)


def test_embeddings_are_float32_of_unit_norm(servable, signatures):
    for name in ("embed_audio", "embed_image", "embed_jpeg"):
        embedding = signatures[name](**servable.examples()[name])["embedding"]
        assert embedding.dtype == tf.float32
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1.0, atol=1e-6)


def test_what_pads_a_clip_never_changes_its_embedding(signatures):
    random = np.random.default_rng(0)
    clip = random.uniform(-0.5, 0.5, [1, 5_000]).astype(np.float32)
    noise = random.uniform(-0.5, 0.5, [1, 3_000]).astype(np.float32)
    embed = signatures["embed_audio"]
    length = np.array([5_000], np.int32)
    alone = embed(waveform=clip, num_samples=length)["embedding"]
    padded = embed(waveform=np.concatenate([clip, noise], 1), num_samples=length)["embedding"]
    np.testing.assert_allclose(padded, alone, atol=1e-6)


def test_a_clip_of_one_sample_has_a_finite_embedding(signatures):
    inputs = {"waveform": np.array([[0.5]], np.float32), "num_samples": np.array([1], np.int32)}
    assert np.isfinite(signatures["embed_audio"](**inputs)["embedding"]).all()


@pytest.mark.parametrize(
    "waveform, num_samples, sentence",
    [
        (np.zeros([2, 0]), [1, 1], "waveform has no samples"),
        (np.zeros([2, 400]), [400], "one num_samples for each row"),
        (np.zeros([2, 400]), [400, 0], "at least 1"),
        (np.zeros([2, 400]), [400, 401], "more than the waveform holds"),
        (np.full([1, 400], np.nan), [400], "NaN or infinite"),
    ],
)
def test_a_bad_clip_is_refused_with_a_sentence(signatures, waveform, num_samples, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"embed_audio: .*{sentence}"):
        signatures["embed_audio"](
            waveform=tf.constant(waveform, tf.float32), num_samples=tf.constant(num_samples)
        )


def test_an_image_without_pixels_is_refused_with_a_sentence(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="embed_image: image has no pixels"):
        signatures["embed_image"](image=np.zeros([1, 0, 5, 3], np.uint8))


def test_an_image_of_another_size_is_fitted_as_the_reader_fits_it(signatures, recipe):
    image = np.random.default_rng(0).integers(0, 256, [2, 20, 45, 3], np.uint8)
    fitted = np.stack([crops.fit(one, conftest.SIZE) for one in image])
    expected = similarity.normalize(recipe.embed("image", {"image": fitted}))
    np.testing.assert_allclose(
        signatures["embed_image"](image=image)["embedding"], expected, atol=1e-6
    )


def test_jpeg_bytes_are_decoded_as_the_reader_decodes_them(signatures, recipe):
    random = np.random.default_rng(0)
    jpeg = [
        tf.io.encode_jpeg(random.integers(0, 256, [h, w, 3], np.uint8)).numpy()
        for h, w in ((conftest.SIZE, conftest.SIZE), (40, 25))
    ]
    decoded = np.stack([pipeline.decode_image(one, conftest.SIZE) for one in jpeg])
    expected = similarity.normalize(recipe.embed("image", {"image": decoded}))
    found = signatures["embed_jpeg"](jpeg=tf.constant(jpeg))["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_score_is_the_cosine_of_each_row(signatures):
    a, b = np.zeros([2, 2, conftest.EMBEDDING_SIZE], np.float32)
    a[0, :2], b[0, :2] = (3, 4), (4, 3)  # (12 + 12) / (5 * 5) = 0.96
    a[1, :2], b[1, :2] = (1, 0), (-2, 0)  # -2 / (1 * 2) = -1
    score = signatures["score"](audio_embedding=a, image_embedding=b)["score"]
    np.testing.assert_allclose(score, [0.96, -1.0], atol=1e-6)


def test_a_recipe_of_one_modality_offers_no_score():
    only_audio = base.Recipe({"audio": audio.Tiny(4)}, heads={})
    servable = servable_lib.Servable(only_audio)
    names = {"embed_audio", "serving_default"}
    assert set(servable.signatures()) == set(servable.examples()) == names
    assert servable.image_size == {}


def test_sound_under_another_name_has_no_signature():
    recipe = base.Recipe({"speech": audio.Tiny(4)}, heads={})
    with pytest.raises(ValueError, match="'speech' encodes audio: no signature"):
        servable_lib.Servable(recipe)


def test_an_encoder_in_bfloat16_is_refused():
    encoder = types.SimpleNamespace(compute_dtype="bfloat16")
    with pytest.raises(ValueError, match="computes in bfloat16: rebuild the recipe in float32"):
        servable_lib.Servable(types.SimpleNamespace(encoders={"audio": encoder}))
