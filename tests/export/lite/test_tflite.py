import gc
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated

from tests.export import conftest
from tfav import compat, registry
from tfav.encoders import audio
from tfav.export import servable as servable_lib
from tfav.export.lite import console, conversion, tflite
from tfav.export.options import ExportOptions
from tfav.export.parity import speed
from tfav.export.serving import saved_model
from tfav.hearing import Hearing
from tfav.inference import embedders, tflite_metadata
from tfav.inference import interpreter as interpreters
from tfav.ops import similarity
from tfav.recipes import recipe as base


def content(published, name):
    with open(os.path.join(published.directory, name), "rb") as f:
        return f.read()


def kernel_bytes(servable, signature):
    return conversion.kernel_bytes(servable.fixed_signatures(8_000)[signature], 4)


def test_each_encoder_has_a_file_of_its_own_in_each_precision(published):
    names = [n for n in os.listdir(published.directory) if n.endswith(".tflite")]
    assert sorted(names) == [
        "audio_float16.tflite",
        "audio_float32.tflite",
        "image_float16.tflite",
        "image_float32.tflite",
    ]
    for name in names:
        described = conversion.describe(content(published, name))
        assert set(described["signatures"]) == {"embed_" + name.split("_")[0]}
        builtin = set(vars(schema_py_generated.BuiltinOperator)) - {"CUSTOM", "DELEGATE"}
        assert set(described["ops"]) <= builtin


