"""The page of a run on sounds and pictures of one moment: what sounds where, what clusters mean."""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfav.commands.protocols import by_maps, by_pairs
from tfav.data import shards
from tfav.experiment import inputs, models
from tfav.recipes import dmc, grids
from tfav.reports import balance, scene_page, scene_plots

_NUM_SCENES = 24  # on a page, shared by the splits
_NUM_EXAMPLES = 6  # of a cluster and modality


def build(
    run: models.Trained,
    index: shards.Index,
    about: dict[str, str],
    *,
    title: str,
    tags: list[str],
    workdir: str,
    max_megabytes: float,
    seed: int,
) -> str:
    """Returns the page; see `showing.make_report`. Scenes and clusters are those of a dmc run."""
    results, scenes, clusters = [], {}, {}
    for tag in tags:
        results += by_pairs.judge(run, index, "", [tag], "", seed)[0]
        if not isinstance(run.recipe, dmc.DMC):
            continue
        part = by_pairs.paired(run.config, index.select(tag))
        if np.any(_marked(part)):
            results += by_maps.judge(run, index, "", [tag], "", seed)[0]
        chosen = _choose(part, max(1, _NUM_SCENES // len(tags)), seed)
        scenes[tag] = _scenes(run, part.take(chosen))
        clusters[tag] = {m: _clusters(run, part, m) for m in ("image", "audio")}
    scalars = balance.read(workdir)
    curves = scene_plots.plot(scalars)
    return scene_page.build(
        results,
        scenes,
        clusters,
        {"training": curves} if curves else {},
        title=f"Sound and picture: {title}",
        about=about,
        descriptions={"training": scene_plots.describe(scalars)},
        max_megabytes=max_megabytes,
    )


def _marked(part: shards.Index) -> np.ndarray:
    """Returns [N] bool: which rows have boxes."""
    return part.extra.get(by_maps.COLUMN, np.full(len(part), "")) != ""


def _choose(part: shards.Index, count: int, seed: int) -> np.ndarray:
    """Returns up to `count` rows drawn at random, those with boxes before others, in order."""
    draw = np.random.default_rng(seed).permutation(len(part))
    return np.sort(draw[np.argsort(~_marked(part)[draw], kind="stable")][:count])


def _scenes(run: models.Trained, part: shards.Index) -> list[scene_page.Scene]:
    boxes = by_maps.boxes(part) if by_maps.COLUMN in part.extra else [[]] * len(part)
    heats = by_maps.maps(run, part)
    found = []
    c = run.config
    with inputs.whole(part.directory):
        for batch in inputs.joint_batches(c, part.directory, part.id.tolist(), 1):
            row = len(found)
            found.append(
                scene_page.Scene(
                    str(part.id[row]),
                    str(part.label[row]),
                    _first_frame(batch["image"][0].numpy(), 3),
                    _first_frame(heats[row], 2),
                    boxes[row],
                    batch["audio"][0, : batch["num_samples"][0]].numpy(),
                )
            )
    return found


def _first_frame(value: np.ndarray, rank: int) -> np.ndarray:
    return value if value.ndim == rank else value[0]


def _clusters(run: models.Trained, part: shards.Index, modality: str) -> scene_page.Clusters:
    """Returns the clusters of a modality, and which rows of `part` use each most."""
    strongest, share = _use(run, part, modality)
    best = np.argsort(-strongest, axis=0, kind="stable")[:_NUM_EXAMPLES]  # [6, K]
    best = best[:, : scene_page.MAX_CLUSTERS]
    rows = np.unique(best)
    pictures, grids = _look(run, part.take(rows))
    sounds = _listen(run, part.take(rows)) if modality == "audio" else [None] * len(rows)
    examples = []
    for k, chosen in enumerate(best.T):
        of_cluster = []
        for row in chosen:
            at = int(np.searchsorted(rows, row))
            heat = grids[at][..., k] if modality == "image" else None
            figures = float(strongest[row, k]), float(share[row, k])
            name, label = str(part.id[row]), str(part.label[row])
            shown = pictures[at], heat, sounds[at]
            of_cluster.append(scene_page.Example(name, label, *shown, *figures))
        examples.append(of_cluster)
    return scene_page.Clusters(share.mean(axis=0), examples)


def _use(run: models.Trained, part: shards.Index, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the greatest and the mean assignment to each cluster of each row, [N, K] both."""

    @tf.function(reduce_retracing=True)
    def use(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        assignments = run.recipe.clusters(batch, modality)[1]  # zero where there is padding
        total = tf.reduce_sum(assignments, axis=1)
        share = total / tf.reduce_sum(total, axis=1, keepdims=True)
        return tf.reduce_max(assignments, axis=1), share

    parts = [[part_of.numpy() for part_of in use(b)] for b in _batches(run, part, modality)]
    strongest, share = zip(*parts)
    return np.concatenate(strongest), np.concatenate(share)


def _look(run: models.Trained, part: shards.Index) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns of each row the picture [S, S, 3], and its places' assignments [S, S, K]."""
    encoder = run.recipe.encoders["image"]
    _, height, width, _ = run.recipe.map_shape["image"]
    place = (encoder.image_size, encoder.map_stride, encoder.map_offset)
    down, across = grids.at_pixels(height, *place), grids.at_pixels(width, *place)
    pictures, grids = [], []
    for batch in _batches(run, part, "image"):
        assignments = run.recipe.clusters(batch, "image")[1].numpy()[:, : height * width]
        grid = assignments.reshape([len(assignments), height, width, -1])
        grids += list(np.einsum("yh,bhwk,xw->byxk", down, grid, across, optimize=True))
        pictures += [_first_frame(image, 3) for image in batch["image"].numpy()]
    return pictures, grids


def _listen(run: models.Trained, part: shards.Index) -> list[np.ndarray]:
    """Returns each row's sound, [T] float32, as long as it is judged."""
    return [
        sound[:num_samples]
        for batch in _batches(run, part, "audio")
        for sound, num_samples in zip(batch["audio"].numpy(), batch["num_samples"].numpy())
    ]


def _batches(
    run: models.Trained, part: shards.Index, modality: str
) -> Iterator[dict[str, tf.Tensor]]:
    c = run.config
    with inputs.whole(part.directory):
        for batch in inputs.evaluation_batches(
            c, part.directory, part.id.tolist(), modality, c.eval.batch_size
        ):
            yield {name: value for name, value in batch.items() if name != "id"}
