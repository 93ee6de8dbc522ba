"""A loss that is not finite: the step, the rows, what came first, and the batch in a file."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.training import toy
from tfav import compat, registry
from tfav.commands import train
from tfav.data.input import endless
from tfav.recipes import voice_face
from tfav.training import checkpoints, not_finite


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return small.write_dataset(str(tmp_path_factory.mktemp("finite") / "data"))


def _train(data, folder):
    with pytest.raises(registry.UserError) as caught:
        train.train(small.config(data), str(folder), "one_device")
    return str(caught.value)


def _at_label(recipe_method, label, poison):
    """Returns a method that gives NaN to rows of one label."""

    @tf.autograph.experimental.do_not_convert
    def method(self, *arguments, **more):
        found = recipe_method(self, *arguments, **more)
        batch = next(a for a in arguments if isinstance(a, dict))
        return poison(found, batch["label"] == label, *arguments)

    return method


def _nan(values, where):
    where = tf.reshape(where, [-1] + [1] * (len(values.shape) - 1))
    return tf.where(where, tf.constant(np.nan, values.dtype), values)


def test_an_embedding_that_is_nan_is_named_with_its_rows_and_the_batch_is_kept(
    data, tmp_path, monkeypatch
):
    def poison(found, where, modality, *others):
        return _nan(found, where) if modality == "image" else found

    embed = voice_face.VoiceFace.embed
    monkeypatch.setattr(voice_face.VoiceFace, "embed", _at_label(embed, 3, poison))
    text = _train(data, tmp_path / "run")
    path = tmp_path / "run" / not_finite.FILE
    with np.load(path) as kept:
        step, ids, bad = int(kept["step"]), kept["id"], kept["not finite: the image embedding"]
        assert kept["audio"].shape == (4, 8000) and kept["image"].shape == (4, 32, 32, 3)
        assert not kept["not finite: the audio embedding"].any()
        np.testing.assert_array_equal(kept["label"] == 3, bad)
        batches = endless.identity_batches(
            data, "train", batch_size=4, seed=0, audio_seconds=(0.5, 0.5), items=small.pair(32)
        )
        np.testing.assert_array_equal(ids, batches.ids(step))
    (name,) = ids[bad]
    assert f"at step {step} (the image embedding came first, in 1 of 4 rows: {name}); " in text
    assert f"the batch is in {path}: train into" in text
    saved = checkpoints.saved_steps(str(tmp_path / "run"))
    assert all(number <= step for number in saved)  # no checkpoint of a run that is broken


def test_a_term_of_the_loss_comes_before_the_loss(data, tmp_path, monkeypatch):
    def poison(found, where, *others):
        return {n: _nan(x, where) if n in ("loss", "explicit") else x for n, x in found.items()}

    losses = voice_face.VoiceFace.compute_losses
    monkeypatch.setattr(voice_face.VoiceFace, "compute_losses", _at_label(losses, 2, poison))
    text = _train(data, tmp_path / "run")
    assert "(the term explicit came first, in 1 of 4 rows: " in text


class Root(toy.Toy):
    """A loss that is 0 where its gradient is infinite."""

    def compute_losses(self, batch, training):
        loss = tf.sqrt(tf.maximum(self.heads["line"](batch["x"]) - batch["y"], 0.0))[:, 0]
        return {"loss": loss, "error": loss}


def test_a_gradient_that_is_infinite_moves_no_weight_and_is_named():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.train(strategy, Root, rate=1.0)
    # Weights [1, 1] and bias 2 give 3 for [1, 0], so that the target 3 leaves the root of 0.
    loop.recipe.named_weights()["line/kernel"].assign([[1.0], [1.0]])
    still = [w.numpy() for w in loop.recipe.named_weights().values()]
    same = [([[1.0, 0.0], [1.0, 0.0]], [3.0, 3.0])] * 3
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        loop.run(toy.batches(strategy, same), 3)
    assert loop.step == 1  # the two steps behind it were not taken
    for before, weight in zip(still, loop.recipe.named_weights().values()):
        np.testing.assert_array_equal(weight.numpy(), before)
    text = not_finite.explain(loop, toy.batches(strategy, same), ["a", "b"], 0, "")
    # Keras 2 names a weight without its layer here.
    form = r" \(the gradient of \S*(kernel|bias) came first, of a loss that is finite\)"
    assert re.fullmatch(form, text)


class Moving(toy.Toy):
    """Keeps the mean of what it was given, as batch norm does, where no gradient moves it."""

    def __init__(self):
        super().__init__()
        line = self.heads["line"]
        line.mean = line.add_weight(name="mean", shape=(2,), trainable=False)

    def compute_losses(self, batch, training):
        compat.raw(self.heads["line"].mean).assign(tf.reduce_mean(batch["x"], axis=0))
        return super().compute_losses(batch, training)


def test_what_the_forward_pass_has_moved_is_not_what_came_first():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.train(strategy, Moving)
    steps = [([[1.0, 0.0], [float("nan"), 1.0]], [0.0, 0.0])]
    text = not_finite.explain(loop, toy.batches(strategy, steps), ["a", "b"], 0, "")
    assert text == " (x of the batch came first, in 1 of 2 rows: b)"
    named = loop.recipe.named_weights()
    assert any(np.isnan(weight.numpy()).any() for weight in named.values())


def test_replicas_tell_the_rows_in_the_order_of_the_batch(mirrored, tmp_path):
    loop = toy.train(mirrored, toy.Toy, batch_size=4)
    x = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [float("nan"), 0.0]]
    batches = toy.batches(mirrored, [(x, [0.0] * 4)] * 2)
    path = str(tmp_path / not_finite.FILE)
    text = not_finite.explain(loop, batches, list("abcd"), 7, path)
    assert text.startswith(" (x of the batch came first, in 1 of 4 rows: d); the batch is in ")
    with np.load(path) as kept:
        np.testing.assert_array_equal(kept["x"], np.array(x, np.float32))
        assert kept["step"] == 7 and kept["id"].tolist() == list("abcd")
