"""The loop, worked out by hand on a line of three numbers; then a real recipe in bfloat16."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import forked, small
from tests.training import toy
from tfav import compat, registry, scalars
from tfav.commands import train
from tfav.experiment import models
from tfav.training import checkpoints, fitting, writer

# Rows [1, 0] and [0, 4/3], kernel [3, 1], bias 2: predictions 5 and 10/3. With targets 2 and 19/3
# the errors are 3 and -3, the loss (9 + 9) / 2 = 9, and its gradient 2 error x / 2 summed over
# rows is [3, -4] for the kernel, of norm 5, and 3 - 3 = 0 for the bias.
STEP = ([[1.0, 0.0], [0.0, 4 / 3]], [2.0, 19 / 3])


@pytest.fixture(params=["one device", "two replicas"])
def strategy(request):
    if request.param == "one device":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    return request.getfixturevalue("mirrored")


def _weights(loop):
    names = loop.recipe.named_weights()
    return names["line/kernel"].numpy()[:, 0], names["line/bias"].numpy()[0]


def test_a_step_reports_the_mean_over_the_global_batch(strategy):
    scalars = toy.make(strategy).run(toy.batches(strategy, [STEP]), 1)
    assert scalars == pytest.approx({"loss": 9.0, "error": 0.0, "gradient_norm": 5.0}, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        ({}, [0.0, 5.0]),  # [3, 1] - [3, -4]
        ({"clip_norm": 1.0}, [2.4, 1.8]),  # [3, 1] - [0.6, -0.8]
        ({"clip_norm": 6.0}, [0.0, 5.0]),  # the norm is below it
        ({"weight_decay": 0.1}, [-0.3, 4.9]),  # [3, 1] - ([3, -4] + [0.3, 0.1])
        # Decay comes after clipping: [3, 1] - ([0.6, -0.8] + [0.3, 0.1]).
        ({"clip_norm": 1.0, "weight_decay": 0.1}, [2.1, 1.7]),
    ],
)
def test_one_step_clips_the_global_gradient_and_decays_kernels_alone(strategy, options, kernel):
    loop = toy.make(strategy, **options)
    loop.run(toy.batches(strategy, [STEP]), 1)
    found, bias = _weights(loop)
    np.testing.assert_allclose(found, kernel, atol=1e-5)
    assert bias == pytest.approx(2.0, abs=1e-6)  # its gradient is 0, and decay passes it by
    assert loop.step == 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lamb"])
def test_what_no_loss_reads_stays_and_changes_nothing_beside_it(strategy, optimizer):
    if optimizer == "lamb" and not compat.KERAS_3:
        optimizer = "rectified_adam"
    options = {"optimizer": optimizer, "weight_decay": 0.1, "clip_norm": 1.0}
    alone = toy.train(strategy, toy.Toy, **options)
    beside = toy.train(strategy, toy.Partly, **options)
    told = [loop.run(toy.batches(strategy, [STEP] * 3), 3) for loop in (alone, beside)]
    assert told[0] == told[1]
    found = beside.recipe.named_weights()
    assert found["spare/kernel"].numpy().tolist() == [[1.0], [1.0]]
    assert found["spare/bias"].numpy().tolist() == [2.0]
    for name, weight in alone.recipe.named_weights().items():
        np.testing.assert_array_equal(found[name].numpy(), weight.numpy(), err_msg=name)


def test_a_compiled_step_is_the_same_and_takes_one_replica(mirrored):
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.make(one, clip_norm=1.0, jit_compile=True)
    loop.run(toy.batches(one, [STEP]), 1)
    np.testing.assert_allclose(_weights(loop)[0], [2.4, 1.8], atol=1e-5)
    with pytest.raises(registry.UserError, match="jit_compile=True needs one replica and there "):
        toy.make(mirrored, jit_compile=True)


def test_scalars_of_a_call_are_means_over_its_steps():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.make(strategy, rate=0.0)
    # Errors of the second step: 5 - 1 and 10/3 - 7/3, so 16 and 1, mean 8.5; the first gives 9.
    steps = [STEP, (STEP[0], [1.0, 7 / 3])]
    scalars = loop.run(toy.batches(strategy, steps), 2)
    assert scalars["loss"] == pytest.approx(8.75, abs=1e-5)
    assert scalars["error"] == pytest.approx(1.25, abs=1e-5)  # means 0 and 2.5


def test_the_gradient_of_each_encoder_is_logged_and_the_recipe_adjusts_the_global_one(strategy):
    # Kernels [1, 1], biases 2: left 3, right 3, so 3 + 2 * 3 = 9 on both rows; errors 3 and 1, loss
    # 5. Left: [3 * 1, 1 * 1] and 3 + 1, norm sqrt(9 + 1 + 16) = sqrt(26); right twice that.
    loop = toy.train(strategy, toy.Pair, rate=0.0)
    step = ([[1.0, 0.0], [0.0, 1.0]], [6.0, 8.0])
    scalars = loop.run(toy.batches(strategy, [step] * 2), 2)
    left, both = 26**0.5, 130**0.5
    assert scalars == pytest.approx(
        {
            "loss": 5.0,
            "gradient_norm_left": left,  # as the loss sends them
            "gradient_norm_right": 2 * left,
            # Times the loss of the global batch, then also times 2 at step 1.
            "gradient_norm": (5 * both + 10 * both) / 2,
        },
        rel=1e-5,
    )


def test_what_a_recipe_makes_of_the_gradients_is_clipped_and_applied(strategy):
    loop = toy.train(strategy, toy.Pair, rate=1.0, clip_norm=1.0)
    loop.run(toy.batches(strategy, [([[1.0, 0.0], [0.0, 1.0]], [6.0, 8.0])]), 1)
    # The gradient [3, 1], 4, [6, 2], 8 over its own length, whatever it was multiplied with.
    found = loop.recipe.named_weights()
    kernel, bias = found["left/kernel"].numpy()[:, 0], found["right/bias"].numpy()
    np.testing.assert_allclose(kernel, 1 - np.array([3.0, 1.0]) / 130**0.5, rtol=1e-5)
    np.testing.assert_allclose(bias, 2 - np.array([8.0]) / 130**0.5, rtol=1e-5)


def test_a_batch_that_does_not_divide_among_replicas_is_refused(mirrored):
    with pytest.raises(registry.UserError, match="batch_size=3 does not divide among 2 replicas"):
        toy.make(mirrored, batch_size=3)


def test_a_loss_that_is_not_finite_names_its_step(strategy):
    bad = (STEP[0], [np.nan, 0.0])
    loop = toy.make(strategy, rate=1e-3)
    iterator = toy.batches(strategy, [STEP] * 5 + [bad, STEP])
    loop.run(iterator, 3)
    with pytest.raises(FloatingPointError, match="not finite at step 5"):
        loop.run(iterator, 4)


def test_the_wait_for_data_is_part_of_the_time_of_a_call():
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.make(strategy)
    began = time.perf_counter()
    loop.run(toy.batches(strategy, [STEP] * 3), 3)
    assert 0 <= loop.data_wait_seconds < time.perf_counter() - began


def test_steps_that_do_not_move_the_step_are_an_error(monkeypatch):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    loop = toy.make(strategy)
    monkeypatch.setattr(loop, "_steps", lambda *_: ({}, tf.constant(-1), tf.constant(0.0)))
    with pytest.raises(RuntimeError, match="2 steps moved the step from 0 to 0"):
        loop.run(toy.batches(strategy, [STEP] * 2), 2)


# The outer loop ---------------------------------------------------------------------------------


class Fit:
    """A run of the toy in a folder; keeps what the loop asked for."""

    def __init__(self, folder, metrics=(), steps=(STEP,) * 20):
        self.strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
        self.folder = str(folder)
        self.loop = toy.make(self.strategy, rate=1e-3)
        self.checkpoints = checkpoints.Checkpoints(
            self.loop.recipe, self.loop.optimizer, self.folder, self.strategy, keep=9
        )
        self.checkpoints.restore()
        self.kept = []
        self._metrics = iter(metrics)
        self._batches = toy.batches(self.strategy, steps)

    def fit(self, **options):
        periods = {"steps_per_call": 3, "checkpoint_every": 5, "validate_every": 0} | options
        fitting.fit(
            self.loop,
            self._batches,
            self.checkpoints,
            writer.Writer(self.folder, self.loop.step),
            lambda: {"val/metric": next(self._metrics)},
            lambda metric, step: self.kept.append((metric, step)),
            **periods,
        )

    def lines(self):
        return scalars.read(self.folder)

    def saved(self):
        names = os.listdir(os.path.join(self.folder, "checkpoints"))
        return sorted(int(n.split("-")[1].split(".")[0]) for n in names if n.endswith(".index"))


def test_the_loop_stops_where_work_is_due_and_nowhere_else(tmp_path):
    run = Fit(tmp_path)
    run.fit(num_steps=11)
    # Calls end at multiples of 3 (steps_per_call), of 5 (checkpoints) and at the end.
    assert run.loop.recipe.stops == [3, 5, 6, 9, 10, 11]
    assert [line["step"] for line in run.lines()] == run.loop.recipe.stops
    assert run.saved() == [5, 10, 11]
    assert run.kept == [(None, 11)]  # without validation the last weights are kept


def test_weights_are_kept_when_validation_beats_all_before_also_across_a_resume(tmp_path):
    run = Fit(tmp_path, metrics=[0.5, 0.7, 0.6])
    run.fit(num_steps=6, validate_every=2)
    assert run.kept == [(0.5, 2), (0.7, 4)]
    resumed = Fit(tmp_path, metrics=[0.7, 0.8])
    assert resumed.loop.step == 6
    resumed.fit(num_steps=10, validate_every=2)
    assert resumed.kept == [(0.8, 10)]
    metrics = [line.get("val/metric") for line in resumed.lines()]
    assert [m for m in metrics if m is not None] == [0.5, 0.7, 0.6, 0.7, 0.8]


def test_a_finished_run_is_left_alone(tmp_path):
    Fit(tmp_path).fit(num_steps=4)
    again = Fit(tmp_path)
    again.fit(num_steps=4)
    assert again.kept == [] and again.loop.recipe.stops == []


def test_a_loss_that_is_not_finite_is_a_sentence_and_saves_nothing_after_it(tmp_path):
    run = Fit(tmp_path, steps=[STEP] * 7 + [(STEP[0], [np.inf, 0.0])] + [STEP] * 9)
    with pytest.raises(registry.UserError, match="at step 7: .*lower --config.train.learning_rate"):
        run.fit(num_steps=12)
    assert run.saved() == [5]
    assert [line["step"] for line in run.lines()] == [3, 5, 6]


def test_workers_at_different_steps_are_refused(tmp_path, monkeypatch):
    run = Fit(tmp_path)
    monkeypatch.setattr(run.loop, "workers_mean", lambda value: value + 3.0)
    with pytest.raises(
        registry.UserError, match="not stand at the same step .this one at 0.*share"
    ):
        run.fit(num_steps=3)
    assert run.loop.recipe.stops == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_where_the_call_ends_and_exits_as_killed(tmp_path, monkeypatch, number):
    run = Fit(tmp_path)
    before = signal.getsignal(number)
    stop = lambda step: step == 6 and os.kill(os.getpid(), number)  # noqa: E731
    monkeypatch.setattr(run.loop.recipe, "between_calls", stop)
    with pytest.raises(SystemExit) as ended:
        run.fit(num_steps=12)
    assert ended.value.code == 128 + number
    assert run.saved() == [5, 6] and Fit(tmp_path).loop.step == 6
    assert signal.getsignal(number) == before


INTERRUPTED_TWICE = """
import os, signal, threading
from tfav.training import stopping
with stopping.Stopping() as told:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert told.number == signal.SIGINT
    if ONCE:
        os._exit(7)
    signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()  # as in a call that never comes back
