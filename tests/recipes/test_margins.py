"""Margins and several centres in both recipes: the losses, what stays without them, and the log."""

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

from tests import reference, small
from tests.conformance import replicas
from tests.recipes import test_mmcosine, test_voice_face
from tfav import compat, config_file, recipes, theory
from tfav.commands import sweeps, train
from tfav.data import shards
from tfav.experiment import models
from tfav.losses import softmax
from tfav.recipes import outputs
from tfav.training import trainer

MARGIN = {"margin_kind": "additive_cosine", "margin": 0.3}
LABEL = np.array([0, 2, 1, 2], np.int32)


def _people(seed=0, num_classes=5, **arguments):
    """A voice-face recipe of random embeddings, and its batch of four rows."""
    voice, face = np.random.default_rng(seed).normal(size=(2, 4, 3)).astype(np.float32)
    given = {
        m: test_voice_face.Given(tf.constant(x)) for m, x in (("audio", voice), ("image", face))
    }
    recipe = recipes.RECIPES["voice_face"](given, num_classes, scale=6.0, **arguments)
    return recipe, {"audio": voice, "image": face, "label": tf.constant(LABEL)}


def _twin(recipe, batch, margin, kind):
    """Implicit loss with the margin, and what the margin takes off, both modalities together."""
    rows, drop = 0, 0
    for modality in ("audio", "image"):
        kernel = recipe.heads["classifier"].kernel.numpy()
        plain = reference.shared_classifier(batch[modality], kernel, scale=6.0)
        harder = reference.with_margin(plain, LABEL, 6.0, margin, kind)
        rows = rows + reference.cross_entropy(harder, LABEL)
        drop = drop + (plain - harder)[np.arange(4), LABEL]
    return rows, drop


@pytest.mark.parametrize("kind", ["additive_cosine", "additive_angular"])
def test_the_implicit_loss_has_the_margin_in_training_alone(kind):
    recipe, batch = _people(margin_kind=kind, margin=0.3)
    plain, _ = _people()
    losses = recipe.compute_losses(batch, True)
    assert set(losses) == set(recipe.scalars)
    expected, _ = _twin(recipe, batch, 0.3, getattr(reference, kind))
    np.testing.assert_allclose(losses["implicit"], expected, rtol=1e-4)
    np.testing.assert_allclose(losses["margin"], [0.3] * 4)
    np.testing.assert_allclose(losses["scale"], [6.0] * 4)
    without = plain.compute_losses(batch, True)
    np.testing.assert_array_equal(losses["accuracy"], without["accuracy"])
    evaluated = recipe.compute_losses(batch, False)
    np.testing.assert_allclose(evaluated["implicit"], without["implicit"], rtol=1e-6)


def test_no_margin_leaves_neither_a_layer_nor_a_scalar():
    recipe, _ = _people()
    assert set(recipe.heads) == {"classifier"} and not {"margin", "scale"} & set(recipe.scalars)


def test_identities_are_as_hard_as_they_are_without_the_margin():
    # The moving mean starts at 2 ln 5 and keeps 0.9 of it; identity 2 has two rows.
    recipe, batch = _people(
        reweighting="grow", reweighting_args={"initial_hardness": None}, **MARGIN
    )
    recipe.compute_losses(batch, True)
    rows, _ = _twin(recipe, batch, 0.0, reference.none)
    expected = np.full(5, 2 * np.log(5))
    for y in range(3):
        expected[y] = 0.9 * expected[y] + 0.1 * rows[np.equal(LABEL, y)].mean()
    np.testing.assert_allclose(recipe.tables["identity"].hardness.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["additive_cosine", "additive_angular"])
@pytest.mark.parametrize("seed", range(4))
def test_the_floor_stays_a_floor_under_a_margin(seed, kind, legacy):
    weight = np.array([2.0, 0.5, 1.5, 0.5, 0.5])
    recipe, batch = _people(
        seed, margin_kind=kind, margin=0.7, reweighting="frozen", legacy_weighting=legacy
    )
    recipe.tables["identity"].weight.assign(weight)
    losses = recipe.compute_losses(batch, True)
    floor = losses["implicit_floor"].numpy()[0]
    assert floor <= losses["implicit"].numpy().mean()
    unit = {m: reference.normalize(batch[m]) for m in ("audio", "image")}
    kernel = 6.0 * reference.normalize(recipe.heads["classifier"].kernel.numpy())
    rows, drop = _twin(recipe, batch, 0.7, getattr(reference, kind))
    its = weight[LABEL] if not legacy else np.ones(4)
    given = kernel, unit["image"], unit["audio"], LABEL, its
    expected = theory.implicit_floor(*given, drop)
    assert expected > theory.implicit_floor(*given)  # it is tighter for knowing of the margin
    assert expected <= np.mean(its * rows)
    mean = weight[LABEL].mean() if legacy else 1.0
    assert floor == pytest.approx(mean * expected, rel=1e-4)


