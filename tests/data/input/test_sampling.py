import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from tfav.data import shards
from tfav.data.input import identity_pool, sampling


def make_index(label, num_samples, height):
    count = len(label)
    zeros = np.zeros(count, np.int64)
    return shards.Index(
        directory="somewhere",
        id=np.array([f"row{i}" for i in range(count)]),
        split=np.array(["train"] * count),
        label=np.array(label),
        shard=np.array(["train-00000-of-00001.tfrecord"] * count),
        offset=zeros,
        length=zeros,
        num_samples=np.array(num_samples),
        height=np.array(height),
        width=np.array(height),
        frames={"image": (np.array(height) > 0).astype(np.int64)},
        extra={},
        info={},
    )


# Three people: `b` has two sounds and one face, `a` one row that holds both, `c` no face.
LABELS = ["b", "a", "c"]
INDEX = make_index(
    ["b", "a", "b", "c", "b"], num_samples=[100, 200, 300, 400, 0], height=[0, 8, 0, 0, 8]
)


def draw(seed, step, num_identities=10, batch_size=3):
    step = tf.constant(step, tf.int64)
    return sampling.draw_items(seed, step, batch_size=batch_size, num_items=num_identities).numpy()


def test_a_pool_groups_rows_by_identity_and_leaves_out_who_has_one_modality():
    pool = identity_pool.make_pool(INDEX, LABELS)
    assert len(pool) == 2
    np.testing.assert_array_equal(pool.label, [0, 1])
    rows = [pool.audio_rows[f : f + n].tolist() for f, n in zip(pool.audio_first, pool.audio_count)]
    assert rows == [[0, 2], [1]]
    rows = [pool.image_rows[f : f + n].tolist() for f, n in zip(pool.image_first, pool.image_count)]
    assert rows == [[4], [1]]


