"""Files in, one unit vector each out; what cannot be read is named and never a row."""

import logging
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tests import small
from tests.export import conftest
from tfav import compat, hearing, items, registry
from tfav.data.input import pipeline
from tfav.data.prepare import dataset, manifest
from tfav.inference import file_embedding, input_files, recipe_embedder

RATE = 16_000
ABOUT = ("embedding_space", "shares_space")


@pytest.fixture
def media(tmp_path):
    """Three sounds of different lengths and two photographs of different sizes."""
    folder = tmp_path / "media"
    random = np.random.default_rng(0)
    for name, samples in {"b/two.wav": 20_000, "a.wav": 9_000, "b/one.FLAC": 16_000}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = random.uniform(-0.4, 0.4, samples)
        soundfile.write(path, wave, RATE, subtype="PCM_16", format=path.suffix[1:].upper())
    for name, size in {"face.jpg": (32, 32), "b/wide.PNG": (70, 50)}.items():
        pixels = random.integers(0, 256, [*size[::-1], 3], np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no sound")
    return folder


@pytest.fixture(scope="session")
def embedder(recipe):
    return recipe_embedder.RecipeEmbedder(recipe)


def _embed(embedder, folder, **options):
    settings = {"batch_size": 2, "max_bad_fraction": 0.0} | options
    done = file_embedding.embed(embedder, input_files.find([str(folder)]), **settings)
    return done.arrays, done.bad


# What is found ----------------------------------------------------------------------------------


def test_files_of_a_folder_are_sorted_and_called_by_their_path_in_it(media):
    found = input_files.find([str(media)])
    assert [name for name, _ in found["audio"]] == ["a.wav", "b/one.FLAC", "b/two.wav"]
    assert [name for name, _ in found["image"]] == ["face.jpg", "b/wide.PNG"]
    assert found["audio"][1][1] == str(media / "b/one.FLAC")


def test_a_file_named_outright_is_called_as_it_was_given(media):
    path = str(media / "a.wav")
    assert input_files.find([path, str(media / "face.jpg")]) == {
        "audio": [(path, path)],
        "image": [(str(media / "face.jpg"),) * 2],
    }


def test_inputs_that_hold_nothing_are_named(media, tmp_path):
    (tmp_path / "empty").mkdir()
    for name, sentence in {
        "gone": "gone does not exist: correct the path",
        "empty": "no audio or image in .*empty: the inputs may be .wav, .wave, .flac",
        "media/notes.txt": "notes.txt is neither audio nor image: the inputs may be .wav",
    }.items():
        with pytest.raises(registry.UserError, match=sentence):
            input_files.find([str(tmp_path / name)])


def test_two_files_of_one_name_are_refused(media):
    other = media.parent / "other"
    other.mkdir()
    shutil.copy(media / "a.wav", other)
    with pytest.raises(
        registry.UserError, match="two inputs are called a.wav, .*media.* and .*other/a.wav: embed"
    ):
        input_files.find([str(media), str(other)])


def test_a_file_that_is_named_twice_is_told_so(media):
    path = str(media / "a.wav")
    for inputs in ([path, path], [str(media), str(media)]):
        with pytest.raises(
            registry.UserError, match=r"the inputs name .*a\.wav twice: name it once"
        ):
            input_files.find(inputs)


# What is embedded -------------------------------------------------------------------------------


def test_every_file_gets_one_unit_vector_whatever_the_batch(media, embedder):
    arrays, bad = _embed(embedder, media)
    assert bad == [] and sorted(arrays) == [
        "audio",
        "audio_id",
        ABOUT[0],
        "image",
        "image_id",
        ABOUT[1],
    ]
    assert arrays["embedding_space"] == embedder.embedding_space
    assert arrays["shares_space"] == np.array(True)
    assert arrays["audio_id"].tolist() == ["a.wav", "b/one.FLAC", "b/two.wav"]
    assert arrays["image_id"].tolist() == ["face.jpg", "b/wide.PNG"]
    for modality, count in (("audio", 3), ("image", 2)):
        assert arrays[modality].shape == (count, conftest.EMBEDDING_SIZE)
        assert arrays[modality].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(arrays[modality], axis=1), 1.0, atol=1e-6)
    # Alone, no clip is padded: padding moves nothing.
    alone, _ = _embed(embedder, media, batch_size=1)
    np.testing.assert_allclose(alone["audio"], arrays["audio"], atol=1e-5)
    assert np.abs(arrays["audio"][0] - arrays["audio"][1]).max() > 1e-3


