"""The voice-face recipe: the authors' numbers."""

import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, items, recipes, registry, theory
from tfav.losses import alignment, bounds


class Given:
    """Stands for an encoder: returns the embeddings it is given."""

    def __init__(self, embedding: tf.Tensor):
        self.embedding = embedding
        self.embedding_size = embedding.shape[-1]
        self.item_spec = items.ItemSpec("vector", (self.embedding_size,), "float32")

    def __call__(self, *_, **__):
        return self.embedding


@pytest.mark.parametrize("names", [("audio",), ("audio", "gait"), ("audio", "image", "gait")])
def test_other_modalities_are_refused(names):
    with pytest.raises(registry.UserError, match="pairs audio and image, and --config.modalities"):
        recipes.RECIPES["voice_face"]({name: Given(tf.zeros([1, 2])) for name in names}, 3)
    sizes = dict.fromkeys(names, 2)  # asked for before that
    assert recipes.RECIPES["voice_face"].class_weights({}, sizes, 3) == [(3, 2)]


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_losses_and_gradients_are_those_of_the_released_code(golden, name):
    g = golden(name)
    # The golden explicit term saw 0.2 * face and 0.2 * voice, the classifier saw face and voice.
    for part, scale in (("implicit", 1.0), ("explicit", float(g["explicit_embedding_scale"]))):
        voice, face = tf.Variable(scale * g["voice"]), tf.Variable(scale * g["face"])
        recipe = recipes.RECIPES["voice_face"](
            {"audio": Given(voice), "image": Given(face)},
            len(g["class_weights"]),
            normalized=False,
            alignment_args={"m": float(g["explicit_m"])},
        )
        recipe.heads["classifier"].kernel.assign(g["class_weights"])
        batch = {"audio": voice, "image": face, "label": tf.constant(g["labels"], tf.int32)}
        losses = recipe.compute_losses(batch, training=True)
        assert set(losses) == set(recipe.scalars)
        expected = g["face_ce"] + g["voice_ce"] if part == "implicit" else g["explicit_per_sample"]
        np.testing.assert_allclose(losses[part], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_weighted_total_has_the_released_gradients(golden, name):
    g = golden(name)
    voice, face, kernel = (tf.constant(g[k]) for k in ("voice", "face", "class_weights"))
    scale = float(g["explicit_embedding_scale"])
    label, weight = tf.constant(g["labels"], tf.int32), tf.constant(g["sample_weights"])
    recipe = recipes.RECIPES["voice_face"](
        {"audio": Given(voice), "image": Given(face)}, len(kernel), normalized=False
    )
    classifier = recipe.heads["classifier"]
    classifier.kernel.assign(kernel)
    variable = compat.raw(classifier.kernel)
    with tf.GradientTape() as tape:
        tape.watch([voice, face])
        recipe.encoders = {"audio": Given(voice), "image": Given(face)}
        implicit = recipe.compute_losses({"audio": voice, "image": face, "label": label}, True)[
            "implicit"
        ]
        recipe.encoders = {"audio": Given(scale * voice), "image": Given(scale * face)}
        explicit = recipe.compute_losses({"audio": voice, "image": face, "label": label}, True)[
            "explicit"
        ]
        total = tf.reduce_mean(weight * (implicit + explicit))
    gradients = tape.gradient(total, [voice, face, variable])
    np.testing.assert_allclose(total, g["total"], rtol=1e-5)
    for gradient, key in zip(gradients, ("grad_voice", "grad_face", "grad_class_weights")):
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient), g[key], atol=1e-4 * np.abs(g[key]).max(), err_msg=key
        )


def test_loss_of_the_other_line_fails_when_the_recipe_is_made():
    if not compat.KERAS_3:
        pytest.skip("tensorflow-addons is here")
    given = Given(tf.zeros([2, 4]))
    with pytest.raises(registry.UserError, match="'npairs' needs tensorflow-addons"):
        recipes.RECIPES["voice_face"]({"audio": given, "image": given}, 3, alignment="npairs")


