"""Which classes a step takes, and the heads and losses of these alone."""

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import replicas
from tests.training import linear
from tfav import registry, theory, weights
from tfav.layers import class_sampling, classifiers, identity, shared_classifier
from tfav.losses import bounds, softmax

LABEL = np.array([7, 2, 7, 11], np.int32)


def test_a_draw_holds_the_batchs_classes_and_a_share_of_the_others_each_once():
    sampler = class_sampling.ClassSampler(40, 0.25, seed=5)
    seen = np.zeros(40)
    for _ in range(200):
        classes, column = (x.numpy() for x in sampler(LABEL))
        assert len(set(classes)) == len(classes) and classes.min() >= 0 and classes.max() < 40
        np.testing.assert_array_equal(classes[column], LABEL)
        assert len(classes) == 14  # a quarter of 40, and as many as the batch has rows
        seen[classes] += 1
    assert (seen[[2, 7, 11]] == 200).all()
    # Of the 37 others eleven are drawn each time: 59.5 of 200, with a deviation of 6.5.
    others = np.delete(seen, [2, 7, 11])
    assert others.min() > 33 and others.max() < 86 and others.sum() == 200 * 11


def test_a_draw_is_a_function_of_seed_and_step_which_a_weight_counts():
    first, other, seeded = (class_sampling.ClassSampler(99, 0.1, seed=s) for s in (1, 1, 2))
    drawn = [first(LABEL)[0].numpy().tolist() for _ in range(4)]
    assert drawn[0] != drawn[1] and seeded(LABEL)[0].numpy().tolist() != drawn[0]
    (name,) = weights.named_weights(other, "sampler")
    assert name == "sampler/calls" and int(first.calls.numpy()) == 4
    other.calls.assign(3)  # a run that resumes after three steps
    assert other(LABEL)[0].numpy().tolist() == drawn[3]


def test_two_replicas_draw_what_one_does_and_each_finds_its_own_rows(mirrored):
    one = class_sampling.ClassSampler(50, 0.2, seed=4)
    with mirrored.scope():
        two = class_sampling.ClassSampler(50, 0.2, seed=4)
    for _ in range(3):
        classes, column = one(LABEL)
        parts = mirrored.run(two, args=(replicas.halves(mirrored, LABEL),))
        for copy in mirrored.experimental_local_results(parts[0]):
            np.testing.assert_array_equal(copy, classes)
        np.testing.assert_array_equal(replicas.joined(mirrored, parts[1]), column)


@pytest.mark.parametrize("share, classes", [(0.0, 9), (1.5, 9), (0.5, 1)])
def test_what_is_no_share_is_refused(share, classes):
    with pytest.raises(registry.UserError, match=f"sampled={share} of {classes} classes: give"):
        class_sampling.ClassSampler(classes, share)


@pytest.mark.parametrize("sub_centers", [1, 3])
@pytest.mark.parametrize("kind", ["shared", "plain", "cosine"])
def test_the_logits_of_drawn_classes_are_those_columns_of_all(kind, sub_centers):
    if kind == "plain" and sub_centers > 1:
        pytest.skip("a head of plain products has one centre")
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 6)), tf.float32)
    if kind == "cosine":
        sizes = {"audio": 6, "image": 6}
        head = classifiers.CosineClassifier(12, sizes, scale=5.0, sub_centers=sub_centers)
        given = {m: x for m in sizes}
    else:
        head = shared_classifier.SharedClassifier(
            12, embedding_size=6, normalized=kind == "shared", sub_centers=sub_centers
        )
        given = x
    classes = tf.constant([7, 2, 11, 0], tf.int64)
    whole, part = head(given), head(given, head.rows(classes))
    for all_of, some in zip(tf.nest.flatten(whole), tf.nest.flatten(part)):
        np.testing.assert_allclose(some, all_of.numpy()[:, [7, 2, 11, 0]], rtol=1e-5, atol=1e-6)


def _losses(name, share, float64=None, **arguments):
    recipe = linear.recipe(name, 12, sampled=share, **arguments)
    return recipe, recipe.compute_losses(linear.batch(5, 12), True)


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_the_implicit_loss_is_that_of_the_drawn_classes_and_so_is_its_floor(margin, float64):
    its = {"margin_kind": "additive_cosine", "margin": margin} if margin else {}
    recipe, losses = _losses("voice_face", 0.3, scale=4.0, **its)
    given = linear.batch(5, 12)
    label = given["label"]
    again = class_sampling.ClassSampler(12, 0.3, seed=3)
    classes = again(label)[0].numpy()
    assert len(classes) == 4 + 5
    kernel = recipe.heads["classifier"].kernel.numpy()
    x = {m: given[m] @ recipe.encoders[m].kernel.numpy() for m in ("audio", "image")}
    rows = 0
    for vectors in x.values():
        logits = reference.shared_classifier(vectors, kernel, scale=4.0)
        logits = reference.with_margin(logits, label, 4.0, margin, reference.additive_cosine)
        rows = rows + reference.partial_cross_entropy(logits, label, classes)
    np.testing.assert_allclose(losses["implicit"], rows, rtol=1e-9)
    column = [list(classes).index(y) for y in label]
    unit = {m: reference.normalize(v) for m, v in x.items()}
    floor = theory.implicit_floor(
        4.0 * reference.normalize(kernel[classes]),
        unit["image"],
        unit["audio"],
        np.array(column),
        None,
        np.full(5, 8.0 * margin),
    )
    np.testing.assert_allclose(losses["implicit_floor"], np.full(5, floor), rtol=1e-9)
    assert floor <= rows.mean()
    # Of all classes it would be another number, and no floor of this loss.
    whole = theory.implicit_floor(
        4.0 * reference.normalize(kernel), unit["image"], unit["audio"], label
    )
    assert abs(whole - floor) > 0.05


