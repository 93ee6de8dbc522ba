"""A recipe that says where a sound comes from is served whole: sound and picture in, a map out."""

import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav import recipes, registry
from tfav.encoders import audio, image
from tfav.export import servable as servable_lib
from tfav.export.lite import quantize, tflite
from tfav.export.options import ExportOptions, Inputs
from tfav.export.parity import agreement, gates
from tfav.export.parity import certificate as parity
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import saved_model
from tfav.inference import artefacts, embedders, saved_model_embedder

SIZE = conftest.SIZE
OPTIONS = ExportOptions(audio_seconds=0.5, min_cosine=0.999)
THRESHOLD = 0.5  # of the scores of pairs
# Levels and not only changes are heard: instance norm would take a steady tone away.
FRONTEND = {"num_mels": 16, "lower_hz": 125.0, "instance_norm": False, "log_offset": 0.01}


def moments(rows=3, seed=0, samples=8_000):
    """Coloured squares on noise, each with its tone."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    tone = np.array([300, 700, 1500, 3200])[np.arange(rows) % 4]
    sound = 0.3 * np.sin(2 * np.pi * tone[:, None] * time)
    picture = random.integers(60, 120, [rows, SIZE, SIZE, 3])
    for row in range(rows):
        x, y = random.integers(0, SIZE - 16, 2)
        picture[row, y : y + 16, x : x + 16] = random.integers(0, 256, 3)
    return {"audio": sound.astype(np.float32), "image": picture.astype(np.uint8)}


def small(name="dmc", **arguments):
    """Maps of 128 channels for sound and of 64 for pictures; the encoders' embeddings have 8."""
    encoders = {
        "audio": audio.Tiny(8, frontend=FRONTEND),
        "image": image.TinyMap(8, image_size=SIZE),
    }
    recipe = recipes.RECIPES[name](conftest.settle(encoders), **arguments)
    if name == "dmc":  # as if trained: what `agreement` tells a sound from
        for seed in range(2):
            sounds = recipe.represent("audio", moments(4, seed))
            recipe.tables["usual_sound"].observe(recipe._sound(sounds))
    return recipe


def scenes():
    """The recipe of `published_scenes`, the same whenever it is made."""
    return small(num_clusters=4, cluster_size=6, projection_size=12)


def rows_of_scenes():
    """Three rows, with clips of three lengths."""
    found, lengths = moments(), (8_000, 3_000, 5_000)
    return [
        (f"row{i}", {"audio": found["audio"][i][:n], "image": found["image"][i]})
        for i, n in enumerate(lengths)
    ]


def published_scenes(factory):
    """What `publish` writes and returns of `scenes` with a threshold; read only."""
    inputs = Inputs({}, rows=rows_of_scenes())
    return conftest.export_once(factory, "located", "scenes", scenes(), inputs, threshold=THRESHOLD)


@pytest.fixture(scope="module")
def localizing():
    return scenes()


@pytest.fixture(scope="module")
def servable(localizing):
    return servable_lib.Servable(localizing)


@pytest.fixture(scope="module")
def signatures(servable):
    return servable.signatures()


@pytest.fixture(scope="module")
def rows():
    return rows_of_scenes()


@pytest.fixture(scope="module")
def located(tmp_path_factory):
    return published_scenes(tmp_path_factory)


def tensor(dtype, *shape):
    return {"dtype": dtype, "shape": list(shape)}


# Signatures -------------------------------------------------------------------------------------


def test_names_types_and_shapes_on_a_server(located, localizing):
    found = located.certificate["artefacts"]["1"]["signatures"]
    embeds = ["embed_audio", "embed_image", "embed_jpeg", "embed_wav"]
    pairs = ["score_pairs", "score_pairs_files"]
    assert sorted(found) == [*embeds, "localize", *pairs, "serving_default"]
    assert found["localize"] == found["serving_default"]
    assert found["localize"] == {
        "inputs": {
            "waveform": tensor("float32", None, None),
            "num_samples": tensor("int32", None),
            "image": tensor("uint8", None, None, None, 3),
        },
        "outputs": {"map": tensor("float32", None, SIZE, SIZE)},
    }
    for modality in ("audio", "image"):
        channels = localizing.map_shape[modality][3]
        embedding = found[f"embed_{modality}"]["outputs"]["embedding"]
        assert embedding == tensor("float32", None, channels)


