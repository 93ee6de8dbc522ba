import io
import types

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tests.export import conftest
from tfav.data.input import crops, pipeline
from tfav.encoders import audio
from tfav.export import servable as servable_lib
from tfav.media import audio_files
from tfav.ops import similarity
from tfav.recipes import recipe as base


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


def loud(rows, samples, peak=0.5):
    return np.full([rows, samples], peak, np.float32)


@pytest.mark.parametrize(
    "waveform, num_samples, sentence",
    [
        (loud(2, 0), [1, 1], "waveform has no samples"),
        (loud(2, 1_600), [1_600], "one num_samples for each row"),
        (loud(2, 1_600), [1_600, 0], "at least 1"),
        (loud(2, 1_600), [1_600, 1_601], "more than the waveform holds"),
        (loud(1, 1_600, np.nan), [1_600], "NaN or infinite"),
        (loud(2, 3_200), [1_600, 1_599], "row 1 of waveform lasts 0.0999375 s, send at least 0.1"),
        (loud(2, 1_600, 9e-5), [1_600, 1_600], "row 0 of waveform is silent, its peak is 9e-05"),
        (loud(1, 1_600, -1e18), [1_600], "has samples up to 1e[+]18 which should lie in .-1, 1."),
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


def test_bytes_that_are_no_picture_are_refused(signatures):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="embed_jpeg: a file is neither JPEG nor PNG, send one"
    ):
        signatures["embed_jpeg"](jpeg=tf.constant([b"hello"]))


# Sound files ------------------------------------------------------------------------------------


def wav(samples, rate_hz=16_000, **kind):
    """Returns a sound file of samples [T] or [T, C] in [-1, 1]."""
    file = io.BytesIO()
    kind = {"format": "WAV", "subtype": "PCM_16", **kind}
    soundfile.write(file, samples, rate_hz, **kind)
    return file.getvalue()


def noise(*shape):
    """Returns noise that 16 bits hold exactly."""
    return np.random.default_rng(3).integers(-20_000, 20_000, shape) / np.float32(32_768)


def embed_wav(signatures, *files):
    return signatures["embed_wav"](wav=tf.constant(files))["embedding"].numpy()


def test_sound_files_of_unequal_lengths_are_embedded_as_their_samples_alone(signatures):
    clips = [noise(length) for length in (4_000, 1_600, 9_000)]
    clips[0][-1] = 0  # the file ends with zero bytes
    found = embed_wav(signatures, *map(wav, clips))
    for row, clip in zip(found, clips):
        alone = signatures["embed_audio"](waveform=clip[np.newaxis], num_samples=[len(clip)])
        np.testing.assert_allclose(row, alone["embedding"][0], atol=1e-6)


def test_channels_are_averaged_as_the_reader_averages_them(signatures, tmp_path):
    file = wav(noise(4_000, 3))
    (tmp_path / "three.wav").write_bytes(file)
    clip = audio_files.read_audio(tmp_path / "three.wav", dtype=np.int16) / np.float32(32_768)
    alone = signatures["embed_audio"](waveform=clip[np.newaxis], num_samples=[4_000])
    np.testing.assert_allclose(embed_wav(signatures, file), alone["embedding"], atol=1e-6)


def test_a_sound_file_with_other_chunks_is_read(signatures):
    file = wav(noise(4_000))
    tagged = file[:36] + b"LIST\x04\0\0\0INFO" + file[36:]
    padded = file[:12] + b"JUNK\x04\0\0\0...." + file[12:]
    found = embed_wav(signatures, file, tagged, padded)
    np.testing.assert_allclose(found, found[[0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    "file, sentence",
    [
        (b"", "is not a whole WAV"),
        (b"hello" * 20, "is not a whole WAV, send RIFF .* 16-bit PCM"),
        (wav(noise(800), format="FLAC"), "is not a whole WAV"),
        (wav(noise(800))[:30], "is not a whole WAV"),
        (wav(noise(800))[:800], "cut short, its header tells of 1600 bytes .* there are 756"),
        (wav(noise(800), subtype="PCM_U8"), "has 8 bits per sample"),
        (wav(noise(800), subtype="PCM_24"), "has 24 bits per sample"),
        (wav(noise(800), subtype="FLOAT"), "has 32 bits per sample in the WAV format 3"),
        (wav(noise(800), 8_000), "has 8000 Hz, send 16000 Hz"),
        (wav(noise(0)), "holds no samples"),
    ],
)
def test_a_bad_sound_file_is_refused_with_a_sentence(signatures, file, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"embed_wav: a file .*{sentence}"):
        embed_wav(signatures, wav(noise(800)), file)


# Comparing --------------------------------------------------------------------------------------


def test_score_is_the_cosine_of_each_row(signatures):
    a, b = np.zeros([2, 2, conftest.EMBEDDING_SIZE], np.float32)
    a[0, :2], b[0, :2] = (3, 4), (4, 3)  # (12 + 12) / (5 * 5) = 0.96
    a[1, :2], b[1, :2] = (1, 0), (-2, 0)  # -2 / (1 * 2) = -1
    score = signatures["score"](audio_embedding=a, image_embedding=b)["score"]
    np.testing.assert_allclose(score, [0.96, -1.0], atol=1e-6)


def test_match_compares_each_probe_with_its_own_candidates(signatures):
    probe, candidates = np.zeros([2, 16], np.float32), np.zeros([2, 3, 16], np.float32)
    probe[0, :2], probe[1, :2] = (3, 4), (-1, 0)
    candidates[0, :, :2] = (2, 0), (8, 6), (0, 5)
    # (3 * 2) / (5 * 2) = 0.6, (24 + 24) / (5 * 10) = 0.96, (4 * 5) / (5 * 5) = 0.8
    candidates[1, :, :2] = (8, 6), (7, 0), (-3, 4)  # -8 / 10, -7 / 7, 3 / 5
    found = signatures["match"](probe=probe, candidates=candidates)
    np.testing.assert_allclose(found["scores"], [[0.6, 0.96, 0.8], [-0.8, -1, 0.6]], atol=1e-6)
    assert found["best"].dtype == tf.int32
    assert found["best"].numpy().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["score", "match"])
def test_embeddings_that_are_not_finite_are_refused_with_a_sentence(servable, signatures, name):
    for broken in servable.examples()[name]:
        inputs = servable.examples()[name]
        inputs[broken][1, 0] = np.nan
        sentence = f"{name}: {broken} holds NaN or infinite values"
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            signatures[name](**{n: tf.constant(x) for n, x in inputs.items()})


@pytest.mark.parametrize(
    "name, short", [("score", "image_embedding"), ("match", "probe"), ("match", "candidates")]
)
def test_unequal_numbers_of_rows_are_refused_with_a_sentence(servable, signatures, name, short):
    inputs = {n: tf.constant(x) for n, x in servable.examples()[name].items()}
    inputs[short] = inputs[short][:1]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name}: .* different numbers of"):
        signatures[name](**inputs)


def test_every_input_without_rows_is_refused_with_a_sentence(servable, signatures):
    for name, examples in servable.examples().items():
        for empty in examples:
            inputs = {n: tf.constant(x) for n, x in examples.items()}
            inputs[empty] = inputs[empty][:0]
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"{empty} has no rows, send"):
                signatures[name](**inputs)


