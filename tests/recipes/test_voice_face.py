"""The voice-face recipe: the authors' numbers, and a loss that falls."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import build, compat, recipes, registry


class Given:
    """Stands for an encoder: returns the embeddings it is given."""

    def __init__(self, embedding: tf.Tensor):
        self.embedding = embedding
        self.embedding_size = embedding.shape[-1]

    def __call__(self, *_, **__):
        return self.embedding


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_losses_and_gradients_are_those_of_the_released_code(golden, name):
    g = golden(name)
    # The golden explicit term saw 0.2 * face and 0.2 * voice, the classifier saw face and voice.
    for part, scale in (("implicit", 1.0), ("explicit", float(g["explicit_embedding_scale"]))):
        voice, face = tf.Variable(scale * g["voice"]), tf.Variable(scale * g["face"])
        recipe = recipes.RECIPES["voice_face"](
            {"audio": Given(voice), "image": Given(face)},
            len(g["class_weights"]),
            normalized=False,
            alignment_args={"m": float(g["explicit_m"])},
        )
        recipe.heads["classifier"].kernel.assign(g["class_weights"])
        batch = {"audio": voice, "image": face, "label": tf.constant(g["labels"], tf.int32)}
        losses = recipe.compute_losses(batch, training=True)
        assert set(losses) == set(recipe.scalars)
        expected = g["face_ce"] + g["voice_ce"] if part == "implicit" else g["explicit_per_sample"]
        np.testing.assert_allclose(losses[part], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_weighted_total_has_the_released_gradients(golden, name):
    g = golden(name)
    voice, face, kernel = (tf.constant(g[k]) for k in ("voice", "face", "class_weights"))
    scale = float(g["explicit_embedding_scale"])
    label, weight = tf.constant(g["labels"], tf.int32), tf.constant(g["sample_weights"])
    recipe = recipes.RECIPES["voice_face"](
        {"audio": Given(voice), "image": Given(face)}, len(kernel), normalized=False
    )
    classifier = recipe.heads["classifier"]
    classifier.kernel.assign(kernel)
    variable = compat.raw(classifier.kernel)
    with tf.GradientTape() as tape:
        tape.watch([voice, face])
        recipe.encoders = {"audio": Given(voice), "image": Given(face)}
        implicit = recipe.compute_losses({"audio": voice, "image": face, "label": label}, True)[
            "implicit"
        ]
        recipe.encoders = {"audio": Given(scale * voice), "image": Given(scale * face)}
        explicit = recipe.compute_losses({"audio": voice, "image": face, "label": label}, True)[
            "explicit"
        ]
        total = tf.reduce_mean(weight * (implicit + explicit))
    gradients = tape.gradient(total, [voice, face, variable])
    np.testing.assert_allclose(total, g["total"], rtol=1e-5)
    for gradient, key in zip(gradients, ("grad_voice", "grad_face", "grad_class_weights")):
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient), g[key], atol=1e-4 * np.abs(g[key]).max(), err_msg=key
        )


def test_loss_falls_in_fifty_steps(tmp_path):
    c = small.config(small.write_dataset(str(tmp_path / "data")))
    c.train.num_steps = c.train.checkpoint_every = 50
    c.train.optimizer, c.train.learning_rate = "adam", 0.003
    c.train.steps_per_call = 10
    build.train(c, str(tmp_path / "run"))
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert len(losses) == 5 and losses[-1] < 0.8 * losses[0]


def test_loss_of_the_other_line_fails_when_the_recipe_is_made():
    if not compat.KERAS_3:
        pytest.skip("tensorflow-addons is here")
    given = Given(tf.zeros([2, 4]))
    with pytest.raises(registry.UserError, match="'npairs' needs tensorflow-addons"):
        recipes.RECIPES["voice_face"]({"audio": given, "image": given}, 3, alignment="npairs")
