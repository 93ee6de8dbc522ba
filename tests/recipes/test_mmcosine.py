"""The multi-modal cosine recipe: the authors' numbers, what stacks, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from tests import reference
from tfav import compat, items, recipes, registry, theory
from tfav.training import optimizers, trainer

ROWS, CLASSES = 4, 3
LABEL = np.array([0, 2, 1, 2], np.int32)
SIZES = {"audio": 5, "image": 4, "flow": 6}


class Linear(keras.layers.Layer):
    """Stands for an encoder: x kernel + bias."""

    def __init__(self, modality, kernel, bias=None):
        super().__init__(name=modality)
        kernel = np.asarray(kernel, np.float32)
        self.item_spec = items.ItemSpec("vector", (len(kernel),), "float32")
        self.embedding_size = kernel.shape[1]
        constant = keras.initializers.Constant
        self.kernel = self.add_weight(
            name="kernel", shape=kernel.shape, initializer=constant(kernel), trainable=True
        )
        bias = np.zeros(kernel.shape[1]) if bias is None else bias
        self.bias = self.add_weight(
            name="bias", shape=kernel.shape[1:], initializer=constant(bias), trainable=True
        )
        self.built = True

    def call(self, x, num_samples=None, training=False):
        return tf.cast(x, self.compute_dtype) @ self.kernel + self.bias


def make(modalities=("audio", "image"), size=3, **options):
    rng = np.random.default_rng(0)
    encoders = {
        m: Linear(m, rng.normal(size=(SIZES[m], size)), rng.normal(size=size)) for m in modalities
    }
    return recipes.RECIPES["mmcosine"](encoders, CLASSES, **options)


def batch(modalities=("audio", "image"), seed=1):
    rng = np.random.default_rng(seed)
    given = {m: rng.normal(size=(ROWS, SIZES[m])).astype(np.float32) for m in modalities}
    return {**given, "label": LABEL}


def embeddings(recipe, given):
    return [
        given[m] @ e.kernel.numpy().astype(np.float64) + e.bias.numpy()
        for m, e in recipe.encoders.items()
    ]


def kernels(head):
    return [w.numpy().astype(np.float64) for w in head.kernels().values()]


# The loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_losses_and_gradients_are_those_of_the_released_code(golden, name):
    g = golden(name)
    size = g["mm_audio"].shape[1]
    encoders = {m: Linear(m, np.eye(size)) for m in ("audio", "image")}
    recipe = recipes.RECIPES["mmcosine"](
        encoders,
        len(g["mm_weights"]),
        scale=float(g["mm_scale"]),
        contrastive_weight=0.5,
        contrastive_args={"temperature": float(g["ccl_temperature"])},
    )
    recipe.heads["classifier"].kernel.assign(g["mm_weights"])
    audio, image = tf.constant(g["mm_audio"]), tf.constant(g["mm_visual"])
    with tf.GradientTape() as tape:
        tape.watch([audio, image])
        losses = recipe.compute_losses(
            {"audio": audio, "image": image, "label": tf.constant(g["mm_labels"], tf.int32)}, True
        )
        loss = tf.reduce_mean(losses["loss"])
    np.testing.assert_allclose(tf.reduce_mean(losses["contrastive"]), g["ccl_loss"], rtol=1e-5)
    np.testing.assert_allclose(loss, g["mm_loss"] + 0.5 * g["ccl_loss"], rtol=1e-5)
    for gradient, key in zip(tape.gradient(loss, [audio, image]), ("audio", "visual")):
        expected = g[f"mm_grad_{key}"] + 0.5 * g[f"ccl_grad_{key}"]
        assert np.abs(gradient - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("modalities", [("audio",), ("audio", "image"), ("audio", "image", "flow")])
def test_the_loss_is_the_cross_entropy_of_the_sum_of_the_cosines(modalities):
    recipe = make(modalities, scale=4.0)
    given = batch(modalities)
    losses = recipe.compute_losses(given, True)
    assert set(losses) == set(recipe.scalars) and recipe.scalars[0] == "loss"
    logits = reference.cosine_logits(
        embeddings(recipe, given), kernels(recipe.heads["classifier"]), 4.0
    )
    np.testing.assert_allclose(
        losses["loss"], reference.cross_entropy(sum(logits), LABEL), rtol=1e-4
    )
    np.testing.assert_array_equal(losses["accuracy"], np.argmax(sum(logits), 1) == LABEL)
    shares = reference.margin_shares(logits, LABEL)
    for m, z, share, w in zip(modalities, logits, shares, kernels(recipe.heads["classifier"])):
        np.testing.assert_array_equal(losses[f"accuracy_{m}"], np.argmax(z, 1) == LABEL)
        np.testing.assert_allclose(losses[f"share_{m}"], share, rtol=1e-3, atol=1e-5)
        norm = np.linalg.norm(w, axis=1).mean()
        np.testing.assert_allclose(losses[f"weight_norm_{m}"], [norm] * ROWS, rtol=1e-5)


def test_stacked_terms_are_means_over_the_pairs_of_modalities():
    modalities = ("audio", "image", "flow")
    options = {"contrastive_weight": 2.0, "agreement_weight": 0.5}
    recipe = make(modalities, scale=4.0, contrastive_args={"symmetric": True}, **options)
    given = batch(modalities)
    losses = recipe.compute_losses(given, True)
    x = embeddings(recipe, given)
    z = reference.cosine_logits(x, kernels(recipe.heads["classifier"]), 4.0)
    pairs = [(0, 1), (0, 2), (1, 2)]
    contrastive = [reference.contrastive(x[i], x[j], LABEL, symmetric=True) for i, j in pairs]
    agreement = [reference.agreement(z[i], z[j]) for i, j in pairs]
    np.testing.assert_allclose(losses["contrastive"], np.mean(contrastive, axis=0), rtol=1e-4)
    np.testing.assert_allclose(losses["agreement"], np.mean(agreement, axis=0), rtol=1e-3)
    total = reference.cross_entropy(sum(z), LABEL)
    total += 2 * np.mean(contrastive, axis=0) + 0.5 * np.mean(agreement, axis=0)
    np.testing.assert_allclose(losses["loss"], total, rtol=1e-4)


@pytest.mark.parametrize("rows, label", [(1, [2]), (3, [1, 1, 1])])
def test_one_row_or_one_class_has_no_nan(rows, label):
    recipe = make(contrastive_weight=1.0, blending="equal", modulation="ogm_ge")
    given = {k: v[:rows] for k, v in batch().items()} | {"label": np.array(label, np.int32)}
    variables = [compat.raw(w) for w in recipe.trainable_weights]
    with tf.GradientTape() as tape:
        losses = recipe.compute_losses(given, True)
        loss = tf.reduce_sum(losses["loss"])
    assert all(np.isfinite(value).all() for value in losses.values())
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, variables))


# Read-outs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["cosine", "vanilla"])
@pytest.mark.parametrize("fusion", ["concat", "gated", "film"])
def test_the_fused_logits_are_the_sum_of_the_uni_modal_ones(head, fusion):
    modalities = ("audio", "image", "flow")
    recipe = make(modalities, head=head, fusion=fusion)
    logits = recipe.logits(recipe.features(batch(modalities)))
    assert tuple(logits) == ("fused", *modalities) and recipe.num_classes == CLASSES
    np.testing.assert_allclose(
        logits["fused"], sum(logits[m].numpy() for m in modalities), atol=1e-6
    )
    # With all modalities these are what the loss sees.
    losses = recipe.compute_losses(batch(modalities), training=False)
    np.testing.assert_allclose(
        losses["loss"], reference.cross_entropy(logits["fused"], LABEL), rtol=1e-5
    )


def test_a_missing_modality_leaves_the_sum_of_the_others():
    recipe = make(("audio", "image", "flow"))
    whole = recipe.logits(recipe.features(batch(("audio", "image", "flow"))))
    part = recipe.logits(recipe.features(batch(("audio", "image"))))
    assert tuple(part) == ("fused", "audio", "image")
    np.testing.assert_allclose(part["fused"], whole["audio"] + whole["image"], atol=1e-6)


@pytest.mark.parametrize("fusion", ["gated", "film"])
def test_a_missing_modality_is_refused_where_the_others_depend_on_it(fusion):
    recipe = make(fusion=fusion)
    with pytest.raises(registry.UserError, match=f"image is missing and fusion='{fusion}'"):
        recipe.logits(recipe.features(batch(("audio",))))


def test_no_modality_at_all_is_refused():
    with pytest.raises(registry.UserError, match="no modality to classify.*audio, image"):
        make().logits({})


# The scale --------------------------------------------------------------------------------------


@pytest.fixture
def logged(monkeypatch):
    lines = []
    for level in ("info", "warning"):
        monkeypatch.setattr(
            logging, level, lambda text, *args, level=level: lines.append((level, text % args))
        )
    return lines


@pytest.mark.parametrize("modalities", [("audio", "image"), ("audio", "image", "flow")])
@pytest.mark.parametrize("bound", ["paper", "tight"])
def test_the_default_scale_is_the_bound_and_the_log_says_why(logged, modalities, bound):
    recipe = make(modalities, bound=bound, posterior=0.9)
    n = len(modalities)
    expected = theory.cosine_scale_bound(CLASSES, 0.9, n, tight=bound == "tight")
    assert recipe.heads["classifier"].scale == pytest.approx(expected)
    why = f"the {bound} bound for a posterior of 0.9 with 3 classes and {n} modalities"
    assert logged == [("info", f"scale {expected:.4g}: {why}")]


def test_a_scale_below_the_bound_is_advised_against_and_taken(logged):
    # (3 - 1) / (2 (3 + 1)) ln(2 * 99) = 0.25 * 5.288267 = 1.322.
    assert make(scale=1.0).heads["classifier"].scale == 1.0
    [(level, text)] = logged
    assert level == "warning" and text.startswith("scale 1 lies below 1.322, the paper bound")
    logged.clear()
    assert make(scale=30.0).heads["classifier"].scale == 30.0
    assert [level for level, _ in logged] == ["info"]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"scale": 0.0}, "scale=0.0 of the cosine head must be a positive number"),
        ({"scale": -3.0}, "scale=-3.0"),
        ({"scale": 3.0, "head": "vanilla"}, "scale=3.0 belongs to head='cosine'"),
        ({"posterior": 0.3}, "posterior=0.3 must lie between chance, 1/3, and 1"),
        ({"posterior": 1.0}, "posterior=1.0"),
        ({"bound": "loose"}, "bound='loose': choose one of paper, tight"),
        ({"head": "sine"}, "unknown head 'sine': choose one of common, cosine, vanilla"),
        ({"fusion": "sum"}, "unknown fusion 'sum': choose one of concat, convex, film, gated"),
        ({"contrastive_weight": -1.0}, "contrastive_weight=-1.0 must not be negative"),
        ({"contrastive_args": {"temperature": 0.0}, "contrastive_weight": 1.0}, "temperature=0.0"),
        ({"contrastive_args": {"tau": 0.1}}, "'tau'"),
        ({"modulation": "on"}, "modulation='on': choose one of off, ogm, ogm_ge"),
        ({"modulation": "ogm", "modulation_args": {"alpha": 0.0}}, "alpha=0.0"),
        ({"blending": "best"}, "blending='best': choose one of off, equal, estimated"),
        ({"blending": {"fused": 1.0, "audio": 1.0}}, "one of each of fused, audio, image"),
        ({"blending": {"fused": 1.0, "audio": -1.0, "image": 1.0}}, "must not be negative"),
        ({"blending": {"fused": 0.0, "audio": 0.0, "image": 0.0}}, "nor all zero"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options, says):
    with pytest.raises(registry.UserError, match=says):
        recipe = make(**options)
        recipe.compute_losses(batch(), True)


@pytest.mark.parametrize(
    "options", [{"contrastive_weight": 1.0}, {"agreement_weight": 1.0}, {"modulation": "ogm"}]
)
def test_what_compares_modalities_needs_two(options):
    with pytest.raises(registry.UserError, match="two .*or more"):
        make(("audio",), **options)


def test_one_class_is_refused():
    encoders = {m: Linear(m, np.eye(2)) for m in ("audio", "image")}
    with pytest.raises(registry.UserError, match="num_classes=1"):
        recipes.RECIPES["mmcosine"](encoders, 1)


# Blending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["cosine", "vanilla"])
def test_blended_losses_are_weighted_and_logged(head):
    weights = {"fused": 0.5, "image": 0.2, "audio": 0.3}
    recipe = make(head=head, blending=weights)
    given = batch()
    losses = recipe.compute_losses(given, True)
    x = dict(zip(recipe.encoders, embeddings(recipe, given)))
    expected = {
        "fused": reference.cross_entropy(recipe.logits(recipe.features(given))["fused"], LABEL)
    }
    for m in recipe.encoders:
        own = recipe.heads[f"own_{m}"]
        if head == "cosine":
            assert own.scale == 2 * recipe.heads["classifier"].scale
            [logits] = reference.cosine_logits([x[m]], kernels(own), own.scale)
        else:
            [logits] = reference.concat_logits([x[m]], kernels(own), own.bias.numpy())
        expected[m] = reference.cross_entropy(logits, LABEL)
    for k, value in expected.items():
        np.testing.assert_allclose(losses[f"loss_{k}"], value, rtol=1e-4, err_msg=k)
        np.testing.assert_allclose(losses[f"blend_{k}"], [weights[k]] * ROWS, rtol=1e-6)
    total = sum(weights[k] * expected[k] for k in weights)
    np.testing.assert_allclose(losses["loss"], total, rtol=1e-4)


def test_equal_weights_are_replaced_by_estimated_ones_through_the_table():
    first, second = make(blending="equal"), make(blending="estimated")
    np.testing.assert_allclose(first.compute_losses(batch(), True)["blend_image"], [1 / 3] * ROWS)
    assert not first.needs_tables and second.needs_tables and not make().needs_tables
    first.tables["blending"].assign({"audio": 0.0, "image": 0.25, "fused": 0.75})
    # What a run hands to the next are its tables' weights by name.
    for name, variable in second.table_weights().items():
        variable.assign(first.table_weights()[name])
    losses = second.compute_losses(batch(), True)
    np.testing.assert_allclose(
        losses["loss"], 0.75 * losses["loss_fused"] + 0.25 * losses["loss_image"], rtol=1e-5
    )


def test_own_heads_see_the_encoder_before_the_fusion():
    recipe = make(fusion="gated", blending={"fused": 0.0, "audio": 1.0, "image": 0.0})
    variables = {k: compat.raw(v) for k, v in recipe.named_weights().items()}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(recipe.compute_losses(batch(), True)["loss"])
    gradients = tape.gradient(loss, variables)
    reached = {
        k
        for k, g in gradients.items()
        if g is not None and np.abs(tf.convert_to_tensor(g)).max() > 1e-6
    }
    assert {k.split("/")[0] for k in reached} == {"audio", "own_audio"}


# Modulation -------------------------------------------------------------------------------------


def _gradients(recipe):
    rng = np.random.default_rng(3)
    return [tf.constant(rng.normal(size=w.shape), tf.float32) for w in recipe.trainable_weights]


def _adjusted(recipe, step=0, audio=0.6, image=0.2):
    scalars = {"score_audio": tf.constant(audio), "score_image": tf.constant(image)}
    gradients = _gradients(recipe)
    adjusted = recipe.adjust_gradients(gradients, scalars, tf.constant(step, tf.int64))
    kinds = [
        (name, w.shape)
        for name, layer in sorted(recipe.layers.items())
        for w in layer.trainable_weights
    ]
    assert len(adjusted) == len(kinds)
    return [
        (name, len(shape), a.numpy(), g.numpy())
        for (name, shape), a, g in zip(kinds, adjusted, gradients)
    ]


def test_ogm_scales_the_kernels_of_the_encoder_ahead_and_nothing_else():
    recipe = make(head="vanilla", modulation="ogm", modulation_args={"alpha": 0.1})
    for name, rank, after, before in _adjusted(recipe):
        factor = 0.7086874 if name == "audio" and rank == 2 else 1.0  # 1 - tanh(0.1 * 3)
        np.testing.assert_allclose(after, factor * before, rtol=1e-6, err_msg=name)
    for name, rank, after, before in _adjusted(recipe, audio=0.1, image=0.3):
        factor = 0.7086874 if name == "image" and rank == 2 else 1.0
        np.testing.assert_allclose(after, factor * before, rtol=1e-6, err_msg=name)


def test_ogm_acts_within_its_steps():
    recipe = make(modulation="ogm", modulation_args={"start_step": 2, "end_step": 4})
    changed = [
        any(np.abs(a - b).max() > 0 for _, _, a, b in _adjusted(recipe, step)) for step in range(6)
    ]
    assert changed == [False, False, True, True, False, False]


def test_without_modulation_gradients_pass_and_no_score_is_logged():
    recipe = make()
    assert all(a is b for a, b in zip(recipe.adjust_gradients([1, 2], {}, 0), [1, 2]))
    assert not any(name.startswith("score") for name in recipe.scalars)


def test_the_score_is_the_posterior_of_the_uni_modal_read_out():
    recipe = make(head="vanilla", modulation="ogm")
    recipe.heads["classifier"].bias.assign([0.0, 3.0, -3.0])
    losses = recipe.compute_losses(batch(), True)
    logits = recipe.logits(recipe.features(batch()))
    for m in recipe.encoders:  # of W x + b / 2
        expected = reference.softmax(logits[m])[np.arange(ROWS), LABEL]
        np.testing.assert_allclose(losses[f"score_{m}"], expected, rtol=1e-5)


def test_ge_adds_noise_of_the_gradients_own_deviation_that_follows_seed_and_step():
    rng = np.random.default_rng(0)
    encoders = {m: Linear(m, rng.normal(size=(60, 50))) for m in ("audio", "image")}
    recipe = recipes.RECIPES["mmcosine"](encoders, CLASSES, modulation="ogm_ge", seed=5)

    def noise(step):
        return [
            after - (0.7086874 if name == "audio" else 1.0) * before
            for name, rank, after, before in _adjusted(recipe, step)
            if name in encoders and rank == 2
        ]

    first, again, later = noise(3), noise(3), noise(4)
    for kernel, same, other in zip(first, again, later):
        np.testing.assert_array_equal(kernel, same)
        # 3000 draws: the deviation of a deviation is 1 / sqrt(6000) = 1.3 %, of the mean 1.8 %.
        assert kernel.std() == pytest.approx(1.0, rel=0.08) and abs(kernel.mean()) < 0.08
        assert abs(np.corrcoef(kernel.ravel(), other.ravel())[0, 1]) < 0.08
    assert abs(np.corrcoef(first[0].ravel(), first[1].ravel())[0, 1]) < 0.08
    for name, rank, after, before in _adjusted(recipe):
        if name not in encoders or rank == 1:
            np.testing.assert_array_equal(after, before)


# One replica and two ----------------------------------------------------------------------------


def _steps(strategy, seeds=(0, 1, 2), rate=0.05, **options):
    """Trains on a batch of each seed; returns the scalars and the recipe."""
    with strategy.scope():
        recipe = make(seed=7, **options)
        optimizer = optimizers.create("sgd", rate, schedule="constant", num_steps=9)
        compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, strategy, batch_size=ROWS, clip_norm=1.0)
    steps = [batch(seed=s) for s in seeds]
    data = {k: tf.constant(np.stack([s[k] for s in steps])) for k in steps[0]}
    dataset = tf.data.Dataset.from_tensor_slices(data)
    scalars = loop.run(iter(strategy.experimental_distribute_dataset(dataset)), len(seeds))
    return scalars, recipe


STACKED = {
    "fusion": "gated",
    "contrastive_weight": 1.0,
    "agreement_weight": 0.5,
    "blending": "equal",
    "modulation": "ogm_ge",
}


# FiLM's scales and shifts are linear in the other modality, so what OGM-GE adds to one encoder's
# gradient moves the other's next step.
FILM = {"fusion": "film", "head": "vanilla", "modulation": "ogm_ge"}


@pytest.mark.parametrize("options", [STACKED, FILM], ids=["all", "film"])
def test_two_replicas_train_as_one_with_all_that_stacks(options, mirrored, float64):
    expected, one = _steps(tf.distribute.OneDeviceStrategy("CPU:0"), **options)
    scalars, two = _steps(mirrored, **options)
    assert set(scalars) == {
        *one.scalars,
        "gradient_norm",
        "gradient_norm_audio",
        "gradient_norm_image",
    }
    for name, value in expected.items():
        assert scalars[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    before = make(seed=7, **options).named_weights()
    for name, weight in one.named_weights().items():
        copies = mirrored.experimental_local_results(two.named_weights()[name])
        for copy in copies:  # the noise is the same on both
            np.testing.assert_allclose(copy.numpy(), weight.numpy(), atol=1e-10, err_msg=name)
        moved = np.abs(weight.numpy() - before[name].numpy()).max()
        assert (moved > 1e-4) == (not name.startswith("blending")), name


def test_the_scores_that_modulate_are_those_of_the_global_batch(mirrored, float64):
    options = {"modulation": "ogm", "modulation_args": {"alpha": 1.0}}
    recipe = make(seed=7, **options)

    def audio_is_ahead(seed, rows):
        losses = recipe.compute_losses({k: v[rows] for k, v in batch(seed=seed).items()}, True)
        return sum(losses["score_audio"].numpy()) > sum(losses["score_image"].numpy())

    # A batch on one half of which audio is ahead, on the other image.
    first, last = slice(0, 2), slice(2, 4)
    seed = next(s for s in range(99) if audio_is_ahead(s, first) != audio_is_ahead(s, last))
    _, one = _steps(tf.distribute.OneDeviceStrategy("CPU:0"), [seed], 1.0, **options)
    _, two = _steps(mirrored, [seed], 1.0, **options)
    for a, b in zip(one.trainable_weights, two.trainable_weights):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-10)
