"""DMC and L3: what they learn, what they leave alone, what they say of their clusters."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import reference_clustering
from tests.conformance import replicas
from tfav import compat, items, recipes, registry, weights
from tfav.encoders import audio as audio_encoders
from tfav.encoders import image as image_encoders
from tfav.layers import clustering
from tfav.recipes import dmc, grids
from tfav.training import optimizers, trainer

SIZE = 32
# Levels and not only changes are heard: instance norm would take a steady tone away.
FRONTEND = {"num_mels": 16, "lower_hz": 125.0, "instance_norm": False, "log_offset": 0.01}


def _encoders(seed=0):
    return {
        "audio": audio_encoders.Tiny(8, frontend=FRONTEND, seed=seed),
        "image": image_encoders.Tiny(8, image_size=SIZE, seed=seed),
    }


def _recipe(name="dmc", seed=0, **arguments):
    return recipes.RECIPES[name](_encoders(seed), 5, seed=seed, **arguments)


def _moments(rows=32, seed=0):
    """Four things, each with its colour and its tone, and no label."""
    rng = np.random.default_rng(seed)
    color = np.array([[230, 40, 40], [40, 220, 50], [50, 60, 230], [230, 220, 40]])
    kind = np.arange(rows) % 4
    time = np.arange(1600) / 16_000
    tone = np.array([300, 700, 1500, 3200])[kind] * rng.uniform(0.97, 1.03, rows)
    sound = 0.3 * np.sin(2 * np.pi * tone[:, None] * time) + 0.01 * rng.normal(size=[rows, 1600])
    picture = rng.normal(90, 15, [rows, SIZE, SIZE, 3])
    for row, k in enumerate(kind):
        x, y = rng.integers(0, SIZE - 16, 2)
        picture[row, y : y + 16, x : x + 16] = color[k]
    return {
        "audio": sound.astype(np.float32),
        "image": np.clip(picture, 0, 255).astype(np.uint8),
    }


class Given:
    """Stands for an encoder: the batch holds the map's positions themselves, [B, H * W, C]."""

    trainable_weights = ()
    map_stride, map_offset = 1, 0.0
    item_spec = items.ItemSpec("positions", (None, None), "float32")

    def __init__(self, height, width, size):
        self.shape = height, width, size
        self.image_size = width

    def example(self):
        height, width, size = self.shape
        return tf.zeros([1, height, width, size])

    def feature_map(self, x):
        return x

    def feature_positions(self, x, num_samples=None, training=False):
        del num_samples, training
        return tf.convert_to_tensor(x), tf.ones(tf.shape(x)[:2])


def _given(size=2, **arguments):
    """Two clusters of one sound position and four positions of a 2 x 2 picture."""
    encoders = {"audio": Given(1, 1, size), "image": Given(2, 2, size)}
    return recipes.RECIPES["dmc"](encoders, num_clusters=2, cluster_size=1, **arguments)


def test_the_rows_are_there():
    assert {"dmc", "l3"} <= set(recipes.RECIPES)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("dmc", {"num_clusters": 4, "negatives": "all", "margin": 1.0}),
        ("dmc", {"num_clusters": {"audio": 1, "image": 2}, "mode": "euclidean"}),
        ("dmc", {"num_clusters": 4, "negatives": "all", "margin": 1.0, "mode": "capsule"}),
        ("l3", {}),
        ("infonce", {}),
    ],
)
def test_matched_pairs_beat_mismatched_ones_after_a_few_steps_without_labels(name, arguments):
    recipe = _recipe(name, **arguments)
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    optimizer = optimizers.create("adam", 0.005, schedule="constant", num_steps=40)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, one, batch_size=32, clip_norm=5.0)
    batches = tf.data.Dataset.from_tensors(_moments()).repeat()
    first = loop.run(iter(batches), 1)
    loop.run(iter(batches), 40)
    last = loop.run(iter(batches), 1)
    assert last["loss"] < 0.8 * first["loss"]
    # Other moments, of the same four things: 3 in 4 mismatches are of another kind.
    unseen = _moments(16, seed=1)
    sides = [recipe.represent(m, unseen) for m in ("audio", "image")]
    scores = recipe.pair_scores(*sides).numpy()
    kind = np.arange(16) % 4
    matched, other = scores.diagonal(), scores[kind[:, None] != kind]
    assert np.mean(matched[:, None] > other) > 0.75


