"""NumPy float64 twins of soft clustering and its losses, each as the naive loop of its equation."""

import numpy as np


def unit(x):
    """A vector at length 1, zero if it is zero."""
    x = np.asarray(x, np.float64)  # NumPy 1 divides float32 by a float64 scalar in float32
    length = np.sqrt(np.sum(x**2))
    return x / length if length > 0 else np.zeros_like(x)


def softmax(x):
    e = np.exp(np.asarray(x, np.float64) - np.max(x))
    return e / e.sum()


def squash(x):
    r = np.sqrt(np.sum(np.asarray(x, np.float64) ** 2) + 1e-7)
    return x * np.tanh(10 * r) / r


def project(features, kernel):
    """u_pk = W_k u_p: [P, K, d] of [P, C] and [K, C, d]."""
    return np.array([[w.T @ u for w in np.asarray(kernel, np.float64)] for u in features])


def assign(projected, centers, sharpness):
    """s_pk = softmax_k(z <u_pk, c_k>), [P, K]."""
    return np.array([softmax([sharpness * u @ c for u, c in zip(p, centers)]) for p in projected])


def update(projected, assignments):
    """sum_p s_pk u_pk, [K, d], not yet of unit length."""
    return np.array(
        [
            np.sum([s[k] * u[k] for s, u in zip(assignments, projected)], axis=0)
            for k in range(projected.shape[1])
        ]
    )


def spherical(features, kernel, num_iterations=3, sharpness=1.0, squashed=False):
    """Centres [K, d] and assignments [P, K] of one map [P, C]."""
    features = np.asarray(features, np.float64)
    if squashed:
        features = np.array([squash(u) for u in features])
    projected = project(features, kernel)
    assignments = np.full(projected.shape[:2], 1 / len(kernel))
    for _ in range(num_iterations):
        totals = update(projected, assignments)
        centers = np.array([unit(c) for c in totals])
        assignments = assign(projected, centers, sharpness)
    return np.array([squash(c) for c in totals]) if squashed else centers, assignments


def euclidean(features, kernel, bias, num_clusters, num_iterations=4, sharpness=30.0):
    """Simplified DMC: centres [K, d] and assignments [P, K] of one map [P, C]."""
    projected = np.asarray(features, np.float64) @ np.asarray(kernel, np.float64) + bias
    centers = np.array([projected[k * len(projected) // num_clusters] for k in range(num_clusters)])

    def shares():
        return np.array(
            [softmax([-sharpness * np.linalg.norm(u - c) for c in centers]) for u in projected]
        )

    for _ in range(num_iterations):
        s = shares()
        centers = np.array([s[:, k] @ projected / s[:, k].sum() for k in range(num_clusters)])
    return centers, shares()


def shorten(x):
    """Sabour et al.'s squash: the direction stays, the length becomes n^2 / (1 + n^2)."""
    length = np.linalg.norm(x)
    return length**2 / (1 + length**2) * unit(x)


def capsule(features, kernel, num_iterations=3, sharpness=1.0):
    """Dynamic routing: capsules [K, d] and routing coefficients [P, K] of one map [P, C]."""
    projected = project(np.asarray(features, np.float64), kernel)
    b = np.zeros(projected.shape[:2])
    for _ in range(num_iterations):
        coefficients = np.array([softmax(row) for row in b])
        capsules = np.array([shorten(total) for total in update(projected, coefficients)])
        for p, predictions in enumerate(projected):
            for k, prediction in enumerate(predictions):
                b[p, k] += sharpness * prediction @ capsules[k]
    return capsules, np.array([softmax(row) for row in b])


def capsule_agreement(audio, image):
    """S = sum_k <c^a_k, c^v_k> of all pairs."""
    return np.array([[sum(x @ y for x, y in zip(a, v)) for v in image] for a in audio])


def objective(projected, centers, sharpness):
    """J = (1 / z) sum_p ln sum_k exp(z <u_pk, c_k>)."""
    total = 0.0
    for p in projected:
        x = sharpness * np.array([u @ c for u, c in zip(p, centers)])
        total += (x.max() + np.log(np.sum(np.exp(x - x.max())))) / sharpness
    return total


def pair_similarity(audio, image):
    """S = sum_k cos(c^a_k, c^v_k) of all pairs."""
    return np.array([[sum(unit(x) @ unit(y) for x, y in zip(a, v)) for v in image] for a in audio])


def pair_distance(audio, image):
    """sum over audio clusters of the least squared distance to a visual one, all pairs."""

    def one(a, v):
        return sum(min(np.sum((x - y) ** 2) for y in v) for x in a)

    audio, image = np.asarray(audio, np.float64), np.asarray(image, np.float64)
    return np.array([[one(a, v) for v in image] for a in audio])


def max_margin(audio, image, margin, others):
    """DMC's hinge; `others[i]` are the rows whose sound replaces that of row i."""
    s = pair_similarity(audio, image)
    return np.array(
        [
            np.mean([max(margin + s[j, i] - s[i, i], 0) for j in others[i]])
            for i in range(len(image))
        ]
    )


def cluster_contrastive(audio, image, margin, others):
    """Simplified DMC's loss."""
    squared = pair_distance(audio, image)
    return np.array(
        [
            0.5 * squared[i, i]
            + np.mean(
                [0.5 * max(margin - np.sqrt(squared[j, i] + 1e-9), 0) ** 2 for j in others[i]]
            )
            for i in range(len(image))
        ]
    )


def correspondence(matched, mismatched):
    """Mean of the two binary cross-entropies of L3."""
    matched, mismatched = np.asarray(matched, np.float64), np.asarray(mismatched, np.float64)
    right = -np.log(1 / (1 + np.exp(-matched)))
    wrong = -np.log(1 - 1 / (1 + np.exp(-mismatched)))
    return (right + wrong.mean(axis=1)) / 2


def info_nce(audio, image, scale):
    """InfoNCE in both directions, by one softmax per row and one per column."""
    cosine = np.array([[unit(a) @ unit(v) for v in image] for a in audio])
    return np.array(
        [
            -(np.log(softmax(scale * cosine[i])[i]) + np.log(softmax(scale * cosine[:, i])[i])) / 2
            for i in range(len(cosine))
        ]
    )