def _weighted(weight, normalized=False, **arguments):
    """A recipe over three identities whose table holds `weight`, and a batch of two of them."""
    voice, face = tf.constant([[1.0, 0.0], [0.0, 1.0]]), tf.constant([[0.5, 0.1], [0.2, 0.9]])
    recipe = recipes.RECIPES["voice_face"](
        {"audio": Given(voice), "image": Given(face)},
        3,
        normalized=normalized,
        reweighting="frozen",
        **arguments,
    )
    recipe.tables["identity"].weight.assign(weight)
    return recipe, {"audio": voice, "image": face, "label": tf.constant([0, 1])}


def test_identity_weights_count_row_by_row_and_the_released_mistake_is_an_option():
    # Weights (2, 0, 1) of three identities have mean 1: rows 0 and 1 weigh 2 and 0.
    plain, batch = _weighted([1.0, 1.0, 1.0])
    unweighted = plain.compute_losses(batch, True)["implicit"].numpy()
    recipe, _ = _weighted([2.0, 0.0, 1.0])
    losses = recipe.compute_losses(batch, True)
    np.testing.assert_allclose(losses["implicit"], [2 * unweighted[0], 0.0], rtol=1e-6)
    np.testing.assert_allclose(losses["loss"], losses["implicit"] + losses["explicit"], rtol=1e-6)
    legacy, _ = _weighted([2.0, 0.0, 1.0], legacy_weighting=True)
    mean = unweighted.mean()  # mean(CE) * mean(w): row by row 2 mean and 0
    np.testing.assert_allclose(
        legacy.compute_losses(batch, True)["implicit"], [2 * mean, 0.0], rtol=1e-6
    )


def test_identity_weights_count_row_by_row_in_the_explicit_term_too():
    recipe, batch = _weighted([2.0, 0.0, 1.0])  # rows 0 and 1 weigh 2 and 0
    losses = recipe.compute_losses(batch, True)
    plain = alignment.explicit(batch["audio"], batch["image"], batch["label"])
    hinge = bounds.explicit_hinge(batch["audio"], batch["image"], batch["label"])
    assert plain[0] > 0.1 and hinge[0] > 0.1
    np.testing.assert_allclose(losses["explicit"], [2 * plain[0], 0.0], rtol=1e-6)
    np.testing.assert_allclose(losses["explicit_hinge"], [2 * hinge[0], 0.0], rtol=1e-6)


def test_the_loss_is_the_sum_of_its_weighted_terms():
    recipe, batch = _weighted([1.0, 1.0, 1.0], implicit_weight=0.25, explicit_weight=3.0)
    losses = recipe.compute_losses(batch, True)
    expected = 0.25 * losses["implicit"] + 3.0 * losses["explicit"]
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-6)


def test_a_classifier_that_nothing_asks_for_is_not_computed():
    _, batch = _weighted([1.0, 1.0, 1.0])
    given = {name: Given(batch[name]) for name in ("audio", "image")}
    recipe = recipes.RECIPES["voice_face"](given, 3, implicit_weight=0.0, explicit_weight=2.0)
    assert recipe.scalars == ("loss", "explicit", "explicit_hinge")
    recipe.heads["classifier"].call = None  # whoever calls it fails
    losses = recipe.compute_losses(batch, True)
    assert set(losses) == set(recipe.scalars)
    plain = alignment.explicit(batch["audio"], batch["image"], batch["label"])
    np.testing.assert_allclose(losses["loss"], 2 * plain, rtol=1e-6)
    # A table of identities needs its hardness.
    assert "accuracy" in _weighted([1.0, 1.0, 1.0], implicit_weight=0.0)[0].scalars


def test_accuracy_is_the_share_of_the_two_modalities_that_find_the_identity():
    recipe, batch = _weighted([1.0, 1.0, 1.0])
    # Voice 0 and face 0 point to identity 0, voice 1 to identity 1 and face 1 to identity 2.
    recipe.heads["classifier"].kernel.assign([[1.0, 0.0], [-3.0, 1.0], [3.0, 0.8]])
    batch["audio"] = tf.constant([[1.0, -9.0], [0.0, 1.0]])
    batch["image"] = tf.constant([[0.5, -9.0], [1.0, 0.1]])
    recipe.encoders = {m: Given(batch[m]) for m in ("audio", "image")}
    np.testing.assert_allclose(recipe.compute_losses(batch, True)["accuracy"], [1.0, 0.5])