@pytest.mark.parametrize("mode", clustering.MODES)
def test_two_replicas_have_the_scalars_and_gradients_of_one_in_every_mode(mode, mirrored, float64):
    given = _moments(4)

    def loop(strategy):
        with strategy.scope():
            recipe = _recipe(mode=mode, num_clusters=4)
        return trainer.Trainer(recipe, None, strategy, batch_size=4)

    one = tf.distribute.OneDeviceStrategy("CPU:0")
    expected, gradients = one.run(loop(one).gradients, args=(given,))
    halves = {key: replicas.halves(mirrored, x) for key, x in given.items()}
    scalars, copies = mirrored.run(loop(mirrored).gradients, args=(halves,))
    for scalar, value in expected.items():
        found = replicas.summed(mirrored, scalars[scalar])
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12, err_msg=scalar)
    for whole, copy in zip(gradients, copies):
        for gradient in mirrored.experimental_local_results(copy):
            assert np.linalg.norm(gradient - whole) <= 1e-9 * np.linalg.norm(whole) + 1e-12


def test_labels_are_not_read():
    batch = _moments(4)
    losses = [
        _recipe().compute_losses({**batch, **label}, training=True)["loss"].numpy()
        for label in ({}, {"label": np.array([0, 0, 1, 1], np.int32)})
    ]
    np.testing.assert_array_equal(*losses)


def test_the_loss_is_the_margin_of_the_clusters_that_the_layer_finds():
    recipe, batch = _recipe(negatives="all", margin=2.0, shared_projections=False), _moments(3)
    centers = {}
    for m in ("audio", "image"):
        features, _ = recipe.positions(m, batch, training=True)
        kernel = recipe.heads[f"clustering_{m}"].kernel.numpy()
        centers[m] = [reference_clustering.spherical(x, kernel)[0] for x in features.numpy()]
    expected = reference_clustering.max_margin(
        centers["audio"], centers["image"], 2.0, [[1, 2], [0, 2], [0, 1]]
    )
    found = recipe.compute_losses(batch, training=True)
    np.testing.assert_allclose(found["loss"], expected, atol=1e-3)
    scores = reference_clustering.pair_similarity(centers["audio"], centers["image"])
    np.testing.assert_allclose(found["similarity_matched"], np.diag(scores), atol=1e-3)
    other = (scores.sum(axis=0) - np.diag(scores)) / 2
    np.testing.assert_allclose(found["similarity_mismatched"], other, atol=1e-3)


def test_the_loss_of_capsules_is_the_margin_of_their_inner_products():
    recipe = _recipe(negatives="all", margin=2.0, shared_projections=False, mode="capsule")
    batch, capsules = _moments(3), {}
    for m in ("audio", "image"):
        features, _ = recipe.positions(m, batch, training=True)
        kernel = recipe.heads[f"clustering_{m}"].kernel.numpy()
        capsules[m] = [reference_clustering.capsule(x, kernel)[0] for x in features.numpy()]
    scores = reference_clustering.capsule_agreement(capsules["audio"], capsules["image"])
    others = [[1, 2], [0, 2], [0, 1]]
    expected = [
        np.mean([max(2.0 + scores[j, i] - scores[i, i], 0) for j in others[i]]) for i in range(3)
    ]
    found = recipe.compute_losses(batch, training=True)
    np.testing.assert_allclose(found["loss"], expected, atol=1e-3)
    np.testing.assert_allclose(found["similarity_matched"], np.diag(scores), atol=1e-3)
    sides = [recipe.represent(m, batch, training=True) for m in ("audio", "image")]
    np.testing.assert_allclose(recipe.pair_scores(*sides), scores, atol=1e-3)


@pytest.mark.parametrize("name", ["dmc", "l3"])
def test_training_draws_other_mismatches_at_each_step_and_resumes_where_it_was(name):
    # In inference mode nothing else moves: the losses differ by their mismatches alone.
    batch = _moments(8)
    recipe = _recipe(name, frozen=("audio", "image"))

    def losses(recipe, steps):
        return [recipe.compute_losses(batch, True)["loss"].numpy() for _ in range(steps)]

    first, second, third = losses(recipe, 3)
    assert np.abs(first - second).max() > 0
    resumed = _recipe(name, frozen=("audio", "image"))
    resumed.tables["mismatches"].count.assign(2)
    np.testing.assert_array_equal(losses(resumed, 1)[0], third)
    again = [recipe.compute_losses(batch, False)["loss"].numpy() for _ in range(2)]
    np.testing.assert_array_equal(*again)  # judged on the same mismatches
    assert "mismatches/count" in recipe.named_weights()