def test_the_fused_loss_is_that_of_the_drawn_classes(float64):
    recipe, losses = _losses("mmcosine", 0.3, scale=4.0)
    given = linear.batch(5, 12)
    classes = class_sampling.ClassSampler(12, 0.3, seed=3)(given["label"])[0].numpy()
    x = [given[m] @ recipe.encoders[m].kernel.numpy() for m in ("audio", "image")]
    kernels = np.split(recipe.heads["classifier"].kernel.numpy(), 2, axis=1)
    logits = sum(reference.cosine_logits(x, kernels, 4.0))
    expected = reference.partial_cross_entropy(logits, given["label"], classes)
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-9)
    # Evaluation takes all classes.
    evaluated = recipe.compute_losses(given, False)["loss"]
    np.testing.assert_allclose(
        evaluated, reference.cross_entropy(logits, given["label"]), rtol=1e-9
    )


@pytest.mark.parametrize("name", ["voice_face", "mmcosine"])
def test_a_draw_of_all_classes_is_the_whole_head(name, float64):
    more = {"blending": "equal"} if name == "mmcosine" else {"reweighting": "grow"}
    (_, whole), (_, drawn) = (_losses(name, share, **more) for share in (1.0, 0.999))
    assert set(whole) == set(drawn)
    for scalar, value in whole.items():
        np.testing.assert_allclose(drawn[scalar], value, rtol=1e-9, atol=1e-12, err_msg=scalar)


def test_the_vanilla_head_says_that_it_takes_all_classes():
    with pytest.raises(registry.UserError, match="sampled=0.5 needs .* head='vanilla' takes all"):
        linear.recipe("mmcosine", 12, sampled=0.5, head="vanilla")


# A million ----------------------------------------------------------------------------------------


def test_the_floor_of_a_million_classes_is_the_theorys():
    rng = np.random.default_rng(0)
    voice, face = rng.normal(size=(2, 8, 4)).astype(np.float32)
    label = np.array([0, 1, 1, 5, 999_999, 999_998, 77, 0], np.int32)
    kernel = np.zeros((1_000_000, 4), np.float32)
    kernel[3] = [3, 4, 0, 0]
    expected = theory.implicit_floor(kernel, face, voice, label)
    found = bounds.implicit_floor(tf.constant(5.0), 1_000_000, voice, face, label)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_weights_of_a_million_identities_have_the_mean_one_and_the_released_course():
    table = identity.IdentityWeights(1_000_000, initial_hardness=None, num_compared=100_000)
    np.testing.assert_allclose(table.hardness.numpy()[0], 2 * np.log(100_000), rtol=1e-6)
    table.observe(tf.range(1000), tf.fill([1000], 1.0))  # these are easy
    table.update()
    weight = table.weight.numpy()
    assert (weight > 0).sum() == 500_000 and (weight[:1000] == 1).all()
    table.update()
    weight = table.weight.numpy()
    assert (weight > 0).sum() == 524_000  # 2.4 % more
    rows = table.weights(tf.range(1_000_000)).numpy()
    np.testing.assert_allclose(rows.mean(dtype=np.float64), 1.0, rtol=1e-5)
    # 500,000 decayed to 0.99 and 24,000 at 1 sum to 519,000.
    np.testing.assert_allclose(rows.max(), 1e6 / 519_000, rtol=1e-5)


def test_a_start_below_the_loss_of_chance_is_warned_of(caplog):
    identity.IdentityWeights(924)
    assert "initial_hardness" not in caplog.text
    identity.IdentityWeights(1_000_000)
    assert "initial_hardness=14 lies below 27.63" in caplog.text


def test_a_cross_entropy_of_columns_by_hand():
    # Of the logits 0, ln 2, ln 5 the classes 0 and 2: ln(1 + 5) - 0.
    logits = tf.constant([[0.0, np.log(5.0)]])
    np.testing.assert_allclose(softmax.cross_entropy(logits, [0]), [np.log(6.0)], rtol=1e-6)
    whole = [[0.0, np.log(2.0), np.log(5.0)]]
    found = reference.partial_cross_entropy(whole, [0], [0, 2])
    np.testing.assert_allclose(found, [np.log(6.0)], rtol=1e-12)