def test_a_file_has_the_embedding_it_has_as_a_row_of_a_data_set(media, embedder, tmp_path):
    rows = [
        manifest.Row("sound", "test", "x", audio=str(media / "b/two.wav")),
        manifest.Row("photo", "test", "x", image=str(media / "b/wide.PNG")),
    ]
    dataset.prepare(rows, dataset.Settings(output=str(tmp_path / "set")))
    arrays, _ = _embed(embedder, media)
    for modality, place in (("audio", 2), ("image", 1)):
        batches = pipeline.evaluation_batches(
            tmp_path / "set",
            "test",
            modality,
            batch_size=1,
            max_seconds=2.0,
            item=small.item(modality, conftest.SIZE),
        )
        (batch,) = batches
        np.testing.assert_allclose(
            embedder.embed(modality, batch)[0], arrays[modality][place], atol=1e-6
        )


def test_only_the_first_seconds_are_heard_and_the_rest_is_counted(
    media, embedder, recipe, tmp_path, monkeypatch
):
    wave, _ = soundfile.read(media / "b/two.wav", dtype="int16")
    (tmp_path / "cut").mkdir()
    soundfile.write(tmp_path / "cut" / "x.wav", wave[:8_000], RATE, subtype="PCM_16")
    monkeypatch.setattr(recipe, "hearing", hearing.Hearing(max_seconds=0.5))
    short = recipe_embedder.RecipeEmbedder(recipe)
    heard, _ = _embed(short, media)
    cut, _ = _embed(embedder, tmp_path / "cut")
    np.testing.assert_allclose(heard["audio"][2], cut["audio"][0], atol=1e-6)
    found = input_files.find([str(media)])
    done = file_embedding.embed(short, found, batch_size=2, max_bad_fraction=0.0)
    # 9 000, 16 000 and 20 000 samples, of which 8 000 are heard.
    expected = {"a.wav": 0.0625, "b/one.FLAC": 0.5, "b/two.wav": 0.75}
    assert done.unheard == {str(media / name): seconds for name, seconds in expected.items()}


def test_all_clip_lengths_share_one_trace(recipe):
    run = recipe_embedder.RecipeEmbedder(recipe)
    for samples in (4_000, 9_001, 12_345):
        batch = {"audio": np.zeros([1, samples], np.float32), "num_samples": [samples]}
        run.embed("audio", batch)
    recipe_embedder.RecipeEmbedder(recipe).embed("audio", batch)  # and every embedder of a recipe
    of_clips = [
        f for (m, *_, heard), f in recipe.traced.items() if (m, heard) == ("audio", recipe.hearing)
    ]
    assert [f.experimental_get_tracing_count() for f in of_clips] == [1]


class OneSided:
    """Hears only; its vectors are what it is told."""

    modalities = ("audio",)
    items = {"audio": items.clip().of("audio")}
    hearing = hearing.Hearing()
    embedding_space, shares_space = "0123456789abcdef", False

    def __init__(self, value=1.0):
        self._value = value

    def refuses(self, modality, item):
        return ""

    def embed(self, modality, batch):
        assert modality == "audio"
        vectors = np.ones([len(batch["id"]), 2], np.float32)
        vectors[batch["num_samples"] == 16_000] = self._value
        return vectors


def test_what_the_model_has_no_encoder_for_is_left_out_with_a_warning(media, caplog):
    with caplog.at_level(logging.WARNING):
        arrays, bad = _embed(OneSided(), media)
    assert sorted(arrays) == ["audio", "audio_id", *ABOUT] and bad == []
    assert arrays["shares_space"] == np.array(False)
    assert "2 image files left out" in caplog.text
    with pytest.raises(registry.UserError, match="embeds audio and the inputs hold none of it"):
        _embed(OneSided(), media / "face.jpg")


def test_a_model_that_only_classifies_is_refused(media):
    classifier = OneSided()
    classifier.modalities = ()
    with pytest.raises(registry.UserError, match="to rows and embeds nothing: name another"):
        _embed(classifier, media)


