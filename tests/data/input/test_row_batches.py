import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.data.input.test_pipeline import assert_equal, jpeg, ramp
from tfav import registry
from tfav.data import shards
from tfav.data.input import endless, pipeline, reader

ROWS, FRAMES = 8, 5
LABELS = ["b", "c", "a"]  # of row k: LABELS[k % 3], in order of first appearance


def grey(row, frame):
    return 30 * row + 5 * frame


def records():
    for row in range(ROWS):
        yield shards.Record(
            f"row{row}",
            "train",
            LABELS[row % 3],
            ramp(row, 40 if row % 2 else 300),
            [jpeg(grey(row, frame)) for frame in range(FRAMES)],
            8,
            8,
            further={"flow": [jpeg(255 - grey(row, frame)) for frame in range(FRAMES)]},
        )
    one = [jpeg(255)]
    yield shards.Record("deaf", "train", "a", None, one * 9, 8, 8, further={"flow": one * 9})
    yield shards.Record("still", "train", "b", ramp(9, 300), one, 8, 8, further={"flow": one * 9})
    yield shards.Record("plain", "train", "b", ramp(9, 300), one * 9, 8, 8)
    yield shards.Record("alone", "test", "b", ramp(9, 300), one, 8, 8)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    shards.write(folder, records(), shards=3, modalities=["flow"])
    return folder


def items(modalities, image_size, num_frames, augment):
    """What is asked of each modality: clips, and images of that size and so many frames."""
    return {
        name: small.item(
            name, image_size.get(name, 0), num_frames.get(name, 1), augment.get(name, ())
        )
        for name in modalities
    }


def batches(directory, context=None, steps=6, split="train", **changes):
    asked = {
        "modalities": ("audio", "image", "flow"),
        "image_size": {"image": 8, "flow": 8},
        "num_frames": {"image": 2, "flow": 3},
        "augment": {},
    }
    asked |= {name: changes.pop(name) for name in asked if name in changes}
    arguments = {
        "items": items(**asked),
        "batch_size": 4,
        "seed": 1,
        "audio_seconds": (0.005, 0.01),  # 80 to 160 samples
    }
    make = endless.row_batches(directory, split, **(arguments | changes))
    return list(make(context).take(steps).as_numpy_iterator())


def speaker(batch):
    """Row of the data set that each row's sound belongs to."""
    return np.round(batch["audio"][:, 0] * 32768).astype(int) // 1000


def shade(pictures):
    return np.round(pictures.astype(float).mean(axis=(-3, -2, -1))).astype(int)


def test_a_batch_has_one_tensor_a_modality(directory):
    (batch,) = batches(directory, steps=1)
    assert batch.keys() == {"audio", "image", "flow", "label"}
    assert batch["audio"].dtype == np.float32 and batch["audio"].shape[0] == 4
    assert batch["image"].dtype == np.uint8 and batch["image"].shape == (4, 2, 8, 8, 3)
    assert batch["flow"].dtype == np.uint8 and batch["flow"].shape == (4, 3, 8, 8, 3)
    assert batch["label"].dtype == np.int32 and batch["label"].shape == (4,)


def test_one_frame_has_no_axis_of_frames_and_shapes_are_known_in_advance(directory):
    make = endless.row_batches(
        directory,
        "train",
        items=items(
            ("audio", "image", "flow"),
            {"image": 8, "flow": 6},
            {"flow": 2},
            {"image": ["resized_crop"], "flow": ["resized_crop", "flip_flow"]},
        ),
        batch_size=4,
        seed=1,
        audio_seconds=(0.01, 0.01),
    )
    spec = make(None).element_spec
    assert spec["audio"].shape == [4, 160]
    assert spec["image"].shape == [4, 8, 8, 3]
    assert spec["flow"].shape == [4, 2, 6, 6, 3]


