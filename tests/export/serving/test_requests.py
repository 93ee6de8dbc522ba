"""What a server refuses, asked as a server asks: the C++ session, with no check by Python."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest

D = conftest.EMBEDDING_SIZE


@pytest.fixture(scope="module")
def call(published):
    """Runs a signature as a server does: in C++, with no look by Python at what it is fed."""
    # Never entered: its graph would be the default of whatever test runs meanwhile.
    session = tf.compat.v1.Session(graph=tf.Graph())
    path = os.path.join(published.directory, "1")
    meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], path)

    def run(signature, **inputs):
        definition, tensor = meta_graph.signature_def[signature], session.graph.get_tensor_by_name
        feed = {tensor(definition.inputs[n].name)._as_tf_output(): x for n, x in inputs.items()}
        names = [t.name for _, t in sorted(definition.outputs.items())]
        fetches = [tensor(name)._as_tf_output() for name in names]
        return session._call_tf_sessionrun(None, feed, fetches, [], None)

    yield run
    session.close()


ONES = np.ones([2, 1_600], np.float32)
COUNTS = np.array([1_600, 1_600], np.int32)
PROBES, LISTS = np.ones([2, D], np.float32), np.ones([2, 3, D], np.float32)


def test_the_c_session_answers_what_fits(call):
    (embedding,) = call("embed_audio", waveform=ONES, num_samples=COUNTS)
    assert embedding.shape == (2, D)


@pytest.mark.parametrize(
    "signature, fed, sentence",
    [
        ("embed_audio", {"waveform": ONES[0], "num_samples": COUNTS}, "expected shape .?.?,.?"),
        ("embed_audio", {"waveform": ONES, "num_samples": COUNTS[0]}, "expected shape .?."),
        ("embed_audio", {"waveform": ONES[:, :0], "num_samples": COUNTS}, "has no samples"),
        ("embed_audio", {"waveform": ONES[:0], "num_samples": COUNTS}, "has no rows"),
        ("embed_audio", {"waveform": ONES, "num_samples": COUNTS + 1}, "more than the waveform"),
        ("embed_audio", {"waveform": ONES, "num_samples": COUNTS[:1]}, "for each row of waveform"),
        ("embed_audio", {"waveform": ONES * np.inf, "num_samples": COUNTS}, "NaN or infinite"),
        ("embed_image", {"image": np.ones([1, 8, 8, 1], np.uint8)}, "expected shape .*3."),
        ("embed_image", {"image": np.ones([8, 8, 3], np.uint8)}, "expected shape .*3."),
        ("embed_image", {"image": np.ones([1, 0, 8, 3], np.uint8)}, "has no pixels"),
        ("embed_jpeg", {"jpeg": np.array([b"hello"], object)}, "neither JPEG nor PNG"),
        ("embed_wav", {"wav": np.array([b"hello"], object)}, "not a whole WAV"),
        (
            "score",
            {"audio_embedding": ONES[:, :7], "image_embedding": ONES[:, :7]},
            "expected shape .*16",
        ),
        ("match", {"probe": ONES[:, :7], "candidates": LISTS}, "expected shape .*16"),
        ("match", {"probe": PROBES, "candidates": LISTS[:, :, :7]}, "expected shape .*16"),
        ("match", {"probe": PROBES, "candidates": ONES[:, :D]}, "expected shape .*16"),
        ("match", {"probe": PROBES, "candidates": LISTS[:0]}, "candidates has no rows"),
        ("match", {"probe": PROBES, "candidates": LISTS[:, :0]}, "a probe has no candidates, send"),
        ("match", {"probe": PROBES[:1], "candidates": LISTS}, "different numbers of rows"),
    ],
)
def test_a_server_refuses_bad_input_as_invalid_argument(call, signature, fed, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(signature, **fed)
