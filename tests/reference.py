"""NumPy float64 twins of the losses and heads, each as the naive loop of its equation.

Nothing here is stable or fast: numbers in the tests are kept small enough for that.
"""

import numpy as np


def normalize(x):
    x = np.asarray(x, np.float64)
    return np.stack([row / max(np.sqrt(np.sum(row**2)), 1e-12) for row in x])


def cross_entropy(logits, label):
    logits = np.asarray(logits, np.float64)
    return np.array([np.log(np.sum(np.exp(z))) - z[y] for z, y in zip(logits, label)])


def distillation(logits, teacher):
    """KL of the student's posterior from the teacher's."""
    rows = []
    for student, z in zip(np.asarray(logits, np.float64), np.asarray(teacher, np.float64)):
        q, p = (np.exp(x) / np.sum(np.exp(x)) for x in (student, z))
        rows.append(sum(a * np.log(a / b) for a, b in zip(p, q)))
    return np.array(rows)


def shared_classifier(embedding, kernel, scale=None):
    """Cosine logits with a scale, plain products without one."""
    embedding, kernel = np.asarray(embedding, np.float64), np.asarray(kernel, np.float64)
    if scale is not None:
        embedding, kernel = scale * normalize(embedding), normalize(kernel)
    return np.array([[np.sum(x * w) for w in kernel] for x in embedding])


def explicit(voice, face, label, m=5.4):
    """Wen et al., CVPR 2021, explicit loss, mean of the two directions."""
    voice, face = np.asarray(voice, np.float64), np.asarray(face, np.float64)

    def one_direction(anchor, other):
        other = normalize(other)
        rows = []
        for i in range(len(anchor)):
            total = m
            for j in range(len(other)):
                if label[j] != label[i]:
                    total += np.exp(anchor[i] @ other[j] - anchor[i] @ other[i])
            rows.append(np.log(total))
        return np.array(rows)

    return (one_direction(voice, face) + one_direction(face, voice)) / 2


def contrastive(audio, image, label, temperature=0.1, symmetric=False):
    """MMCosine's L_NCE."""

    def one_direction(anchor, other):
        cosine = normalize(anchor) @ normalize(other).T
        rows = []
        for i in range(len(cosine)):
            e = np.exp(cosine[i] / temperature)
            positives, negatives = [], []
            for j in range(len(e)):
                if label[j] == label[i]:
                    positives.append(-np.log(e[j] / np.sum(e)))
                else:
                    # 1 - p_j, without the cancellation
                    negatives.append(-np.log(np.sum(np.delete(e, j)) / np.sum(e)))
            rows.append(sum(np.mean(x) for x in (positives, negatives) if x))
        return np.array(rows)

    rows = one_direction(audio, image)
    return rows + one_direction(image, audio) if symmetric else rows


def n_pair(audio, image, label, norm_weight=5e-4):
    """Sohn, NeurIPS 2016, Eq. 6, between modalities, mean of the directions, plus its penalty."""
    audio, image = np.asarray(audio, np.float64), np.asarray(image, np.float64)
    rows = []
    for i in range(len(audio)):
        one, other = 1.0, 1.0
        for j in range(len(audio)):
            if label[j] != label[i]:
                one += np.exp(audio[i] @ image[j] - audio[i] @ image[i])
                other += np.exp(image[i] @ audio[j] - image[i] @ audio[i])
        penalty = norm_weight * (np.sum(audio[i] ** 2) + np.sum(image[i] ** 2))
        rows.append((np.log(one) + np.log(other)) / 2 + penalty)
    return np.array(rows)


def triplet(audio, image, label, margin=0.2):
    """Hinges of cosines that are violated, their mean; Hermans et al. 2017, "batch all"."""

    def one_direction(anchor, other):
        cosine = normalize(anchor) @ normalize(other).T
        rows = []
        for i in range(len(cosine)):
            negatives = [j for j in range(len(cosine)) if label[j] != label[i]]
            violated = [margin + cosine[i, j] - cosine[i, i] for j in negatives]
            violated = [x for x in violated if x > 0]
            rows.append(np.mean(violated) if violated else 0.0)
        return np.array(rows)

    return (one_direction(audio, image) + one_direction(image, audio)) / 2


def supervised_contrastive(audio, image, label, temperature=0.1):
    """Khosla et al., NeurIPS 2020, L_out, between the modalities, mean of the two directions."""

    def one_direction(anchor, other):
        cosine = normalize(anchor) @ normalize(other).T
        rows = []
        for i in range(len(cosine)):
            e = np.exp(cosine[i] / temperature)
            positives = [j for j in range(len(e)) if label[j] == label[i]]
            rows.append(np.mean([-np.log(e[j] / np.sum(e)) for j in positives]))
        return np.array(rows)

    return (one_direction(audio, image) + one_direction(image, audio)) / 2


