"""Evaluates what an embedding costs, from the graph: no row of the data is read, nothing timed."""

from collections.abc import Sequence

import ml_collections
import tensorflow as tf

from tfav import tensors
from tfav.commands.protocols import protocol
from tfav.evaluation import operations
from tfav.experiment import models
from tfav.recipes import outputs
from tfav.recipes import recipe as base


class Operations(protocol.Protocol):
    """One item of each modality of any recipe."""

    metrics = operations.METRICS
    compares = "nothing: it counts what an embedding costs"
    by_tag = False
    takes_tags = False

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says that every recipe embeds."""
        del recipe, c
        return True

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the operations of each modality."""
        c, recipe = context.config, context.run.recipe
        frames = {m: section.its.get("num_frames", 1) for m, section in models.sections(c).items()}
        samples = round(c.export.audio_seconds * tensors.SAMPLE_RATE_HZ)
        counts, shapes = {}, {}
        for modality, spec in outputs.item_specs(recipe, frames).items():
            # Of a sequence, what one element of it costs.
            longest = samples if spec.clip else 1
            shape = [longest if size is None else size for size in spec.shape]
            counts[modality] = count(recipe, modality, shape, spec.dtype)
            shapes[modality] = " x ".join(map(str, shape))
        return protocol.Evaluated(operations.evaluate(counts, shapes))


def count(recipe: base.Recipe, modality: str, shape: Sequence[int], dtype: str) -> int:
    """Returns the floating-point operations of the embedding of one item.

    Args:
      recipe: whose encoder.
      modality: of the encoder.
      shape: of the item.
      dtype: of its values.
    """
    item = tf.TensorSpec([1, *shape], dtype)

    @tf.function(autograph=False)
    def embed(x: tf.Tensor) -> tf.Tensor:
        return recipe.embed(modality, {modality: x}, training=False)

    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    graph = embed.get_concrete_function(item).graph
    return tf.compat.v1.profiler.profile(graph=graph, cmd="op", options=options).total_float_ops
