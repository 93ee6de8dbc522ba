"""Evaluates a run by how it uses its clusters, and by what a training step of it takes."""

import time
from collections.abc import Callable

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.commands.protocols import by_pairs, protocol
from tfav.data import shards
from tfav.evaluation import cluster_use
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.ops import sums
from tfav.recipes import abilities, outputs
from tfav.recipes import recipe as base
from tfav.training import trainer

_STEPS = 7  # timed, after one that compiles


class Clusters(protocol.Protocol):
    """The rows with audio and image of the splits that the tags name."""

    metrics = cluster_use.METRICS
    compares = "the clusters that positions are assigned to"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe clusters positions."""
        del c
        return outputs.clusters(recipe)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of each modality's clusters, and the time per step."""
        c, found = context.config, []
        milliseconds = step_milliseconds(c)
        for tag in context.tags:
            part = by_pairs.paired(c, context.index.select(tag))
            for modality in c.modalities:
                found += cluster_use.evaluate(
                    *_use(context.run, part, modality),
                    modality=modality,
                    tag=tag,
                    num_bootstrap=context.num_bootstrap,
                    seed=context.seed,
                )
            found.append(cluster_use.step(milliseconds, tag=tag))
        return protocol.Evaluated(found)


def _use(run: models.Trained, part: shards.Index, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's mean largest share [N], and the share that each cluster has [N, K]."""
    recipe = run.recipe
    assert outputs.clusters(recipe), "`fits` has said so"

    def use(modality: str, batch: tensors.Batch) -> tf.Tensor:
        return rows_of(recipe, modality, batch)

    embed = recipe_embedder.RecipeEmbedder(recipe, use).embed
    ids = {modality: part.id.tolist()}
    vectors = inputs.embeddings(run.config, embed, part.directory, ids)[modality]
    rows = np.stack([vectors[name] for name in part.id]).astype(np.float64)
    return rows[:, 0], rows[:, 1:]


def rows_of(recipe: abilities.Clusterer, modality: str, batch: tensors.Batch) -> tf.Tensor:
    """Returns of each row the mean largest share of its positions, then each cluster's, [B, 1+K].

    What is padding has no share and counts nowhere.
    """
    assignments = recipe.clusters(batch, modality)[1]
    total = tf.reduce_sum(assignments, axis=1)
    positions = tf.reduce_sum(total, axis=1, keepdims=True)
    largest = tf.reduce_sum(tf.reduce_max(assignments, axis=2), axis=1, keepdims=True)
    return tf.concat([largest, total], axis=1) / positions


def step_milliseconds(c: ml_collections.ConfigDict) -> np.ndarray:
    """Returns what the passes of a training batch of noise take, [R], by a fresh recipe."""
    both_passes, seconds = passes(c), []
    for _ in range(_STEPS + 1):
        start = time.perf_counter()
        both_passes()
        seconds.append(time.perf_counter() - start)
    return 1000.0 * np.array(seconds[1:])


def passes(c: ml_collections.ConfigDict) -> Callable[[], object]:
    """Returns a call of both passes of a training batch of noise, by a fresh recipe."""
    strategy = tf.distribute.OneDeviceStrategy(_device())
    with strategy.scope():
        recipe = models.model(c, 2)
    random = np.random.default_rng(c.seed)
    rows, samples = c.train.batch_size, round(c.data.audio_seconds[1] * tensors.SAMPLE_RATE_HZ)
    frames = (c.image.num_frames,) if c.image.num_frames > 1 else ()
    size = (rows, *frames, c.image.size, c.image.size, 3)
    batch = {
        "audio": tf.constant(0.1 * random.standard_normal((rows, samples)), tf.float32),
        "image": tf.constant(random.integers(0, 256, size), tf.uint8),
    }
    loop = trainer.Trainer(recipe, None, strategy, batch_size=rows)

    @tf.function(autograph=False)
    def both_passes() -> tf.Tensor:
        scalars, gradients = strategy.run(loop.gradients, args=(batch,))
        return scalars["loss"] + sums.in_order([tf.reduce_sum(g) for g in gradients])

    return lambda: both_passes().numpy()


def _device() -> str:
    return "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