def test_no_table_in_an_audio_file_is_as_long_as_the_clip(published):
    file = schema_py_generated.Model.GetRootAs(content(published, "audio_float32.tflite"))
    graph = file.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    whole = [x for x in tensors if x.Type() == schema_py_generated.TensorType.INT32]
    filled = [file.Buffers(x.Buffer()).DataLength() // 4 for x in whole]
    assert 0 < max(filled) < 8_000 / 2


def test_shapes_are_fixed_and_types_stay_float32_outside(published):
    artefacts = published.certificate["artefacts"]
    embedding = {"embedding": {"dtype": "float32", "shape": [1, conftest.EMBEDDING_SIZE]}}
    for precision in ("float32", "float16"):
        assert artefacts[f"audio_{precision}.tflite"]["signatures"]["embed_audio"] == {
            "inputs": {
                "num_samples": {"dtype": "int32", "shape": [1]},
                "waveform": {"dtype": "float32", "shape": [1, 8_000]},
            },
            "outputs": embedding,
        }
        size = conftest.SIZE
        assert artefacts[f"image_{precision}.tflite"]["signatures"]["embed_image"] == {
            "inputs": {"image": {"dtype": "uint8", "shape": [1, size, size, 3]}},
            "outputs": embedding,
        }


def test_float16_halves_the_file(published):
    for modality in ("audio", "image"):
        large = len(content(published, f"{modality}_float32.tflite"))
        small = len(content(published, f"{modality}_float16.tflite"))
        assert 0.45 * large < small < 0.65 * large


def test_a_file_smaller_than_its_kernels_is_refused(published, recipe):
    whole = content(published, "image_float32.tflite")
    needed = kernel_bytes(servable_lib.Servable(recipe), "embed_image")
    conversion.check(whole, ["embed_image"], needed)
    with pytest.raises(ValueError, match="weights are not tracked"):
        conversion.check(whole, ["embed_image"], 2 * needed)


def test_a_missing_signature_is_refused(published):
    with pytest.raises(ValueError, match="offers no signature embed_audio"):
        conversion.check(content(published, "image_float32.tflite"), ["embed_audio"], 0)


@pytest.mark.parametrize("op", ["VAR_HANDLE", "FlexRFFT2D", "ScaleAndTranslate"])
def test_an_op_that_is_not_builtin_is_refused(monkeypatch, op):
    described = {"ops": {"ADD": 1, op: 1}, "signatures": {"embed_audio": {}}}
    monkeypatch.setattr(conversion, "describe", lambda _: described)
    with pytest.raises(ValueError, match=op):
        conversion.check(b"", ["embed_audio"], 0)


@pytest.mark.skipif(not compat.KERAS_3, reason="Keras 2 layers are tracked whole")
def test_keras_layers_in_place_of_tracked_variables_are_found(recipe, tmp_path):
    servable = servable_lib.Servable(recipe)
    servable.tracked = []
    servable.network = list(recipe.encoders.values())
    path = str(tmp_path / "model")
    saved_model.save(servable, path, servable.fixed_signatures(8_000))
    hollow = conversion.convert(path, ["embed_image"])  # says nothing
    with pytest.raises(ValueError, match="VAR_HANDLE"):
        conversion.check(hollow, ["embed_image"], kernel_bytes(servable, "embed_image"))


def test_an_op_without_a_builtin_form_ends_in_a_sentence(recipe, tmp_path):
    class Resizing(servable_lib.Servable):
        def _encode(self, **inputs):
            if "image" in inputs:
                half = tf.image.resize(inputs["image"], [16, 16], antialias=True)
                whole = tf.image.resize(half, [conftest.SIZE, conftest.SIZE])
                inputs["image"] = tf.cast(whole, tf.uint8)
            return super()._encode(**inputs)

    resizing = Resizing(base.Recipe({"image": recipe.encoders["image"]}, heads={}))
    with pytest.raises(registry.UserError, match="embed_image does not convert .*ScaleAndTransl"):
        tflite.write(resizing, str(tmp_path), audio_samples=8_000)
    assert gc.get_freeze_count() == 0  # garbage is collected again


def test_a_conversion_is_quiet_unless_it_fails(capfd):
    with console.quiet():
        os.write(2, b"noise\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="broken"), console.quiet():
        os.write(2, b"the reason\n")
        raise ValueError("broken")
    assert capfd.readouterr().err == "the reason\n"


def test_what_is_stamped_on_a_file_is_read_from_it_and_changes_no_answer(published):
    whole = content(published, "image_float32.tflite")
    stamped = tflite_metadata.stamp(whole, {"a": 1})
    assert tflite_metadata.read_facts(whole)["modalities"] == ["audio", "image"]
    assert conversion.describe(stamped) == conversion.describe(whole)
    again = interpreters.make(content=stamped).get_signature_runner("embed_image")
    first = interpreters.make(content=whole).get_signature_runner("embed_image")
    image = np.random.default_rng(0).integers(0, 256, [1, 32, 32, 3], np.uint8)
    np.testing.assert_array_equal(again(image=image)["embedding"], first(image=image)["embedding"])


def test_an_unknown_precision_is_refused(recipe, tmp_path):
    with pytest.raises(registry.UserError, match="'int4': choose one of float16, float32"):
        tflite.write(
            servable_lib.Servable(recipe), str(tmp_path), audio_samples=400, precisions=("int4",)
        )


def test_the_voice_encoder_of_the_paper_converts_and_agrees(tmp_path):
    recipe = base.Recipe({"audio": audio.ThinResNet34(32)}, heads={})
    files = tflite.write(
        servable_lib.Servable(recipe),
        str(tmp_path),
        audio_samples=16_000,
        precisions=("float16",),
    )
    assert files == {"audio_float16.tflite": "float16"}
    assert os.listdir(tmp_path) == ["audio_float16.tflite"]
    batch = {"audio": np.random.default_rng(0).normal(0, 0.1, [1, 9_000]).astype(np.float32)}
    found = embedders.load(str(tmp_path / "audio_float16.tflite")).embed("audio", batch)
    expected = similarity.normalize(recipe.embed("audio", batch)).numpy()
    assert (found * expected).sum() > 0.9999


# Lengths ----------------------------------------------------------------------------------------


def write(recipe, directory, **changes):
    arguments = {"audio_samples": 8_000, "precisions": ("float32",), **changes}
    alone = base.Recipe({"audio": recipe.encoders["audio"]}, heads={})
    tflite.write(servable_lib.Servable(alone), str(directory), **arguments)
    return str(directory / "audio_float32.tflite")


def test_lengths_share_their_weights_in_one_file(recipe, tmp_path):
    (tmp_path / "one").mkdir()
    one = os.path.getsize(write(recipe, tmp_path / "one", audio_samples=48_000))
    path = write(recipe, tmp_path, durations=(3, 1, 0.5, 1))
    phone = embedders.load(path)
    assert phone.lengths == {
        "embed_audio_0.5s": 8_000,
        "embed_audio_1s": 16_000,
        "embed_audio_3s": 48_000,
    }
    # A length of its own needs a table of 4 bytes a sample and a graph of some 20 kB.
    assert os.path.getsize(path) < one + 4 * (8_400 + 16_400) + 2 * 30_000
    batch = {"audio": np.random.default_rng(0).normal(0, 0.1, [1, 7_000]).astype(np.float32)}
    expected = similarity.normalize(recipe.embed("audio", batch)).numpy()
    for signature in phone.lengths:
        np.testing.assert_allclose(phone.embed("audio", batch, signature), expected, atol=1e-5)


@pytest.mark.parametrize("form", ["stft", "conv"])
@pytest.mark.parametrize("levelled", [{}, {"silence_db": 60.0, "level_norm": True}])
def test_any_length_goes_through_one_file_one_sample_too(form, levelled, tmp_path):
    encoder = audio.Tiny(8, frontend={"form": form, **levelled})
    recipe = base.Recipe(conftest.settle({"audio": encoder}), heads={})
    path = write(recipe, tmp_path, dynamic_time=True)
    with open(path, "rb") as f:
        described = conversion.describe(f.read())
    assert ("RFFT2D" in described["ops"]) == (form == "stft")
    assert described["signatures"]["embed_audio"]["inputs"]["waveform"]["shape"] == [1, None]
    phone = embedders.load(path)
    assert phone.lengths == {"embed_audio": None}
    for samples in (20_000, 1, 8_000):
        batch = {"audio": np.random.default_rng(0).normal(0, 0.1, [1, samples])}
        batch["audio"] = batch["audio"].astype(np.float32)
        batch["audio"][:, 3_000:4_000] = 0
        expected = similarity.normalize(recipe.embed("audio", batch)).numpy()
        np.testing.assert_allclose(phone.embed("audio", batch), expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"durations": (1, 0)}, "--durations=0: give clip lengths in seconds, 0.1 or more"),
        ({"durations": (float("nan"),)}, "--durations=nan"),
        ({"durations": (1,), "dynamic_time": True}, "exclude each other"),
    ],
)
def test_lengths_that_no_clip_has_are_refused(changes, sentence):
    options = ExportOptions(audio_seconds=3.0, min_cosine=0.999, **changes)
    with pytest.raises(registry.UserError, match=sentence):
        options.check(Hearing())