def test_a_teacher_stays_as_it_is_and_the_other_learns_from_it():
    recipe = _recipe(frozen=("image",))
    before = {name: v.numpy() for name, v in recipe.named_weights().items()}
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    optimizer = optimizers.create("adam", 0.01, schedule="constant", num_steps=3)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, one, batch_size=8, weight_decay=0.1)
    scalars = loop.run(iter(tf.data.Dataset.from_tensors(_moments(8)).repeat()), 3)
    assert scalars["gradient_norm_image"] == 0 < scalars["gradient_norm_audio"]
    moved = {n for n, v in recipe.named_weights().items() if np.abs(v.numpy() - before[n]).max()}
    # Not even its batch statistics: nothing of the image encoder moves.
    assert not [name for name in moved if name.startswith("image/")]
    assert {"clustering_both/kernel", "audio/convs/0/kernel", "audio/bns/0/moving_mean"} <= moved


@pytest.mark.parametrize("name", ["dmc", "l3"])
def test_what_stands_after_the_feature_map_is_not_trained(name):
    recipe = _recipe(name)
    trained = {id(compat.raw(w)) for w in recipe.trainable_weights}
    names = {n for n, v in recipe.named_weights().items() if id(v) in trained}
    assert {"audio/bn/gamma", "audio/convs/0/kernel", "image/convs/3/kernel"} <= names
    assert not [n for n in names if "/tail/" in n or "/fc/" in n]
    assert all(0 <= i < len(trained) for row in recipe.encoder_positions().values() for i in row)


def test_features_of_unlike_sizes_are_projected_before_they_share_projections():
    # Tiny's maps have 128 and 96 channels.
    shared, apart = _recipe(), _recipe(shared_projections=False)
    assert shared.heads["clustering_both"].kernel.shape == (10, 128, 16)
    assert shared.heads["projection_image"].kernel.shape == (96, 128)
    assert sorted(apart.heads) == ["clustering_audio", "clustering_image"]
    assert apart.heads["clustering_image"].kernel.shape == (10, 96, 16)
    kernels = [apart.heads[f"clustering_{m}"].kernel.numpy() for m in ("audio", "image")]
    assert np.abs(kernels[0][:, :96] - kernels[1]).max() > 0.1  # another seed each
    asked = _recipe(projection_size=24)
    assert asked.heads["clustering_both"].kernel.shape == (10, 24, 16)


def test_the_defaults_are_those_of_the_two_released_codes():
    first = _recipe()
    layer = first.heads["clustering_both"]
    assert (layer.num_clusters, layer.cluster_size, layer.num_iterations) == (10, 16, 3)
    assert (layer.sharpness, layer.squash, first.margin) == (1.0, False, 10.0)
    second = _recipe(mode="euclidean", num_clusters={"audio": 1, "image": 2}, cluster_size=512)
    layers = [second.heads[f"clustering_{m}"] for m in ("audio", "image")]
    assert [layer.num_clusters for layer in layers] == [1, 2]
    assert {(layer.num_iterations, layer.sharpness) for layer in layers} == {(4, 30.0)}
    assert second.margin == 5.0
    routed = _recipe(mode="capsule")
    layer = routed.heads["clustering_both"]  # Sabour et al.: three iterations, agreement as it is
    assert (layer.num_iterations, layer.sharpness, routed.margin) == (3, 1.0, 10.0)


@pytest.mark.parametrize("mode", ["spherical", "capsule"])
def test_padded_sound_changes_nothing(mode):
    recipe, batch = _recipe(mode=mode), _moments(2)
    padded = np.concatenate([batch["audio"], np.full([2, 800], 0.7, np.float32)], axis=1)
    short = {"audio": batch["audio"], "num_samples": np.array([1600, 1600], np.int32)}
    long = {"audio": padded, "num_samples": np.array([1600, 1600], np.int32)}
    for found, expected in zip(recipe.clusters(long, "audio")[:1], recipe.clusters(short, "audio")):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(recipe.embed("audio", long), recipe.embed("audio", short), atol=1e-5)


