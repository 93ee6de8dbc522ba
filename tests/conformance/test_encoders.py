"""Every row of the tables of encoders keeps the promises of an encoder."""

import collections
import inspect
import json

import numpy as np
import pytest
import tensorflow as tf

from tests import conftest
from tests.conformance import encoder_rows, replicas, walk
from tfav import compat, weights
from tfav.export import servable as servable_lib
from tfav.export.lite import quantize, tflite
from tfav.export.serving import saved_model
from tfav.inference import embedders
from tfav.ops import similarity
from tfav.recipes import recipe

# Written by the release before layers had configs: a seed means the same weights in every version,
# on both dependency sets, and on a processor without fused multiply-add.
PINNED = json.loads((conftest.GOLDEN / "initial_weights.json").read_text())


@pytest.mark.parametrize("kind", encoder_rows.TABLES)
def test_every_row_is_expected(kind):
    name = f"{kind.upper()}_ENCODERS"
    add = f"add 'ROW': Expected(...) to {kind.upper()} in tests/conformance/encoder_rows.py."
    walk.check_complete(*encoder_rows.TABLES[kind], name, add)


def test_every_encoder_is_pinned():
    rows = {"-".join(row): row for row in encoder_rows.ROWS}
    add = "put encoder_rows.sha256(encoder_rows.make(*ROW)) into tests/golden/initial_weights.json."
    walk.check_complete(rows, PINNED, "the tables of encoders", add)


@encoder_rows.parametrize([row for row in encoder_rows.ROWS if "-".join(row) in PINNED])
def test_initial_weights_never_change(row):
    assert encoder_rows.fresh(row)[1] == PINNED["-".join(row)]


@encoder_rows.every
def test_its_config_has_every_argument(row):
    encoder, _ = encoder_rows.fresh(row)
    arguments = set(inspect.signature(type(encoder).__init__).parameters) - {"self"}
    assert set(encoder.get_config()) == arguments | {"trainable", "policy"}


@encoder_rows.slow
def test_it_comes_back_from_its_config_with_its_initial_weights(row):
    encoder, sha256 = encoder_rows.fresh(row)
    config = json.loads(json.dumps(encoder.get_config()))
    again = type(encoder).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert encoder_rows.sha256(again) == sha256


@encoder_rows.every
def test_the_embedding_is_float32_of_the_asked_size(row):
    encoder = encoder_rows.trained(row)
    embedding = encoder(encoder_rows.batch(encoder, 2))
    assert embedding.shape == (2, encoder_rows.EMBEDDING_SIZE) == (2, encoder.embedding_size)
    assert embedding.dtype == tf.float32
    assert encoder.feature_map(encoder_rows.batch(encoder, 2)).shape.rank == 4


@encoder_rows.slow
@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_it_computes_in_every_type_with_lengths_and_gradients(row, dtype):
    encoder = encoder_rows.doubled(row)[0] if dtype == "float64" else encoder_rows.halved(row)
    full = tf.float64 if dtype == "float64" else tf.float32
    lengths = (np.array([3200, 700], np.int32),) if encoder.modality == "audio" else ()
    inputs = encoder_rows.batch(encoder, 2)
    with tf.GradientTape() as tape:
        embedding = encoder(inputs, *lengths, training=True)
        loss = tf.reduce_sum(embedding)
    gradients = tape.gradient(loss, [compat.raw(v) for v in encoder.trainable_variables])
    assert embedding.dtype == full and np.isfinite(embedding).all()
    assert all(np.isfinite(g).all() for g in gradients if g is not None)
    positions, weight = encoder.feature_positions(inputs, *lengths)
    assert np.isfinite(tf.cast(positions, full)).all() and np.isfinite(weight).all()


@encoder_rows.every
def test_a_row_does_not_depend_on_its_batch(row):
    encoder = encoder_rows.trained(row)
    inputs = encoder_rows.batch(encoder, 3)
    lengths = (np.array([3200, 700, 1601], np.int32),) if encoder.modality == "audio" else ()
    together = encoder(inputs, *lengths)
    for i in range(3):
        alone = encoder(inputs[i : i + 1], *(n[i : i + 1] for n in lengths))
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-3, atol=1e-4)


@encoder_rows.every
def test_every_weight_has_a_name(row):
    encoder = encoder_rows.trained(row)
    named = weights.named_weights(encoder, "x")
    assert {id(v) for v in named.values()} >= {id(compat.raw(v)) for v in encoder.weights}
    trainable = [v for v in named.values() if v.trainable]
    assert len(trainable) == len(encoder.trainable_variables)