def test_a_file_that_would_take_no_clip_is_refused():
    hears = Hearing(max_seconds=4.0, min_seconds=2.0)
    options = {"audio_seconds": 3.0, "min_cosine": 0.999}
    ExportOptions(**options).check(hears)
    ExportOptions(**options, dynamic_time=True, precisions=("float32",)).check(hears)
    with pytest.raises(registry.UserError, match="for clips of 1 s would take none.*at least 2 s"):
        ExportOptions(**options, durations=(1, 3)).check(hears)
    # Its windows of a second fit.
    windowed = Hearing(max_seconds=4.0, min_seconds=2.0, window_seconds=1.0)
    ExportOptions(**options, durations=(1, 3)).check(windowed)


# What a file says -------------------------------------------------------------------------------


def test_versions_of_ops_and_the_least_runtime_are_told(published):
    described = conversion.describe(content(published, "image_float32.tflite"))
    assert described["op_versions"].keys() == described["ops"].keys()
    assert described["op_versions"]["CONV_2D"] >= 1
    assert described["min_runtime"].split(".")[0] in ("1", "2")


def test_the_time_is_that_of_a_named_interpreter(published):
    found = speed.measure(content(published, "audio_float32.tflite"))
    assert found["interpreter"].split()[0] in ("ai-edge-litert", "tf.lite")
    assert 0 < found["milliseconds"]["embed_audio"] < 1_000
    assert (found["partitions"] or 0) >= compat.KERAS_3  # TensorFlow 2.15 does not tell
    ratio = published.certificate["artefacts"]["audio_float32.tflite"]["speed"]["ratio_to_float32"]
    assert ratio == {"embed_audio": 1.0}
    assert "ratio_to_float32" in published.certificate["artefacts"]["image_float16.tflite"]["speed"]
