import io
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tests import small
from tfav import registry
from tfav.data import shards
from tfav.data.input import endless, lengths, pipeline, reader

PEOPLE = 9


def jpeg(grey, height=8, width=8):
    file = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (grey,) * 3).save(file, "JPEG")
    return file.getvalue()


def ramp(person, size):
    """Sample t of person k is 1000 k + t: a stretch tells who speaks and where it begins."""
    return (1000 * person + np.arange(size)).astype(np.int16)


def records():
    for person in range(PEOPLE):
        for take, size in enumerate((40, 200, 300)):
            name = f"person{person}"
            yield shards.Record(f"{name}/{take}.wav", "train", name, audio=ramp(person, size))
    for person in range(PEOPLE):
        for take in range(2):
            name = f"person{person}"
            image = jpeg(20 * person)
            yield shards.Record(f"{name}/{take}.jpg", "train", name, None, image, 8, 8)
    yield shards.Record("mute.jpg", "train", "mute", None, jpeg(250), 8, 8)
    yield shards.Record("wide.jpg", "test", "person0", None, jpeg(200, 20, 40), 20, 40)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    shards.write(folder, records(), shards=3)
    return folder


def batches(directory, context=None, steps=6, **changes):
    arguments = {
        "batch_size": 4,
        "seed": 1,
        "audio_seconds": (0.005, 0.01),  # 80 to 160 samples
        "items": small.pair(8),
    }
    make = endless.identity_batches(directory, "train", **(arguments | changes))
    return list(make(context).take(steps).as_numpy_iterator())


def assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], strict=True)


def test_a_batch_has_the_shapes_and_types_of_the_contract(directory):
    (batch,) = batches(directory, steps=1)
    assert batch["audio"].dtype == np.float32 and batch["audio"].shape[0] == 4
    assert batch["image"].dtype == np.uint8 and batch["image"].shape == (4, 8, 8, 3)
    assert batch["label"].dtype == np.int32 and batch["label"].shape == (4,)


