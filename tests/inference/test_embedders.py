import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav import registry
from tfav.inference import artefacts, embedders, tflite_embedder
from tfav.ops import similarity
from tfav.recipes import outputs


@pytest.fixture(scope="module")
def server(published):
    return embedders.load(published.directory)


@pytest.fixture(scope="module")
def phone(published):
    return {
        m: embedders.load(os.path.join(published.directory, f"{m}_float32.tflite"))
        for m in ("audio", "image")
    }


def batch_of_clips(lengths):
    random = np.random.default_rng(3)
    audio = random.uniform(-0.3, 0.3, [len(lengths), max(lengths)]).astype(np.float32)
    return {"audio": tf.constant(audio), "num_samples": tf.constant(lengths, tf.int32)}


def test_all_three_forms_embed_clips_alike(server, phone, recipe):
    batch = batch_of_clips([2_000, 8_000, 5_001])
    expected = similarity.normalize(recipe.embed("audio", batch))
    for embedder in (server, phone["audio"]):
        found = embedder.embed("audio", batch)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_num_samples_all_of_a_clip_is_heard(server, phone, recipe):
    batch = {"audio": batch_of_clips([6_000, 6_000])["audio"]}
    expected = similarity.normalize(recipe.embed("audio", batch))
    for embedder in (server, phone["audio"]):
        np.testing.assert_allclose(embedder.embed("audio", batch), expected, atol=1e-5)


@pytest.mark.parametrize("height, width", [(conftest.SIZE, conftest.SIZE), (50, 30)])
def test_images_of_any_size_are_embedded_alike(server, phone, height, width):
    image = np.random.default_rng(0).integers(0, 256, [2, height, width, 3], np.uint8)
    served = server.embed("image", {"image": image})
    np.testing.assert_allclose(phone["image"].embed("image", {"image": image}), served, atol=1e-5)


def test_embedders_say_what_they_hold(server, phone, recipe):
    assert server.modalities == ("audio", "image")
    assert phone["audio"].modalities == ("audio",)
    assert phone["image"].modalities == ("image",)
    assert server.items["image"] == phone["image"].items["image"]
    assert server.items["image"].shape == (conftest.SIZE, conftest.SIZE, 3)
    assert list(phone["audio"].items) == ["audio"]
    space = outputs.embedding_space(recipe)
    assert server.embedding_space == space
    assert phone["audio"].embedding_space == phone["image"].embedding_space == space
    assert phone["audio"].lengths == {"embed_audio": 8_000}


def test_a_clip_longer_than_the_file_is_refused_as_its_embedding_would_be_another(phone):
    sentence = "is heard for 1.25 s, and .*float32.tflite takes 0.5 s: export with --durations=1.25"
    with pytest.raises(registry.UserError, match=sentence):
        phone["audio"].embed("audio", batch_of_clips([20_000]))
    assert "takes 0.5 s" in phone["audio"].refuses("audio", np.ones(8_001, np.float32))
    assert phone["audio"].refuses("audio", np.ones(8_000, np.float32)) == ""


def test_the_newest_version_of_a_folder_is_taken(published, tmp_path):
    for version in ("9", "10"):
        shutil.copytree(os.path.join(published.directory, "1"), tmp_path / version)
    assert embedders.load(str(tmp_path)).path == str(tmp_path / "10")
    assert embedders.load(str(tmp_path / "9")).path == str(tmp_path / "9")


def test_a_modality_that_was_not_exported_is_refused(phone):
    with pytest.raises(registry.UserError, match="audio_float32.tflite embeds audio and not image"):
        phone["audio"].embed("image", {"image": np.zeros([1, 32, 32, 3], np.uint8)})


def test_a_path_that_is_no_export_is_named(tmp_path):
    (tmp_path / "model.h5").write_text("")
    (tmp_path / "empty").mkdir()
    for name, sentence in (
        ("absent", "absent does not exist"),
        ("model.h5", "model.h5 is neither"),
        ("empty", "empty holds neither saved_model.pb nor a version folder"),
    ):
        fix = "name a run, an export's folder, a SavedModel, a .tflite, or toy"
        with pytest.raises(registry.UserError, match=f"{sentence}.*: {fix}"):
            embedders.load(str(tmp_path / name))


@pytest.mark.parametrize("keep", [0, 10, 5_000, 200_000, -1_000, -1])
def test_a_damaged_tflite_is_named(published, tmp_path, keep):
    path = tmp_path / "audio_float32.tflite"
    whole = pathlib.Path(published.directory, "audio_float32.tflite").read_bytes()
    path.write_bytes(whole[:keep])
    with pytest.raises(registry.UserError, match="audio_float32.tflite is not a whole .tflite"):
        embedders.load(str(path))


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_a_damaged_saved_model_is_named(published, tmp_path, name):
    path = tmp_path / "1"
    shutil.copytree(os.path.join(published.directory, "1"), path)
    (path / name).write_bytes((path / name).read_bytes()[:100])
    with pytest.raises(registry.UserError, match="1 is not a whole SavedModel"):
        embedders.load(str(path))


def test_a_saved_model_of_an_older_tfav_is_named(published, tmp_path):
    shutil.copytree(os.path.join(published.directory, "1"), tmp_path / "1")
    (tmp_path / "1" / artefacts.FACTS_FILE).write_text('{"format": 1}')
    with pytest.raises(registry.UserError, match="another version of tfav made it.: export again"):
        embedders.load(str(tmp_path))


def test_a_saved_model_of_another_making_is_named(tmp_path):
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "1"))
    with pytest.raises(registry.UserError, match="1 is not a whole SavedModel of ours"):
        embedders.load(str(tmp_path))


# Several lengths --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ladder(verified):
    """Takes a quarter and half a second."""
    return embedders.load(os.path.join(verified.directory, "audio_float32.tflite"))


def test_a_clip_goes_to_the_shortest_signature_that_holds_it(ladder, monkeypatch):
    assert ladder.lengths == {"embed_audio_0.25s": 4_000, "embed_audio_0.5s": 8_000}
    taken = []
    by = ladder._feed
    monkeypatch.setattr(ladder, "_feed", lambda s, m, clip: taken.append(s) or by(s, m, clip))
    ladder.embed("audio", batch_of_clips([4_000, 4_001]))
    short, long = ladder.lengths
    assert taken == [short, long]


def test_all_lengths_embed_a_clip_alike(ladder, server):
    batch = batch_of_clips([3_000])
    expected = server.embed("audio", batch)
    for signature in ladder.lengths:
        np.testing.assert_allclose(ladder.embed("audio", batch, signature), expected, atol=1e-5)


def test_a_clip_that_a_signature_cannot_hold_is_told_where_to_go(ladder):
    sentence = "heard for 0.3125 s, .* takes 0.25 s: use its signature embed_audio_0.5s"
    with pytest.raises(registry.UserError, match=sentence):
        ladder.embed("audio", batch_of_clips([5_000]), "embed_audio_0.25s")
    with pytest.raises(registry.UserError, match="takes 0.5 s: export with --durations=0.500062"):
        ladder.embed("audio", batch_of_clips([8_001]), "embed_audio_0.5s")
    with pytest.raises(registry.UserError, match="no signature embed_audio: choose from embed_"):
        ladder.embed("audio", batch_of_clips([5_000]), "embed_audio")


def test_a_tflite_file_under_a_path_that_is_no_text_is_refused_with_that(tmp_path):
    path = str(tmp_path / "caf\udce9.tflite")
    with pytest.raises(registry.UserError, match=r"caf\\xe9.tflite is a path that is not UTF-8"):
        tflite_embedder.TFLiteEmbedder(path)
