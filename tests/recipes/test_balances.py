"""Methods that balance modalities: what each changes in a step, and the laws that all keep."""

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import walk
from tests.recipes import test_mmcosine
from tests.recipes.test_mmcosine import LABEL, batch, embeddings, make
from tfav import compat, registry
from tfav.encoders import audio
from tfav.recipes import balances, mmcosine
from tfav.training import optimizers, trainer

# The options of the smallest recipe with each row; SIZES of the encoders are one.
OPTIONS = {
    "mmpareto": {"head": "vanilla"},
    "agm": {"balance_args": {"alpha": 2.0}},
    "pmr": {"balance_args": {"penalty": 0.1, "penalty_steps": 2}},
    "mla": {"head": "common", "late_fusion": "certainty"},
    "reconboost": {"head": "vanilla", "balance_args": {"turn_steps": 1}},
    "lfm": {"balance_args": {"fade_steps": 3}},
}
ROWS = walk.rows(balances.BALANCES, OPTIONS)


def recipe_of(name, **more):
    return make(balance=name, **{**OPTIONS[name], **more})


def test_every_row_has_options():
    add = "add 'ROW': {options of MMCosine} to OPTIONS in tests/recipes/test_balances.py."
    walk.check_complete(balances.BALANCES, OPTIONS, "BALANCES", add)


def _loop(recipe, strategy, rate=0.05):
    optimizer = optimizers.create("sgd", rate, schedule="constant", num_steps=9, momentum=0.0)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    return trainer.Trainer(recipe, optimizer, strategy, batch_size=len(LABEL), clip_norm=1.0)


def _data(seeds):
    steps = [batch(seed=s) for s in seeds]
    given = {k: tf.constant(np.stack([s[k] for s in steps])) for k in steps[0]}
    return tf.data.Dataset.from_tensor_slices(given)