def test_clusters_come_with_the_grid_of_their_positions():
    recipe, batch = _recipe(), _moments(3)
    centers, assignments, grid = recipe.clusters(batch, "image")
    assert centers.shape == (3, 10, 16) and assignments.shape == (3, 4, 10)
    assert tuple(int(n) for n in grid) == (2, 2)  # 32 pixels, a stride of 16
    _, assignments, grid = recipe.clusters(batch, "audio")
    # 1600 samples are 11 frames, every eighth one a position: 2; Tiny's bands are channels.
    assert assignments.shape[1] == 2 and tuple(int(n) for n in grid) == (2, 1)


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_embeddings_are_the_pooled_map(pooling):
    recipe, batch = _recipe(pooling=pooling), _moments(2)
    batch["num_samples"] = np.array([1600, 700], np.int32)
    features, valid = (x.numpy() for x in recipe.positions("audio", batch))
    assert 0 < valid[1].sum() < len(valid[1])
    for row in range(2):
        expected = getattr(features[row][valid[row] > 0], pooling)(axis=0)
        np.testing.assert_allclose(recipe.embed("audio", batch)[row], expected, atol=1e-5)


def _sounding():
    """A recipe, and a row whose sound agrees with the position at the lower left."""
    # Clusters see one feature each: W_1 = (1, 0), W_2 = (0, 1); d = 1, so centres are signs.
    recipe = _given()
    compat.raw(recipe.heads["clustering_both"].kernel).assign([[[1.0], [0.0]], [[0.0], [1.0]]])
    batch = {
        "audio": tf.constant([[[2.0, -1.0]]]),  # c^a = (+1, -1)
        "image": tf.constant([[[0.0, 1.0], [-1.0, 0.0], [3.0, 0.0], [0.0, 0.5]]]),
    }
    return recipe, batch


def test_the_heat_is_the_agreement_with_the_sound_as_positions_are_assigned():
    recipe, batch = _sounding()

    # Sums of u_1: 2, of u_2: 1.5, in the first round half each: c^v = (+1, +1), and stays so.
    # s = softmax(u): of the third (3, 0): s_1 = e^3 / (e^3 + 1). <u_1, 1> s_1 + <u_2, -1> s_2:
    def share(a, b):
        return math.exp(a) / (math.exp(a) + math.exp(b))

    expected = [
        -1.0 * share(1, 0),  # (0, 1): u_2 = 1 against c^a_2 = -1
        -1.0 * share(-1, 0),
        3.0 * share(3, 0),
        -0.5 * share(0.5, 0),
    ]
    np.testing.assert_allclose(recipe.heat(batch), [expected], rtol=1e-5)
    # Sounds are (+1, -1) in general too: nothing sounds more than usual.
    recipe.tables["usual_sound"].observe(tf.constant([[[1.0], [-1.0]]]))
    np.testing.assert_allclose(recipe.heat(batch), np.zeros([1, 4]), atol=1e-6)
    # (+1, +1) in general: only the second cluster hears something unusual, -2.
    recipe.tables["usual_sound"].total.assign([[0.01], [0.01]])
    expected = [-2.0 * share(1, 0), 0.0, 0.0, -2.0 * 0.5 * share(0.5, 0)]
    np.testing.assert_allclose(recipe.heat(batch), [expected], rtol=1e-4, atol=1e-6)
    recipe.localization = "assignment"  # the first cluster agrees (1 against -1): its shares
    expected = [share(0, 1), share(-1, 0), share(3, 0), share(0, 0.5)]
    np.testing.assert_allclose(recipe.heat(batch), [expected], rtol=1e-5)


def test_the_euclidean_heat_is_how_much_nearer_the_sound_is_than_the_usual_one():
    recipe = _given(1, mode="euclidean", shared_projections=True)
    compat.raw(recipe.heads["clustering_both"].kernel).assign([[1.0]])
    batch = {
        "audio": tf.constant([[[5.0]]]),
        "image": tf.constant([[[0.0], [1.0], [6.0], [7.0]]]),
    }
    # Before training the mean is 0: |u| - |u - 5|. Then 3: |u - 3| - |u - 5|.
    np.testing.assert_allclose(recipe.heat(batch), [[-5.0, -3.0, 5.0, 5.0]], atol=1e-5)
    recipe.tables["usual_sound"].observe(tf.constant([[[2.0]], [[4.0]]]))
    np.testing.assert_allclose(recipe.heat(batch), [[-2.0, -2.0, 2.0, 2.0]], atol=1e-5)
    recipe.localization = "assignment"  # centres 0.5 and 6.5: the second is nearer to 5
    np.testing.assert_allclose(recipe.heat(batch), [[0, 0, 1, 1]], atol=1e-5)