def test_sound_frames_and_label_of_a_row_belong_together(directory):
    for batch in batches(directory, steps=10):
        row = speaker(batch)
        samples = np.round(batch["audio"] * 32768).astype(int)
        np.testing.assert_array_equal(samples // 1000, row[:, None] + 0 * samples)
        np.testing.assert_array_equal(shade(batch["image"]) // 30, row[:, None] + [[0, 0]])
        np.testing.assert_array_equal((256 - shade(batch["flow"])) // 30, row[:, None] + [[0] * 3])
        np.testing.assert_array_equal(batch["label"], row % 3)


def test_an_epoch_visits_every_row_that_holds_all_modalities_once(directory):
    found = batches(directory, steps=8)
    orders = []
    for epoch in range(4):  # 8 usable rows in batches of 4: 2 steps
        rows = np.concatenate([speaker(batch) for batch in found[2 * epoch : 2 * epoch + 2]])
        assert sorted(rows.tolist()) == list(range(ROWS))
        orders.append(tuple(rows))
    assert len(set(orders)) == 4


def test_the_frames_are_one_random_one_of_each_part_in_order(directory):
    image, flow = set(), set()
    for batch in batches(directory, steps=100):
        first = grey(speaker(batch), 0)[:, None]
        image |= {tuple(np.round(x / 5).astype(int)) for x in shade(batch["image"]) - first}
        flow |= {tuple(np.round(x / 5).astype(int)) for x in 255 - shade(batch["flow"]) - first}
    # 5 frames in 2 parts: 0 1 | 2 3 4; in 3 parts: 0 | 1 2 | 3 4.
    assert image == {(i, j) for i in (0, 1) for j in (2, 3, 4)}
    assert flow == {(0, i, j) for i in (1, 2) for j in (3, 4)}


def test_modalities_with_as_many_frames_take_the_same_ones(directory):
    for batch in batches(directory, num_frames={"image": 2, "flow": 2}):
        assert abs(shade(batch["image"]) + shade(batch["flow"]) - 255).max() <= 2


def test_rows_left_out_are_counted_in_the_log_with_the_first(directory, caplog):
    batches(directory, steps=0)
    assert "3 of 11 rows of train are left out (first: deaf has no audio)" in caplog.text
    caplog.clear()
    batches(directory, steps=0, batch_size=1, modalities=("image",), num_frames={"image": 6})
    text = "9 of 11 rows of train are left out (first: row0 has 5 of 6 frames of image)"
    assert text in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, "'train'.* has 8 rows with audio and 2 frames of image and 3 frames"),
        ({"num_frames": {"image": 6}}, r"row0 has 5 of 6 frames of image\): ask for fewer frames"),
        ({"modalities": ("smell",), "batch_size": 1}, "0 rows with smell .*row0 has no smell"),
        ({"split": "test"}, "'test'.* 0 rows .*alone has no flow"),
        ({"split": "nowhere"}, "'nowhere'"),
        ({"augment": {"image": ["gain"]}}, "augmentations of 'image' are gain.*change waveforms"),
        ({"augment": {"audio": ["flip"]}}, "augmentations of 'audio' are flip.*change images"),
        ({"audio_seconds": (2, 1)}, "audio_seconds"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(directory, changes, message):
    with pytest.raises(registry.UserError, match=message):
        batches(directory, **changes)


def test_without_audio_no_sound_is_asked_for(directory):
    (batch,) = batches(directory, steps=1, modalities=("image",), audio_seconds=(0, 0))
    assert batch.keys() == {"image", "label"}
    # Rows with two frames: all but `still`.
    with pytest.raises(registry.UserError, match="10 rows with 2 frames of image and a batch"):
        batches(directory, modalities=("image",), batch_size=11)


AUGMENT = {
    "audio": ["gain", "noise"],
    "image": ["resized_crop", "flip", "color"],
    "flow": ["resized_crop", "flip_flow"],
}


@pytest.mark.parametrize("pipelines,replicas", [(1, 2), (2, 2), (2, 4)])
def test_pipelines_and_replicas_share_out_the_batch_of_one(directory, pipelines, replicas):
    whole = batches(directory, augment=AUGMENT, steps=2)
    local = replicas // pipelines
    parts = [
        batches(
            directory,
            tf.distribute.InputContext(pipelines, number, replicas),
            augment=AUGMENT,
            steps=2 * local,
        )
        for number in range(pipelines)
    ]
    for step, expected in enumerate(whole):
        shares = [part[step * local + r] for part in parts for r in range(local)]
        joined = {name: np.concatenate([share[name] for share in shares]) for name in expected}
        assert_equal([joined], [expected])


def test_starting_at_a_step_equals_skipping_to_it(directory):
    whole = batches(directory, augment=AUGMENT, steps=5)
    assert_equal(batches(directory, augment=AUGMENT, start_step=3, steps=2), whole[3:])


def test_equal_seeds_give_equal_batches_and_others_do_not(directory):
    assert_equal(batches(directory, augment=AUGMENT), batches(directory, augment=AUGMENT))
    other = batches(directory, seed=2)
    assert any((speaker(a) != speaker(b)).any() for a, b in zip(batches(directory), other))


def test_frames_and_picture_modalities_of_a_row_are_cropped_and_mirrored_alike(tmp_path):
    # A picture of its own at every pixel (a ramp), stored as two frames and two modalities.
    slope = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.stack(np.broadcast_arrays(slope[None, :], slope[:, None], slope[:1, None]), -1)
    content = tf.io.encode_jpeg(picture, quality=95, chroma_downsampling=False).numpy()
    rows = [
        shards.Record(
            f"row{i}", "train", "a", None, [content] * 2, 64, 64, {}, {"diff": [content] * 2}
        )
        for i in range(4)
    ]
    shards.write(tmp_path / "set", rows, modalities=["diff"])
    chain = ["resized_crop", "flip", "rotate"]
    (batch,) = batches(
        tmp_path / "set",
        steps=1,
        modalities=("image", "diff"),
        image_size={"image": 16, "diff": 16},
        num_frames={"image": 2, "diff": 2},
        augment={"image": chain, "diff": chain},
    )
    np.testing.assert_array_equal(batch["image"], batch["diff"])
    np.testing.assert_array_equal(batch["image"][:, 0], batch["image"][:, 1])
    # ... and each row otherwise than the others.
    assert len({row.tobytes() for row in batch["image"]}) == 4


def test_no_python_runs_inside_the_pipeline(directory, monkeypatch):
    monkeypatch.setattr(reader, "_KEPT_BYTES", 0)
    make = endless.row_batches(
        directory,
        "train",
        items=items(("audio", "image"), {"image": 8}, {"image": 2}, AUGMENT),
        batch_size=4,
        seed=1,
        audio_seconds=(0.01, 0.01),
    )
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=make(None)._variant_tensor).numpy()
    assert b"TFRecordDatasetV2" in graph
    assert b"PyFunc" not in graph and b"GeneratorDataset" not in graph


def test_identities_draw_any_frame_of_their_row(directory):
    make = endless.identity_batches(
        directory, "train", batch_size=3, seed=1, audio_seconds=(0.005, 0.005), items=small.pair(8)
    )
    shades = {int(s) for b in make(None).take(40).as_numpy_iterator() for s in shade(b["image"])}
    frames = {(s + 2) % 30 // 5 for s in shades if s < 240}
    assert frames == {0, 1, 2, 3, 4}


def evaluate(directory, what, modality, num_frames=1, **changes):
    item = small.item(modality, 8, num_frames)
    arguments = {"batch_size": 4, "max_seconds": 1.0, "item": item} | changes
    dataset = pipeline.evaluation_batches(directory, what, modality, **arguments)
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [(1, 2), (2, [1, 3]), (5, [0, 1, 2, 3, 4]), (6, [0, 1, 2, 2, 3, 4])],
)
def test_evaluation_takes_the_middle_frame_of_each_part(directory, num_frames, expected):
    # (2 i + 1) * 5 // (2 F): 5 // 2 = 2; 5 // 4, 15 // 4; ...; 5, 15, 25, 35, 45, 55 over 12.
    (batch,) = evaluate(directory, ["row3", "row1"], "flow", num_frames=num_frames)
    assert batch.keys() == {"id", "flow"}
    for shades, row in zip(shade(batch["flow"]), (3, 1)):
        frames = np.round((255 - shades - grey(row, 0)) / 5)
        np.testing.assert_array_equal(frames, expected)
    assert batch["flow"].shape == (2, *([num_frames] if num_frames > 1 else []), 8, 8, 3)


def test_short_clips_repeat_up_to_the_least_length_of_evaluation(directory):
    (batch,) = evaluate(directory, ["row1", "row2"], "audio", min_seconds=100 / 16_000)
    np.testing.assert_array_equal(batch["num_samples"], [100, 300])
    samples = np.round(batch["audio"] * 32768).astype(int)
    np.testing.assert_array_equal(samples[0, :100], np.resize(ramp(1, 40), 100))  # 40 40 20
    assert not samples[0, 100:].any()
    np.testing.assert_array_equal(samples[1], ramp(2, 300))


def test_a_least_length_above_the_longest_is_refused(directory):
    with pytest.raises(registry.UserError, match="at least 3 s and at most 1 s"):
        evaluate(directory, "train", "audio", min_seconds=3)