def percentile(audio, image, label, margin=0.6, hardness=0.5):
    """Nagrani et al., ECCV 2018: the own pair, and the negative that so many are easier than."""

    def one_direction(anchor, other):
        rows = []
        for i, a in enumerate(normalize(anchor)):
            own = np.linalg.norm(a - normalize(other)[i])
            others = [v for v, y in zip(normalize(other), label) if y != label[i]]
            far = sorted((np.linalg.norm(a - v) for v in others), reverse=True)  # easiest first
            place = int(np.floor(hardness * (len(far) - 1) + 1e-6))
            cost = max(0.0, margin - far[place]) ** 2 if far else 0.0
            rows.append(0.5 * own**2 + 0.5 * cost)
        return np.array(rows)

    return (one_direction(audio, image) + one_direction(image, audio)) / 2


def orthogonality(x, label):
    """FOP's L_OC over the pairs of a batch, as a number."""
    x = normalize(x)
    pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    same = [x[i] @ x[j] for i, j in pairs if label[i] == label[j]]
    other = [x[i] @ x[j] for i, j in pairs if label[i] != label[j]]
    agreement = 1 - np.mean(same) if same else 0.0
    return agreement + (abs(np.mean(other)) if other else 0.0)


def clusters(x, num_clusters, num_rounds=4):
    """Spherical k-means from the first rows on: centres, and the nearest one of each row."""
    x = normalize(x)
    centers = x[:num_clusters].copy()
    for _ in range(num_rounds):
        nearest = [int(np.argmax([row @ c for c in centers])) for row in x]
        for k in range(num_clusters):
            own = [row for row, n in zip(x, nearest) if n == k]
            if own:
                centers[k] = normalize([np.sum(own, axis=0)])[0]
    return centers, np.array([int(np.argmax([row @ c for c in centers])) for row in x])


def prototype_contrast(audio, image, num_clusters, temperature=0.1, num_rounds=4):
    """Each row's cross-entropy at the cluster of its counterpart, both ways' mean."""
    total = 0.0
    for anchor, other in ((audio, image), (image, audio)):
        centers, member = clusters(other, num_clusters, num_rounds)
        total = total + cross_entropy(normalize(anchor) @ centers.T / temperature, member)
    return total / 2


def _distances(audio, image, label):
    x = np.concatenate([normalize(audio), normalize(image)])
    distance = np.array([[np.sqrt(np.sum((a - b) ** 2)) for b in x] for a in x])
    return distance, np.concatenate([label, label])


def _pairs(label):
    """Ordered pairs of two different rows of one identity."""
    n = range(len(label))
    return [(i, j) for i in n for j in n if i != j and label[i] == label[j]]


def triplet_semihard(audio, image, label, margin=1.0):
    """Schroff et al., CVPR 2015: the nearest negative beyond the positive, else the farthest."""
    distance, both = _distances(audio, image, label)
    terms = []
    for i, j in _pairs(both):
        negatives = [distance[i, k] for k in range(len(both)) if both[k] != both[i]]
        if not negatives:
            return np.zeros(len(label))
        beyond = [d for d in negatives if d > distance[i, j]]
        terms.append(max(margin + distance[i, j] - (min(beyond) if beyond else max(negatives)), 0))
    return np.full(len(label), np.mean(terms))


def lifted_struct(audio, image, label, margin=1.0):
    """Oh Song et al., CVPR 2016, Eq. 4: half the mean squared hinge over positive pairs."""
    distance, both = _distances(audio, image, label)
    terms = []
    for i, j in _pairs(both):
        total = sum(
            np.exp(margin - distance[a, k])
            for a in (i, j)
            for k in range(len(both))
            if both[k] != both[a]
        )
        if total == 0:
            return np.zeros(len(label))
        terms.append(max(np.log(total) + distance[i, j], 0) ** 2 / 2)
    return np.full(len(label), np.mean(terms))


def npairs(audio, image, label, scale=10.0):
    """Sohn, NeurIPS 2016: cross-entropy of each audio row against its identity's image rows."""
    if len(set(label)) == 1:
        return np.zeros(len(label))
    logits = scale * normalize(audio) @ normalize(image).T
    rows = []
    for i in range(len(logits)):
        same = [j for j in range(len(logits)) if label[j] == label[i]]
        rows.append(np.log(np.sum(np.exp(logits[i]))) - np.mean(logits[i, same]))
    return np.full(len(label), np.mean(rows))