def test_training_remembers_what_sounds_are_like_in_general():
    recipe, batch = _recipe(), _moments(4)
    usual = recipe.tables["usual_sound"]
    recipe.compute_losses(batch, training=False)
    np.testing.assert_array_equal(usual.value(), np.zeros([10, 16]))
    recipe.compute_losses(batch, training=True)
    features, _ = recipe.positions("audio", batch, training=True)
    projected = recipe.heads["projection_audio"](features)
    centers, _ = recipe.heads["clustering_both"](projected)
    np.testing.assert_allclose(usual.value(), np.mean(centers, axis=0), atol=1e-4)


def test_a_map_is_scaled_and_lies_over_the_pixels_it_looks_at():
    recipe, batch = _sounding()
    maps = recipe.localize(batch).numpy()
    assert maps.shape == (1, 2, 2)
    assert maps.min() == 0 and maps.max() == maps[0, 1, 0] == 1
    flat = {**batch, "image": tf.zeros([1, 4, 2])}
    np.testing.assert_array_equal(recipe.localize(flat), np.zeros([1, 2, 2]))
    # Two positions, four pixels each, at pixels 0 and 4, or 1.5 and 5.5.
    first = _first_weights(offset=0.0)
    np.testing.assert_allclose(first, [1, 0.75, 0.5, 0.25, 0, 0, 0, 0])
    first = _first_weights(offset=1.5)
    np.testing.assert_allclose(first, [1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0])


def _first_weights(offset):
    """The weights of the first of two positions at eight pixels."""
    both = grids.at_pixels(2, 8, 4, offset)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    return both[:, 0]


# A gate of theirs sees all of the image, or they are deep nets of strided convolutions.
SEE_ALL = {"resnet50_keras", "efficientnet_b0", "mobilenet_v3_large", "mobilenet_v3_small"}


@pytest.mark.parametrize(
    "name", sorted(set(image_encoders.IMAGE_ENCODERS) - {"resnet34", "ir50", "ir_se50"} - SEE_ALL)
)
def test_a_position_looks_at_the_pixel_that_its_encoder_says(name):
    """All kernels being flat, the pixels that a position answers to lie evenly around that one.

    Those left out are deep nets of strided convolutions alone, as `tiny` is.
    """
    size = 161
    encoder = image_encoders.IMAGE_ENCODERS[name](embedding_size=8, image_size=size)
    for variable in weights.named_weights(encoder, "x").values():
        if len(variable.shape) == 4:
            variable.assign(tf.ones(variable.shape) / math.prod(variable.shape[:3]))
    rows = 2048 // encoder.map_stride**2  # a max-pool of one picture has a favourite
    pixels = 1 + 0.01 * tf.random.stateless_uniform([rows, size, size, 3], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        feature_map = encoder.pixels_to_map(pixels, False)
        at = feature_map.shape[1] // 2
        value = tf.reduce_sum(feature_map[:, at, at])
    answer = tf.reduce_sum(tape.gradient(value, pixels), axis=[0, 3]).numpy()
    for axis in (0, 1):
        center = np.sum(answer.sum(axis=axis) * np.arange(size)) / answer.sum()
        error = center - (encoder.map_stride * at + encoder.map_offset)
        assert abs(error) < 0.2 * encoder.map_stride


def test_several_frames_have_a_map_each():
    recipe, batch = _recipe(), _moments(2)
    frames = tf.stack([batch["image"], batch["image"][::-1]], axis=1)
    maps = recipe.localize({**batch, "image": frames})
    assert maps.shape == (2, 2, SIZE, SIZE)
    assert tuple(int(n) for n in recipe.clusters({"image": frames}, "image")[2]) == (4, 2)


def test_localize_can_be_a_signature(tmp_path):
    recipe, batch = _recipe(), _moments(2)
    specs = {
        "audio": tf.TensorSpec([None, None]),
        "image": tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8),
    }
    function = tf.function(recipe.localize, input_signature=[specs])
    np.testing.assert_allclose(function(batch), recipe.localize(batch), atol=1e-3)