def test_sound_image_and_label_of_a_row_are_one_person(directory):
    for batch in batches(directory, steps=20):
        samples = np.round(batch["audio"] * 32768).astype(int)
        np.testing.assert_array_equal(samples // 1000, batch["label"][:, None] + 0 * samples)
        grey = batch["image"].astype(float).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(grey, 20 * batch["label"], atol=1.5)


def test_stretches_are_contiguous_and_short_clips_repeat(directory):
    repeated = 0
    for batch in batches(directory, steps=20):
        assert 80 <= batch["audio"].shape[1] <= 160
        step = np.diff(np.round(batch["audio"] * 32768).astype(int), axis=1)
        # One sample on, or from the last of the 40, 200 or 300 samples back to the first.
        assert set(np.unique(step).tolist()) <= {1, -39}
        repeated += (step == -39).any()
    assert repeated > 0


def test_each_row_begins_at_a_place_of_its_own(directory):
    short, long = [], []
    for batch in batches(directory, steps=60, audio_seconds=(0.0124375, 0.0124375)):  # 199 samples
        samples = np.round(batch["audio"] * 32768).astype(int) % 1000
        for row in samples:
            (short if row.max() < 40 else long).append(int(row[0]))
    # A clip of 40 samples can begin anywhere, one of 200 at 0 and 1, one of 300 at 0 to 101.
    assert len(set(short)) > 15 and max(short) < 40
    assert len(set(long)) > 30 and max(long) <= 101 and {0, 1} <= set(long)


def test_the_length_changes_from_step_to_step_and_can_be_fixed(directory):
    assert len({batch["audio"].shape[1] for batch in batches(directory)}) > 1
    fixed = endless.identity_batches(
        directory, "train", batch_size=4, seed=1, audio_seconds=(0.01, 0.01), items=small.pair(8)
    )(None)
    assert fixed.element_spec["audio"].shape == [4, 160]


def test_all_files_of_a_person_get_their_turn(directory):
    sizes = set()
    for batch in batches(directory, steps=30, audio_seconds=(0.01875, 0.01875)):  # 300 samples
        samples = np.round(batch["audio"] * 32768).astype(int) % 1000
        sizes |= set((samples.max(axis=1) + 1).tolist())
    assert sizes == {40, 200, 300}


def test_identities_of_a_batch_are_distinct_and_an_epoch_visits_them_once(directory):
    labels = [batch["label"] for batch in batches(directory, steps=6)]
    for epoch in range(3):  # 9 people in batches of 4: 2 steps, 1 person left out
        assert len(set(np.concatenate(labels[2 * epoch : 2 * epoch + 2]).tolist())) == 8


def test_an_identity_without_sound_is_never_drawn(directory):
    assert max(batch["label"].max() for batch in batches(directory, steps=20)) < PEOPLE


def test_equal_seeds_give_equal_batches_and_others_do_not(directory):
    assert_equal(batches(directory), batches(directory))
    other = batches(directory, seed=2)
    assert any((a["label"] != b["label"]).any() for a, b in zip(batches(directory), other))


@pytest.mark.parametrize("pipelines,replicas", [(1, 2), (1, 4), (2, 2), (2, 4), (4, 4)])
def test_pipelines_and_replicas_share_out_the_batch_of_one(directory, pipelines, replicas):
    augment = ("flip", "crop", "rotate", "gain", "noise")
    whole = batches(directory, items=small.pair(8, augment), steps=3)
    local = replicas // pipelines
    parts = [
        batches(
            directory,
            tf.distribute.InputContext(pipelines, number, replicas),
            items=small.pair(8, augment),
            steps=3 * local,
        )
        for number in range(pipelines)
    ]
    for step, expected in enumerate(whole):
        shares = [part[step * local + r] for part in parts for r in range(local)]
        assert {len(share["label"]) for share in shares} == {4 // replicas}
        joined = {name: np.concatenate([share[name] for share in shares]) for name in expected}
        assert_equal([joined], [expected])


def test_each_replica_of_a_strategy_gets_its_rows(directory, mirrored):
    make = endless.identity_batches(
        directory, "train", batch_size=4, seed=1, audio_seconds=(0.005, 0.01), items=small.pair(8)
    )
    iterator = iter(mirrored.distribute_datasets_from_function(make))
    for expected in batches(directory, steps=3):
        batch = next(iterator)
        for name in expected:
            values = mirrored.experimental_local_results(batch[name])
            assert [len(value) for value in values] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(values), expected[name])


def test_starting_at_a_step_equals_skipping_to_it(directory):
    augment = ("crop", "noise")
    whole = batches(directory, items=small.pair(8, augment), steps=6)
    assert_equal(batches(directory, items=small.pair(8, augment), start_step=4, steps=2), whole[4:])


def test_a_replicas_start_step_counts_steps_not_elements(directory):
    context = tf.distribute.InputContext(1, 0, 2)
    whole = batches(directory, context, steps=8)
    assert_equal(batches(directory, context, start_step=3, steps=2), whole[6:])


def test_augmentations_change_the_batch(directory):
    plain, changed = (
        batches(directory),
        batches(directory, items=small.pair(8, ("brightness", "noise"))),
    )
    assert any((a["image"] != b["image"]).any() for a, b in zip(plain, changed))
    assert all((a["audio"] != b["audio"]).any() for a, b in zip(plain, changed))
    assert all((a["label"] == b["label"]).all() for a, b in zip(plain, changed))


def test_tensorflow_does_not_share_the_batches_out_again(directory):
    make = endless.identity_batches(
        directory, "train", batch_size=4, seed=1, audio_seconds=(0.01, 0.01), items=small.pair(8)
    )
    options = make(None).options()
    off = tf.data.experimental.AutoShardPolicy.OFF
    assert options.experimental_distribute.auto_shard_policy == off
    assert options.deterministic


def test_no_python_runs_inside_the_pipeline(directory, monkeypatch):
    monkeypatch.setattr(reader, "_KEPT_BYTES", 0)
    make = endless.identity_batches(
        directory, "train", batch_size=4, seed=1, audio_seconds=(0.01, 0.01), items=small.pair(8)
    )
    for dataset in (
        make(None),
        pipeline.evaluation_batches(
            directory, "train", "audio", batch_size=4, max_seconds=1, item=small.item("audio")
        ),
    ):
        graph = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor).numpy()
        assert b"TFRecordDatasetV2" in graph
        assert b"PyFunc" not in graph and b"GeneratorDataset" not in graph


