"""What a share of the identities per step costs in accuracy, on vectors of made-up people.

    python -m benchmarks.sampled_accuracy

Prints, for each share, mean and standard deviation over five seeds of: rank-1 accuracy of the whole
head on new vectors of the people trained on, and 1:10 matching of people never seen. Each modality
is a fixed random view of 16 hidden numbers of a person plus noise; the encoders are one matrix
each, and the loss is the implicit one alone.
"""

import numpy as np
import tensorflow as tf

from benchmarks import sampled
from tfav import compat
from tfav.recipes import voice_face
from tfav.training import optimizers, trainer

PEOPLE, UNSEEN, HIDDEN, NOISE = 1_000, 500, 16, 1.0
BATCH, STEPS, SEEDS, SHARES = 64, 600, range(5), (1.0, 0.5, 0.1, 0.02)


def _views(rng: np.random.Generator, people: np.ndarray, views: np.ndarray) -> list[np.ndarray]:
    """Returns a noisy vector of each person in each modality, [n, INPUT] float32."""
    return [
        (people @ view + NOISE * rng.normal(size=(len(people), sampled.INPUT))).astype(np.float32)
        for view in views
    ]


def accuracies(share: float, seed: int) -> tuple[float, float]:
    """Returns the rank-1 accuracy of people trained on, and 1:10 matching of others."""
    rng = np.random.default_rng(seed)
    everyone = rng.normal(size=(PEOPLE + UNSEEN, HIDDEN))
    views = rng.normal(size=(2, HIDDEN, sampled.INPUT)) / np.sqrt(HIDDEN)
    label = rng.integers(0, PEOPLE, STEPS * BATCH).astype(np.int32)
    audio, image = _views(rng, everyone[label], views)
    encoders = {m: sampled.Matrix(m, 32, seed) for m in ("audio", "image")}
    recipe = voice_face.VoiceFace(
        encoders, PEOPLE, sampled=share, explicit_weight=0.0, scale=16.0, seed=seed
    )
    optimizer = optimizers.create("adam", 0.01, schedule="cosine", num_steps=STEPS)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, tf.distribute.get_strategy(), batch_size=BATCH)
    batches = {"audio": audio, "image": image, "label": label}
    data = tf.data.Dataset.from_tensor_slices(batches).batch(BATCH, drop_remainder=True)
    loop.run(iter(data), STEPS)

    def embedded(people: np.ndarray) -> list[np.ndarray]:
        pair = zip(("audio", "image"), _views(rng, people, views))
        return [tf.math.l2_normalize(encoders[m](x), axis=1).numpy() for m, x in pair]

    known = embedded(everyone[:PEOPLE])
    logits = [recipe.heads["classifier"](x).numpy() for x in known]
    right = [np.argmax(z, axis=1) == np.arange(PEOPLE) for z in logits]
    voice, face = embedded(everyone[PEOPLE:])
    cosine = voice @ face.T
    hits = []
    for i in range(UNSEEN):
        others = rng.choice(np.delete(np.arange(UNSEEN), i), 9, replace=False)
        hits.append(cosine[i, i] > cosine[i, others].max())
    return 100 * float(np.mean(right)), 100 * float(np.mean(hits))


def main() -> None:
    """Prints a row per share."""
    print("| share | people trained on, rank 1 (%) | people never seen, 1:10 (%) |\n|---|---|---|")
    for share in SHARES:
        found = np.array([accuracies(share, seed) for seed in SEEDS])
        mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
        cells = [f"{m:.1f} +- {s:.1f}" for m, s in zip(mean, spread)]
        print(f"| {share:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
