import numpy as np
import pytest
import tensorflow as tf

from tfav.ops import distributed


@pytest.fixture(scope="module")
def mirrored():
    """Two replicas that exchange as those of a run do."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def _split(strategy, rows):
    """Gives replica r the r-th part of `rows`."""
    parts = np.split(np.asarray(rows), strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )


def _run(strategy, function, *arguments):
    results = tf.function(lambda *x: strategy.run(function, args=x))(*arguments)
    return [x.numpy() for x in strategy.experimental_local_results(results)]


def test_every_replica_sees_all_rows_in_the_order_of_the_ranks(mirrored):
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    for seen in _run(mirrored, distributed.gather, _split(mirrored, x)):
        np.testing.assert_array_equal(seen, x)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
def test_gather_takes_labels_as_well_as_embeddings(mirrored, dtype):
    x = np.array([7, 0, 3, 7]).astype(dtype)
    for seen in _run(mirrored, distributed.gather, _split(mirrored, x)):
        assert seen.dtype == dtype
        np.testing.assert_array_equal(seen, x)


def test_gather_keeps_the_static_shape(mirrored):
    shapes = []

    def look(x):
        shapes.append(distributed.gather(x).shape)
        return x

    _run(mirrored, look, _split(mirrored, np.zeros([6, 2], np.float32)))
    assert all(shape == [6, 2] for shape in shapes)


def test_the_gradient_of_a_row_is_the_sum_of_what_every_replica_sends_back(mirrored):
    # Replica r weighs gathered row j by (r + 1) * (j + 1): row j receives (1 + 2) * (j + 1). The
    # gradient of replica 0 alone would be j + 1, and a stopped one 0.
    def gradient(x):
        rank = tf.cast(distributed.replica_id(), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            rows = distributed.gather(x)
            weight = tf.range(1.0, 5.0)
            loss = (rank + 1) * tf.reduce_sum(weight[:, tf.newaxis] * rows)
        return tape.gradient(loss, x)

    parts = _run(mirrored, gradient, _split(mirrored, np.ones([4, 2], np.float32)))
    np.testing.assert_allclose(np.concatenate(parts), [[3, 3], [6, 6], [9, 9], [12, 12]])


def test_the_gradient_survives_picking_rows_from_the_gathered_batch(mirrored):
    # tf.gather sends IndexedSlices back, on which TensorFlow's own gradient of all_gather dies.
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.gather(distributed.gather(x), [3, 0, 3]))
        return tape.gradient(loss, x)

    parts = _run(mirrored, gradient, _split(mirrored, np.ones([4, 1], np.float32)))
    # Both replicas pick row 0 once and row 3 twice.
    np.testing.assert_allclose(np.concatenate(parts)[:, 0], [2, 0, 0, 4])


def test_unequal_parts_are_refused_rather_than_given_to_the_wrong_rows(mirrored):
    uneven = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.zeros([1 + context.replica_id_in_sync_group, 2])
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="same number of rows"):
        _run(mirrored, distributed.gather, uneven)


def test_outside_a_replica_function_there_is_one_replica_and_gather_changes_nothing(mirrored):
    x = tf.constant([[1.0]])
    assert distributed.num_replicas() == 1
    assert int(distributed.replica_id()) == 0
    assert distributed.gather(x) is x
    with mirrored.scope():
        assert distributed.num_replicas() == 1
        assert int(distributed.replica_id()) == 0
        assert distributed.gather(x) is x


def test_ranks_count_up_over_the_replicas(mirrored):
    def ranks():
        return distributed.replica_id() + 10 * distributed.num_replicas()

    assert _run(mirrored, ranks) == [20, 21]
