import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from tests.export import conftest
from tfav import compat, registry
from tfav.export import servable as servable_lib
from tfav.export.lite import calibration, conversion, inspection, quantize, tflite
from tfav.export.parity import agreement
from tfav.export.serving import saved_model
from tfav.inference import embedders, tflite_metadata
from tfav.ops import similarity

SAMPLES = 8_000
INT8 = 9  # of schema.fbs


@pytest.fixture(scope="module")
def servable(recipe):
    return servable_lib.Servable(recipe)


@pytest.fixture(scope="module")
def rows():
    """Sixteen clips of noise that comes and goes, sixteen pictures."""
    random = np.random.default_rng(3)
    waves = np.sin(np.linspace(0, 20, SAMPLES)) * random.uniform(-0.3, 0.3, [16, SAMPLES])
    pictures = random.integers(0, 256, [16, conftest.SIZE, conftest.SIZE, 3], np.uint8)
    waves = waves.astype(np.float32)
    return [*({"audio": x} for x in waves), *({"image": x} for x in pictures)]


@pytest.fixture(scope="module")
def model(servable, tmp_path_factory):
    """A SavedModel of the signatures of a phone."""
    path = str(tmp_path_factory.mktemp("fixed") / "model")
    saved_model.save(servable, path, servable.fixed_signatures(SAMPLES))
    return path


def packaged():
    pytest.importorskip("ai_edge_quantizer", reason="extra quantize")


@pytest.fixture
def unpackaged(monkeypatch):
    """As if ai-edge-quantizer were not there."""
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)


@pytest.fixture
def only(monkeypatch):
    """Leaves out all files but those whose names begin so: each is converted by itself."""
    every = tflite.signatures

    def leave_out(stem):
        monkeypatch.setattr(tflite, "signatures", lambda *x: {stem: every(*x)[stem]})

    return leave_out


def write(servable, directory, precision, rows=(), **changes):
    precisions = ("float32", precision)
    arguments = {"audio_samples": SAMPLES, "precisions": precisions, "calibration": rows, **changes}
    tflite.write(servable, str(directory), **arguments)
    return str(directory)


def whole_and_sound(directory, recipe, rows, precision, least):
    """What every 8-bit pair must be: near the recipe, smaller, 8 bits inside, float outside."""
    for modality in ("audio", "image"):
        path = os.path.join(directory, f"{modality}_{precision}.tflite")
        with open(path, "rb") as f:
            content = f.read()
        inspection.check_quantized(content)
        for name, types in tensor_types(content):
            if "log_mel" in name:
                assert INT8 not in types, name
        described = conversion.describe(content)
        (signature,) = described["signatures"].values()
        assert signature["outputs"]["embedding"]["dtype"] == "float32"
        outside = {"audio": ("waveform", "float32"), "image": ("image", "uint8")}[modality]
        assert signature["inputs"][outside[0]]["dtype"] == outside[1]
        assert not [op for op in described["ops"] if op.startswith("Flex") or op == "CUSTOM"]
        facts = tflite_metadata.read_facts(content)
        assert facts["embedding_space"] == embedders.load(path).embedding_space
        items = [row[modality] for row in rows if modality in row]
        batch = {modality: np.stack(items)}
        found = embedders.load(path).embed(modality, batch)
        expected = similarity.normalize(recipe.embed(modality, batch)).numpy()
        names = [str(i) for i in range(len(items))]
        assert agreement.compare(names, expected, found)["cosine_min"] > least
        assert np.abs(found - expected).max() > 1e-4  # or nothing was rounded
    large = os.path.getsize(os.path.join(directory, "image_float32.tflite"))
    assert os.path.getsize(path) < 0.35 * large


