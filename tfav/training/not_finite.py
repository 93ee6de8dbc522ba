"""Where a loss that is not finite came from: the batch, an embedding, a term of the loss."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import compat, files, tensors
from tfav.training import trainer as trainer_lib

FILE = "nan_batch.npz"
_NAMED = 3  # ids in the sentence; the file holds all


def explain(
    loop: trainer_lib.Trainer, batches: Iterator, ids: Sequence[str], step: int, path: str
) -> str:
    """Takes the step again as far as its gradient, and writes its batch to a file.

    No weight has seen that gradient (`Trainer`), so what was not finite is so again.

    Args:
      loop: which stopped there.
      batches: distributed, from that step on.
      ids: of this worker's rows of the batch, in order.
      step: Number of the step.
      path: the `.npz`; empty: on workers that do not write.

    Returns:
      the end of a sentence: what came first, of which rows, and where the batch is.
    """
    batch = next(batches)
    local = loop.strategy.experimental_local_results

    def look(batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        batch = {name: x for name, x in batch.items() if name != tensors.SKIPPED}
        recipe = loop.recipe
        values = {
            f"the {name} embedding": recipe.embed(name, batch, training=True)
            for name in recipe.encoders
        }
        terms = recipe.compute_losses(batch, training=True)
        values |= {f"the term {name}": terms[name] for name in terms if name != "loss"}
        values["the loss"] = terms["loss"]  # behind what it is the sum of
        return values, loop.gradients(batch)[1]

    again = tf.function(lambda batch: loop.strategy.run(look, args=(batch,)), autograph=False)
    values, gradients = again(batch)
    rows = {name: np.concatenate([_bad(x) for x in local(value)]) for name, value in values.items()}
    inputs = {name: _joined([part.numpy() for part in local(x)]) for name, x in batch.items()}
    found = {f"{name} of the batch": _bad(tf.constant(x)) for name, x in inputs.items()}
    moved = [compat.path(w) for w in loop.recipe.trainable_weights]
    # What a forward pass moves, as moving averages, is no older than this step's numbers.
    weights = [
        name
        for name, weight in loop.recipe.named_weights().items()
        if getattr(weight, "trainable", True) and not _finite(weight.numpy())
    ]
    grown = [n for n, g in zip(moved, gradients) if not all(_finite(x.numpy()) for x in local(g))]
    text = _first(found | rows, weights, grown, ids)
    if path:
        kept = {"step": np.array(step), "id": np.array(list(ids)), **inputs}
        files.write_npz(path, kept | {f"not finite: {name}": bad for name, bad in rows.items()})
        text += f"; the batch is in {path}"
    return text


def _first(
    found: Mapping[str, np.ndarray],
    weights: Sequence[str],
    grown: Sequence[str],
    ids: Sequence[str],
) -> str:
    if weights:
        return f" (the weight {weights[0]} came first, from the step before)"
    for name, bad in found.items():
        if bad.any():
            named = [ids[row] for row in np.flatnonzero(bad)[:_NAMED]]
            more = f" and {bad.sum() - _NAMED} more" if bad.sum() > _NAMED else ""
            return (
                f" ({name} came first, in {bad.sum()} of {len(bad)} rows: {', '.join(named)}{more})"
            )
    if grown:
        return f" (the gradient of {grown[0]} came first, of a loss that is finite)"
    return " (the step was taken again, and then all was finite)"


def _bad(values: tf.Tensor) -> np.ndarray:
    """Returns [b] bool: which rows of a tensor hold a number that is not finite."""
    array = values.numpy()
    if array.dtype.kind not in "fV":  # V: bfloat16
        return np.zeros(len(array), bool)
    array = array.astype(np.float32) if array.dtype.itemsize < 4 else array
    return ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the rows of all replicas, each as long as the longest, with zeros behind them."""
    longest = np.max([part.shape for part in parts], axis=0)
    width = [[(0, most - n) for n, most in zip(part.shape, longest)] for part in parts]
    return np.concatenate([np.pad(part, [(0, 0), *w[1:]]) for part, w in zip(parts, width)])


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
