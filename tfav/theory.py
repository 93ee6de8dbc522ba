"""What the papers prove, as numbers to compare a run with, in NumPy and float64."""

from collections.abc import Mapping

import numpy as np

Array = np.ndarray


def implicit_floor(
    weights: Array,
    face: Array,
    voice: Array,
    label: Array,
    sample_weight: Array | None = None,
    drop: Array | None = None,
) -> float:
    """Returns the implicit loss's lower bound (Wen et al., CVPR 2021, Prop. 1, Corollary 1).

    `mean_i s_i (l_face_i + l_voice_i) >= 2 ln(M) mean_i s_i - Cw / (M N) sum_j D_j` with
    `Cw = max_j ||w_j||`, `u_i = s_i (x_i + v_i)` and
    `D_j = ||(M - 1) sum_{y_i = j} u_i - sum_{y_i != j} u_i||`; identities absent from the batch
    count in the sum over j. Both sides are means over the N rows: the supplement's weighted losses
    lack the 1/N that its bound has. It holds for a classifier without bias.

    A margin takes `drop_i` off the logits of row i's own class, both modalities together. The same
    steps of the proof then give `(M - 1) / M mean_i s_i drop_i` on top, ours.

    Args:
      weights: Class weights [M, D].
      face: Face embeddings [N, D] as the classifier sees them.
      voice: Voice embeddings [N, D] as the classifier sees them.
      label: Class of each row, [N] int.
      sample_weight: Weight of each row, [N], not negative; None means all ones (Proposition 1).
      drop: What a margin takes off, [N]; None means that there is none.

    Raises:
      ValueError: A weight is negative, a label lies outside 0..M-1, or there is no row.
    """
    weights = np.asarray(weights, np.float64)
    pair = np.asarray(face, np.float64) + np.asarray(voice, np.float64)
    label = np.asarray(label)
    num_classes, num_rows = len(weights), len(pair)
    s = np.ones(num_rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if num_rows == 0 or s.min() < 0 or label.min() < 0 or label.max() >= num_classes:
        raise ValueError(
            f"{num_rows} rows, labels for {num_classes} classes: need at least one row, "
            "labels in range and weights >= 0"
        )
    total = np.zeros_like(weights)
    np.add.at(total, label, s[:, None] * pair)
    # (M - 1) own - others = M own - all
    gap = np.linalg.norm(num_classes * total - total.sum(axis=0), axis=1)
    norm = np.linalg.norm(weights, axis=1).max()
    floor = 2.0 * np.log(num_classes) * s.mean() - norm * gap.sum() / (num_classes * num_rows)
    if drop is not None:
        floor += (num_classes - 1) / num_classes * np.mean(s * np.asarray(drop, np.float64))
    return float(floor)


def cosine_scale_bound(
    num_classes: int, posterior: float, num_modalities: int = 2, tight: bool = False
) -> float:
    """Returns the least scale at which every class can reach `posterior` (MMCosine, ICASSP 2023).

    Paper: `(C - 1) / (n (C - 1 + n)) ln((C - 1) p / (1 - p))` for n modalities. Tight (ours), the
    only one of the two that can be attained: `(C - 1) / (n C) ln(.)`. Both are necessary, neither
    is a law of good training: the paper's best scale on CREMA-D lies below its own bound. Warn,
    never refuse.

    Args:
      num_classes: Number C of classes, at least 2.
      posterior: Posterior p that every class shall be able to reach, in (0, 1).
      num_modalities: Number n of modalities; 1 gives CosFace's bound.
      tight: Whether the bound is the sharp one.

    Raises:
      ValueError: An argument lies outside its range.
    """
    if num_classes < 2 or not 0 < posterior < 1 or num_modalities < 1:
        raise ValueError(
            f"num_classes={num_classes}, posterior={posterior}, num_modalities={num_modalities}: "
            "need at least 2, inside (0, 1), at least 1"
        )
    others = num_classes - 1
    spread = num_classes if tight else others + num_modalities
    odds = np.log(others * posterior / (1.0 - posterior))
    return float(others / (num_modalities * spread) * odds)


def blending_weights(
    train: Mapping[str, tuple[float, float]],
    validation: Mapping[str, tuple[float, float]],
    least_overfitting: float = 1e-3,
) -> dict[str, float]:
    """Returns the weights of gradient blending (Wang, Tran, Feiszli, CVPR 2020), summing to 1.

    `w_k` is proportional to `G_k / O_k^2`: the generalisation gained, `G = V_before - V_after`,
    over the square of the overfitting grown, `O = (V - T)_after - (V - T)_before`. A loss whose
    validation did not fall gets 0. When none fell, all weigh the same.

    Args:
      train: Value of each loss (`fused` and each modality) on the training split, before and after.
      validation: Values of the same losses on the validation split.
      least_overfitting: Least `|O|`, in nats, for which a smaller one is taken: a gap that did not
        grow would take all the weight.

    Raises:
      ValueError: The two splits have different losses, a value is not finite, or
        `least_overfitting` is not positive.
    """
    if not train or set(train) != set(validation) or not least_overfitting > 0:
        raise ValueError(
            f"training losses {sorted(train)}, validation losses {sorted(validation)}, "
            f"least_overfitting={least_overfitting}: need the same names and a positive number"
        )
    names = tuple(train)
    t, v = (np.array([losses[k] for k in names], np.float64) for losses in (train, validation))
    if not (np.isfinite(t).all() and np.isfinite(v).all()):
        raise ValueError(f"losses are not finite: {dict(train)}, {dict(validation)}")
    gained = np.maximum(v[:, 0] - v[:, 1], 0.0)
    grown = np.abs((v - t)[:, 1] - (v - t)[:, 0])
    weight = gained / np.square(np.maximum(grown, least_overfitting))
    if not weight.sum() > 0:
        weight = np.ones(len(names))
    return dict(zip(names, (weight / weight.sum()).tolist()))


def smooth_max(x: Array, z: float, axis: int = -1) -> Array:
    """Returns `(1 / z) ln(sum exp(z x))`, float64, at most `ln(n) / z` above `max(x)` (DMC, Eq. 1).

    The smooth minimum is `-smooth_max(-x, z)`.

    Args:
      x: Values [..., n, ...], n of them along `axis`.
      z: Sharpness, positive.
      axis: Axis that is reduced.

    Raises:
      ValueError: `z` is not positive.
    """
    if not z > 0:
        raise ValueError(f"z={z} must be positive")
    x = np.asarray(x, np.float64)
    top = x.max(axis=axis, keepdims=True)
    excess = np.log(np.exp(z * (x - top)).sum(axis=axis)) / z
    return np.squeeze(top, axis=axis) + excess
