"""Identity re-weighting: the released trajectory, and what the released code gets wrong."""

import numpy as np
import pytest
import tensorflow as tf

from tfav import registry, weights
from tfav.layers import identity


def test_the_released_schedule_of_924_identities():
    table = identity.IdentityWeights(924)
    rng = np.random.default_rng(0)
    counts, sums = [], []
    for step in range(500, 3000, 100):
        table.observe(tf.range(924), tf.constant(rng.uniform(0, 20, 924), tf.float32))
        before = table.weight.numpy()
        table.update()
        counts.append(int((table.weight.numpy() > 0).sum()))
        sums.append(float(table.weight.numpy().sum()))
        if step > 2200:
            np.testing.assert_array_equal(table.weight.numpy(), before)
    # 462 at step 500, then 22 more every hundred steps until 836 at step 2200, then none.
    assert counts[:18] == list(range(462, 837, 22)) and set(counts[17:]) == {836}
    weight = table.weight.numpy()
    assert (weight == 0).sum() == 88
    np.testing.assert_allclose(sums[-1], 734.9647, atol=1e-3)
    np.testing.assert_allclose(table.active_ratio, 836 / 924)
    scaled = table.weights(tf.range(924)).numpy()
    np.testing.assert_allclose(scaled.mean(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(scaled.max(), 1.257203, rtol=1e-5)
    np.testing.assert_allclose(scaled[scaled > 0].min(), 1.0598, atol=1e-4)


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_the_released_code_takes_the_same_course(golden, name):
    g = golden(name)
    table = identity.IdentityWeights(50)
    far = 0
    for step, (ids, losses) in enumerate(zip(g["rw_ids"], g["rw_losses"])):
        assert len(set(ids)) == len(ids)  # the released code leaves repeated identities undefined
        table.observe(tf.constant(ids, tf.int32), tf.constant(losses))
        if step >= 10 and step % 2 == 0:
            table.update()
        # Its mask (adding 1e6 in float32) leaves hardness on a grid of 1/16.
        expected = g["rw_loss_mean_after"][step]
        np.testing.assert_allclose(table.hardness.numpy(), expected, atol=1 / 32 + 1e-5)
        weight, ratio = g["rw_weight_after"][step], g["rw_ratio_after"][step]
        assert (table.weight.numpy() > 0).sum() == (weight > 0).sum()
        np.testing.assert_allclose(table.ratio.numpy(), ratio, rtol=1e-6)
        # So its picks may differ from ours among identities nearly as hard, and only there.
        differ = np.flatnonzero((table.weight.numpy() > 0) != (weight > 0))
        if len(differ):
            assert np.ptp(expected[differ]) <= 0.1
        else:
            np.testing.assert_allclose(table.weight.numpy(), weight, rtol=1e-5)
            far += 1
        table.hardness.assign(expected)
        table.weight.assign(weight)
    assert far > 40
    last = table.weights(tf.constant(g["rw_ids"][-1], tf.int32))
    np.testing.assert_allclose(last, g["rw_sample_weight_last"], rtol=1e-5)


def test_only_the_easiest_of_the_unused_are_picked():
    table = identity.IdentityWeights(8, first_fraction=0.25, growth_fraction=0.25, decay=0.5)
    table.hardness.assign([5.0, 1.0, 7.0, 3.0, 2.0, 8.0, 6.0, 4.0])
    table.update()  # the easiest two of eight: 1 and 4
    np.testing.assert_array_equal(table.weight.numpy(), [0, 1, 0, 0, 1, 0, 0, 0])
    table.update()  # these decay to a half; next come 3 and 7
    np.testing.assert_array_equal(table.weight.numpy(), [0, 0.5, 0, 1, 0.5, 0, 0, 1])
    # sum 3, so the mean over eight identities is 1 at a factor 8 / 3
    np.testing.assert_allclose(table.weights(tf.constant([1, 3, 0])), [4 / 3, 8 / 3, 0], rtol=1e-6)


def test_few_identities_grow_one_by_one_where_the_released_floor_gives_none():
    table = identity.IdentityWeights(15)
    counts = []
    for _ in range(10):
        table.update()
        counts.append(int((table.weight.numpy() > 0).sum()))
    # floor(0.5 * 15) = 7, then one at a time; 13 / 15 = 0.867 grows, 14 / 15 = 0.933 does not
    assert counts == [7, 8, 9, 10, 11, 12, 13, 14, 14, 14]


def test_rows_of_one_identity_count_as_their_mean():
    table = identity.IdentityWeights(3, initial_hardness=10.0)
    table.observe(tf.constant([1, 1, 2]), tf.constant([2.0, 4.0, 6.0]))
    # 0.9 * 10 + 0.1 * (2 + 4) / 2 = 9.3; 0.9 * 10 + 0.1 * 6 = 9.6
    np.testing.assert_allclose(table.hardness.numpy(), [10.0, 9.3, 9.6], rtol=1e-6)


def test_a_batch_of_weight_zero_identities_still_has_a_loss():
    table = identity.IdentityWeights(4, first_fraction=0.5)
    table.hardness.assign([1.0, 2.0, 8.0, 9.0])
    table.update()
    np.testing.assert_array_equal(table.weights(tf.constant([2, 3])), [1.0, 1.0])
    np.testing.assert_array_equal(table.weights(tf.constant([0, 3])), [2.0, 0.0])


def test_hardness_never_leaves_the_range_of_what_was_seen():
    table = identity.IdentityWeights(5, initial_hardness=7.0)
    rng = np.random.default_rng(1)
    for _ in range(50):
        label = rng.choice(5, 3, replace=False)
        table.observe(tf.constant(label, tf.int32), tf.constant(rng.uniform(2, 12, 3), tf.float32))
        assert table.hardness.numpy().min() >= 2 and table.hardness.numpy().max() <= 12


def test_the_default_for_other_sizes_is_the_loss_of_knowing_nothing():
    table = identity.IdentityWeights(100, initial_hardness=None)
    np.testing.assert_allclose(table.hardness.numpy(), 2 * np.log(100), rtol=1e-6)


def test_no_gradient_flows_through_the_weights():
    table = identity.IdentityWeights(3)
    loss = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(loss)
        weighted = table.observe(tf.constant([0, 1]), loss) * 3.0
    assert tape.gradient(weighted, loss) is None


def test_two_replicas_keep_one_table(mirrored):
    label, loss = np.array([0, 3, 3, 1], np.int32), np.array([1.0, 2.0, 6.0, 4.0], np.float32)
    one = identity.IdentityWeights(4)
    one.observe(tf.constant(label), tf.constant(loss))
    one.update()
    alone = one.observe(tf.constant(label), tf.constant(loss)).numpy()
    with mirrored.scope():
        two = identity.IdentityWeights(4)

    @tf.function
    def step():
        def replica():
            first = 2 * tf.distribute.get_replica_context().replica_id_in_sync_group
            rows = slice(first, first + 2)
            return two.observe(tf.constant(label)[rows], tf.constant(loss)[rows])

        return mirrored.run(replica)

    step()
    two.update()
    shares = mirrored.experimental_local_results(step())
    np.testing.assert_allclose(np.concatenate([s.numpy() for s in shares]), alone, rtol=1e-6)
    for name in ("hardness", "weight", "ratio"):
        copies = mirrored.experimental_local_results(getattr(two, name))
        for copy in copies:
            np.testing.assert_allclose(copy.numpy(), getattr(one, name).numpy(), rtol=1e-6)


def test_the_table_is_among_the_named_weights():
    names = weights.named_weights(identity.IdentityWeights(3), "identity")
    assert sorted(names) == ["identity/hardness", "identity/ratio", "identity/weight"]


@pytest.mark.parametrize("field", ["momentum", "first_fraction", "growth_fraction", "decay"])
def test_a_fraction_out_of_range_is_refused(field):
    with pytest.raises(registry.UserError, match=f"{field}=1.5"):
        identity.IdentityWeights(3, **{field: 1.5})
