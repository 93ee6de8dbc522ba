"""Steps on classes that the replicas share: those of the whole head, and one matrix to files."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.training import linear
from tfav import compat, registry
from tfav.training import checkpoints, weights_file

CLASSES, ROWS = 21, 8  # of the second replica's eleven columns one is no class
HEADS = {
    "voice_face": {"scale": 4.0, "margin_kind": "additive_cosine", "margin": 0.2},
    "mmcosine": {"scale": 4.0, "sub_centers": 2, "blending": "equal", "modulation": "off"},
    "voice_face, plain": {"normalized": False},
    "mmcosine, modulated": {"scale": 4.0, "margin_kind": "additive_angular", "margin": 0.2}
    | {"modulation": "ogm"},
}
ONE = tf.distribute.OneDeviceStrategy("CPU:0")


def _loop(strategy, case="voice_face", **arguments):
    return linear.loop(strategy, case.split(",")[0], CLASSES, ROWS, **(HEADS[case] | arguments))


def _equal(found, expected, **tolerance):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, err_msg=name, **tolerance)


@pytest.mark.parametrize(
    "case, optimizer, momentum",
    [
        ("voice_face", "adam", 0.0),
        ("voice_face, plain", "sgd", 0.0),
        ("mmcosine", "sgd", 0.9),
        ("mmcosine, modulated", "sgd", 0.9),
    ],
)
def test_steps_of_two_replicas_are_those_of_the_whole_head(
    case, optimizer, momentum, mirrored, float64
):
    ends = []
    for strategy, sharded in ((ONE, False), (mirrored, True)):
        loop = _loop(strategy, case, optimizer=optimizer, momentum=momentum, sharded=sharded)
        scalars = loop.run(linear.batches(strategy, CLASSES, ROWS), 5)
        ends.append((scalars, linear.state(loop)))
    assert ends[0][0]["gradient_norm"] > 2.0  # it is clipped, by a norm that has all classes in it
    for whole, sharded in zip(*ends):
        _equal(sharded, whole, rtol=1e-9, atol=1e-12)
    more = {"voice_face, plain": "implicit_floor", "mmcosine, modulated": "score_audio"}
    assert {"accuracy", more.get(case, "loss")} <= set(ends[0][0])


def _kept(loop, folder):
    return checkpoints.Checkpoints(loop.recipe, loop.optimizer, str(folder), loop.strategy, 1)


@pytest.fixture(scope="module")
def two(mirrored):
    """A trainer of two replicas that has taken two steps, which takes long to trace."""
    loop = _loop(mirrored, optimizer="adam", sharded=True)
    loop.run(linear.batches(mirrored, CLASSES, ROWS), 2)
    return loop


def test_each_replica_holds_its_share_of_the_weights_and_of_the_slots(two):
    kernel = two.recipe.heads["classifier"].kernel
    large = [v for v in two.optimizer.variables if compat.raw(v).shape[0:1] == [11]]
    assert len(large) == 2
    for variable in (kernel, *large):
        first, second = compat.copies(variable).values()
        assert first.shape == second.shape == (math.ceil(CLASSES / 2), linear.SIZE)
        assert np.abs(first.numpy() - second.numpy()).max() > 1e-5
        assert not second.numpy()[-1].any()  # no class
    whole = two.recipe.named_weights()["classifier/kernel"]
    assert whole.shape == (CLASSES, linear.SIZE)
    joined = np.concatenate([copy.numpy() for copy in compat.copies(kernel).values()])
    np.testing.assert_array_equal(whole.numpy(), joined[:CLASSES])


def test_outside_of_the_replicas_all_classes_are_read(mirrored):
    loop, alone = _loop(mirrored, "mmcosine", sharded=True), _loop(ONE, "mmcosine")
    rng = np.random.default_rng(1)
    for name, variable in alone.recipe.named_weights().items():
        values = rng.normal(size=variable.shape)
        for weights in (loop.recipe.named_weights(), alone.recipe.named_weights()):
            weights[name].assign(values)
    batch = linear.batch(ROWS, CLASSES)
    found, expected = (r.recipe.compute_losses(batch, False) for r in (loop, alone))
    _equal(found, expected, rtol=1e-5, atol=1e-6)
    head = loop.recipe.heads["classifier"]
    with pytest.raises(ValueError, match="read them outside"):
        mirrored.run(lambda: head.kernels())


def test_a_run_goes_on_with_another_number_of_replicas(two, mirrored, tmp_path):
    its = {"optimizer": "adam", "sharded": True}
    again, one, back = _loop(mirrored, **its), _loop(ONE, **its), _loop(mirrored, **its)
    saved = linear.state(two)
    _kept(two, tmp_path / "two").save(two.step)
    for other in (again, one):
        assert _kept(other, tmp_path / "two").restore()
        _equal(linear.state(other), saved, rtol=0)
    _kept(one, tmp_path / "one").save(one.step)
    assert _kept(back, tmp_path / "one").restore()
    _equal(linear.state(back), saved, rtol=0)
    ends = []
    for _ in range(2):  # by what is traced already, with the copies of every replica as restored
        two.run(linear.batches(mirrored, CLASSES, ROWS), 2)
        ends.append(linear.state(two))
        assert _kept(two, tmp_path / "one").restore()
    _equal(linear.state(two), saved, rtol=0)
    _equal(ends[1], ends[0], rtol=1e-5, atol=1e-7)
    moved = ends[0]["classifier/kernel"] - saved["classifier/kernel"]
    assert np.abs(moved).max(axis=1).min() > 1e-5  # on either replica


def test_the_file_of_weights_has_one_matrix(two, mirrored, tmp_path):
    other, alone = _loop(mirrored, sharded=True), _loop(ONE)
    weights_file.save(str(tmp_path / "w.npz"), two.recipe.named_weights(), write=True)
    for made in (other, alone):
        weights_file.load(str(tmp_path / "w.npz"), made.recipe.named_weights())
        names = made.recipe.named_weights()
        _equal(
            {k: v.numpy() for k, v in names.items()},
            {k: v.numpy() for k, v in two.recipe.named_weights().items()},
            rtol=0,
        )


def test_a_checkpoint_of_other_classes_is_refused(mirrored, tmp_path):
    loop, other = (
        _loop(mirrored, sharded=True),
        linear.loop(mirrored, "voice_face", CLASSES + 1, ROWS, sharded=True, **HEADS["voice_face"]),
    )
    _kept(loop, tmp_path).save(0)
    with pytest.raises(registry.UserError, match="train into a new --workdir"):
        _kept(other, tmp_path).restore()


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("voice_face", {"sampled": 0.5}, "sharded=True beside sampled=0.5: a draw"),
        ("mmcosine", {"agreement_weight": 1.0}, "beside agreement_weight=1.0, which needs"),
        ("mmcosine", {"balance": "agm"}, "beside balance='agm', which needs"),
        ("mmcosine", {"head": "vanilla"}, "without a bias and head='vanilla' has one: choose"),
    ],
)
def test_what_needs_all_logits_of_a_row_is_refused(name, arguments, message):
    with pytest.raises(registry.UserError, match=message):
        linear.recipe(name, CLASSES, sharded=True, **arguments)


def test_an_optimizer_that_takes_all_copies_for_the_same_is_refused():
    with pytest.raises(registry.UserError, match="spreads one over them: set .* sgd or adam"):
        _loop(ONE, sharded=True, optimizer="lamb" if compat.KERAS_3 else "lookahead")
