"""Files that are well formed and say what they should not: drawn by hypothesis, from what is valid.

`make fuzz` draws ten thousand of each; TFAV_FUZZ_CASES says how many.
"""

import csv
import hashlib
import io
import json
import os
import struct

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests import small
from tests.fuzz import readers
from tfav import files, registry, states
from tfav.annotations import lists
from tfav.data import shards
from tfav.data.prepare.sources import csv_manifest
from tfav.inference import embeddings_file
from tfav.media import audio_files, bad_file

CASES = int(os.environ.get("TFAV_FUZZ_CASES", "25"))
drawn = hypothesis.settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, -1, 2**31, 2**63, 1e308])
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "../x", "/", "nan", "-1", "1e9", "\u00e9", "e\u0301", "a b", "\x00"]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("structures")
    shards.write(made / "data", small.records(4), columns=["gender"])
    return made


@drawn
@hypothesis.given(
    header=st.lists(st.sampled_from(["id", "split", "label", "audio", "image", "video", "x", ""])),
    rows=st.lists(st.lists(TEXTS, max_size=6), max_size=5),
)
def test_a_manifest_gives_its_rows_or_a_sentence(folder, header, rows):
    path = folder / "mine.csv"
    with open(path, "w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([["id", "split", "label", "audio", *header], *rows])
    try:
        found = csv_manifest.read(path)
    except registry.UserError:
        return
    assert len(found) == sum(any(map(str.strip, row)) for row in rows)
    assert len({row.id for row in found}) == len(found)


@drawn
@hypothesis.given(
    lines=st.lists(st.lists(TEXTS, max_size=5), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r", ""]),
)
def test_a_list_gives_words_or_a_sentence(folder, lines, end):
    path = folder / "match_v2f_2_test.txt"
    text = end.join(" ".join(line) for line in lines)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for read in (lists.read_matching, lists.read_verification, lists.read_retrieval):
        try:
            found = read(path)
        except registry.UserError:
            continue
        assert len(found) > 0


@drawn
@hypothesis.given(
    form=st.sampled_from([1, 2, 3, 6, 7, 17, 49, 85, 0xFFFE, 0, 0xFFFF]),
    channels=st.integers(0, 65_535),
    rate_hz=st.one_of(st.sampled_from([0, 1, 8_000, 16_000, 44_100]), st.integers(0, 2**32 - 1)),
    byte_rate=st.integers(0, 2**32 - 1),
    align=st.integers(0, 65_535),
    bits=st.sampled_from([0, 1, 8, 16, 24, 32, 64, 65_535]),
    size=st.one_of(st.none(), st.sampled_from([0, 1, 2**31, 2**32 - 1])),
    samples=st.binary(max_size=4_000),
    more=st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=9)), max_size=2),
)
def test_a_wav_header_may_say_anything(
    folder, form, channels, rate_hz, byte_rate, align, bits, size, samples, more
):
    body = struct.pack("<HHIIHH", form, channels, rate_hz, byte_rate, align, bits)
    chunks = b"fmt " + struct.pack("<I", len(body)) + body
    for name, content in more:
        chunks += name + struct.pack("<I", len(content)) + content
    chunks += b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    (folder / "x.wav").write_bytes(content)
    try:
        found = audio_files.read_audio(folder / "x.wav")
        assert np.isfinite(found).all() and found.dtype == np.float32
    except (bad_file.BadFile, registry.UserError):
        pass
    try:
        for value in readers._served("wav")(tf.constant([content])).values():
            assert not value.dtype.is_floating or np.isfinite(value).all()
    except tf.errors.InvalidArgumentError:
        pass


@drawn
@hypothesis.given(row=st.integers(0, 15), column=st.integers(0, 10), cell=TEXTS | NUMBERS.map(str))
def test_a_cell_of_an_index_is_checked_though_the_hash_fits(folder, row, column, cell):
    data = folder / "data"
    info = json.loads((data / "dataset.json").read_text())
    kept = (data / "index.csv").read_text()
    lines = list(csv.reader(io.StringIO(kept)))
    lines[row % len(lines)][column % len(lines[0])] = cell
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    content = text.getvalue().encode("utf-8", "surrogatepass")
    try:
        (data / "index.csv").write_bytes(content)
        _seal(data, {**info, "index_sha256": hashlib.sha256(content).hexdigest()})
        index = shards.Index.read(data)
        assert (index.length >= 0).all() and (index.offset >= 12).all()
    except registry.UserError:
        pass
    finally:
        (data / "index.csv").write_text(kept)
        _seal(data, info)


@drawn
@hypothesis.given(path=st.lists(st.integers(0, 9), min_size=1, max_size=4), value=JSON)
def test_a_value_of_dataset_json_is_checked_though_the_seal_fits(folder, path, value):
    data = folder / "data"
    kept = json.loads((data / "dataset.json").read_text())
    info = json.loads(json.dumps(kept))
    node = info
    for step in path:  # to somewhere in the tree
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        if not len(keys):
            break
        key = list(keys)[step % len(keys)]
        if not isinstance(node[key], (dict, list)) or step == path[-1]:
            node[key] = value
            break
        node = node[key]
    try:
        _seal(data, info)
        shards.Index.read(data)
    except registry.UserError:
        pass
    finally:
        _seal(data, kept)


def _seal(data, info) -> None:
    info = {name: value for name, value in info.items() if name != "seal"}
    states.write(str(data / "dataset.json"), info)


@drawn
@hypothesis.given(
    names=st.lists(st.sampled_from(["audio", "audio_id", "image", "x_id", "shares_space"])),
    dtype=st.sampled_from(["f4", "f8", "i8", "U3", "S3", "b1", "c8", "M8[s]", "f2"]),
    shape=st.lists(st.integers(0, 3), max_size=3),
    space=st.sampled_from([np.array("x"), np.array(["x"]), np.array(1.0), np.array(b"x")]),
    fill=st.sampled_from([0, 1, float("nan")]),
)
def test_an_npz_of_anything_is_embeddings_or_a_sentence(folder, names, dtype, shape, space, fill):
    try:
        array = np.full(shape, fill).astype(dtype)
    except (ValueError, TypeError):
        return
    good = {"image": np.ones([2, 3], np.float32), "image_id": np.array(["a", "b"])}
    files.write_npz(
        folder / "x.npz", {**good, "embedding_space": space, **dict.fromkeys(names, array)}
    )
    try:
        found = embeddings_file.read(str(folder / "x.npz"))
    except registry.UserError:
        return
    for modality, vectors in found.vectors.items():
        assert np.isfinite(vectors).all() and len(found.ids[modality]) == len(vectors)