@encoder_rows.every
def test_every_weight_gets_a_gradient(row):
    encoder = encoder_rows.trained(row)
    named = {k: v for k, v in weights.named_weights(encoder, "x").items() if v.trainable}
    with tf.GradientTape() as tape:
        # Not in training: there the batch norm that follows cancels some offsets.
        loss = tf.reduce_sum(
            encoder_rows.noise(6, encoder_rows.EMBEDDING_SIZE, seed=1)
            * encoder(encoder_rows.batch(encoder, 6))
        )
    for name, gradient in tape.gradient(loss, named).items():
        assert gradient is not None and np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name


@encoder_rows.slow
def test_a_checkpoint_carries_it_into_an_encoder_of_another_seed(row, tmp_path):
    encoder = encoder_rows.trained(row)
    inputs = encoder_rows.batch(encoder, 2)
    other = encoder_rows.make(*row, seed=2)
    assert np.abs(encoder(inputs) - other(inputs)).max() > 1e-3
    saved, loaded = (
        tf.train.Checkpoint(weights=weights.named_weights(x, "x")) for x in (encoder, other)
    )
    loaded.restore(saved.save(str(tmp_path / "c"))).assert_consumed()
    np.testing.assert_array_equal(other(inputs), encoder(inputs))


@encoder_rows.slow
def test_a_saved_model_of_unknown_batch_and_length_serves_its_embeddings(row, tmp_path):
    encoder = encoder_rows.trained(row)
    signature = f"embed_{encoder.modality}"
    servable = servable_lib.Servable(recipe.Recipe({encoder.modality: encoder}, heads={}))
    path = str(tmp_path / "model")
    saved_model.save(servable, path, {signature: servable.signatures()[signature]})
    if encoder.modality == "audio":
        feeds = [
            {
                "waveform": encoder_rows.noise(rows, length),
                "num_samples": np.full(rows, length // 2, np.int32),
            }
            for rows, length in ((1, 3_300), (3, 4_611))
        ]
    else:
        feeds = [{encoder.modality: encoder_rows.batch(encoder, rows)} for rows in (1, 3)]
        for feed in feeds if encoder.item_spec.length else []:
            rows = len(feed[encoder.modality])
            feed[encoder.item_spec.length] = np.full(rows, 3, np.int32)
    # The Session loader is TensorFlow Serving's: it misses weights that Python's would find.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], path)
        definition = meta_graph.signature_def[signature]
        served = [
            session.run(
                definition.outputs["embedding"].name,
                {definition.inputs[name].name: value for name, value in feed.items()},
            )
            for feed in feeds
        ]
    for feed, embedding in zip(feeds, served):
        own = similarity.normalize(encoder(*feed.values()))
        np.testing.assert_allclose(embedding, own, atol=1e-4)


@encoder_rows.converted
def test_tflite_of_builtin_ops_alone_agrees(row, tmp_path):
    encoder = encoder_rows.trained(row)
    servable = servable_lib.Servable(recipe.Recipe({encoder.modality: encoder}, heads={}))
    (name,) = tflite.write(servable, str(tmp_path), audio_samples=3200, precisions=("float32",))
    inputs = encoder_rows.batch(
        encoder, 1, samples=2100
    )  # shorter than the file's clip: padded inside
    found = embedders.load(str(tmp_path / name)).embed(encoder.modality, {encoder.modality: inputs})
    np.testing.assert_allclose(found, similarity.normalize(encoder(inputs)), atol=1e-4)


@encoder_rows.slow
def test_bfloat16_trains_and_returns_finite_float32(row):
    encoder = encoder_rows.trained(row)
    inputs = encoder_rows.batch(encoder, 2)
    exact = encoder(inputs).numpy()
    half = encoder_rows.halved(row)
    named = weights.named_weights(encoder, "x")
    for name, variable in weights.named_weights(half, "x").items():
        variable.assign(named[name])
    embedding, in_training = half(inputs), half(inputs, training=True)
    assert embedding.dtype == in_training.dtype == tf.float32
    assert np.isfinite(embedding).all() and np.isfinite(in_training).all()
    assert all(compat.raw(v).dtype == tf.float32 for v in half.trainable_variables)
    cosine = np.sum(embedding * exact, 1) / np.linalg.norm(embedding, axis=1)
    assert (cosine / np.linalg.norm(exact, axis=1) > 0.98).all()


@encoder_rows.slow
def test_two_replicas_train_as_one(row, mirrored, float64):
    """Embeddings, gradients and what training moves: batch statistics, dropout's counter.

    Eager, which compiles nothing; tests/training/test_replicas.py does the same in a graph. In
    float64: in float32 a rectifier or a max-pool may switch by rounding, and which one does hangs
    on the processor. One that switched has moved the gradient of a stem by 3.4 %.
    """
    one, before = encoder_rows.doubled(row)
    with mirrored.scope():
        two = encoder_rows.make(*row)
    named, named_two = (weights.named_weights(x, "x") for x in (one, two))
    for name, variable in named.items():
        variable.assign(before[name])  # another test may have trained it
    for name, variable in named_two.items():
        assert mirrored.extended.variable_created_in_scope(variable), name
        np.testing.assert_array_equal(variable.numpy(), before[name])  # the seed decides
    inputs = encoder_rows.batch(one, 4)
    target = encoder_rows.noise(4, encoder_rows.EMBEDDING_SIZE, seed=1).astype(np.float64)

    def step(encoder, inputs, target):
        variables = [compat.raw(v) for v in encoder.trainable_variables]
        with tf.GradientTape() as tape:
            embedding = encoder(inputs, training=True)
            loss = tf.reduce_sum(target * embedding)
        return embedding, tape.gradient(loss, variables)

    embedding, gradients = step(one, inputs, target)
    halves = (replicas.halves(mirrored, x) for x in (inputs, target))
    shares, partial = mirrored.run(step, args=(two, *halves))
    together = replicas.joined(mirrored, shares)
    np.testing.assert_allclose(together, embedding, rtol=1e-9, atol=1e-9)
    for whole, parts, variable in zip(gradients, partial, one.trainable_variables):
        assert whole is not None, f"{compat.path(variable)} gets no gradient in training"
        error = np.linalg.norm(replicas.summed(mirrored, parts) - whole)
        assert error <= 1e-9 * np.linalg.norm(whole) + 1e-9, compat.path(variable)
    for name, variable in named.items():
        np.testing.assert_allclose(
            named_two[name].numpy(), variable.numpy(), rtol=1e-9, atol=1e-9, err_msg=name
        )
        if "moving" in name:
            assert (variable.numpy() != before[name]).any(), f"{name} does not move in training"


@pytest.mark.parametrize("length", [1, 159, 161, 1599, 3521])
@encoder_rows.sounds
def test_what_follows_the_clip_never_changes_its_embedding(row, length):
    encoder = encoder_rows.trained(row)
    clip = encoder_rows.noise(1, length, seed=length)
    alone = encoder(clip)
    for rest in (np.zeros((1, 640)), encoder_rows.noise(1, 3333), np.full((1, 1), np.nan)):
        longer = np.concatenate([clip, rest.astype(np.float32)], axis=1)
        padded = encoder(longer, tf.constant([length]))
        np.testing.assert_allclose(padded, alone, rtol=1e-3, atol=1e-4)


@encoder_rows.sounds
def test_silence_never_changes_an_embedding_where_it_is_cut_out(row):
    encoder = encoder_rows.trained(row)
    encoder.frontend.silence_db = 60.0
    try:
        clip = encoder_rows.noise(1, 4800)
        gap = np.zeros([1, 800], np.float32)
        parts = [gap, clip[:, :1600], gap, clip[:, 1600:], gap]
        whole = encoder(np.concatenate(parts, axis=1))
        padded = encoder(np.concatenate([*parts, gap + 1], axis=1), tf.constant([7200]))
        for embedding in (whole, padded):
            np.testing.assert_allclose(embedding, encoder(clip), rtol=1e-3, atol=1e-4)
        assert np.isfinite(encoder(gap)).all()
    finally:
        encoder.frontend.silence_db = 0.0


@encoder_rows.sounds
def test_a_full_length_changes_nothing(row):
    encoder = encoder_rows.trained(row)
    clips = encoder_rows.noise(2, 3000)
    explicit = encoder(clips, tf.constant([3000, 3000], tf.int64))
    np.testing.assert_allclose(explicit, encoder(clips), rtol=1e-3, atol=1e-4)


@encoder_rows.sounds
def test_the_feature_map_is_zero_beyond_the_sound(row):
    encoder = encoder_rows.trained(row)
    feature_map = encoder.feature_map(encoder_rows.noise(1, 6400), tf.constant([1600]))
    used = np.abs(feature_map.numpy()).max(axis=(0, 2, 3)) > 0
    sound, whole = (
        -(-int(encoder.frontend.count_frames(tf.constant(n))) // encoder.map_stride)
        for n in (1600, 6400)
    )
    assert used.tolist() == [True] * sound + [False] * (whole - sound)


@encoder_rows.sounds
def test_positions_of_a_clip_say_which_of_them_are_sound(row):
    encoder = encoder_rows.trained(row)
    clips = encoder_rows.noise(2, 6400)
    features, valid = encoder.feature_positions(clips, tf.constant([6400, 1600]))
    feature_map = encoder.feature_map(clips, tf.constant([6400, 1600])).numpy()
    np.testing.assert_array_equal(features, feature_map.reshape(2, -1, feature_map.shape[3]))
    assert valid.dtype == tf.float32 and valid.shape == features.shape[:2]
    alone, all_valid = encoder.feature_positions(clips[1:, :1600])
    count = alone.shape[1]
    assert np.all(all_valid == 1) and np.all(valid[0] == 1)
    assert valid[1].numpy().tolist() == [1.0] * count + [0.0] * (valid.shape[1] - count)
    np.testing.assert_allclose(features[1, :count], alone[0], rtol=1e-3, atol=1e-4)
    assert not features[1, count:].numpy().any()


@encoder_rows.images
def test_positions_of_a_picture_all_count(row):
    encoder = encoder_rows.trained(row)
    clip = encoder_rows.batch(encoder, 6)
    feature_map = encoder.feature_map(clip).numpy()
    side = encoder.image_size // encoder.map_stride
    assert feature_map.shape[1:3] == (side, side)
    features, valid = encoder.feature_positions(clip)
    np.testing.assert_array_equal(features, feature_map.reshape(6, side * side, -1))
    frames, of_frames = encoder.feature_positions(clip.reshape(2, 3, *clip.shape[1:]))
    np.testing.assert_array_equal(frames, feature_map.reshape(2, 3 * side * side, -1))
    assert np.all(valid == 1) and valid.shape == (6, side * side)
    assert np.all(of_frames == 1) and of_frames.shape == (2, 3 * side * side)


@encoder_rows.images
def test_frames_are_embedded_apart_and_averaged(row):
    encoder = encoder_rows.trained(row)
    clip = encoder_rows.batch(encoder, 6)
    clip = clip.reshape(2, 3, *clip.shape[1:])
    each = np.stack([encoder(clip[:, f]) for f in range(3)], axis=1)
    np.testing.assert_allclose(encoder(clip), each.mean(axis=1), rtol=1e-3, atol=1e-4)


@encoder_rows.images
def test_an_image_of_another_shape_is_refused(row):
    encoder = encoder_rows.trained(row)
    with pytest.raises(ValueError, match="takes images of"):
        encoder(np.zeros([1, 20, 20, 3], np.uint8))
    with pytest.raises(ValueError, match="image must be"):
        encoder.feature_map(np.zeros([20, 20, 3], np.uint8))


@encoder_rows.every
def test_scopes_tell_the_network_from_its_front_end(row):
    encoder = encoder_rows.trained(row)
    if encoder.modality == "audio":
        specs = [tf.TensorSpec([1, 3_200], tf.float32), tf.TensorSpec([1], tf.int32)]
    else:
        specs = [tf.TensorSpec.from_tensor(encoder.example())]
    graph = tf.function(lambda *x: encoder(*x)).get_concrete_function(*specs).graph
    weighty = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
    kinds = collections.defaultdict(list)
    for op in graph.get_operations():
        inside = bool(quantize.re.search(quantize._NETWORK, op.name))
        if op.type in weighty and _reads_a_variable(op):
            kinds["network"].append(inside)
        if op.type in ("RFFT", "Log", "Real", "Imag"):
            kinds["front"].append(inside)
    assert kinds["network"] and all(kinds["network"])
    assert not any(kinds["front"]) and bool(kinds["front"]) == (encoder.modality == "audio")


def _reads_a_variable(op):
    waiting = [t.op for t in op.inputs]
    while waiting:
        found = waiting.pop()
        if found.type == "ReadVariableOp":
            return True
        if found.type in ("Identity", "Cast", "Reshape"):
            waiting += [t.op for t in found.inputs]
    return False