def test_usage_and_dead_clusters_are_counted_over_all_positions():
    recipe = _given()
    compat.raw(recipe.heads["clustering_both"].kernel).assign([[[1.0], [0.0]], [[0.0], [1.0]]])
    # Pictures lie in the first cluster, sounds half and half: entropies near 0 and ln 2.
    batch = {
        "audio": tf.constant([[[30.0, 0.0]], [[0.0, 30.0]]]),
        "image": tf.constant([[[30.0, 0.0]] * 4, [[20.0, 0.0]] * 4]),
    }
    losses = recipe.compute_losses(batch, training=False)
    np.testing.assert_allclose(losses["usage_entropy_audio"], [math.log(2)] * 2, rtol=1e-5)
    np.testing.assert_allclose(losses["usage_entropy_image"], [0.0] * 2, atol=1e-5)
    np.testing.assert_array_equal(losses["dead_clusters_audio"], [0, 0])
    np.testing.assert_array_equal(losses["dead_clusters_image"], [1, 1])


@pytest.mark.parametrize("share, dead", [(0.07, 0), (0.04, 1)])
def test_a_cluster_is_dead_below_a_tenth_of_an_equal_share(share, dead):
    recipe = _given()  # two clusters: an equal share is 0.5
    compat.raw(recipe.heads["clustering_both"].kernel).assign([[[1.0], [0.0]], [[0.0], [1.0]]])
    # Positions (x, 0): products x and 0 with the centres, so the second has 1 / (1 + e^x) of each.
    x = math.log((1 - share) / share)
    batch = {"audio": tf.constant([[[9.0, 0.0]]] * 2), "image": tf.constant([[[x, 0.0]] * 4] * 2)}
    losses = recipe.compute_losses(batch, training=False)
    np.testing.assert_array_equal(losses["dead_clusters_image"], [dead, dead])


def test_ties_between_matched_and_mismatched_are_half_a_win():
    batch = {"audio": tf.ones([3, 1, 2]), "image": tf.ones([3, 4, 2])}  # all rows alike
    losses = _given(margin=0.7).compute_losses(batch, training=True)
    np.testing.assert_allclose(losses["matched_wins"], [0.5] * 3)
    np.testing.assert_allclose(losses["loss"], [0.7] * 3, rtol=1e-6)


@pytest.mark.parametrize("name", ["dmc", "l3", "infonce"])
def test_silent_and_uniform_batches_stay_finite(name):
    recipe = _recipe(name)
    batch = {"audio": np.zeros([4, 1600], np.float32), "image": np.zeros([4, 32, 32, 3], np.uint8)}
    variables = [compat.raw(w) for w in recipe.trainable_weights]
    with tf.GradientTape() as tape:
        losses = recipe.compute_losses(batch, training=True)
    for value in (*losses.values(), *tape.gradient(losses["loss"], variables)):
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", ["dmc", "l3", "infonce"])
def test_one_pair_alone_cannot_be_learnt_from_and_can_be_judged(name):
    recipe, batch = _recipe(name), _moments(1)
    with pytest.raises(registry.UserError, match="one pair has no mismatch"):
        recipe.compute_losses(batch, training=True)
    sides = [recipe.represent(m, batch) for m in ("audio", "image")]
    assert recipe.pair_scores(*sides).shape == (1, 1)


def test_l3_is_two_dense_layers_over_both_pooled_maps():
    recipe, batch = _recipe("l3", hidden_size=6), _moments(3)
    audio, image = (recipe.embed(m, batch).numpy() for m in ("audio", "image"))
    heads = {name: [w.numpy() for w in h.weights] for name, h in recipe.heads.items()}
    kernel = np.concatenate([heads["hidden_audio"][0], heads["hidden_image"][0]])
    scores = recipe.pair_scores(audio, image)
    for i in range(3):
        for j in range(3):
            joined = np.concatenate([audio[i], image[j]])
            hidden = np.maximum(joined @ kernel + heads["hidden_image"][1], 0)
            expected = hidden @ heads["decide"][0] + heads["decide"][1]
            np.testing.assert_allclose(scores[i, j], expected[0], rtol=1e-4, atol=1e-4)


