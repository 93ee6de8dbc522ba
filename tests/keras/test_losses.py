"""Every loss exists for Keras, with the numbers of its function."""

import importlib
import importlib.util
import inspect
import json
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfav.keras
from tests.conformance import replicas, walk
from tfav import compat, losses, registry
from tfav.losses import alignment

HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None
CLASSES = {name: getattr(tfav.keras, name) for name in tfav.keras.__all__}
LABEL = np.array([3, 0, 7, 3], np.int32)
ROWS = len(LABEL)


def _normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


EMBEDDINGS, CENTERS, SCORES = _normal(ROWS, 6), _normal(ROWS, 2, 6), _normal(ROWS, 4)
LOGITS = _normal(ROWS, 8)


def _alignment(name, **arguments):
    audio, image = np.split(EMBEDDINGS, 2, axis=1)
    function = alignment.ALIGNMENT[name]
    return arguments, EMBEDDINGS, lambda: function(audio, image, LABEL, **arguments)


def _clusters(function, **arguments):
    audio, image = np.split(CENTERS, 2, axis=2)
    seed = tf.constant([0, arguments["seed"]])
    return arguments, CENTERS, lambda: function(audio, image, **{**arguments, "seed": seed})


def _pairs(function, **arguments):
    scores = np.abs(SCORES)
    return arguments, scores, lambda: function(scores[:, 0], scores[:, 1:], **arguments)


# Class to its arguments, none a default, a `y_pred`, and the rows that its function gives.
EXAMPLES = {
    "ExplicitAlignment": _alignment("explicit", m=2.0),
    "ContrastiveAlignment": _alignment("contrastive", temperature=0.5, symmetric=True),
    "NPairAlignment": _alignment("n_pair", norm_weight=0.1),
    "TripletAlignment": _alignment("triplet", margin=0.5),
    "SupervisedContrastiveAlignment": _alignment("supervised_contrastive", temperature=0.5),
    "PercentileAlignment": _alignment("percentile", margin=1.5, hardness=0.7),
    "TripletSemihardAlignment": _alignment("triplet_semihard", margin=0.5),
    "LiftedStructAlignment": _alignment("lifted_struct", margin=0.5),
    "NpairsAlignment": _alignment("npairs", scale=3.0),
    "CrossEntropy": ({}, LOGITS, lambda: losses.cross_entropy(LOGITS, LABEL)),
    "Agreement": ({}, LOGITS, lambda: losses.agreement(*np.split(LOGITS, 2, axis=1))),
    "ClusterMaxMargin": _clusters(losses.max_margin, margin=1.5, negatives="all", seed=0),
    "ClusterContrastive": _clusters(
        losses.cluster_contrastive, margin=3.0, negatives="derangement", seed=7
    ),
    "InfoNCE": (
        {"scale": 3.0},
        EMBEDDINGS,
        lambda: losses.info_nce(*np.split(EMBEDDINGS, 2, axis=1), 3.0),
    ),
    "PairHinge": _pairs(losses.hinge, margin=0.5),
    "PairContrast": _pairs(losses.contrast, margin=3.0),
    "PairCorrespondence": _pairs(losses.correspondence),
}
# Functions of `tfav.losses` that are no losses.
OTHERS = {
    "resolve",
    "derangement",
    "mismatches",
    "compare",
    "margin",
    "margin_shares",
    "shares",
    "modulation",
}
OTHERS |= {"pair_similarity", "pair_distance", "cluster_similarity", "cluster_distance"}
OTHERS |= {"capsule_agreement", "distillation"}
OTHERS |= {"orthogonality", "cluster", "prototype_contrast", "own_rows", "pseudo_labels"}
OTHERS |= {"num_present"}
OTHERS |= {"pareto", "adaptive_factors", "prototype_logits", "rebalance", "entropy", "certainty"}
OTHERS |= {"orthogonal_update"}
OTHERS |= {
    "implicit_floor",
    "explicit_hinge",
    "by_cosine",
    "by_product",
    "own",
    "log_sums",
    "hardest",
}


def _runs(name):
    return HAS_ADDONS or getattr(CLASSES[name], "row", None) not in alignment.ADDONS


NAMES = [name for name in walk.rows(CLASSES, EXAMPLES) if _runs(name)]


def _function(cls):
    return alignment.ALIGNMENT[cls.row] if hasattr(cls, "row") else cls.function


# The tables --------------------------------------------------------------------------------------


def test_every_loss_has_a_class_and_every_class_an_example():
    functions = {_function(cls) for cls in CLASSES.values()}
    add = "write its class in tfav/keras/ and list it in tfav/keras/__init__.py."
    for row, function in alignment.ALIGNMENT.items():
        assert function in functions, f"ALIGNMENT has a new row {row!r}: {add}"
    for name in losses.__all__:
        assert getattr(losses, name) in functions, f"tfav.losses has a new loss {name!r}: {add}"
    add = "add 'ROW': (arguments, y_pred, rows) to EXAMPLES in tests/keras/test_losses.py."
    walk.check_complete(CLASSES, EXAMPLES, "tfav.keras", add)