def test_a_server_answers_what_the_recipe_does_and_padding_changes_nothing(
    signatures, localizing, rows
):
    reference = reference_lib.Reference(localizing, {}, rows)
    batch = reference.stack_rows([row for _, row in rows])
    inputs = {"waveform" if n == "audio" else n: value for n, value in batch.items()}
    found = signatures["localize"](**inputs)["map"].numpy()
    assert found.shape == (3, SIZE, SIZE)
    assert found.min() == 0 and found.max() == 1
    for row, (_, alone) in enumerate(rows):
        expected = localizing.localize({m: value[np.newaxis] for m, value in alone.items()})
        np.testing.assert_allclose(found[row], expected[0], atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.1  # rows differ


def test_the_map_depends_on_the_sound_and_on_the_usual_one(localizing, signatures):
    batch = moments(2)
    inputs = {"num_samples": [8_000] * 2, "image": batch["image"][[0, 0]]}
    one, other = signatures["localize"](waveform=batch["audio"], **inputs)["map"].numpy()
    assert np.abs(one - other).max() > 0.01
    count = localizing.tables["usual_sound"].count
    kept = count.numpy()
    count.assign(0.0)  # the mean of no sound is zeros
    changed = signatures["localize"](waveform=batch["audio"], **inputs)["map"].numpy()
    count.assign(kept)
    assert np.abs(changed[0] - one).max() > 0.01


def test_pooled_features_are_embedded_at_unit_norm_and_have_no_score(signatures, localizing):
    batch = moments(2)
    found = signatures["embed_image"](image=batch["image"])["embedding"].numpy()
    pooled = localizing.embed("image", batch).numpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert "score" not in signatures


@pytest.mark.parametrize("name", ["dmc", "l3"])
def test_features_of_equal_sizes_have_no_score_either(name, monkeypatch):
    recipe = small(name)
    servable = servable_lib.Servable(recipe)
    monkeypatch.setattr(type(recipe), "embedding_size", {"audio": 64, "image": 64})
    assert "score" not in servable.examples()
    monkeypatch.setattr(type(recipe), "shares_space", True)
    assert "score" in servable.examples()  # nothing else keeps it away
    assert servable.facts()["localizes"] == ("localize" in servable.joint) == (name == "dmc")


@pytest.mark.parametrize(
    "arguments",
    [
        {"localization": "assignment"},
        {"mode": "euclidean", "num_clusters": {"audio": 1, "image": 2}},
        {"mode": "capsule"},
        {"mode": "capsule", "localization": "assignment"},
    ],
)
def test_every_way_to_localise_can_be_served_of_several_frames_too(arguments):
    recipe, batch = small(**arguments), moments(2)
    signature = servable_lib.Servable(recipe, {"image": 2}).signatures()["localize"]
    frames = np.stack([batch["image"], batch["image"][::-1]], axis=1)
    found = signature(waveform=batch["audio"], num_samples=[8_000] * 2, image=frames)["map"]
    assert found.shape == (2, 2, SIZE, SIZE)
    expected = recipe.localize({"audio": batch["audio"], "image": frames})
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_heads_and_tables_are_tracked_once(servable, localizing):
    expected = {id(v) for v in localizing.named_weights().values()}
    assert {id(v) for v in localizing.table_weights().values()} < expected
    assert {id(v) for v in servable.tracked} == expected
    assert len(servable.tracked) == len(servable.variables) == len(expected)


@pytest.mark.parametrize("lost", ["usual_sound/total", "clustering_both/kernel"])
def test_a_head_or_table_that_is_not_tracked_is_found(localizing, tmp_path, lost):
    hollow = servable_lib.Servable(localizing)
    kept = {n: v for n, v in localizing.named_weights().items() if n != lost}
    assert len(kept) == len(hollow.tracked) - 1
    hollow.tracked = list(kept.values())
    path = str(tmp_path / "1")
    with pytest.raises((AssertionError, ValueError)):  # TensorFlow's own, or the loader's
        saved_model.save(hollow, path, hollow.signatures())
        saved_model.verify(hollow, path)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"waveform": np.zeros([2, 0])}, "waveform has no samples"),
        ({"num_samples": [1_600, 1_601]}, "num_samples is more than the waveform holds"),
        ({"num_samples": [1_600]}, "send one num_samples for each row of waveform"),
        ({"waveform": np.full([2, 1_600], np.nan)}, "waveform holds NaN or infinite"),
        ({"image": np.zeros([2, 0, 5, 3])}, "image has no pixels, send at least 1 x 1"),
        ({"image": np.zeros([1, 16, 16, 3])}, "image and waveform hold different numbers of rows"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(signatures, changes, sentence):
    inputs = {
        "waveform": np.ones([2, 1_600]),
        "num_samples": [1_600, 1_600],
        "image": np.zeros([2, 16, 16, 3]),
    } | changes
    types = {"waveform": np.float32, "num_samples": np.int32}
    inputs = {n: tf.constant(np.asarray(x), types.get(n, np.uint8)) for n, x in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"localize: {sentence}"):
        signatures["localize"](**inputs)


# Parity -----------------------------------------------------------------------------------------


def test_maps_agree_by_cosine_and_by_their_largest_error():
    reference_lib = np.array([[[0, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]], np.float32)
    artefact = reference_lib.copy()
    artefact[2, 0] = 0.6, 0.8
    found = agreement.compare_maps(["a", "b", "c"], reference_lib, artefact)
    # c: (1, 0) and (0.6, 0.8) have cosine 0.6 and are 0.8 apart; b, which says nothing, agrees.
    assert found["cosine_min"] == pytest.approx(0.6)
    assert found["cosine_mean"] == pytest.approx((1 + 1 + 0.6) / 3)
    assert found["max_abs_error"] == pytest.approx(0.8)
    assert (found["worst_item"], found["max_error_item"]) == ("c", "c")
    assert (found["num_items"], found["max_error_allowed"]) == (3, 1e-4)


@pytest.mark.parametrize("error, passes", [(9e-5, True), (1.1e-4, False), (np.nan, False)])
def test_a_map_that_is_off_anywhere_publishes_nothing(error, passes):
    reference_lib = np.ones([2, 8, 8], np.float32)
    artefact = reference_lib.copy()
    artefact[1, 3, 4] -= error
    found = agreement.compare_maps(["a", "b"], reference_lib, artefact)
    certificate = {"artefacts": {"1": {"precision": "float32", "parity": {"localize": found}}}}
    if passes:
        gates.check(certificate, OPTIONS)
        return
    assert found["max_error_item"] == "b"
    with pytest.raises(registry.UserError, match="nothing was published: localize of 1 "):
        gates.check(certificate, OPTIONS)


def test_parity_of_the_map_is_measured_on_the_rows(located):
    parities = located.certificate["artefacts"]["1"]["parity"]
    embeds = ["embed_audio", "embed_image", "embed_jpeg", "embed_wav"]
    assert sorted(parities) == [*embeds, "localize", "score_pairs", "score_pairs_files"]
    found = parities["localize"]
    assert found["num_items"] == 3
    assert found["max_abs_error"] < found["max_error_allowed"] == 1e-4
    assert found["cosine_min"] > 1 - 1e-6


def test_a_model_that_answers_another_map_is_refused(localizing, rows, located, monkeypatch):
    def dimmed(self, batch):
        return 0.999 * self.run("localize", **self._rows(batch))["map"]

    monkeypatch.setattr(
        saved_model_embedder.SavedModelEmbedder, "localize", dimmed
    )  # its cosine stays 1
    inputs = {m: [(name, row[m]) for name, row in rows] for m in ("audio", "image")}
    found = parity.certificate(localizing, inputs, located.directory, {"1": "float32"}, rows)
    with pytest.raises(registry.UserError, match="localize of 1 is 1.0e-03 away .* row"):
        gates.check(found, OPTIONS)


def test_without_rows_no_maps_are_compared_and_nothing_published(localizing, tmp_path):
    with pytest.raises(registry.UserError, match="no row with audio and image to compare .* maps"):
        conftest.export(localizing, Inputs({}), tmp_path / "x")
    assert not os.listdir(tmp_path)


# What is published ------------------------------------------------------------------------------


def test_the_files_and_facts_of_a_recipe_that_localises(located, localizing):
    assert sorted(os.listdir(located.directory)) == [
        "1",
        *(f"audio_{p}.tflite" for p in ("float16", "float32")),
        "batching_parameters.txt",
        "drift.csv",
        "golden.json",
        *(f"image_{p}.tflite" for p in ("float16", "float32")),
        *(f"localize_{p}.tflite" for p in ("float16", "float32")),
        "models.config",
        "parity.json",
        *(f"score_pairs_{p}.tflite" for p in ("float16", "float32")),
    ]
    path = pathlib.Path(located.directory) / "1" / artefacts.FACTS_FILE
    facts = json.loads(path.read_text())
    assert facts["localizes"] is True and facts["classes"] == []
    assert facts["embedding_size"] == {m: localizing.map_shape[m][3] for m in ("audio", "image")}


def test_a_loaded_export_localises_and_phones_embed_the_pooled_features(located, localizing):
    batch = moments(2, seed=3)
    found = embedders.load(located.directory).localize(batch)
    np.testing.assert_allclose(found, localizing.localize(batch), atol=1e-4)
    phone = embedders.load(os.path.join(located.directory, "image_float32.tflite"))
    embedding = phone.embed("image", batch)
    pooled = localizing.embed("image", batch).numpy()
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding, pooled, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_phone_draws_the_map_that_the_recipe_draws_of_what_fits(
    located, localizing, rows, precision
):
    phone = embedders.load(os.path.join(located.directory, f"localize_{precision}.tflite"))
    assert phone.modalities == () and list(phone.lengths.values()) == [8_000]
    parity = located.certificate["artefacts"][f"localize_{precision}.tflite"]["parity"]
    assert parity["localize"]["max_error_allowed"] == {"float32": 1e-4, "float16": 1e-2}[precision]
    reference = reference_lib.Reference(localizing, {}, rows)
    for _, row in rows:  # one of the half second that the file takes, two shorter ones
        batch = reference.stack_rows([row])
        found = phone.localize(batch)
        assert found.shape == (1, SIZE, SIZE)
        expected = localizing.localize(batch)
        np.testing.assert_allclose(found, expected, atol=parity["localize"]["max_error_allowed"])
    with pytest.raises(registry.UserError, match="scores no pairs: name score_pairs_"):
        phone.score_pairs(batch)
    batch = moments(1, samples=8_001)
    with pytest.raises(registry.UserError, match="--config.export.audio_seconds="):
        phone.localize(batch)


@pytest.mark.skipif(not quantize.has_package(), reason="the extra quantize is not installed")
def test_files_of_8_bits_are_of_8_bits_where_the_recipe_reads_the_feature_map(localizing, tmp_path):
    servable = servable_lib.Servable(localizing)
    found = tflite.write(servable, str(tmp_path), audio_samples=8_000, precisions=("int8",))
    stems = ("audio", "image", "localize", "score_pairs")  # each is checked while it is written
    assert sorted(found) == [f"{stem}_int8.tflite" for stem in stems]
    batch = moments(2, seed=3)
    vectors = embedders.load(str(tmp_path / "image_int8.tflite")).embed("image", batch)
    pooled = localizing.embed("image", batch).numpy()
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    assert np.sum(vectors * pooled, axis=1).min() > 0.98
    scores = embedders.load(str(tmp_path / "score_pairs_int8.tflite")).score_pairs(batch)["score"]
    sides = [localizing.represent(m, batch) for m in ("audio", "image")]
    expected = np.diag(localizing.pair_scores(*sides))
    np.testing.assert_allclose(scores, expected, atol=0.05 * max(1.0, np.abs(expected).max()))


def test_an_export_without_maps_says_so(published):
    embedder = embedders.load(os.path.join(published.directory, "1"))
    with pytest.raises(registry.UserError, match="not say where a sound comes from.* dmc run"):
        embedder.localize(moments(1))


def test_the_snippet_prints_the_pixel_that_sounds_most(located, tmp_path, monkeypatch, capsys):
    text = (pathlib.Path(__file__).parents[2] / "exports" / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
    (code,) = (block for block in blocks if "localize" in block)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "scenes").symlink_to(located.directory)
    (tmp_path / "frame.jpg").write_bytes(tf.io.encode_jpeg(moments(1)["image"][0]).numpy())
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    x, y = (float(n) for n in capsys.readouterr().out.split())
    assert 0 <= x < SIZE and 0 <= y < SIZE