"""


@pytest.mark.parametrize("once,code", [(True, 7), (False, 130)])
def test_a_second_interrupt_waits_for_nothing(once, code):
    script = INTERRUPTED_TWICE.replace("ONCE", str(once))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if not once:
        assert "once more stops at once" in done.stderr
        assert done.stderr.splitlines()[-1] == "interrupted"


# A real recipe ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.write_dataset(str(tmp_path_factory.mktemp("trainer") / "data"))


@pytest.fixture
def policy():
    yield
    keras.mixed_precision.set_global_policy("float32")


def _last(workdir):
    with open(os.path.join(workdir, "scalars.jsonl"), encoding="utf-8") as f:
        return json.loads(f.readlines()[-1])


def test_bfloat16_trains_like_float32(data, tmp_path, policy):
    losses = {}
    for dtype in ("float32", "mixed_bfloat16"):
        c = small.config(data)
        c.dtype = dtype
        train.train(c, str(tmp_path / dtype))
        losses[dtype] = _last(tmp_path / dtype)
        assert losses[dtype]["step"] == 10
    for name in ("loss", "implicit", "explicit"):
        assert losses["mixed_bfloat16"][name] == pytest.approx(losses["float32"][name], rel=0.05)
    with np.load(tmp_path / "mixed_bfloat16" / "weights.npz") as file:
        # Weights stay float32; float32 itself would give a loss that is equal.
        assert file["image/fc/kernel"].dtype == np.float32
    assert losses["mixed_bfloat16"]["loss"] != losses["float32"]["loss"]


@pytest.mark.skipif(not compat.KERAS_3, reason="XLA of TensorFlow 2.15 has no RFFT of float64")
def test_a_compiled_run_computes_what_an_ordinary_one_does(data, tmp_path, policy):
    for jit_compile in (False, True):
        c = small.config(data)
        c.dtype, c.train.num_steps, c.train.jit_compile = "float64", 2, jit_compile
        train.train(c, str(tmp_path / str(jit_compile)), "one_device")
    with (
        np.load(tmp_path / "False" / "weights.npz") as ordinary,
        np.load(tmp_path / "True" / "weights.npz") as compiled,
    ):
        floats = [name for name in ordinary.files if ordinary[name].dtype.kind == "f"]
        assert len(floats) > 10
        for name in floats:
            np.testing.assert_allclose(compiled[name], ordinary[name], rtol=1e-9, atol=1e-9)


def test_a_rate_that_blows_up_ends_in_a_sentence(data, tmp_path):
    c = small.config(data)
    c.train.learning_rate, c.train.weight_decay = 1000.0, 10.0  # each step is 10,000 times larger
    with pytest.raises(registry.UserError, match="not finite at step [1-9]"):
        train.train(c, str(tmp_path / "run"))
    assert not (tmp_path / "run" / "weights.npz").exists()


@pytest.mark.parametrize("name", ["lamb", "rectified_adam", "lookahead", "moving_average"])
def test_optimizers_of_the_tables_train_or_name_their_extra(data, tmp_path, name):
    c = small.config(data)
    c.train.optimizer = name
    c.train.num_steps = 5
    if compat.KERAS_3 and name != "lamb":
        with pytest.raises(registry.UserError, match=f"'{name}' needs tensorflow-addons"):
            train.train(c, str(tmp_path / "run"))
        assert not (tmp_path / "run").exists()
        return
    train.train(c, str(tmp_path / "run"))
    assert _last(tmp_path / "run")["step"] == 5
    with np.load(tmp_path / "run" / "weights.npz") as file:
        trained = file["classifier/kernel"]
    fresh = models.model(c, 8).named_weights()["classifier/kernel"].numpy()
    # What is kept of a moving average are the averages, which move by 1 % of the way a step.
    least = 1e-6 if name == "moving_average" else 1e-4
    assert np.isfinite(trained).all() and np.abs(trained - fresh).max() > least


def test_init_from_takes_the_encoders_and_leaves_the_heads(data, tmp_path):
    first = small.config(data)
    first.train.num_steps = 5
    train.train(first, str(tmp_path / "first"))
    second = small.config(data)
    second.seed = 7
    second.train.num_steps = 1
    second.train.learning_rate = 1e-30
    second.train.init_from = str(tmp_path / "first")
    train.train(second, str(tmp_path / "second"))
    with (
        np.load(tmp_path / "first" / "weights.npz") as a,
        np.load(tmp_path / "second" / "weights.npz") as b,
    ):
        kernels = [name for name in a.files if name.endswith("kernel")]
        same = {name for name in kernels if np.array_equal(a[name], b[name])}
    assert same == {name for name in kernels if name.startswith(("audio/", "image/"))}
    assert len(same) > 10


@pytest.mark.parametrize("name", ["lookahead", "moving_average"])
def test_optimizers_that_keep_more_than_slots_resume_bit_for_bit(data, tmp_path, name, forks):
    if compat.KERAS_3:
        pytest.skip("tensorflow-addons runs on the addons line only")
    for workdir, steps in (("whole", 10), ("stopped", 4), ("stopped", 10)):
        done = forks.run(
            "train",
            f"--config={forked.ROOT}/configs/voice_face.py:demo",
            f"--workdir={tmp_path}/{workdir}",
            f"--config.data.directory={data}",
            "--config.deterministic=True",
            f"--config.train.optimizer={name}",
            "--config.train.schedule=constant",
            f"--config.train.num_steps={steps}",
            "--config.train.warmup_steps=0",
            "--config.train.batch_size=4",
            "--config.train.validate_every=0",
            "--config.data.audio_seconds=(0.5, 0.5)",
        )
        assert done.code == 0, done.stderr[-3000:]
    readers = [
        tf.train.load_checkpoint(str(tmp_path / workdir / "checkpoints"))
        for workdir in ("whole", "stopped")
    ]
    names = [n for n in readers[0].get_variable_to_shape_map() if not n.startswith("_CHECK")]
    slots = "slow" if name == "lookahead" else "average"
    assert sum(slots in n for n in names) > 10  # they are in the checkpoint at all
    for n in names:
        if not n.startswith("save_counter"):
            whole, stopped = (reader.get_tensor(n) for reader in readers)
            np.testing.assert_array_equal(stopped, whole, err_msg=n)
