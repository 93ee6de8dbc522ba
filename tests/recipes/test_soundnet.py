"""SoundNet: the student learns what the teacher says of the image, and the teacher stays."""

import numpy as np
import pytest
import tensorflow as tf

from tests import reference, small, untrained
from tests.recipes import moments
from tfav import compat, config_file, recipes, registry
from tfav.commands import export, load, train
from tfav.losses import softmax
from tfav.training import optimizers, trainer, weights_file

CLASSES = 4


def _recipe(**arguments):
    return recipes.RECIPES["soundnet"](moments.encoders(), CLASSES, **arguments)


def _values(variables):
    return {name: variable.numpy() for name, variable in variables.items()}


def test_the_distillation_of_two_classes_is_what_one_works_out():
    # p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2.
    found = softmax.distillation(
        np.zeros([1, 2], np.float32), np.log([[3.0, 1.0]], dtype=np.float32)
    )
    assert found.numpy()[0] == pytest.approx(0.75 * np.log(1.5) - 0.25 * np.log(2))


def test_the_distillation_equals_its_twin_and_is_zero_at_the_teacher():
    student, teacher = np.random.default_rng(0).normal(0, 3, (2, 5, 7)).astype(np.float32)
    expected = reference.distillation(student, teacher)
    np.testing.assert_allclose(softmax.distillation(student, teacher), expected, rtol=1e-5)
    np.testing.assert_allclose(softmax.distillation(teacher, teacher), 0, atol=1e-6)
    with tf.GradientTape() as tape:
        given = tf.constant(student), tf.constant(teacher)
        tape.watch(given)
        loss = tf.reduce_sum(softmax.distillation(*given))
    by_student, by_teacher = tape.gradient(loss, given)
    q, p = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (student, teacher))
    np.testing.assert_allclose(by_student, q - p, atol=1e-5)
    assert by_teacher is None  # a teacher is not taught


def test_the_loss_is_the_divergence_of_the_students_from_the_softened_teachers_classes():
    recipe, batch = _recipe(temperature=2.0), moments.batch(6)
    found = recipe.compute_losses(batch, training=False)
    embedding = recipe.encoders["image"](batch["image"])
    teacher = recipe.tables["classifier"]({"image": embedding})["image"].numpy() / 2.0
    student = recipe.heads["student"](recipe.embed("audio", batch)).numpy()
    np.testing.assert_allclose(found["loss"], reference.distillation(student, teacher), rtol=1e-4)
    same = student.argmax(axis=1) == teacher.argmax(axis=1)
    np.testing.assert_array_equal(found["agreement"], same)
    # Of its own pair the score is the divergence less the entropy of the teacher.
    log_p = teacher - np.log(np.exp(teacher).sum(axis=1, keepdims=True))
    entropy = -(np.exp(log_p) * log_p).sum(axis=1)
    np.testing.assert_allclose(
        found["similarity_matched"], -(found["loss"] + entropy), rtol=1e-4, atol=1e-5
    )


def test_the_student_learns_the_teacher_stays_and_the_student_tells_what_fits():
    recipe = _recipe(temperature=0.1)
    teacher = _values(recipe.taken_weights())
    audio = {id(w) for w in recipe.encoders["audio"].trainable_weights}
    head = {id(w) for w in recipe.heads["student"].trainable_weights}
    assert {id(w) for w in recipe.trainable_weights} <= audio | head
    optimizer = optimizers.create("adam", 0.005, schedule="constant", num_steps=60)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = trainer.Trainer(recipe, optimizer, one, batch_size=32, clip_norm=5.0)
    batches = iter(tf.data.Dataset.from_tensors(moments.batch()).repeat())
    first = loop.run(batches, 1)
    loop.run(batches, 60)
    last = loop.run(batches, 1)
    assert last["loss"] < 0.5 * first["loss"] and last["matched_wins"] > 0.8
    for name, value in _values(recipe.taken_weights()).items():
        np.testing.assert_array_equal(value, teacher[name], err_msg=name)


def test_what_it_takes_over_is_the_teacher_whole_and_nothing_of_the_student():
    recipe = _recipe()
    taken = recipe.taken_weights()
    assert {name.split("/")[0] for name in taken} == {"image", "classifier"}
    assert {"classifier/kernel", "classifier/bias"} <= set(taken)
    assert set(taken) <= set(recipe.named_weights())
    assert len([n for n in recipe.named_weights() if n.startswith("image/")]) == len(taken) - 2


def test_a_teacher_of_other_data_brings_its_own_number_of_classes():
    recipe = _recipe(teacher_classes=9)
    assert recipe.represent("audio", moments.batch(2)).shape == [2, 9]
    assert recipe.represent("image", moments.batch(2)).shape == [2, 9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The smallest run whose first phase trains its teacher, and one of DMC with such a teacher."""
    folder = tmp_path_factory.mktemp("soundnet")
    data = untrained.write_data(folder / "data")
    for name, model in (
        ("soundnet", {}),
        ("dmc", {"num_clusters": 3, "cluster_size": 4, "frozen": ("image",)}),
    ):
        c = small.config(data)
        c.recipe, c.model, c.loss = name, model, {}
        c.data.sampling = "rows"
        c.eval.protocols = ("correspondence",)
        c.first_phase.recipe = "mmcosine"
        c.first_phase.modalities = ("image",)
        c.first_phase.model = {"head": "vanilla", "fusion": "concat"}
        c.first_phase.eval = {"protocols": ("classification",)}
        train.train(c, str(folder / name))
    return folder


@pytest.mark.parametrize("name", ["soundnet", "dmc"])
def test_a_first_phase_of_another_recipe_trains_the_teacher_that_the_run_keeps(folder, name):
    first = weights_file.read(str(folder / name / "first_phase" / "weights.npz"))[0]
    kept = weights_file.read(str(folder / name / "weights.npz"))[0]
    its = config_file.load(str(folder / name / "first_phase"))
    assert (its.recipe, its.model.to_dict()) == (
        "mmcosine",
        {"head": "vanilla", "fusion": "concat"},
    )
    assert not [n for n in first if n.startswith("audio/")]
    taken = [n for n in kept if n.startswith(("image/", "classifier/"))]
    assert len(taken) > 5
    for n in taken:
        np.testing.assert_array_equal(kept[n], first[n], err_msg=n)


def test_its_audio_encoder_is_exported_and_answers_as_the_run_does(folder):
    output = str(folder / "export")
    export.export(str(folder / "soundnet"), output, precisions=("float32",), durations=(0.5,))
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 8000).astype(np.float32)
    of_run, of_export = (
        load.load(path).embed([wave]).vectors["audio"]
        for path in (str(folder / "soundnet"), output)
    )
    np.testing.assert_allclose(of_export, of_run, atol=1e-5)


def test_without_a_teacher_the_training_is_refused_with_what_to_do(folder, tmp_path):
    c = config_file.load(str(folder / "soundnet"))
    with c.unlocked():
        c.first_phase = {}
        c.train.tables_from = ""
    with pytest.raises(registry.UserError, match="--config.train.tables_from names none: name"):
        train.train(c, str(tmp_path / "run"))


def test_a_run_that_takes_nothing_over_says_so(folder, tmp_path):
    c = config_file.load(str(folder / "dmc"))
    with c.unlocked():
        c.model.frozen = ()
        c.first_phase = {}
        c.train.tables_from = str(folder / "soundnet")
    with pytest.raises(registry.UserError, match="takes no weights over from another run"):
        train.train(c, str(tmp_path / "run"))