def cosine_logits(features, weights, scale):
    """MMCosine head: one [B, C] per modality."""
    return [scale * normalize(x) @ normalize(w).T for x, w in zip(features, weights)]


def concat_logits(features, weights, bias):
    """Vanilla head: one [B, C] per modality, each with its part of the bias."""
    return [
        np.array([[np.sum(row * w) + b / len(features) for w, b in zip(weight, bias)] for row in x])
        for x, weight in zip(features, weights)
    ]


def _others(values, k):
    return sum(v for i, v in enumerate(values) if i != k) / (len(values) - 1)


def gated(features, weights, biases):
    """Symmetric gates: p = U x + c; each times the mean of the others' sigmoids."""
    p = [x @ w + c for x, w, c in zip(features, weights, biases)]
    gates = [1 / (1 + np.exp(-v)) for v in p]
    return [v * _others(gates, k) for k, v in enumerate(p)]


def film(features, weights, biases):
    """Symmetric FiLM: gamma and beta are the two halves of what the others say."""
    said = [np.split(x @ w + c, 2, axis=1) for x, w, c in zip(features, weights, biases)]
    gamma, beta = [h[0] for h in said], [h[1] for h in said]
    return [_others(gamma, k) * x + _others(beta, k) for k, x in enumerate(features)]


def convex(features, weights, biases):
    """FOP's gate: shares that sum to 1 over the modalities, number by number, of tanh(x)."""
    gates = np.exp([x @ w + c for x, w, c in zip(features, weights, biases)])
    return [g / sum(gates) * np.tanh(x) for g, x in zip(gates, features)]


def softmax(logits):
    e = np.exp(np.asarray(logits, np.float64))
    return e / e.sum(axis=1, keepdims=True)


def agreement(one, other):
    """Sum of the two Kullback-Leibler divergences, row by row."""
    p, q = softmax(one), softmax(other)
    return np.array([np.sum(a * np.log(a / b)) + np.sum(b * np.log(b / a)) for a, b in zip(p, q)])


def margin_shares(logits, label):
    """Per modality [B]: |true logit - mean of the others|, over the sum of all modalities'."""
    margins = []
    for z in logits:
        rows = [abs(row[y] - np.mean(np.delete(row, y))) for row, y in zip(z, label)]
        margins.append(np.array(rows))
    return [d / sum(margins) for d in margins]


def modulation(logits, label, alpha):
    """OGM's factors of Peng et al., CVPR 2022; of more than two the mean of the ratios."""
    scores = [sum(softmax(z)[i][y] for i, y in enumerate(label)) for z in logits]
    factors = []
    for m, score in enumerate(scores):
        ratios = [score / other for k, other in enumerate(scores) if k != m]
        rho = sum(ratios) / len(ratios)
        factors.append(1 - np.tanh(alpha * max(rho, 0)) if rho > 1 else 1.0)
    return factors


def numeric_gradient(function, x, step=1e-6):
    """Central differences of a scalar function of one float64 array."""
    x = np.asarray(x, np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        gradient[index] = (function(x + shift) - function(x - shift)) / (2 * step)
    return gradient


def none(cosine, margin):
    """No margin."""
    del margin
    return np.asarray(cosine, np.float64)


def additive_cosine(cosine, margin):
    """CosFace: cos(theta) - m."""
    return np.asarray(cosine, np.float64) - margin


def additive_angular(cosine, margin):
    """ArcFace by its angle: cos(theta + m) up to pi, cos(theta) - m sin(m) past it."""
    cosine = np.asarray(cosine, np.float64)
    angle = np.arccos(np.clip(cosine, -1, 1))
    past = cosine - margin * np.sin(margin)
    return np.where(angle + margin < np.pi, np.cos(angle + margin), past)


def with_margin(logits, label, scale, margin, kind):
    """Logits [B, C] with the margin of the twin `kind` at each row's own class."""
    logits = np.array(logits, np.float64)
    for i, y in enumerate(label):
        logits[i, y] = scale * kind(logits[i, y] / scale, margin)
    return logits


def sub_center_logits(embedding, kernel, sub_centers, scale):
    """Per class the largest of its centres' cosines, times the scale: [B, C]."""
    cosine = normalize(embedding) @ normalize(kernel).T
    groups = range(0, len(kernel), sub_centers)
    return scale * np.array(
        [[max(row[k + i] for i in range(sub_centers)) for k in groups] for row in cosine]
    )


def partial_cross_entropy(logits, label, classes):
    """Cross-entropy of logits [B, M] among some classes alone, each of which is there once."""
    logits = np.asarray(logits, np.float64)
    return np.array(
        [np.log(sum(np.exp(z[c]) for c in classes)) - z[y] for z, y in zip(logits, label)]
    )
