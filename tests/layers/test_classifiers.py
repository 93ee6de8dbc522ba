import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav import compat, registry, weights
from tfav.layers import classifiers, shared_classifier
from tfav.losses import softmax


def _set(layer, kernel):
    layer.kernel.assign(np.asarray(kernel, np.float32))
    return layer


def test_normalized_logits_are_scaled_cosines_whatever_the_lengths():
    # cos((3, 4), (1, 0)) = 0.6, cos((3, 4), (0, 2)) = 0.8, times 10.
    layer = _set(
        shared_classifier.SharedClassifier(2, embedding_size=2, scale=10.0), [[1, 0], [0, 2]]
    )
    np.testing.assert_allclose(layer(tf.constant([[3.0, 4.0]])), [[6.0, 8.0]], rtol=1e-6)


def test_plain_logits_are_the_released_codes_products_without_bias():
    layer = _set(
        shared_classifier.SharedClassifier(2, embedding_size=2, normalized=False), [[1, 0], [0, 2]]
    )
    np.testing.assert_allclose(layer(tf.constant([[3.0, 4.0], [0.0, 0.0]])), [[3, 8], [0, 0]])
    assert len(layer.weights) == 1


@pytest.mark.parametrize("normalized", [True, False])
def test_logits_equal_the_naive_loop(normalized):
    layer = shared_classifier.SharedClassifier(7, embedding_size=5, normalized=normalized)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    expected = reference.shared_classifier(
        x, layer.kernel.numpy(), scale=layer.scale if normalized else None
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_the_largest_norm_is_that_of_the_weights_as_the_logits_see_them():
    # Lengths 5 and 2 as they stand; brought to unit length and times 10 both are 10.
    kernel = [[3, 4], [0, 2]]
    plain = shared_classifier.SharedClassifier(2, embedding_size=2, normalized=False)
    assert float(_set(plain, kernel).largest_norm()) == 5.0
    unit = shared_classifier.SharedClassifier(2, embedding_size=2, scale=10.0)
    assert float(_set(unit, kernel).largest_norm()) == 10.0


def test_both_modalities_share_one_matrix():
    layer = shared_classifier.SharedClassifier(3, embedding_size=4)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4)), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 0] ** 2) + tf.reduce_sum(layer(2 * x + 1)[:, 1] ** 2)
    assert len(layer.trainable_variables) == 1
    gradient = tape.gradient(loss, layer.trainable_variables)[0].numpy()
    # Class 0 learns from the first call, class 1 from the second, class 2 from neither.
    assert np.abs(gradient[0]).max() > 0 and np.abs(gradient[1]).max() > 0
    np.testing.assert_array_equal(gradient[2], np.zeros(4))


def test_auto_scale_follows_the_number_of_classes():
    # sqrt(2) * ln(923) = 9.6555; two classes would give ln 1 = 0 and no gradient at all.
    assert shared_classifier.SharedClassifier(924, embedding_size=2).scale == pytest.approx(
        9.6555, abs=1e-3
    )
    assert shared_classifier.SharedClassifier(2, embedding_size=2).scale == 1.0


def test_weights_are_xavier_uniform_and_seeded():
    kernels = [
        shared_classifier.SharedClassifier(50, embedding_size=30, seed=s).kernel.numpy()
        for s in (1, 1, 2)
    ]
    # Glorot limit sqrt(6 / (50 + 30)) = 0.27386.
    limit = math.sqrt(6 / 80)
    assert 0.95 * limit < np.abs(kernels[0]).max() <= limit
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1


def test_the_head_computes_in_float32_under_mixed_bfloat16():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = _set(
            shared_classifier.SharedClassifier(2, embedding_size=2, scale=10.0), [[1, 0], [1, 1e-2]]
        )
        logits = layer(tf.constant([[1.0, 0.0]], tf.bfloat16))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert logits.dtype == tf.float32
    # cos = 1 / sqrt(1 + 1e-4) = 1 - 5e-5: in bfloat16 both logits would be 10.
    np.testing.assert_allclose(logits[0, 0] - logits[0, 1], 5e-4, rtol=1e-2)