def test_nothing_runs_before_the_strategy_is_made(directory):
    with tf.Graph().as_default() as graph:
        endless.identity_batches(
            directory,
            "train",
            batch_size=4,
            seed=1,
            audio_seconds=(0.01, 0.01),
            items=small.pair(8),
        )
    assert graph.get_operations() == []


def test_a_batch_larger_than_the_identities_names_both_numbers_and_the_fix(directory):
    with pytest.raises(registry.UserError, match=r"9 identities.*10.*--config.train.batch_size"):
        batches(directory, batch_size=10)


def test_a_batch_that_replicas_cannot_share_names_both_numbers(directory):
    context = tf.distribute.InputContext(1, 0, 3)
    with pytest.raises(registry.UserError, match=r"batch of 4 .* 3 replicas.*train.batch_size"):
        batches(directory, context)


@pytest.mark.parametrize("seconds", [(0, 1), (2, 1), (-1, -1)])
def test_a_range_of_lengths_that_makes_no_sense_is_refused(directory, seconds):
    with pytest.raises(registry.UserError, match="audio_seconds"):
        batches(directory, audio_seconds=seconds)


def test_a_split_that_is_not_there_is_named(directory):
    with pytest.raises(registry.UserError, match="'nowhere'"):
        endless.identity_batches(
            directory, "nowhere", batch_size=4, seed=1, audio_seconds=(1, 1), items=small.pair(8)
        )


@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_a_damaged_shard_is_named_before_anything_is_read(tmp_path, damage):
    shards.write(tmp_path / "set", records(), shards=3)
    shard = tmp_path / "set" / "train-00001-of-00003.tfrecord"
    content = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(content[:-1] if damage == "short" else content + b"0")
    for read in (
        lambda: batches(tmp_path / "set"),
        lambda: evaluate(tmp_path / "set", "train", "image"),
    ):
        with pytest.raises(registry.UserError, match="train-00001-of-00003.*prepare"):
            read()


def _write_with_a_flipped_bit(folder):
    shards.write(folder, records(), shards=1)
    shard = pathlib.Path(folder / "train-00000-of-00001.tfrecord")
    content = bytearray(shard.read_bytes())
    content[30] ^= 1
    shard.write_bytes(content)


def test_a_flipped_bit_stops_the_run_instead_of_training_on_it(tmp_path):
    _write_with_a_flipped_bit(tmp_path / "set")
    with pytest.raises(tf.errors.DataLossError):
        evaluate(tmp_path / "set", "train", "audio")


def test_batches_are_the_same_whether_records_are_kept_or_read_again(directory, monkeypatch):
    kept = batches(directory, items=small.pair(8, ("flip", "crop", "gain")))
    monkeypatch.setattr(reader, "_KEPT_BYTES", 0)
    assert_equal(kept, batches(directory, items=small.pair(8, ("flip", "crop", "gain"))))


@pytest.mark.parametrize("kept_bytes", [0, 10**9])
def test_a_flipped_bit_stops_training_too(tmp_path, monkeypatch, kept_bytes):
    monkeypatch.setattr(reader, "_KEPT_BYTES", kept_bytes)
    _write_with_a_flipped_bit(tmp_path / "set")
    with pytest.raises(tf.errors.DataLossError):
        batches(tmp_path / "set", batch_size=9, steps=20)