def test_every_function_of_the_losses_is_listed_as_a_loss_or_known_as_none():
    for module in pkgutil.iter_modules(losses.__path__, "tfav.losses."):
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
        for name, function in members:
            if function.__module__ == module.name and not name.startswith("_"):
                assert (name in losses.__all__) != (name in OTHERS), (
                    f"{module.name}.{name} is new: list it in tfav/losses/__init__.py as a loss, "
                    "or in OTHERS of tests/keras/test_losses.py."
                )


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_takes_the_arguments_of_its_function_with_the_same_defaults(name):
    every = {"self", "arguments", "options", "reduction", "name", "dtype"}
    own = inspect.signature(CLASSES[name].__init__).parameters
    own = {k: v.default for k, v in own.items() if k not in every}
    theirs = {
        k: v.default
        for k, v in inspect.signature(_function(CLASSES[name])).parameters.items()
        if v.annotation not in (tf.Tensor, "tf.Tensor")
    }
    if "seed" in theirs:  # a tensor there, a number here
        theirs["seed"] = 0
    assert own == theirs


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_reductions_are_those_of_the_rows(name, shape):
    arguments, y_pred, rows = EXAMPLES[name]
    expected = rows().numpy()
    assert expected.shape == (ROWS,) and np.abs(expected).max() > 0.01
    y_true = LABEL.reshape(shape)
    weight = np.array([0.0, 1.0, 2.0, 5.0], np.float32)
    for reduction, reduce in {
        "none": lambda x: x,
        "sum": np.sum,
        "sum_over_batch_size": np.mean,
    }.items():
        loss = CLASSES[name](reduction=reduction, **arguments)
        np.testing.assert_allclose(loss(y_true, y_pred), reduce(expected), rtol=1e-5)
        weighted = loss(y_true, y_pred, sample_weight=weight)
        np.testing.assert_allclose(weighted, reduce(weight * expected), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_model_trains_on_the_loss(name):
    arguments, y_pred, rows = EXAMPLES[name]
    x = keras.Input(y_pred.shape[1:])
    # The identity: what the loss is given is the input.
    outputs = keras.layers.Dense(y_pred.shape[-1], kernel_initializer="identity")(x)
    model = keras.Model(x, outputs)
    model.compile("sgd", CLASSES[name](**arguments))
    value = model.train_on_batch(y_pred, LABEL)
    np.testing.assert_allclose(value, rows().numpy().mean(), rtol=1e-5)
    assert np.abs(model.get_weights()[0] - np.eye(y_pred.shape[-1])).max() > 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_predictions_are_computed_in_float32_and_float64_stays(name, float64):
    arguments, y_pred, rows = EXAMPLES[name]
    fine = CLASSES[name](**arguments)(LABEL, y_pred.astype(np.float64))
    assert fine.dtype == tf.float64
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    coarse = CLASSES[name](**arguments)(LABEL, tf.cast(y_pred, tf.bfloat16))
    assert coarse.dtype == tf.float32
    np.testing.assert_allclose(coarse, fine, rtol=0.2, atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_is_made_again_by_its_config(name):
    arguments, y_pred, _ = EXAMPLES[name]
    loss = CLASSES[name](reduction="sum", name="mine", **arguments)
    config = keras.losses.serialize(loss)
    again = keras.losses.deserialize(json.loads(json.dumps(config)))
    assert type(again) is CLASSES[name] and again.get_config() == loss.get_config()
    assert (again.name, again.reduction) == ("mine", "sum")
    np.testing.assert_array_equal(again(LABEL, y_pred), loss(LABEL, y_pred))


def test_a_loss_of_another_precision_keeps_it():
    config = tfav.keras.CrossEntropy(dtype="float64").get_config()
    assert tfav.keras.CrossEntropy.from_config(config).get_config()["dtype"] == "float64"


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_sum_to_one_and_a_mean_of_each_is_refused(name, mirrored):
    arguments, y_pred, rows = EXAMPLES[name]
    halves = [replicas.halves(mirrored, x) for x in (LABEL, y_pred)]

    def run(reduction):
        loss = CLASSES[name](reduction=reduction, **arguments)
        return tf.function(lambda *x: mirrored.run(loss, args=x))(*halves)

    np.testing.assert_allclose(replicas.joined(mirrored, run("none")), rows(), rtol=1e-5)
    np.testing.assert_allclose(
        replicas.summed(mirrored, run("sum")), rows().numpy().sum(), rtol=1e-5
    )
    says = f"{name}.reduction='sum_over_batch_size'. runs on 2 replicas.*one device"
    with pytest.raises(registry.UserError, match=says):
        run("sum_over_batch_size")


@pytest.mark.parametrize(
    "name, shape, says",
    [
        ("ExplicitAlignment", (4, 5), "has 5 values along its last axis.*Concatenate"),
        ("Agreement", (4, 3), "has 3 values along its last axis.*logits"),
        ("ClusterMaxMargin", (4, 2, 3), "has 3 values.*centres"),
        ("PairHinge", (4, 1), r"is \(4, 1\): give \[B, 1 \+ M\]"),
        ("PairHinge", (4,), r"is \(4,\): give"),
    ],
)
def test_a_prediction_of_another_shape_is_named(name, shape, says):
    with pytest.raises(registry.UserError, match=says):
        CLASSES[name](**EXAMPLES[name][0])(LABEL, np.zeros(shape, np.float32))


def test_a_loss_of_the_other_dependency_set_says_so_when_it_is_made():
    if not compat.KERAS_3:
        pytest.skip("tensorflow-addons is here")
    with pytest.raises(registry.UserError, match="'npairs' needs tensorflow-addons"):
        tfav.keras.NpairsAlignment()