def test_the_kernel_is_found_by_its_structural_name():
    layer = shared_classifier.SharedClassifier(3, embedding_size=4)
    layer(tf.zeros([1, 4]))
    assert list(weights.named_weights(layer, "classifier")) == ["classifier/kernel"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"num_classes": 1}, "two identities"),
        ({"num_classes": 3, "scale": -1.0}, "scale=-1.0"),
        ({"num_classes": 3, "scale": "big"}, "'big'"),
        ({"num_classes": 3, "scale": 5.0, "normalized": False}, "normalized=True"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(arguments, says):
    with pytest.raises(registry.UserError, match=says):
        shared_classifier.SharedClassifier(embedding_size=4, **arguments)


# Heads of several modalities --------------------------------------------------------------------

HEADS = {"cosine": {"scale": 4.0}, "vanilla": {}}


def _worked(scale):
    """Two modalities of two numbers and three classes, worked out by hand."""
    head = classifiers.CosineClassifier(3, {"audio": 2, "image": 2}, scale=scale)
    head.kernel.assign([[1, 0, 0, 1], [0, 2, 1, 0], [-1, 0, 0, -1]])
    return head, {"audio": tf.constant([[3.0, 4.0]]), "image": tf.constant([[0.0, 2.0]])}


@pytest.mark.parametrize("scale, expected", [(2.0, 0.1852822), (10.0, 3.354064e-4)])
def test_the_worked_example_of_three_classes(scale, expected):
    # cos(audio) = (3, 4, -3) / 5, cos(image) = (1, 0, -1): fused (1.6, 0.8, -1.6) * scale.
    head, features = _worked(scale)
    logits = head(features)
    np.testing.assert_allclose(logits["audio"], scale * np.array([[0.6, 0.8, -0.6]]), rtol=1e-6)
    np.testing.assert_allclose(logits["image"], scale * np.array([[1.0, 0.0, -1.0]]), rtol=1e-6)
    loss = softmax.cross_entropy(logits["audio"] + logits["image"], [0])
    np.testing.assert_allclose(loss, [expected], rtol=1e-3 if scale == 10 else 1e-6)


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_the_cosine_head_equals_the_released_code(golden, name):
    g = golden(name)
    audio, image = tf.constant(g["mm_audio"]), tf.constant(g["mm_visual"])
    size = audio.shape[1]
    head = classifiers.CosineClassifier(
        len(g["mm_weights"]), {"audio": size, "image": size}, scale=float(g["mm_scale"])
    )
    head.kernel.assign(g["mm_weights"])
    with tf.GradientTape() as tape:
        tape.watch([audio, image])
        logits = head({"audio": audio, "image": image})
        rows = softmax.cross_entropy(logits["audio"] + logits["image"], g["mm_labels"])
        loss = tf.reduce_mean(rows)
    np.testing.assert_allclose(logits["audio"], g["mm_logits_audio"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits["image"], g["mm_logits_visual"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss, g["mm_loss"], rtol=1e-5)
    gradients = tape.gradient(loss, [audio, image, compat.raw(head.kernel)])
    for gradient, key in zip(gradients, ["audio", "visual", "weights"]):
        expected = g[f"mm_grad_{key}"]
        assert np.abs(gradient - expected).max() <= 1e-4 * np.abs(expected).max()


def _random(name, seed=0, sizes=(3, 5, 2), classes=6, rows=4):
    rng = np.random.default_rng(seed)
    sizes = dict(zip(("audio", "image", "flow"), sizes))
    head = classifiers.HEADS[name](classes, sizes, **HEADS[name])
    for weight in head.weights:
        weight.assign(rng.normal(size=weight.shape))
    return head, {m: rng.normal(size=(rows, d)).astype(np.float32) for m, d in sizes.items()}


@pytest.mark.parametrize("name", HEADS)
def test_three_modalities_equal_the_naive_loop(name):
    head, features = _random(name)
    parts = np.split(head.kernel.numpy().astype(np.float64), [3, 8], axis=1)
    if name == "cosine":
        expected = reference.cosine_logits(features.values(), parts, 4.0)
    else:
        expected = reference.concat_logits(features.values(), parts, head.bias.numpy())
    found = head(features)
    for modality, value in zip(features, expected):
        np.testing.assert_allclose(found[modality], value, atol=1e-5)


def test_the_vanilla_read_outs_sum_exactly_to_one_dense_layer():
    head, features = _random("vanilla")
    found = head(features)
    dense = np.concatenate(list(features.values()), axis=1) @ head.kernel.numpy().T
    np.testing.assert_allclose(sum(found.values()), dense + head.bias.numpy(), atol=1e-5)
    # A third of the bias each.
    zero = head({m: 0 * x for m, x in features.items()})
    np.testing.assert_allclose(zero["flow"][0], head.bias.numpy() / 3, rtol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_modalities_that_are_absent_leave_the_others_as_they_are(name):
    head, features = _random(name)
    whole = head(features)
    part = head({"flow": features["flow"], "audio": features["audio"]})
    assert set(part) == {"audio", "flow"}
    for modality, value in part.items():
        np.testing.assert_array_equal(value, whole[modality])


def test_the_weight_norm_is_the_mean_length_of_a_class():
    head, _ = _worked(2.0)
    # Audio rows (1, 0), (0, 2), (-1, 0): (1 + 2 + 1) / 3; image rows have length 1.
    norms = head.weight_norms()
    assert float(norms["audio"]) == pytest.approx(4 / 3) and float(norms["image"]) == 1.0


# P5 (g), (h): what the cosine head does not see, and what the vanilla head does.


@pytest.mark.parametrize("seed", range(5))
def test_the_length_of_a_feature_or_a_class_of_one_modality_does_not_matter(seed):
    head, features = _random("cosine", seed)
    rng = np.random.default_rng(100 + seed)
    before = head(features)
    fused = sum(before.values())
    assert np.abs(fused).max() <= 3 * 4.0 + 1e-5  # |z| <= n s
    np.testing.assert_allclose(fused, before["audio"] + before["image"] + before["flow"], atol=1e-6)
    stretched = {m: 10 ** rng.uniform(-2, 2) * x for m, x in features.items()}
    by_class = 10 ** rng.uniform(-2, 2, (6, 3))  # each class of each modality by its own factor
    head.kernel.assign(head.kernel.numpy() * np.repeat(by_class, (3, 5, 2), axis=1))
    after = head(stretched)
    for modality, value in before.items():
        np.testing.assert_allclose(after[modality], value, atol=1e-4)


def test_the_vanilla_head_does_see_the_length_of_features_and_weights():
    head, features = _random("vanilla")
    before = sum(head(features).values()).numpy()
    longer = sum(head({**features, "audio": 3 * features["audio"]}).values()).numpy()
    assert np.abs(longer - before).max() > 1
    head.kernel.assign(head.kernel.numpy() * 3)
    assert np.abs(sum(head(features).values()).numpy() - before).max() > 1


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_of_a_feature_is_orthogonal_to_it(seed):
    head, features = _random("cosine", seed)
    features = {m: tf.constant(x) for m, x in features.items()}
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(
            softmax.cross_entropy(tf.add_n(list(head(features).values())), [0, 1, 2, 3])
        )
    for modality, gradient in tape.gradient(loss, features).items():
        assert np.abs(gradient).max() > 1e-3
        along = np.sum(gradient * features[modality], axis=1)
        np.testing.assert_allclose(along, np.zeros(4), atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_zero_feature_and_a_bfloat16_one_give_float32(name):
    head, features = _random(name)
    found = head({"audio": tf.zeros([1, 3], tf.bfloat16), "image": tf.ones([1, 5], tf.bfloat16)})
    assert all(z.dtype == tf.float32 for z in found.values())
    expected = np.zeros([1, 6]) if name == "cosine" else head.bias.numpy()[None] / 3
    np.testing.assert_allclose(found["audio"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name, arguments, says",
    [
        ("cosine", {"scale": 0.0}, "scale=0.0 .*must be a positive number"),
        ("cosine", {"scale": -2.0}, "scale=-2.0"),
        ("cosine", {"scale": None}, "scale=None"),
        ("cosine", {"scale": "big"}, "scale='big'"),
        ("cosine", {"scale": math.nan}, "scale=nan"),
        ("vanilla", {"scale": 5.0}, "scale=5.0 belongs to head='cosine'"),
        ("vanilla", {"num_classes": 1}, "num_classes=1: .*two classes"),
        ("cosine", {"num_classes": 1, "scale": 2.0}, "num_classes=1: .*two classes"),
    ],
)
def test_a_head_that_makes_no_sense_is_named(name, arguments, says):
    with pytest.raises(registry.UserError, match=says):
        classifiers.HEADS[name](**{"num_classes": 3, "sizes": {"audio": 2}, **arguments})


@pytest.mark.parametrize("name", HEADS)
def test_the_columns_are_one_seeded_matrix_by_its_structural_name(name):
    sizes = {"audio": 3, "image": 4}
    made = [classifiers.HEADS[name](5, sizes, seed=s, **HEADS[name]) for s in (1, 1, 2)]
    names = weights.named_weights(made[0], "classifier")
    assert names["classifier/kernel"].shape == (5, 7)
    kernels = [head.kernel.numpy() for head in made]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1