def test_several_centres_have_no_floor_to_log():
    recipe, batch = _people(sub_centers=2)
    losses = recipe.compute_losses(batch, True)
    assert "implicit_floor" not in losses and set(losses) == set(recipe.scalars)
    kernel = recipe.heads["classifier"].kernel.numpy()
    expected = sum(
        reference.cross_entropy(reference.sub_center_logits(batch[m], kernel, 2, 6.0), LABEL)
        for m in ("audio", "image")
    )
    np.testing.assert_allclose(losses["implicit"], expected, rtol=1e-4)


# Several modalities -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["additive_cosine", "additive_angular"])
def test_every_modality_has_the_margin_and_read_outs_have_none(kind):
    recipe = test_mmcosine.make(scale=4.0, margin_kind=kind, margin=0.3)
    given = test_mmcosine.batch()
    losses = recipe.compute_losses(given, True)
    assert set(losses) == set(recipe.scalars)
    kernels = test_mmcosine.kernels(recipe.heads["classifier"])
    plain = reference.cosine_logits(test_mmcosine.embeddings(recipe, given), kernels, 4.0)
    twin = getattr(reference, kind)
    harder = [reference.with_margin(z, LABEL, 4.0, 0.3, twin) for z in plain]
    expected = reference.cross_entropy(sum(harder), LABEL)
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)
    np.testing.assert_array_equal(losses["accuracy"], np.argmax(sum(plain), 1) == LABEL)
    for z, share in zip(("audio", "image"), reference.margin_shares(plain, LABEL)):
        np.testing.assert_allclose(losses[f"share_{z}"], share, rtol=1e-3)
    answered = outputs.classify(recipe, given)
    np.testing.assert_allclose(answered["logits"], sum(plain), rtol=1e-4, atol=1e-5)
    same = test_mmcosine.make(scale=4.0)
    np.testing.assert_array_equal(answered["logits"], outputs.classify(same, given)["logits"])


def test_own_heads_have_the_margin_at_their_own_scale_and_their_log_has_none():
    recipe = test_mmcosine.make(scale=4.0, blending="equal", **MARGIN)
    given = test_mmcosine.batch()
    losses = recipe.compute_losses(given, True)
    x = dict(zip(("audio", "image"), test_mmcosine.embeddings(recipe, given)))
    total = 0
    for name in ("fused", "audio", "image"):
        if name == "fused":
            kernels = test_mmcosine.kernels(recipe.heads["classifier"])
            parts, scale = reference.cosine_logits(x.values(), kernels, 4.0), 4.0
        else:  # one modality at twice the scale
            (kernel,) = test_mmcosine.kernels(recipe.heads[f"own_{name}"])
            parts, scale = reference.cosine_logits([x[name]], [kernel], 8.0), 8.0
        harder = [
            reference.with_margin(z, LABEL, scale, 0.3, reference.additive_cosine) for z in parts
        ]
        total = total + reference.cross_entropy(sum(harder), LABEL) / 3
        plain = reference.cross_entropy(sum(parts), LABEL)
        np.testing.assert_allclose(losses[f"loss_{name}"], plain, rtol=1e-4)
    np.testing.assert_allclose(losses["loss"], total, rtol=1e-4)
    logged = softmax.cross_entropy(recipe.loss_logits(recipe.features(given))["audio"], LABEL)
    np.testing.assert_allclose(losses["loss_audio"], logged, rtol=1e-5)


