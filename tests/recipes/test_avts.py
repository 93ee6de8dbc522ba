"""AVTS: what is in step is near, what is not is far, from easy negatives to hard ones."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small, untrained
from tests.recipes import moments
from tfav import compat, recipes, registry
from tfav.commands import load, train
from tfav.experiment import models
from tfav.export import servable as servable_lib
from tfav.export.lite import tflite
from tfav.inference import embedders
from tfav.training import optimizers, trainer

WINDOW, SHIFT = 1600, 800  # samples
SHORT = {"window_seconds": 0.1, "shift_seconds": 0.05, "size": 16}


def _recipe(**arguments):
    return recipes.RECIPES["avts"](moments.encoders(), **{**SHORT, **arguments})


def _drawn(recipe, rows, step, length=4800):
    room = tf.constant((length - WINDOW) // 2)
    start, hard = recipe._draw(rows, room, tf.constant(step, tf.int64))
    return [x.numpy() for x in (*start, hard)]


def test_the_window_in_step_is_the_middle_and_the_shifted_one_lies_far_enough_within_the_clip():
    middle, shifted, _ = _drawn(_recipe(), 400, step=3)
    np.testing.assert_array_equal(middle, 1600)  # (4800 - 1600) / 2
    shift = shifted - middle
    assert np.abs(shift).min() >= SHIFT and np.abs(shift).max() <= 1600
    assert shifted.min() >= 0 and shifted.max() + WINDOW <= 4800
    assert 0.4 < np.mean(shift > 0) < 0.6  # before and after alike
    assert len(np.unique(shift)) > 200


def test_every_step_draws_anew_and_the_same_step_the_same():
    first, again, other = (_drawn(_recipe(), 50, step)[1] for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    "step, share, expected", [(4, 1.0, 0.0), (5, 1.0, 1.0), (5, 0.0, 0.0), (5, 0.25, 0.25)]
)
def test_hard_negatives_come_after_the_easy_steps_and_for_their_share(step, share, expected):
    *_, hard = _drawn(_recipe(easy_steps=5, hard_share=share), 1000, step)
    assert hard.mean() == pytest.approx(expected, abs=0.05)


def test_a_cut_takes_the_samples_from_its_start_on():
    recipe = _recipe()
    clip = tf.range(3200, dtype=tf.float32)[tf.newaxis]
    found = recipe._cut(tf.concat([clip, -clip], axis=0), tf.constant([0, 1600]))
    assert found.shape == [2, WINDOW]
    assert (found[0, 0], found[0, -1], found[1, 0], found[1, -1]) == (0, 1599, -1600, -3199)


@pytest.mark.parametrize("hard_share", [0.0, 1.0])
def test_the_loss_is_that_of_the_equation_with_easy_and_with_hard_negatives(hard_share):
    recipe = _recipe(hard_share=hard_share, margin=3.0)
    batch = moments.batch(2, flanks=1600)
    found = recipe.compute_losses(batch, training=False)
    middle, shifted, _ = _drawn(recipe, 2, step=0)
    image = recipe.represent("image", batch).numpy()

    def heard(start):
        clips = [clip[at : at + WINDOW] for clip, at in zip(batch["audio"], start)]
        return recipe.represent("audio", {"audio": np.stack(clips)}).numpy()

    audio = heard(middle)
    negative = heard(shifted) if hard_share else audio[::-1]  # of two rows: the other one
    near = np.sum((audio - image) ** 2, axis=1)
    far = np.sum((negative - image) ** 2, axis=1)
    expected = 0.5 * near + 0.5 * np.maximum(0, 3.0 - np.sqrt(far)) ** 2
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["similarity_mismatched"], -far, rtol=1e-4)
    np.testing.assert_array_equal(found["hard_negatives"], hard_share)
    scores = recipe.pair_scores(audio, image).numpy()
    np.testing.assert_allclose(np.diag(scores), -near, rtol=1e-4)


def test_it_learns_from_moments_whose_flanks_are_of_other_things_what_is_in_step():
    recipe = _recipe(easy_steps=60, hard_share=0.5, shift_seconds=0.1)
    optimizer = optimizers.create("adam", 0.005, schedule="constant", num_steps=240)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = trainer.Trainer(recipe, optimizer, one, batch_size=32, clip_norm=5.0)
    batches = iter(tf.data.Dataset.from_tensors(moments.batch(flanks=1600)).repeat())
    first = loop.run(batches, 1)
    easy = loop.run(batches, 59)
    loop.run(batches, 160)
    last = loop.run(batches, 20)
    assert first["hard_negatives"] == easy["hard_negatives"] == 0 < last["hard_negatives"]
    assert last["loss"] < 0.5 * first["loss"]
    unseen = recipe.compute_losses(moments.batch(16, seed=1, flanks=1600), training=False)
    assert np.mean(unseen["in_step_wins"]) > 0.8


@pytest.mark.parametrize("size", [3199, None])
def test_clips_too_short_for_a_shift_are_a_sentence(size):
    recipe = _recipe()
    batch = {"audio": np.zeros([2, 3199], np.float32), "image": moments.batch(2)["image"]}
    spec = {"audio": tf.TensorSpec([2, size]), "image": tf.TensorSpec([2, 32, 32, 3], tf.uint8)}
    losses = tf.function(lambda x: recipe.compute_losses(x, False), input_signature=[spec])
    sentence = "must last window_seconds and twice shift_seconds, 0.2 s: lower --config.model.win"
    with pytest.raises((registry.UserError, tf.errors.InvalidArgumentError), match=sentence):
        losses(batch)


def test_its_audio_encoder_converts_and_answers_as_the_run_does(tmp_path):
    c = small.config(untrained.write_data(tmp_path / "data"))
    c.recipe, c.model, c.loss = "avts", SHORT, {}
    c.data.sampling, c.eval.protocols = "rows", ("correspondence",)
    run = str(tmp_path / "run")
    train.train(c, run)
    servable = servable_lib.Servable(models.trained(run)[1])
    tflite.write(servable, str(tmp_path), audio_samples=8_000, precisions=("float32",))
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, [1, 8_000]).astype(np.float32)
    of_run = load.load(run).embed([wave[0]]).vectors["audio"]
    phone = embedders.load(str(tmp_path / "audio_float32.tflite"))
    np.testing.assert_allclose(phone.embed("audio", {"audio": wave}), of_run, atol=1e-5)