def tensor_types(content):
    """Yields the own name of each op and the types of what it reads and writes."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph in model.subgraphs:
        for op in graph.operators:
            if inspection.op_name(model.operatorCodes[op.opcodeIndex]) in (
                "QUANTIZE",
                "DEQUANTIZE",
            ):
                continue  # between the two kinds, where either name may stand
            touched = [graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
            own = graph.tensors[op.outputs[0]].name.decode().split(";")[0]
            yield own, {t.type for t in touched}


@pytest.mark.parametrize("half", [False, True])
def test_a_float_file_is_what_tensorflows_own_call_converts(model, half):
    converter = tf.lite.TFLiteConverter.from_saved_model(model, signature_keys=["embed_image"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    assert conversion.convert(model, ["embed_image"], half) == converter.convert()


# By the package ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision, least", [("int8", 0.999), ("int8_static", 0.98)])
def test_8_bit_files_are_near_and_float_at_the_front(
    servable, recipe, rows, tmp_path, precision, least
):
    packaged()
    directory = write(servable, tmp_path, precision, rows)
    whole_and_sound(directory, recipe, rows, precision, least)


@pytest.mark.parametrize("first", [True, False])
def test_what_is_rare_in_the_calibration_is_not_clipped(servable, recipe, tmp_path, only, first):
    packaged()
    only("image")
    bright = np.random.default_rng(5).integers(0, 256, [conftest.SIZE, conftest.SIZE, 3], np.uint8)
    dark = [{"image": np.full_like(bright, 120 + i)} for i in range(15)]
    rows = [{"image": bright}, *dark] if first else [*dark, {"image": bright}]
    path = write(servable, tmp_path, "int8_static", rows)
    batch = {"image": bright[np.newaxis]}
    expected = similarity.normalize(recipe.embed("image", batch)).numpy()
    found = embedders.load(os.path.join(path, "image_int8_static.tflite")).embed("image", batch)
    assert (found * expected).sum() > 0.98  # by moving averages over the rows 0.953


@pytest.mark.parametrize("precision", ["int8", "int8_static"])
def test_a_classifier_in_8_bits_chooses_the_same_classes(
    classifying, mixed, tmp_path, only, precision
):
    only("classifier")
    if precision == "int8":
        packaged()
    servable = servable_lib.Servable(classifying, {"flow": conftest.FRAMES}, conftest.CLASSES)
    path = write(servable, tmp_path, precision, mixed)
    phone = embedders.load(os.path.join(path, f"classifier_{precision}.tflite"))
    batch = {m: np.stack([row[m] for row in mixed]) for m in mixed[0]}
    expected = classifying.logits(classifying.features(batch))["fused"].numpy()
    found = phone.classify(batch)["logits"]
    ids = [str(i) for i in range(len(mixed))]
    compared = agreement.compare_logits(ids, expected, found, precision)
    assert compared["argmax_flips"] == [] and compared["cosine_min"] > 0.95


@pytest.fixture(scope="module")
def mixed(rows):
    """The clips and pictures of `rows`, side by side, and frames."""
    random = np.random.default_rng(4)
    flow = random.integers(0, 256, [16, conftest.FRAMES, 16, 16, 3], np.uint8)
    each = zip(rows[:16], rows[16:], flow)
    return [{**sound, **picture, "flow": frames} for sound, picture, frames in each]


def test_lengths_share_their_8_bit_weights(servable, rows, tmp_path, recipe, only):
    packaged()
    only("audio")
    one = write(servable, tmp_path, "int8", audio_samples=16_000)
    one = os.path.getsize(os.path.join(one, "audio_int8.tflite"))
    many = write(servable, tmp_path, "int8_static", rows, durations=(0.5, 1.0))
    path = os.path.join(many, "audio_int8_static.tflite")
    # Beside what a length needs of its own: a table of 4 bytes a sample, and the graph.
    assert os.path.getsize(path) < one + 4 * 8_400 + 60_000
    phone = embedders.load(path)
    assert list(phone.lengths) == ["embed_audio_0.5s", "embed_audio_1s"]
    batch = {"audio": rows[0]["audio"][np.newaxis]}
    expected = similarity.normalize(recipe.embed("audio", batch)).numpy()
    for signature in phone.lengths:
        assert (phone.embed("audio", batch, signature) * expected).sum() > 0.97


def test_any_length_is_embedded_in_8_bits(servable, rows, tmp_path, recipe, only):
    packaged()
    only("audio")
    directory = write(servable, tmp_path, "int8", dynamic_time=True)
    phone = embedders.load(os.path.join(directory, "audio_int8.tflite"))
    for samples in (8_000, 3_001):
        batch = {"audio": rows[1]["audio"][np.newaxis, :samples]}
        expected = similarity.normalize(recipe.embed("audio", batch)).numpy()
        assert (phone.embed("audio", batch) * expected).sum() > 0.999


def test_a_dense_layer_with_a_scale_a_channel_is_refused(model):
    packaged()
    content = conversion.convert(model, ["embed_image"])
    recipe = [quantize._entry(quantize._NETWORK, "*", "CHANNELWISE")]
    hybrid = quantize._with_package(content, recipe, None)
    with pytest.raises(ValueError, match="dense layer .* has a scale a channel"):
        inspection.check_quantized(hybrid)


def test_weights_lie_inside_the_tables_of_the_file(model):
    packaged()
    content = quantize.dynamic(conversion.convert(model, ["embed_image"]))
    buffers = flatbuffer_utils.convert_bytearray_to_object(content).buffers
    assert all(buffer.offset <= 1 for buffer in buffers)
    again = flatbuffer_utils.convert_object_to_bytearray(
        flatbuffer_utils.convert_bytearray_to_object(content)
    )
    assert abs(len(again) - len(content)) < 1_000


# By TensorFlow alone ----------------------------------------------------------------------------


def test_static_8_bit_files_need_no_package(servable, recipe, rows, tmp_path, unpackaged):
    directory = write(servable, tmp_path, "int8_static", rows)
    whole_and_sound(directory, recipe, rows, "int8_static", 0.98)


def test_dynamic_8_bit_files_name_the_package(servable, tmp_path, unpackaged):
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[quantize\]'"):
        write(servable, tmp_path, "int8")
    assert [n for n in os.listdir(tmp_path) if "int8" in n] == []


def test_several_lengths_of_static_files_name_the_package(servable, rows, tmp_path, unpackaged):
    with pytest.raises(registry.UserError, match=r"several lengths .*tfav\[quantize\].*durations"):
        write(servable, tmp_path, "int8_static", rows, durations=(0.5, 1.0))


def test_without_inputs_to_calibrate_on_there_is_no_static_file(servable, tmp_path):
    with pytest.raises(registry.UserError, match="no input .* to calibrate embed_audio on"):
        write(servable, tmp_path, "int8_static")


# What is refused --------------------------------------------------------------------------------


def test_a_front_end_of_8_bits_is_refused(model, rows, servable):
    """The converter's own full integer form, which it makes without a word."""
    converter = conversion.converter(model, ["embed_audio"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    function = tf.saved_model.load(model).signatures["embed_audio"]
    feeds = list(calibration.feeds(function, rows, servable.items))
    assert len(feeds) == 16
    converter.representative_dataset = lambda: iter(feeds)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with pytest.raises(ValueError, match="front-end's .* is of 8 bits"):
        inspection.check_quantized(converter.convert())


@pytest.mark.skipif(not compat.KERAS_3, reason="TensorFlow 2.15 gives them one scale")
def test_the_converters_own_dense_layers_are_refused(model):
    converter = conversion.converter(model, ["embed_image"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with pytest.raises(ValueError, match="has a scale a channel"):
        inspection.check_quantized(converter.convert())


def test_a_file_in_which_nothing_is_of_8_bits_is_refused(model):
    with pytest.raises(ValueError, match="no op of the network is of 8 bits"):
        inspection.check_quantized(conversion.convert(model, ["embed_image"]))