def test_the_log_counts_the_identities_that_are_ignored(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    identity_pool.make_pool(INDEX, LABELS)
    assert len(said) == 1
    assert "1 of 3 identities" in said[0] and "first: c" in said[0]


def test_an_identitys_class_keeps_its_rank_when_an_earlier_one_is_ignored():
    # `a` is the first label and has no face, so the only identity left has class 1, not 0.
    pool = identity_pool.make_pool(make_index(["a", "b", "b"], [5, 5, 0], [0, 0, 8]), ["a", "b"])
    np.testing.assert_array_equal(pool.label, [1])


def test_an_epoch_visits_every_identity_once_except_the_remainder():
    # 10 identities in batches of 3: an epoch is 3 steps, and 1 identity is left out.
    for epoch in range(20):
        seen = np.concatenate([draw(7, 3 * epoch + i) for i in range(3)])
        assert len(set(seen.tolist())) == 9
        assert seen.min() >= 0 and seen.max() < 10


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_items_are_those_that_one_shuffle_of_the_epoch_gives(batch_size):
    epoch = tf.random.experimental.index_shuffle(tf.range(10), seed=[7, 0], max_index=9)
    for step in range(10 // batch_size):
        expected = epoch[step * batch_size :][:batch_size]
        np.testing.assert_array_equal(draw(7, step, batch_size=batch_size), expected)


def test_epochs_and_seeds_have_their_own_order():
    orders = {tuple(draw(seed, step, batch_size=10)) for seed in range(4) for step in range(4)}
    assert len(orders) == 16


def test_every_identity_is_left_out_now_and_then():
    left = [10 * 9 // 2 - sum(draw(0, 3 * e + i).sum() for i in range(3)) for e in range(200)]
    # 200 epochs leave out one of 10 each: 20 expected, and under 5 is 3.5 standard deviations away.
    assert np.bincount(left, minlength=10).min() >= 5


def test_one_identity_alone_makes_a_batch_of_one():
    assert draw(0, 12345, num_identities=1, batch_size=1).tolist() == [0]


def plan(seed, step, low=10, high=20, batch_size=2):
    return {
        name: value.numpy()
        for name, value in sampling.draw_identities(
            seed,
            tf.constant(step, tf.int64),
            identity_pool.make_pool(INDEX, LABELS),
            tf.constant(INDEX.num_samples),
            batch_size=batch_size,
            length_samples=(low, high),
        ).items()
    }


def test_a_plan_pairs_rows_of_the_same_identity():
    for step in range(30):
        drawn = plan(3, step)
        for label, audio, image in zip(drawn["label"], drawn["audio_row"], drawn["image_row"]):
            assert INDEX.label[audio] == INDEX.label[image] == LABELS[label]
            assert INDEX.held("audio")[audio] and INDEX.held("image")[image]


def test_a_plan_is_a_function_of_seed_and_step():
    for name, value in plan(3, 8).items():
        np.testing.assert_array_equal(value, plan(3, 8)[name])
    assert (plan(3, 8)["image_seed"] != plan(3, 9)["image_seed"]).all()
    assert (plan(3, 8)["image_seed"] != plan(4, 8)["image_seed"]).all()
    assert (plan(3, 8)["image_seed"] != plan(3, 8)["audio_seed"]).all()


def test_all_utterances_of_an_identity_get_their_turn():
    rows = np.concatenate([plan(0, step)["audio_row"] for step in range(100)])
    # `b` is in every batch and has rows 0 and 2: 50 expected of each, 30 is 4 standard deviations.
    assert np.bincount(rows)[0] > 30 and np.bincount(rows)[2] > 30


def test_a_step_has_one_length_and_every_length_in_the_range_occurs():
    lengths = [plan(0, step, low=10, high=12)["length"] for step in range(60)]
    assert all(len(set(length.tolist())) == 1 for length in lengths)
    assert {int(length[0]) for length in lengths} == {10, 11, 12}


def test_few_lengths_are_evenly_spread_and_as_frequent_as_each_other():
    keys = tf.constant([[0, step] for step in range(400)], tf.int64)
    drawn = [int(sampling.draw_length(key, (100, 121), 4)) for key in keys]
    counts = {length: drawn.count(length) for length in sorted(set(drawn))}
    assert list(counts) == [100, 107, 114, 121]
    assert all(70 < count < 130 for count in counts.values())  # 100 each, by 3.5 deviations
    assert int(sampling.draw_length(keys[0], (100, 100), 4)) == 100


def test_a_fixed_length_is_possible():
    assert plan(0, 5, low=16, high=16)["length"].tolist() == [16, 16]


def test_starts_cover_the_clip_and_nothing_more():
    def starts(num_samples, length):
        sizes = tf.fill([3000], tf.constant(num_samples, tf.int64))
        key = tf.constant([1, 2], tf.int64)
        return set(sampling.draw_starts(key, sizes, tf.constant(length, tf.int64)).numpy().tolist())

    assert starts(12, 10) == {0, 1, 2}  # the last stretch is 2..11
    assert starts(10, 10) == {0}
    assert starts(4, 10) == {0, 1, 2, 3}  # shorter than the stretch: it repeats, from any sample


def test_rows_start_independently():
    sizes = tf.fill([50], tf.constant(10_000, tf.int64))
    starts = sampling.draw_starts(tf.constant([1, 2], tf.int64), sizes, tf.constant(10, tf.int64))
    assert len(set(starts.numpy().tolist())) > 40


@pytest.mark.parametrize("step", [0, 10**12])
def test_draws_work_in_a_graph_at_any_step(step):
    drawn = tf.function(lambda s: sampling.draw_items(1, s, batch_size=3, num_items=10))
    np.testing.assert_array_equal(drawn(tf.constant(step, tf.int64)), draw(1, step))


def test_draw_frames_takes_one_of_each_part_by_its_share():
    def frames(share, num_stored):
        return sampling.draw_frames(tf.constant(share, tf.float64), tf.constant(num_stored)).numpy()

    # 7 frames in 3 parts: 0 1 | 2 3 | 4 5 6.
    np.testing.assert_array_equal(frames([0.0, 0.0, 0.0], 7), [0, 2, 4])
    np.testing.assert_array_equal(frames([0.5, 0.49, 0.67], 7), [1, 2, 6])
    np.testing.assert_array_equal(frames([np.nextafter(1, 0)] * 3, 7), [1, 3, 6])
    np.testing.assert_array_equal(frames([0.9] * 3, 3), [0, 1, 2])


def test_middle_frames_are_the_middles_of_equal_parts_and_few_frames_repeat():
    def frames(num_stored, num_frames):
        return sampling.middle_frames(tf.constant(num_stored), num_frames).numpy().tolist()

    assert frames(7, 1) == [3]
    assert frames(6, 2) == [1, 4]
    assert frames(1, 3) == [0, 0, 0]
    assert frames(2, 3) == [0, 1, 1]  # 2, 6, 10 over 6


def test_rows_of_a_batch_are_distinct_and_keep_their_class():
    rows, label = np.array([4, 5, 9, 11]), np.array([0, 3, 1, 2], np.int32)
    seen = []
    for step in range(6):
        drawn = sampling.draw_rows(
            1,
            tf.constant(step, tf.int64),
            rows,
            label,
            tf.range(12, dtype=tf.int64) + 1,
            batch_size=2,
            length_samples=(3, 3),
            num_frames=2,
        )
        assert drawn["frame_share"].shape == [2, 2]
        for row, number in zip(drawn["row"].numpy(), drawn["label"].numpy()):
            assert label[rows.tolist().index(row)] == number
        seen.append(drawn["row"].numpy())
    assert all(sorted(np.concatenate(seen[i : i + 2])) == [4, 5, 9, 11] for i in (0, 2, 4))