@pytest.mark.parametrize("name", ROWS)
def test_two_replicas_train_as_one(name, mirrored, float64):
    options = {"balance": name, **OPTIONS[name]}
    seeds = (0, 1, 2, 3)
    expected, one = test_mmcosine._steps(tf.distribute.OneDeviceStrategy("CPU:0"), seeds, **options)
    scalars, two = test_mmcosine._steps(mirrored, seeds, **options)
    for key, value in expected.items():
        assert scalars[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
    before = make(seed=7, **options).named_weights()
    for key, weight in one.named_weights().items():
        for copy in mirrored.experimental_local_results(two.named_weights()[key]):
            np.testing.assert_allclose(copy.numpy(), weight.numpy(), atol=1e-10, err_msg=key)
        assert np.abs(weight.numpy() - before[key].numpy()).max() > 1e-6, key


@pytest.fixture
def eager():
    """Steps op by op: a graph's optimizers may order sums anew in every process and every graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", ROWS)
def test_a_stopped_and_resumed_run_equals_one_that_never_stopped_bit_for_bit(name, tmp_path, eager):
    """Four steps, or two, a checkpoint, another recipe of other weights that takes it, and two."""

    def steps(loop, optimizer, seeds):
        for seed in seeds:
            loop.run(iter(_data([seed])), 1)
        return tf.train.Checkpoint(
            weights=loop.recipe.named_weights(), optimizer=compat.optimizer_state(optimizer)
        )

    def loop_of(seed):
        recipe = recipe_of(name, seed=seed)
        optimizer = optimizers.create("adam", 0.05, schedule="constant", num_steps=9)
        compat.build_optimizer(optimizer, recipe.trainable_weights)
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        return trainer.Trainer(recipe, optimizer, strategy, batch_size=len(LABEL)), optimizer

    whole, resumed = loop_of(0), loop_of(5)
    first = steps(*loop_of(0), range(2))
    path = first.save(str(tmp_path / "checkpoint"))
    steps(*resumed, ()).restore(path).assert_consumed()
    wanted, found = steps(*whole, range(4)), steps(*resumed, range(2, 4))
    for key, variable in wanted.weights.items():
        np.testing.assert_array_equal(found.weights[key].numpy(), variable.numpy(), err_msg=key)
    fresh = recipe_of(name, seed=0).named_weights()
    moved = [k for k, v in wanted.weights.items() if (v.numpy() != fresh[k].numpy()).any()]
    assert len(moved) > 4, moved


@pytest.mark.parametrize("name", ROWS)
def test_scalars_are_one_number_per_row_and_evaluation_changes_nothing(name):
    recipe = recipe_of(name)
    before = {k: v.numpy() for k, v in recipe.named_weights().items()}
    for training in (False, True):
        losses = recipe.compute_losses(batch(), training)
        assert set(losses) == set(recipe.scalars)
        assert all(v.shape == [4] and np.isfinite(v).all() for v in losses.values())
        if not training:
            for key, variable in recipe.named_weights().items():
                np.testing.assert_array_equal(variable.numpy(), before[key], err_msg=key)


@pytest.mark.parametrize("name", ROWS)
def test_a_method_learns_a_synthetic_corpus(name):
    """Audio says the class in a third of the rows, image in all of them, faintly."""
    recipe = recipe_of(name, seed=3)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (60, 4)).astype(np.int32)
    said = np.where(rng.random((60, 4)) < 0.3, label, rng.integers(0, 3, (60, 4)))
    given = {
        "audio": 3 * np.eye(5)[said] + 0.1 * rng.normal(size=(60, 4, 5)),
        "image": np.eye(4)[label] + 0.1 * rng.normal(size=(60, 4, 4)),
    }
    given = {m: x.astype(np.float32) for m, x in given.items()} | {"label": label}
    loop = _loop(recipe, tf.distribute.OneDeviceStrategy("CPU:0"), rate=0.3)
    loop.run(iter(tf.data.Dataset.from_tensor_slices(given).repeat()), 240)
    logits = recipe.logits(
        {m: tf.concat([recipe.encoders[m](x) for x in given[m]], axis=0) for m in recipe.encoders}
    )
    right = {k: np.mean(np.argmax(z, axis=1) == label.ravel()) for k, z in logits.items()}
    assert right["fused"] > 0.8 and right["image"] > 0.8, right


def _gradients(recipe, training_step=0):
    """Returns the gradients of a step before and after the method, by weight."""
    loop = _loop(recipe, tf.distribute.OneDeviceStrategy("CPU:0"))
    given = batch(seed=training_step)
    scalars, every, _ = loop._gradients({k: tf.constant(v) for k, v in given.items()})
    after = recipe.combine_gradients(every, scalars)
    names = [
        f"{owner}/{i}"
        for owner, layer in sorted(recipe.layers.items())
        for i, _ in enumerate(layer.trainable_weights)
    ]
    every = {part: dict(zip(names, (g.numpy() for g in its))) for part, its in every.items()}
    return every, dict(zip(names, (g.numpy() for g in after))), scalars


def test_mmpareto_joins_the_gradients_of_each_encoder_and_of_no_head():
    recipe = recipe_of("mmpareto", balance_args={"gamma": 1.5})
    every, after, _ = _gradients(recipe)
    for m in ("audio", "image"):
        keys = [k for k in after if k.startswith(f"{m}/")]
        whole, alone = (np.concatenate([every[p][k].ravel() for k in keys]) for p in every)
        joint = whole - alone
        if joint @ alone < 0:
            difference = joint - alone
            share = np.clip(-(difference @ alone) / (difference @ difference), 0, 1)
        else:
            share = 0.5
        expected = 2 * (share * joint + (1 - share) * alone)
        expected *= 1.5 * max(1.0, np.linalg.norm(whole) / np.linalg.norm(expected))
        found = np.concatenate([after[k].ravel() for k in keys])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    for key in after:
        if key.split("/")[0] not in ("audio", "image"):
            np.testing.assert_array_equal(after[key], every["loss"][key])


def test_the_total_of_mmpareto_is_the_fused_loss_and_those_of_the_own_heads():
    recipe = recipe_of("mmpareto")
    losses = recipe.compute_losses(batch(), True)
    logits = recipe.loss_logits(recipe.features(batch()))
    assert set(recipe.heads) >= {"own_audio", "own_image"}
    every = {k: reference.cross_entropy(z.numpy(), LABEL) for k, z in logits.items()}
    np.testing.assert_allclose(losses["loss"], sum(every.values()), rtol=1e-5)
    np.testing.assert_allclose(losses["loss_alone"], every["audio"] + every["image"], rtol=1e-5)


def test_agm_multiplies_encoders_by_how_far_they_are_ahead_of_the_mean_of_all_steps():
    recipe = recipe_of("agm")
    _, _, first = _gradients(recipe)
    every, after, second = _gradients(recipe, 1)
    now = np.array([second["loss_audio"], second["loss_image"]])
    usual = (now + [first["loss_audio"], first["loss_image"]]) / 2
    lead = lambda s: np.exp(s[::-1] - s)  # noqa: E731
    factors = np.exp(2.0 * np.minimum(lead(usual) - lead(now), 10))
    assert np.abs(factors - 1).max() > 1e-3
    for key, value in after.items():
        factor = dict(zip(("audio", "image"), factors)).get(key.split("/")[0], 1.0)
        np.testing.assert_allclose(value, factor * every["loss"][key], rtol=1e-4, err_msg=key)


def test_agm_changes_nothing_in_the_first_step():
    every, after, _ = _gradients(recipe_of("agm"))
    for key, value in after.items():
        np.testing.assert_allclose(value, every["loss"][key], rtol=1e-6)


def test_the_prototypes_of_pmr_are_moving_means_of_each_class():
    recipe = recipe_of("pmr", balance_args={"momentum": 0.75})
    x = np.concatenate(embeddings(recipe, batch()), axis=1)
    recipe.compute_losses(batch(), True)
    table = recipe.tables["balance"].prototypes
    first = np.stack([x[k == LABEL].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(table.numpy(), first, rtol=1e-4, atol=1e-5)
    y = np.concatenate(embeddings(recipe, batch(seed=2)), axis=1)
    recipe.compute_losses(batch(seed=2), True)
    second = np.stack([y[k == LABEL].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(table.numpy(), 0.75 * first + 0.25 * second, rtol=1e-4, atol=1e-5)


def test_the_loss_of_pmr_is_of_distances_for_the_modality_behind():
    recipe = recipe_of("pmr", balance_args={"alpha": 2.0, "penalty": 0.5, "penalty_steps": 1})
    for step in range(2):  # the penalty is in the first step alone
        losses = recipe.compute_losses(batch(), True)
        x = embeddings(recipe, batch())
        logits = []
        for values in x:
            prototypes = np.stack([values[k == LABEL].mean(axis=0) for k in range(3)])
            logits.append(-np.linalg.norm(values[:, np.newaxis] - prototypes, axis=2))
        own = [reference.softmax(z)[np.arange(4), LABEL].mean() for z in logits]
        behind = [np.clip(max(own) / s - 1, 0, 1) for s in own]
        ahead = [np.clip(s / min(own) - 1, 0, 1) for s in own]
        expected = 2 * sum(w * reference.cross_entropy(z, LABEL) for w, z in zip(behind, logits))
        if step == 0:
            p = [reference.softmax(z) for z in logits]
            expected += 0.5 * sum(w * (q * np.log(q)).sum(axis=1) for w, q in zip(ahead, p))
        np.testing.assert_allclose(losses["loss_prototype"], expected, rtol=2e-3, atol=2e-3)
        assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("name", ["mla", "reconboost"])
def test_encoders_learn_in_turn(name):
    recipe = recipe_of(name)
    turns = []
    for step in range(6):
        every, _, _ = _gradients(recipe, step)
        moved = {m: np.abs(every["loss"][f"{m}/0"]).max() > 1e-7 for m in ("audio", "image")}
        turns.append("".join(m[0] for m, its in moved.items() if its))
    # ReconBoost trains all of them together in every third turn.
    assert turns == (["a", "i"] * 3 if name == "mla" else ["a", "i", "ai"] * 2)


def test_the_turn_of_reconboost_sees_what_the_others_leave_to_learn():
    recipe = recipe_of("reconboost")
    given = batch()
    logits = recipe.logits(recipe.features(given))
    every, _, scalars = _gradients(recipe, 1)  # of batch 1, the turn of audio
    error = (reference.softmax(logits["fused"].numpy()) - np.eye(3)[LABEL]) / len(LABEL)
    kernel = recipe.heads["classifier"].kernels()["audio"].numpy()
    np.testing.assert_allclose(
        every["loss"]["audio/1"], (error @ kernel).sum(axis=0), rtol=1e-3, atol=1e-5
    )
    expected = reference.cross_entropy(logits["fused"].numpy(), LABEL).mean()
    assert float(scalars["loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_head_of_mla_hardly_moves_in_directions_that_the_other_modality_has_used():
    recipe = recipe_of("mla")
    every, after, _ = _gradients(recipe, 1)  # audio; nothing is projected yet
    head = "classifier/1"  # beside the bias
    keys = [k for k in after if k.startswith("classifier") and after[k].ndim == 2]
    [head] = keys
    np.testing.assert_allclose(after[head], every["loss"][head], rtol=1e-6)
    seen = embeddings(recipe, batch(seed=1))[0].mean(axis=0)
    every, after, _ = _gradients(recipe, 2)  # image
    scale = 1 - seen @ seen / (0.1 + seen @ seen)
    np.testing.assert_allclose(
        after[head] @ seen, scale * (every["loss"][head] @ seen), rtol=1e-2, atol=1e-5
    )
    assert scale < 0.25


def test_matching_fades_into_the_labels():
    recipe = recipe_of("lfm")
    plain = make()
    for step in range(3):
        losses = recipe.compute_losses(batch(), True)
        weight = np.exp(-step / 3)
        np.testing.assert_allclose(losses["matching_weight"], [weight] * 4, rtol=1e-5)
        label = plain.compute_losses(batch(), True)["loss"]
        expected = (1 - weight) * label + weight * losses["loss_matching"]
        np.testing.assert_allclose(losses["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"balance": "best"}, "unknown balance 'best': choose one of agm, lfm, mla, mmpareto"),
        ({"balance_args": {"alpha": 1.0}}, "do nothing with balance='off'"),
        ({"balance": "agm", "balance_args": {"gamma": 1.0}}, "'gamma'.*choose from alpha"),
        ({"balance": "agm", "fusion": "gated"}, "balance='agm' needs logits .* fusion='gated'"),
        ({"balance": "mla"}, "balance='mla' needs the head 'common' and was given 'cosine'"),
        ({"balance": "pmr", "modulation": "ogm"}, "beside .*modulation='ogm'.*all but one"),
        ({"balance": "lfm", "blending": "equal"}, "beside blending='equal'"),
        (
            {"late_fusion": "best"},
            "late_fusion='best': choose one of sum, certainty, fitted",
        ),
        ({"late_fusion": {"audio": 1.0}}, "give one of each of audio, image"),
        ({"late_fusion": "audio=1"}, "give one of each of audio, image"),
        ({"late_fusion": "0.3,0.7"}, "late_fusion='0.3,0.7': choose .* such as audio=1,image=1"),
        ({"late_fusion": "audio=1,audio=2"}, "give a weight of each of audio, image"),
        ({"late_fusion": "audio=-1,image=2"}, "must not be negative"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options, says):
    with pytest.raises(registry.UserError, match=says):
        make(**options)


def test_one_modality_has_nothing_to_balance():
    with pytest.raises(registry.UserError, match="two modalities or more; set loss.balance"):
        make(("audio",), balance="agm")


# Late fusion -------------------------------------------------------------------------------------


def test_weights_of_the_late_fusion_meet_the_fused_logits_and_neither_the_others_nor_the_loss():
    plain, weighted = make(), make(late_fusion={"image": 2.0, "audio": 0.5})
    logits = {r: r.logits(r.features(batch())) for r in (plain, weighted)}
    for m in ("audio", "image"):
        np.testing.assert_allclose(logits[weighted][m], logits[plain][m], rtol=1e-6)
    expected = 0.5 * logits[plain]["audio"] + 2 * logits[plain]["image"]
    np.testing.assert_allclose(logits[weighted]["fused"], expected, rtol=1e-5, atol=1e-6)
    losses = [r.compute_losses(batch(), True)["loss"] for r in (plain, weighted)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    one = weighted.logits({"audio": weighted.features(batch())["audio"]})
    np.testing.assert_allclose(one["fused"], 0.5 * one["audio"], rtol=1e-6)
    assert not plain.fits_fusion and not weighted.fits_fusion
    by_text = make(late_fusion="image=2, audio=0.5")  # as on a command line
    np.testing.assert_array_equal(
        by_text.logits(by_text.features(batch()))["fused"], logits[weighted]["fused"]
    )
    fitted = make(late_fusion="fitted")
    assert fitted.fits_fusion and fitted.served_tables == ("late_fusion",)


def test_taken_weights_are_those_of_the_late_fusion_of_another_run_alone():
    first = make(late_fusion="fitted")
    first.weigh({"audio": 0.25, "image": 3.0})
    second = make(late_fusion="taken", balance="agm")
    assert second.needs_tables and not make(late_fusion="fitted").needs_tables
    taken = second.taken_weights()
    assert set(taken) == {"late_fusion/weight"} <= set(first.named_weights())
    for name, variable in taken.items():
        variable.assign(first.named_weights()[name])
    logits = second.logits(second.features(batch()))
    expected = 0.25 * logits["audio"] + 3 * logits["image"]
    np.testing.assert_allclose(logits["fused"], expected, rtol=1e-5, atol=1e-6)
    assert not second.fits_fusion


def test_certainty_weighs_row_by_row():
    recipe = make(late_fusion="certainty")
    logits = {k: v.numpy() for k, v in recipe.logits(recipe.features(batch())).items()}
    p = {m: reference.softmax(logits[m]) for m in ("audio", "image")}
    certain = {m: np.exp((q * np.log(q)).sum(axis=1)) for m, q in p.items()}
    total = sum(certain.values())
    expected = sum((certain[m] / total)[:, np.newaxis] * logits[m] for m in p)
    np.testing.assert_allclose(logits["fused"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"blending": "equal"}, {"balance": "mmpareto"}])
def test_the_memory_of_classes_counts_every_head_that_is_made(options):
    encoders = {m: audio.Tiny(8, seed=1, name=m) for m in ("audio", "image")}
    made = mmcosine.MMCosine(encoders, 5, **options)
    kernels = [h.kernel for n, h in made.heads.items() if n == "classifier" or n[:4] == "own_"]
    said = mmcosine.MMCosine.class_weights(options, {"audio": 8, "image": 8}, 5)
    assert said == [tuple(kernel.shape) for kernel in kernels]