@pytest.mark.parametrize("normalized", [False, True])
def test_the_floor_is_that_of_the_theory(normalized):
    weight = np.array([2.0, 0.0, 1.0])
    recipe, batch = _weighted(weight, normalized, scale=4.0 if normalized else None)
    head = recipe.heads["classifier"]
    kernel, voice, face = head.kernel.numpy(), batch["audio"].numpy(), batch["image"].numpy()
    if normalized:
        kernel, voice, face = (
            x / np.linalg.norm(x, axis=1)[:, None] for x in (kernel, voice, face)
        )
        kernel = head.scale * kernel
    expected = theory.implicit_floor(kernel, face, voice, batch["label"].numpy(), weight[:2])
    floor = recipe.compute_losses(batch, True)["implicit_floor"]
    np.testing.assert_allclose(floor, [expected, expected], rtol=1e-5)


def test_the_floor_stays_below_the_implicit_loss_with_and_without_weights():
    for weight in ([1.0, 1.0, 1.0], [2.0, 0.0, 1.0]):
        recipe, batch = _weighted(weight)
        losses = recipe.compute_losses(batch, True)
        assert tuple(losses) != () and set(losses) == set(recipe.scalars)
        floor = losses["implicit_floor"].numpy()
        assert np.ptp(floor) == 0 and floor[0] <= losses["implicit"].numpy().mean() + 1e-6


def test_the_floor_of_the_released_mistake_is_a_floor_of_its_own_loss():
    # Row 0, of weight 2, says nothing: its two losses are 2 ln 3 = 2.197. Row 1, of weight 0, is
    # told for certain: 0. The weighted loss is 2 * 2.197 / 2 and the floor of Corollary 1 as well;
    # the mistaken one is mean(w) mean(l) = 2.197 / 2, below that.
    same = tf.constant([[0.0, 0.0], [0.0, 9.0]])
    floors = {}
    for legacy in (False, True):
        recipe, batch = _weighted([2.0, 0.0, 1.0], legacy_weighting=legacy)
        recipe.encoders = {m: Given(same) for m in ("audio", "image")}
        recipe.heads["classifier"].kernel.assign([[0.0, -1.0], [0.0, 1.0], [0.0, -1.0]])
        losses = recipe.compute_losses(batch, True)
        floors[legacy] = losses["implicit_floor"].numpy()[0]
        assert floors[legacy] <= losses["implicit"].numpy().mean() + 1e-6
    assert floors[False] == pytest.approx(2 * np.log(3), rel=1e-6)
    kernel = recipe.heads["classifier"].kernel.numpy()
    plain = theory.implicit_floor(kernel, same.numpy(), same.numpy(), [0, 1])
    assert floors[True] == pytest.approx(plain, rel=1e-5)
    # Of weights whose mean is not 1 (one row of the batch weighs 2), it is that much of it.
    recipe.tables["identity"].weight.assign([2.0, 1.0, 0.0])
    losses = recipe.compute_losses(batch, True)
    assert losses["implicit_floor"].numpy()[0] == pytest.approx(1.5 * plain, rel=1e-5)


def test_growth_comes_before_the_iterations_it_is_due_at():
    given = Given(tf.zeros([2, 4]))
    recipe = recipes.RECIPES["voice_face"](
        {"audio": given, "image": given}, 10, reweighting="grow", grow_from=4, grow_every=2
    )
    active = []
    for step in range(2, 10, 2):
        recipe.between_calls(step)
        active.append(recipe.tables["identity"].active_ratio)
    assert active == [
        1.0,
        0.5,
        0.6,
        0.7,
    ]  # all in use until step 4; five of ten; one more each time


def test_an_unknown_reweighting_names_the_choices():
    given = Given(tf.zeros([2, 4]))
    with pytest.raises(registry.UserError, match="'on': choose one of off, grow, frozen"):
        recipes.RECIPES["voice_face"]({"audio": given, "image": given}, 3, reweighting="on")