def evaluate(directory, what, modality, **changes):
    item = small.item(modality, 8)
    arguments = {"batch_size": 4, "max_seconds": 1.0, "item": item} | changes
    dataset = pipeline.evaluation_batches(directory, what, modality, **arguments)
    return list(dataset.as_numpy_iterator())


def test_evaluation_keeps_the_order_given_and_pads_with_zeros(directory):
    ids = ["person3/1.wav", "person0/0.wav", "person3/2.wav", "person1/1.wav", "person0/0.wav"]
    first, second = evaluate(directory, ids, "audio")
    assert [name.decode() for name in [*first["id"], *second["id"]]] == ids
    assert first["num_samples"].dtype == np.int32
    np.testing.assert_array_equal(first["num_samples"], [200, 40, 300, 200])
    assert first["audio"].shape == (4, 300) and second["audio"].shape == (1, 40)
    for row, (person, size) in enumerate([(3, 200), (0, 40), (3, 300), (1, 200)]):
        expected = np.zeros(300, np.float32)
        expected[:size] = ramp(person, size) / 32768
        np.testing.assert_array_equal(first["audio"][row], expected)


def test_evaluation_of_a_split_takes_its_rows_in_order(directory):
    found = evaluate(directory, "train", "audio", batch_size=10)
    ids = [name.decode() for batch in found for name in batch["id"]]
    assert ids == [f"person{p}/{t}.wav" for p in range(PEOPLE) for t in range(3)]
    assert [len(batch["id"]) for batch in found] == [10, 10, 7]


def test_evaluation_takes_the_first_seconds_only(directory):
    (batch,) = evaluate(directory, ["person2/2.wav", "person2/0.wav"], "audio", max_seconds=0.005)
    np.testing.assert_array_equal(batch["num_samples"], [80, 40])
    np.testing.assert_array_equal(batch["audio"][0], ramp(2, 80).astype(np.float32) / 32768)


def test_evaluation_fits_images_without_randomness(directory):
    (batch,) = evaluate(directory, "test", "image")
    assert batch.keys() == {"id", "image"}
    # 20 x 40 fits 8 x 8 as 4 x 8, with two rows of grey above and below.
    grey = batch["image"][0, :, 4, 0].astype(int)
    assert grey[[0, 1, 6, 7]].tolist() == [127] * 4
    assert abs(grey[2:6] - 200).max() <= 2


def test_evaluation_names_the_ids_it_cannot_find(directory):
    with pytest.raises(registry.UserError, match=r"2 of 3 ids \(first: nobody\.wav\)"):
        evaluate(directory, ["person0/0.wav", "nobody.wav", "person0/0.jpg"], "audio")


def test_evaluation_of_a_split_without_the_modality_says_so(directory):
    with pytest.raises(registry.UserError, match="'test' .* holds no audio"):
        evaluate(directory, "test", "audio")


def test_evaluation_of_a_modality_that_the_data_lacks_names_it(directory):
    with pytest.raises(registry.UserError, match="'train' .* holds no smell"):
        evaluate(directory, "train", "smell")


def test_what_is_longer_than_what_is_heard_is_counted_in_clips_and_seconds(tmp_path):
    seconds = (1.0, 2.0, 3.5)
    rows = [
        shards.Record(f"{s}.wav", "train", "a", audio=np.ones(round(16_000 * s), np.int16))
        for s in seconds
    ]
    shards.write(tmp_path, [*rows, shards.Record("x.jpg", "train", "a", image=jpeg(1))])
    index = shards.Index.read(tmp_path)
    # 0.5 s of the second and 2 s of the third clip lie beyond 1.5 s.
    assert lengths.unheard(index, 1.5) == (2, 3, 2.5, 6.5)
    assert str(lengths.unheard(index, 2.5)) == (
        "1 of 3 clips are longer, 1 of 6 s (15 %) are not heard"
    )
    assert lengths.unheard(index, 3.5).clips == 0
    assert str(lengths.unheard(index.take(np.array([3])), 1.0)).startswith("0 of 0 clips")