def test_l3_counts_both_kinds_of_pairs():
    recipe, batch = _recipe("l3"), _moments(4)
    compat.raw(recipe.heads["decide"].kernel).assign(tf.zeros([128, 1]))
    for bias, accuracy in ((0.5, 0.5), (-0.5, 0.5)):  # all belong together, or none does
        compat.raw(recipe.heads["decide"].bias).assign([bias])
        losses = recipe.compute_losses(batch, training=True)
        np.testing.assert_allclose(losses["accuracy"], [accuracy] * 4)
        expected = (math.log1p(math.exp(-bias)) + math.log1p(math.exp(bias))) / 2
        np.testing.assert_allclose(losses["loss"], [expected] * 4, rtol=1e-5)


@pytest.mark.parametrize(
    "name, arguments, says",
    [
        ("dmc", {"negatives": "some"}, "negatives='some': choose one of derangement, all"),
        ("dmc", {"pooling": "sum"}, "pooling='sum': choose one of max, mean"),
        ("dmc", {"frozen": ("video",)}, "frozen='video': choose one of audio, image"),
        ("dmc", {"mode": "cubic"}, "mode of clustering 'cubic'.*capsule, euclidean, spherical"),
        ("dmc", {"margin": -1.0}, "margin=-1.0"),
        ("dmc", {"num_iterations": 0}, "num_iterations=0"),
        ("dmc", {"localization": "box"}, "localization='box': choose one of agreement"),
        ("dmc", {"num_clusters": {"audio": 1, "image": 2}}, "num_clusters=.*one number"),
        ("dmc", {"num_clusters": {"audio": 1}, "mode": "euclidean"}, "'image': K"),
        ("infonce", {"temperature": -1.0}, "temperature=-1.0 must be positive"),
        ("infonce", {"max_scale": 1.0}, "max_scale=1.0 is below 1 / temperature"),
        ("l3", {"hidden_size": 0}, "hidden_size=0"),
        ("l3", {"negatives": "few"}, "negatives='few'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, arguments, says):
    with pytest.raises(registry.UserError, match=says):
        recipes.RECIPES[name]({"audio": Given(1, 1, 3), "image": Given(2, 2, 3)}, **arguments)


@pytest.mark.parametrize("name", ["dmc", "l3", "infonce"])
def test_other_modalities_are_refused(name):
    with pytest.raises(registry.UserError, match=r"pairs audio and image.*\('audio',\)"):
        recipes.RECIPES[name]({"audio": Given(1, 1, 3)})


def test_infonce_compares_the_embeddings_and_reads_no_label():
    recipe, batch = _recipe("infonce", temperature=0.5, max_scale=4.0), _moments(4)
    audio, image = (recipe.embed(m, batch).numpy() for m in ("audio", "image"))
    losses = recipe.compute_losses({**batch, "label": np.zeros(4, np.int32)}, training=False)
    expected = reference_clustering.info_nce(audio, image, 2.0)
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(losses["scale"], [2.0] * 4, rtol=1e-6)
    sides = [recipe.represent(m, batch) for m in ("audio", "image")]
    cosine = recipe.pair_scores(*sides).numpy()
    np.testing.assert_allclose(losses["similarity_matched"], np.diag(cosine), atol=1e-6)
    assert recipe.facts() == {"temperature": pytest.approx(0.5)}
    assert recipe.shares_space


def test_the_temperature_is_learnt_up_to_its_ceiling():
    recipe = _recipe("infonce", temperature=0.5, max_scale=3.0)
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    optimizer = optimizers.create("adam", 0.02, schedule="constant", num_steps=40)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, one, batch_size=4)
    batches = tf.data.Dataset.from_tensors(_moments(4)).repeat()
    assert loop.run(iter(batches), 1)["scale"] == pytest.approx(2.0)
    loop.run(iter(batches), 60)
    assert loop.run(iter(batches), 1)["scale"] == pytest.approx(3.0)
    # Adam's momentum carries it a little beyond and no further.
    assert 0 <= float(recipe.heads["temperature"].log_scale) - math.log(3.0) < 0.2


def test_every_mode_has_defaults():
    assert set(dmc.DEFAULTS) == set(clustering.MODES)
