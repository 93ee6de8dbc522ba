import importlib.util
import math

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav import registry
from tfav.losses import addons, alignment, negatives, softmax

GOLDEN = ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"]
HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None


@pytest.mark.parametrize("name", GOLDEN)
def test_explicit_loss_equals_the_released_code(golden, name):
    g = golden(name)
    scale = g["explicit_embedding_scale"]
    loss = alignment.explicit(
        scale * g["voice"], scale * g["face"], g["labels"], float(g["explicit_m"])
    )
    np.testing.assert_allclose(loss, g["explicit_per_sample"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_total_of_the_voice_face_paper_and_its_gradients_equal_the_released_code(golden, name):
    g = golden(name)
    face, voice, kernel = (tf.constant(g[key]) for key in ("face", "voice", "class_weights"))
    label, scale = g["labels"], g["explicit_embedding_scale"]
    with tf.GradientTape() as tape:
        tape.watch([face, voice, kernel])
        rows = softmax.cross_entropy(tf.matmul(face, kernel, transpose_b=True), label)
        rows += softmax.cross_entropy(tf.matmul(voice, kernel, transpose_b=True), label)
        rows += alignment.explicit(scale * voice, scale * face, label, float(g["explicit_m"]))
        total = tf.reduce_mean(g["sample_weights"] * rows)
    np.testing.assert_allclose(total, g["total"], rtol=1e-5)
    gradients = tape.gradient(total, [face, voice, kernel])
    for gradient, key in zip(gradients, ["grad_face", "grad_voice", "grad_class_weights"]):
        _close_relative(gradient, g[key])


@pytest.mark.parametrize("name", GOLDEN)
def test_contrastive_loss_and_its_gradients_equal_the_released_code(golden, name):
    g = golden(name)
    audio, image = tf.constant(g["mm_audio"]), tf.constant(g["mm_visual"])
    with tf.GradientTape() as tape:
        tape.watch([audio, image])
        loss = tf.reduce_mean(
            alignment.contrastive(audio, image, g["mm_labels"], float(g["ccl_temperature"]))
        )
    np.testing.assert_allclose(loss, g["ccl_loss"], rtol=1e-5)
    for gradient, key in zip(tape.gradient(loss, [audio, image]), ["audio", "visual"]):
        _close_relative(gradient, g[f"ccl_grad_{key}"])


def _close_relative(value, expected, tolerance=1e-4):
    """Relative to the largest entry: an absolute tolerance would pass tiny gradients."""
    assert np.abs(value - expected).max() <= tolerance * np.abs(expected).max()


def test_explicit_loss_of_two_people_by_hand():
    # v = (1, 0), (0, 2); x = (2, 0), (0, 1), normalised (1, 0), (0, 1).
    # Voice 0: a = v0.x1 - v0.x0 = 0 - 1: ln(5.4 + e^-1) = 1.7523045; voice 1: a = -2: 1.7111521.
    # Face 0 against normalised voices: a = -2: 1.7111521; face 1: a = -1: 1.7523045.
    voice, face = [[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]]
    loss = alignment.explicit(voice, face, [0, 1])
    np.testing.assert_allclose(loss, [1.7317283, 1.7317283], atol=1e-6)
    # The widely quoted 4.4 forgets the diagonal of the released code.
    loss = alignment.explicit(voice, face, [0, 1], m=4.4)
    np.testing.assert_allclose(loss, [1.5369003, 1.5369003], atol=1e-6)


def test_rows_of_the_same_person_are_no_negatives():
    rng = np.random.default_rng(0)
    voice, face = rng.normal(size=(2, 3, 4)).astype(np.float32)
    twice = alignment.explicit(np.repeat(voice, 2, 0), np.repeat(face, 2, 0), [0, 0, 1, 1, 2, 2])
    expected = reference.explicit(np.repeat(voice, 2, 0), np.repeat(face, 2, 0), [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(twice, expected, atol=1e-5)
    # A single person repeated: nothing to tell apart, ln m and no gradient.
    x = tf.constant(voice)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = alignment.explicit(x, face, [7, 7, 7])
    np.testing.assert_allclose(loss, [math.log(5.4)] * 3, atol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, x), np.zeros_like(voice))


def test_explicit_loss_ignores_the_length_of_candidates_but_not_of_anchors():
    rng = np.random.default_rng(3)
    voice, face = rng.normal(size=(2, 4, 3)).astype(np.float32)
    label = np.arange(4)
    stretched = face * np.array([[0.5], [2.0], [7.0], [1.0]], np.float32)

    def by_voice(voice, face):
        sides = [negatives.by_cosine(x, label) for x in (voice, face)]
        return negatives.log_sums(*sides)[0] - negatives.own(*sides)[0]

    one = by_voice(voice, face)
    np.testing.assert_allclose(by_voice(voice, stretched), one, atol=1e-5)
    assert np.abs(by_voice(2 * voice, face) - one).max() > 1e-2
    assert (
        np.abs(
            alignment.explicit(voice, 2 * face, label) - alignment.explicit(voice, face, label)
        ).max()
        > 1e-2
    )


def test_explicit_loss_and_gradient_are_finite_for_anchors_of_norm_1e4():
    # log(m + sum exp) would overflow: the wrong face is closer by 1e4 * sqrt 2.
    voice = tf.constant([[1e4, 0.0], [0.0, 1e4]])
    face = tf.constant([[0.0, 1.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch([voice, face])
        loss = alignment.explicit(voice, face, [0, 1])
    # Voice side a = 1e4: loss 1e4. Face side a = 1: ln(5.4 + e) = 2.0939.
    np.testing.assert_allclose(loss, [(1e4 + math.log(5.4 + math.e)) / 2] * 2, rtol=1e-6)
    assert all(np.isfinite(x).all() for x in tape.gradient(loss, [voice, face]))


def test_contrastive_loss_of_two_pairs_by_hand():
    # cosines [[1, 0], [0, 1]] / 0.5: p_ii = e^2 / (e^2 + 1) = 0.8807971; -2 ln p = 0.2538560.
    eye = [[1.0, 0.0], [0.0, 1.0]]
    loss = alignment.contrastive(eye, eye, [0, 1], temperature=0.5)
    np.testing.assert_allclose(loss, [0.2538560] * 2, atol=1e-6)
    loss = alignment.contrastive(eye, eye, [0, 1], temperature=0.5, symmetric=True)
    np.testing.assert_allclose(loss, [0.5077120] * 2, atol=1e-6)


@pytest.mark.parametrize("label", [[4], [4, 4, 4]])
def test_contrastive_loss_of_one_class_has_no_nan_in_value_or_gradient(label):
    # The released code divides 0 by 0 here and poisons the run even when the term has weight 0.
    x = tf.constant(np.random.default_rng(0).normal(size=(len(label), 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = alignment.contrastive(x, 2 * x + 1, label)
    # Only the mean over positives is left.
    expected = reference.contrastive(x, 2 * x + 1, label)
    np.testing.assert_allclose(loss, expected, atol=1e-5)
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_contrastive_loss_stays_exact_where_one_minus_p_rounds_to_zero():
    # The negative is the best match: cosines (0, 1) / 0.01. p = 1 - e^-100, 1 in float32: clipping
    # p at 1 - 1e-7 would stop at 16.1 and give no gradient.
    # Positive: -ln p_own = 100; negative: -ln(1 - p) = 100.
    audio, image = tf.constant([[1.0, 0.0], [0.0, 1.0]]), tf.constant([[0.0, 1.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = alignment.contrastive(audio, image, [0, 1], temperature=0.01)
    np.testing.assert_allclose(loss, [200.0, 200.0], rtol=1e-6)
    gradient = tape.gradient(loss, image).numpy()
    # d/dcos of (positive + negative) = -100 - 100 for the own face, seen from (1, 0): first column.
    np.testing.assert_allclose(gradient[:, 0], [-200.0, 0.0], atol=1e-3)


def test_n_pair_loss_of_two_people_by_hand():
    # a = (1, 0), (0, 2); v = (2, 0), (0, 1): the own product is 2 in both rows and the other one 0,
    # in both directions: ln(1 + e^-2) = 0.1269280. Cosines would give ln(1 + e^-1).
    audio, image = [[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]]
    loss = alignment.n_pair(audio, image, [0, 1], norm_weight=0.0)
    np.testing.assert_allclose(loss, [0.1269280] * 2, atol=1e-6)
    # The penalty: 0.1 * (1 + 4).
    loss = alignment.n_pair(audio, image, [0, 1], norm_weight=0.1)
    np.testing.assert_allclose(loss, [0.6269280] * 2, atol=1e-6)


def test_triplet_loss_by_hand_counts_only_violated_hinges():
    # Unit rows at 0, 90 and 180 degrees; image 0 lies at 90, the others on their audio.
    # Audio 0: own cosine 0; image 1 at cosine 0: hinge 0.2; image 2 at -1: none. Mean 0.2.
    # Audio 1: own 1; image 0 at 1: hinge 0.2; image 2 at 0: none. Audio 2: own 1, others 0: none.
    # Image 0: own 0; audio 1 at 1: hinge 1.2; audio 2 at 0: hinge 0.2. Mean 0.7.
    # Image 1: own 1, others 0: none. Image 2: own 1, others -1 and 0: none.
    audio = [[3.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]
    image = [[0.0, 5.0], [0.0, 1.0], [-1.0, 0.0]]
    loss = alignment.triplet(audio, image, [0, 1, 2])
    np.testing.assert_allclose(loss, [(0.2 + 0.7) / 2, (0.2 + 0) / 2, 0.0], atol=1e-6)


def test_supervised_contrastive_loss_by_hand():
    # cosines [[1, 0], [0, 1]] / 0.5: -ln(e^2 / (e^2 + 1)) = 0.1269280.
    eye = [[1.0, 0.0], [0.0, 1.0]]
    loss = alignment.supervised_contrastive(eye, eye, [0, 1], temperature=0.5)
    np.testing.assert_allclose(loss, [0.1269280] * 2, atol=1e-6)
    # Both are one person: the mean of 0.1269280 and -ln(1 / (e^2 + 1)) = 2.1269280.
    loss = alignment.supervised_contrastive(eye, eye, [4, 4], temperature=0.5)
    np.testing.assert_allclose(loss, [1.1269280] * 2, atol=1e-6)


@pytest.mark.parametrize("label", [[4], [4, 4, 4]])
@pytest.mark.parametrize("name", ["n_pair", "triplet"])
def test_without_a_negative_there_is_nothing_to_learn(name, label):
    x = tf.constant(np.random.default_rng(0).normal(size=(len(label), 3)), tf.float32)
    arguments = {"norm_weight": 0.0} if name == "n_pair" else {}
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = alignment.ALIGNMENT[name](x, 2 * x + 1, tf.constant(label), **arguments)
    np.testing.assert_array_equal(loss, np.zeros(len(label)))
    np.testing.assert_array_equal(tape.gradient(loss, x), np.zeros([len(label), 3]))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("explicit", {"m": 0.0}),
        ("contrastive", {"temperature": -1.0}),
        ("n_pair", {"norm_weight": -1e-3}),
        ("triplet", {"margin": 0.0}),
        ("supervised_contrastive", {"temperature": 0.0}),
    ],
)
def test_a_constant_that_makes_no_sense_is_refused_by_name(name, arguments):
    x = tf.eye(2)
    with pytest.raises(registry.UserError, match=next(iter(arguments))):
        alignment.resolve(name, **arguments)(x, x, tf.constant([0, 1]))


def test_resolve_binds_the_arguments_of_a_config():
    x, label = tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([0, 1])
    loss = alignment.resolve("explicit", m=2.0)(x, x, label)
    np.testing.assert_allclose(loss, alignment.explicit(x, x, label, m=2.0))


def test_resolve_names_the_choices_for_an_unknown_loss():
    with pytest.raises(registry.UserError, match="contrastive, explicit, lifted_struct, n_pair"):
        alignment.resolve("explict")


def test_resolve_names_the_arguments_a_loss_takes():
    with pytest.raises(registry.UserError, match="temperature, symmetric"):
        alignment.resolve("contrastive", margin=1.0)


def test_resolve_takes_a_dotted_path():
    assert alignment.resolve("tests.reference.explicit", m=3.0).keywords == {"m": 3.0}


@pytest.mark.parametrize("name", sorted(alignment.ADDONS))
def test_a_loss_of_the_addons_line_fails_at_once_on_the_current_line(name):
    if HAS_ADDONS:
        assert callable(alignment.resolve(name))
        return
    with pytest.raises(registry.UserError, match=rf"{name}.*tfav\[addons-cpu\]"):
        alignment.resolve(name)
    with pytest.raises(registry.UserError, match=rf"{name}.*tfav\[addons-cpu\]"):
        alignment.ALIGNMENT[name](tf.eye(2), tf.eye(2), tf.constant([0, 1]))


@pytest.mark.skipif(not HAS_ADDONS, reason="tensorflow-addons runs on the addons line only")
@pytest.mark.parametrize("name", sorted(alignment.ADDONS))
def test_a_metric_loss_of_one_identity_is_zero_with_zero_gradient(name):
    # tensorflow-addons' lifted loss takes the log of an empty sum here: NaN.
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = alignment.ALIGNMENT[name](x, 2 * x + 1, tf.constant([5, 5]))
    np.testing.assert_array_equal(loss, [0.0, 0.0])
    gradient = tape.gradient(loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_array_equal(gradient, np.zeros([2, 2]))


@pytest.mark.skipif(not HAS_ADDONS, reason="tensorflow-addons runs on the addons line only")
def test_the_semi_hard_triplet_loss_by_hand():
    # Unit circle, both modalities equal: each anchor has a positive at 0, two negatives at sqrt 2.
    # Loss: 1 + 0 - 1.4142 < 0 with margin 1; with margin 2: 0.5857864.
    x = tf.constant([[5.0, 0.0], [0.0, 3.0]])
    label = tf.constant([0, 1])
    np.testing.assert_allclose(addons.triplet_semihard(x, x, label), [0, 0], atol=1e-6)
    loss = addons.triplet_semihard(x, x, label, margin=2.0)
    np.testing.assert_allclose(loss, [2 - math.sqrt(2)] * 2, atol=1e-6)