def test_a_recipe_of_one_modality_offers_no_score():
    only_audio = base.Recipe({"audio": audio.Tiny(4)}, heads={})
    servable = servable_lib.Servable(only_audio)
    names = {"embed_audio", "embed_wav", "serving_default"}
    assert set(servable.signatures()) == set(servable.examples()) == names
    assert servable.num_frames == {}


def test_sound_under_another_name_has_signatures_of_that_name():
    servable = servable_lib.Servable(base.Recipe({"speech": audio.Tiny(4)}, heads={}))
    assert set(servable.signatures()) == {"embed_speech", "serving_default"}
    inputs = servable.examples()["embed_speech"]
    assert set(inputs) == {"waveform", "num_samples"}
    assert servable.signatures()["embed_speech"](**inputs)["embedding"].shape == (2, 4)


def test_two_modalities_of_sound_have_no_names_for_their_inputs():
    recipe = base.Recipe({"audio": audio.Tiny(4), "speech": audio.Tiny(4)}, heads={})
    with pytest.raises(ValueError, match="two modalities have inputs of one name"):
        servable_lib.Servable(recipe)


def test_an_encoder_in_bfloat16_is_refused():
    encoder = types.SimpleNamespace(compute_dtype="bfloat16")
    with pytest.raises(ValueError, match="computes in bfloat16: rebuild the recipe in float32"):
        servable_lib.Servable(types.SimpleNamespace(encoders={"audio": encoder}))
