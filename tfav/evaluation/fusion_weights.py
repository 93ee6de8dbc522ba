"""A weight per modality for the sum of their logits: fitted on rows that training does not know."""

from collections.abc import Mapping

import numpy as np
from scipy import optimize, special

MOST = 20.0  # and one over it: where every row is right no weight is large enough


def fit(logits: Mapping[str, np.ndarray], label: np.ndarray) -> dict[str, float]:
    """Returns the weights in [1 / `MOST`, `MOST`] of the least negative log-likelihood of the sum.

    That is convex in the weights. They hold both how far a modality is to be trusted beside the
    others and the temperature of the whole. None is zero, so that a row with one modality alone has
    an answer.

    Args:
      logits: modality to [N, C].
      label: [N] int.
    """
    parts = np.stack([np.asarray(z, np.float64) for z in logits.values()])  # [n, N, C]
    rows = np.arange(len(label))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_p = special.log_softmax(np.tensordot(weights, parts, 1), axis=1)
        error = np.exp(log_p)
        error[rows, label] -= 1.0
        slope = np.tensordot(parts, error, axes=([1, 2], [0, 1])) / len(label)
        return -float(log_p[rows, label].mean()), slope

    found = optimize.minimize(
        loss,
        np.ones(len(parts)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1 / MOST, MOST)] * len(parts),
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )
    return dict(zip(logits, found.x.tolist()))