def test_an_embedding_that_is_not_finite_is_no_result(media):
    with pytest.raises(registry.UserError, match="embedding of b/one.FLAC is NaN or infinite"):
        _embed(OneSided(np.nan), media)


# What cannot be read ----------------------------------------------------------------------------


def _spoil(media, names):
    for name in names:
        (media / name).write_bytes((media / name).read_bytes()[:30])


def test_an_unreadable_file_ends_the_run_with_its_name_and_reason(media, embedder):
    _spoil(media, ["b/wide.PNG"])
    # A tenth of 5 files is less than one; a fifth is one.
    advice = r"wide.PNG .* \(1 of 5 files so far\): correct or .* --max_bad_fraction=0\.2\.$"
    with pytest.raises(registry.UserError, match=advice):
        _embed(embedder, media)


def test_where_all_files_are_bad_no_fraction_is_advised(media, embedder):
    _spoil(media, ["face.jpg"])
    with pytest.raises(registry.UserError, match="1 of 1 files so far.*at least one that can be u"):
        _embed(embedder, media / "face.jpg")


def test_allowed_unreadable_files_are_left_out_and_told(media, embedder):
    whole, _ = _embed(embedder, media)
    _spoil(media, ["a.wav"])
    arrays, bad = _embed(embedder, media, max_bad_fraction=0.2)  # 1 of 5
    assert [path for path, _ in bad] == [str(media / "a.wav")]
    assert "not readable as audio" in bad[0][1]
    assert arrays["audio_id"].tolist() == ["b/one.FLAC", "b/two.wav"]
    np.testing.assert_allclose(arrays["audio"], whole["audio"][1:], atol=1e-5)
    _spoil(media, ["face.jpg"])
    with pytest.raises(registry.UserError, match="2 of 5 files so far"):
        _embed(embedder, media, max_bad_fraction=0.2)


def test_a_modality_of_unreadable_files_alone_has_no_rows(media, embedder):
    _spoil(media, ["face.jpg", "b/wide.PNG"])
    arrays, bad = _embed(embedder, media, max_bad_fraction=0.4)
    assert sorted(arrays) == ["audio", "audio_id", *ABOUT] and len(bad) == 2


def test_nothing_but_unreadable_files_is_an_error_whatever_is_allowed(media, embedder):
    _spoil(media, ["face.jpg", "b/wide.PNG", "a.wav", "b/one.FLAC", "b/two.wav"])
    with pytest.raises(registry.UserError, match="5 of 5 files so far"):
        _embed(embedder, media, max_bad_fraction=1.0)


# Streaming --------------------------------------------------------------------------------------


def test_streaming_without_tensorflow_io_names_the_extra(media, embedder):
    if not compat.KERAS_3:
        pytest.skip("this line has tensorflow-io")
    with pytest.raises(registry.UserError, match="needs tensorflow-io.*addons"):
        _embed(embedder, media, stream=True)


def test_streamed_sounds_have_the_same_vectors(media, embedder):
    if compat.KERAS_3:
        pytest.skip("tensorflow-io runs on the addons line only")
    streamed, _ = _embed(embedder, media, stream=True)
    plain, _ = _embed(embedder, media)
    assert streamed["audio_id"].tolist() == plain["audio_id"].tolist()
    for modality in ("audio", "image"):
        np.testing.assert_allclose(streamed[modality], plain[modality], atol=1e-5)


def test_a_sound_that_ends_early_is_a_sentence_when_streamed(media, embedder):
    if compat.KERAS_3:
        pytest.skip("tensorflow-io runs on the addons line only")
    (media / "a.wav").write_bytes((media / "a.wav").read_bytes()[:3_000])
    with pytest.raises(registry.UserError, match="leave --stream out"):
        _embed(embedder, media, stream=True)


def test_embeddings_do_not_depend_on_the_mode_of_dropout(media, recipe):
    first, _ = _embed(recipe_embedder.RecipeEmbedder(recipe), media)
    second, _ = _embed(recipe_embedder.RecipeEmbedder(recipe), media)
    np.testing.assert_array_equal(first["audio"], second["audio"])
    assert tf.reduce_sum(recipe.encoders["audio"].tail.dropout.calls).numpy() == 0