def test_the_maximum_over_centres_is_what_classify_answers():
    recipe = test_mmcosine.make(scale=4.0, sub_centers=3)
    given = test_mmcosine.batch()
    kernels = test_mmcosine.kernels(recipe.heads["classifier"])
    expected = sum(
        reference.sub_center_logits(x, w, 3, 4.0)
        for x, w in zip(test_mmcosine.embeddings(recipe, given), kernels)
    )
    found = outputs.classify(recipe, given)["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# A run ------------------------------------------------------------------------------------------

SECTIONS = {
    "voice_face": {
        "model": {"sub_centers": 2, "margin_kind": "additive_angular", "margin": 0.4}
        | {"margin_warmup_steps": 4, "reweighting": "grow"}
    },
    "mmcosine": {
        "model": {"head": "cosine", "sub_centers": 2},
        "loss": {"margin_kind": "additive_cosine", "margin": 0.4, "margin_warmup_steps": 4}
        | {"scale": 5.0, "blending": "equal"},
    },
}


def _config(name, directory="unused"):
    c = small.config(directory)
    c.recipe = name
    c.eval.protocols = ("lists",) if name == "voice_face" else ("classification",)
    for section, fields in SECTIONS[name].items():
        c[section] = fields
    return c


@pytest.mark.parametrize("name", SECTIONS)
def test_two_replicas_have_the_scalars_and_gradients_of_one(name, mirrored, float64):
    c = _config(name)
    c.dtype = "float64"
    random = np.random.default_rng(0)
    given = {
        "audio": random.uniform(-0.3, 0.3, [4, 3200]).astype(np.float32),
        "image": random.integers(0, 256, [4, c.image.size, c.image.size, 3], np.uint8),
        "label": np.array([0, 1, 2, 1], np.int32),
    }

    def loop(strategy):
        with strategy.scope():
            recipe = models.model(c, 5)
        for head in ("margin", "own_margin"):
            if head in recipe.heads:
                recipe.heads[head].steps.assign(3)  # three quarters of the warm-up
        return trainer.Trainer(recipe, None, strategy, batch_size=4)

    one = tf.distribute.OneDeviceStrategy("CPU:0")
    expected, gradients = one.run(loop(one).gradients, args=(given,))
    assert float(expected["margin"]) == pytest.approx(0.3)
    halves = {key: replicas.halves(mirrored, x) for key, x in given.items()}
    scalars, copies = mirrored.run(loop(mirrored).gradients, args=(halves,))
    for scalar, value in expected.items():
        found = replicas.summed(mirrored, scalars[scalar])
        np.testing.assert_allclose(found, value, rtol=1e-10, err_msg=scalar)
    for whole, copy in zip(gradients, copies):
        for gradient in mirrored.experimental_local_results(copy):
            assert np.linalg.norm(gradient - whole) <= 1e-10 * np.linalg.norm(whole) + 1e-12


@pytest.mark.parametrize("name", SECTIONS)
def test_the_log_tells_margin_and_scale_and_a_resumed_warm_up_goes_on(name, tmp_path):
    data = small.write_dataset(str(tmp_path / "data"))
    if name == "mmcosine":
        data = str(tmp_path / "rows")
        shards.write(data, small.paired_records(), columns=["speaker"], modalities=["flow"])
    found = []
    for stops in ((6,), (4, 6)):
        c = _config(name, data)
        c.data.sampling = "identities" if name == "voice_face" else "rows"
        c.train.steps_per_call = c.train.checkpoint_every = 1
        workdir = str(tmp_path / f"run{len(stops)}")
        for c.train.num_steps in stops:
            train.train(c, workdir, "one_device")
        with open(f"{workdir}/scalars.jsonl", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        scale = lines[0]["scale"]
        assert scale == pytest.approx(
            5.0 if name == "mmcosine" else np.sqrt(2) * np.log(7), rel=0.3
        )
        found.append([line["margin"] for line in lines])
        assert {line["scale"] for line in lines} == {scale}
    np.testing.assert_allclose(found[0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


def test_a_sweep_reads_margins_and_the_config_takes_each():
    file = str(pathlib.Path(__file__).parents[2] / "configs" / "mmcosine.py")
    field, swept = sweeps.read("loss.margin:0,0.1,0.35", file, "demo_additive_cosine", {})
    assert field == "loss.margin" and swept == {"0": 0.0, "0.1": 0.1, "0.35": 0.35}
    for margin in swept.values():
        c = config_file.from_json(config_file.to_json(_load(file, "demo_additive_cosine")))
        with c.unlocked():
            c.loss.margin = margin
        recipe = models.model(c, 12)
        assert recipe.heads["margin"].margin == margin


def _load(file, variant):
    return runpy.run_path(file)["get_config"](variant)


def test_every_weight_gets_a_gradient_under_a_margin():
    recipe = test_mmcosine.make(scale=4.0, sub_centers=2, **MARGIN)
    variables = [compat.raw(w) for w in recipe.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(recipe.compute_losses(test_mmcosine.batch(), True)["loss"])
    for gradient in tape.gradient(loss, variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-6
