"""Every row of `KINDS` keeps the promises of a kind of modality."""

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tests.conformance import walk
from tfav import fields, items
from tfav.data import kinds
from tfav.data.input import augment
from tfav.encoders import by_kind
from tfav.media import bad_file, limits


def _audio(path):
    soundfile.write(path, 0.3 * np.sin(np.arange(5_000) / 9), 16_000)
    return {}


def _image(path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return {"size": 16, "num_frames": 1}


def _array(path):
    np.save(path, np.random.default_rng(0).standard_normal((5, 3)))
    return {"size": 3, "sequence": True}


# Writes a file of the kind at a path; returns the fields of a section of the config that fit it.
EXAMPLES = {"audio": _audio, "image": _image, "array": _array}
SUFFIX = {"audio": ".wav", "image": ".png", "array": ".npy"}
ROWS = walk.rows(kinds.KINDS, EXAMPLES)


def test_every_row_has_an_example_and_encoders():
    add = "add 'ROW' to EXAMPLES and SUFFIX in tests/conformance/test_kinds.py."
    walk.check_complete(kinds.KINDS, EXAMPLES, "KINDS", add)
    assert by_kind.ENCODERS.keys() == kinds.KINDS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_file_is_the_item_that_evaluation_makes_of_its_record(name, tmp_path):
    kind, path = kinds.KINDS[name], str(tmp_path / f"file{SUFFIX[name]}")
    section = EXAMPLES[name](path)
    spec = kind.item("x", section)
    assert spec.kind == kind.name == name and SUFFIX[name] in kind.suffixes
    item = kinds.Item(kind, spec)
    record = tf.constant([kind.read(path, limits.DEFAULT)])
    made = kind.evaluation("x", item, (1, 160_000))(record)
    found = kind.load(path, spec, limits.DEFAULT)
    assert made.keys() == {"x", *([spec.length] if spec.length else [])}
    assert found.dtype == made["x"].dtype.as_numpy_dtype == np.dtype(spec.dtype)
    np.testing.assert_array_equal(made["x"], found)
    if spec.length:
        assert made[spec.length] == len(found)
    assert spec == items.from_facts(spec.facts())


@pytest.mark.parametrize("name", ROWS)
def test_its_fields_and_its_augmentations_are_its_own(name):
    kind = kinds.KINDS[name]
    assert not set(kind.fields) & set(fields.OF_EVERY_KIND)
    assert augment.resolve_one((), kind.subject, "x") == []


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("content", [b"", b"nothing of that kind"])
def test_what_is_no_such_file_is_a_bad_file(name, content, tmp_path):
    path = tmp_path / f"file{SUFFIX[name]}"
    path.write_bytes(content)
    with pytest.raises(bad_file.BadFile):
        kinds.KINDS[name].read(path, limits.DEFAULT)
