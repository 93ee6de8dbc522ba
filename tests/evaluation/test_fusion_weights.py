import numpy as np
import pytest
from scipy import optimize, special

from tfav.evaluation import fusion_weights


def _data(rows=400, classes=5, seed=0):
    """A good modality, and one that is as loud and mostly wrong."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, rows)
    own = np.eye(classes)[label]
    good = 3 * own + rng.normal(size=(rows, classes))
    bad = np.where(
        rng.random((rows, 1)) < 0.3, own, np.eye(classes)[rng.integers(0, classes, rows)]
    )
    return {"audio": 5 * bad + rng.normal(size=(rows, classes)), "image": good}, label


def _loss(weights, logits, label):
    total = sum(w * z for w, z in zip(weights, logits.values()))
    return -special.log_softmax(total, axis=1)[np.arange(len(label)), label].mean()


def test_the_weights_have_the_least_loss_of_all():
    logits, label = _data()
    found = fusion_weights.fit(logits, label)
    plain = optimize.minimize(
        _loss, [1.0, 1.0], (logits, label), method="Nelder-Mead", options={"xatol": 1e-7}
    )
    np.testing.assert_allclose(list(found.values()), plain.x, atol=1e-4)
    assert found["audio"] < 0.3 * found["image"]


def test_a_modality_that_says_nothing_keeps_an_answer_of_its_own():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, 300)
    against = -5.0 * np.eye(3)[label] + rng.normal(size=(300, 3))
    logits = {"audio": against, "image": np.eye(3)[label] + rng.normal(size=(300, 3))}
    assert fusion_weights.fit(logits, label)["audio"] == pytest.approx(1 / fusion_weights.MOST)


def test_where_every_row_is_right_the_weights_stay_finite():
    label = np.array([0, 1, 0, 1])
    right = np.eye(2)[label]
    found = fusion_weights.fit({"audio": right, "image": right}, label)
    assert all(3.0 < weight <= fusion_weights.MOST for weight in found.values())
