"""Small models: what the host adds to their steps, and a hand-written loop of the same model."""

from collections.abc import Callable

import tensorflow as tf

from benchmarks import step, timing

STEPS = 100  # of one call of any side
HAND = "hand-written loop"
# Config, rows of a batch, seconds of a clip, classes: as its variant trains.
MODELS = (
    ("configs/voice_face.py:demo", 64, 2.0, 140),
    ("configs/mmcosine.py:av_digits", 64, 1.0, 10),
    ("configs/dmc.py:av_digits", 64, 1.0, 10),
)


def rows() -> list[timing.Row]:
    """Returns the steps of a tiny model by their number per call, and each model's own loop."""
    tiny = step.Step("configs/voice_face.py:demo", 8, 0.5, 140)
    calls = {count: _ours(tiny, count, STEPS) for count in (1, 20, 100)}
    found = [
        timing.row(
            f"{STEPS} steps, 20 per call",
            "demo, batch 8 of 0.5 s",
            calls[20],
            {"100 per call": calls[100], "1 per call": calls[1]},
            {"100 per call": 1.02},
        )
    ]
    for config, batch_size, seconds, classes in MODELS:
        made = step.Step(config, batch_size, seconds, classes)
        file, _, variant = config.rpartition("/")[2].partition(".py:")
        found.append(
            timing.row(
                f"20 steps, {file} {variant}",
                f"batch {batch_size}",
                _ours(made, 20, 20),
                {HAND: by_hand(step.Step(config, batch_size, seconds, classes), 20)},
                {HAND: 1.05},
            )
        )
    return found


def scales() -> list[timing.Scale]:
    """Returns how the time of a step of the demo grows with the batch, and with the clip."""
    config = "configs/voice_face.py:demo"
    batches = {n: step.Step(config, n, 2.0, 140).runner() for n in (1, 4, 16, 64, 128)}
    clips = (200, 632, 2_000, 6_325, 20_000)
    lengths = {n: step.Step(config, 8, n / 1_000, 140).runner() for n in clips}
    return [
        timing.scale("training step of the demo", "rows of a batch", batches, 1.0),
        timing.scale("training step of the demo", "milliseconds of audio", lengths, 1.0),
    ]


def _ours(made: step.Step, per_call: int, steps: int) -> Callable[[], object]:
    run = made.runner(per_call)
    return lambda: [run() for _ in range(steps // per_call)]


def by_hand(made: step.Step, steps: int) -> Callable[[], float]:
    """Returns so many steps of a recipe by Adam, as one writes them in TensorFlow 2."""
    recipe, settings = made.recipe, made.config.train
    optimizer = tf.keras.optimizers.Adam(settings.learning_rate)
    weights, decayed = recipe.trainable_weights, recipe.decayed()
    batch = {name: tf.constant(value) for name, value in made.batch.items()}

    @tf.function
    def one(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(recipe.compute_losses(batch, training=True)["loss"])
        gradients = tape.gradient(loss, weights)
        gradients, _ = tf.clip_by_global_norm(gradients, settings.clip_norm)
        pairs = [
            (g + settings.weight_decay * w if kernel else g, w)
            for g, w, kernel in zip(gradients, weights, decayed)
        ]
        optimizer.apply_gradients(pairs)
        return loss

    def run() -> float:
        for _ in range(steps):
            loss = one(batch)
        return float(loss)

    return run
