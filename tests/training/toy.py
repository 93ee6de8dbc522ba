"""A recipe of three numbers, whose steps are worked out by hand."""

import keras
import tensorflow as tf

from tfav import compat
from tfav.recipes import recipe as base
from tfav.training import optimizers, trainer


class Line(keras.layers.Layer):
    """y = x kernel + bias."""

    def __init__(self):
        super().__init__(name="line")
        constant = keras.initializers.Constant
        self.kernel = self.add_weight(name="kernel", shape=(2, 1), initializer=constant(1.0))
        self.bias = self.add_weight(name="bias", shape=(1,), initializer=constant(2.0))
        self.built = True

    def call(self, x):
        return x @ self.kernel + self.bias


class Toy(base.Recipe):
    """The squared error of a line; `stops` is where the trainer returned to the host."""

    scalars = ("loss", "error")

    def __init__(self):
        super().__init__({}, heads={"line": Line()})
        self.stops = []

    def compute_losses(self, batch, training):
        error = (self.heads["line"](batch["x"]) - batch["y"])[:, 0]
        return {"loss": error**2, "error": error}

    def between_calls(self, step):
        self.stops.append(step)


class Partly(Toy):
    """The same beside a line that no loss reads."""

    def __init__(self):
        super().__init__()
        self.heads["spare"] = Line()


class Pair(base.Recipe):
    """The squared error of a line and twice another one, as two encoders; adjusts its gradients."""

    def __init__(self):
        super().__init__({"left": Line(), "right": Line()}, heads={})

    def compute_losses(self, batch, training):
        left, right = (self.encoders[name](batch["x"]) for name in ("left", "right"))
        return {"loss": (left + 2.0 * right - batch["y"])[:, 0] ** 2}

    def adjust_gradients(self, gradients, scalars, step):
        return [scalars["loss"] * tf.cast(step + 1, tf.float32) * g for g in gradients]


def make(strategy, rate=1.0, kernel=(3.0, 1.0), batch_size=2, optimizer="sgd", **options):
    """Returns a trainer without momentum whose line starts at `kernel` and bias 2."""
    loop = train(strategy, Toy, rate, batch_size, optimizer, **options)
    loop.recipe.named_weights()["line/kernel"].assign([[kernel[0]], [kernel[1]]])
    return loop


def train(strategy, recipe_class, rate=1.0, batch_size=2, optimizer="sgd", **options):
    """Returns a trainer without momentum of a recipe of this file."""
    with strategy.scope():
        recipe = recipe_class()
        made = optimizers.create(optimizer, rate, schedule="constant", num_steps=9, momentum=0.0)
        compat.build_optimizer(made, recipe.trainable_weights)
    return trainer.Trainer(recipe, made, strategy, batch_size=batch_size, **options)


def batches(strategy, steps):
    """Returns a distributed iterator over the given (x [B, 2], y [B]) of each step."""
    x, y = (tf.constant(values, tf.float32) for values in zip(*steps))
    data = tf.data.Dataset.from_tensor_slices({"x": x, "y": y[..., tf.newaxis]})
    return iter(strategy.experimental_distribute_dataset(data))
