"""The page of a run on audio and images of one moment: what sounds where, what clusters mean."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.commands.pages import page_kind
from tfav.commands.protocols import by_maps, by_pairs, protocol
from tfav.data import shards
from tfav.evaluation import correspondence, pair_retrieval
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.recipes import grids, outputs
from tfav.recipes import recipe as base
from tfav.reports import balance, drawing, page, scene_examples, scene_page, scene_plots

_NUM_SCENES = 24  # on a page, shared by the splits
_NUM_EXAMPLES = 6  # of a cluster and modality
_TRAINING = (
    "What training did",
    "How well matched pairs fit, and where there are clusters how evenly they are used and how "
    "many are dead, over the steps of training. Solid lines are matched pairs, training or audio, "
    "dashed ones mismatched pairs, the split val or images.",
)


class _Split(NamedTuple):
    """A split to show: its rows, and the map of each; none where the recipe draws none."""

    part: shards.Index
    grids: Sequence[np.ndarray]


class PageOfPairs(page_kind.PageKind):
    """The splits that the tags name, by what the recipe can do: score, localise, cluster."""

    heading = "Audio and image"

    def tags(self, run: models.Trained, index: shards.Index) -> Sequence[str]:
        """Returns the splits that neither trained the run nor picked its weights."""
        used = (run.config.data.train_split, "val")
        return [split for split in index.info["splits"] if split not in used]

    def evaluate(self, context: protocol.Context, request: page_kind.Request) -> page_kind.Content:
        """Returns the figures of pairs and, where there are boxes, of maps."""
        del request
        results, kept = [], {}
        run, c = context.run, context.config
        scorer = by_pairs.Scorer(c, run.recipe)
        sampled = {"num_bootstrap": context.num_bootstrap, "seed": context.seed}
        for tag in context.tags:
            pairs = by_pairs.paired(c, context.index.select(tag))
            score = scorer.score(pairs)
            results += correspondence.evaluate(score, pairs.label, tag=tag, **sampled)
            results += pair_retrieval.evaluate(score, tag=tag, **sampled)
            part = by_pairs.paired(c, context.index.select(tag), negatives=True)
            grids = by_maps.maps(context, part) if outputs.localizes(run.recipe) else []
            marked = np.flatnonzero(by_maps.marked(c, part) if len(grids) else [])
            if len(marked) and models.items(c)["image"].num_frames == 1:
                of_marked = [grids[row] for row in marked]
                results += by_maps.figures(context, tag, part.take(marked), of_marked)
            kept[tag] = _Split(part, grids)
        return page_kind.Content(results, kept)

    def build(
        self,
        context: protocol.Context,
        content: page_kind.Content,
        request: page_kind.Request,
        frame: page.Frame,
    ) -> str:
        """Returns the page."""
        run, shown, clusters, users = context.run, {}, {}, None
        for tag, split in content.kept.items():
            if len(split.grids):
                count = max(1, _NUM_SCENES // len(content.kept))
                shown[tag] = _scenes(run, split, count, context.seed)
            if outputs.clusters(run.recipe):
                users = users or _users(run.recipe)
                clusters[tag] = {
                    m: _clusters(run, users, split.part, m) for m in ("image", "audio")
                }
        scalars = balance.read(request.workdir)
        drawn, pictures = scene_plots.draw(scalars), []
        if drawn is not None:
            heading, meaning = _TRAINING
            words = scene_plots.describe(scalars)
            pictures.append(page.Picture(heading, drawing.svg(drawn), meaning, words))
        return scene_page.build(content.results, shown, clusters, pictures, frame)


def _scenes(run: models.Trained, split: _Split, count: int, seed: int) -> scene_examples.Scenes:
    """Returns up to `count` rows, hits and misses alike if there are both, and how many there are.

    They are drawn at random among each; rows that nobody marked come where none is marked.
    """
    part, grids = split.part, [_first_frame(grid, 2) for grid in split.grids]
    boxes = [marks.boxes for marks in by_maps.marks(part)]
    hit = [scene_examples.is_hit(grid, of_row) for grid, of_row in zip(grids, boxes)]
    draw = np.random.default_rng(seed).permutation(len(part)).tolist()
    kinds = {kind: [row for row in draw if hit[row] is kind] for kind in (True, False, None)}
    misses = kinds[False][: max(count // 2, count - len(kinds[True]))]
    hits = kinds[True][: count - len(misses)]
    others = kinds[None][: count - len(hits) - len(misses)]
    rows = sorted([*hits, *misses, *others])
    found = []
    c = run.config
    chosen = part.take(np.array(rows, int))
    with inputs.whole(part.directory):
        for row, batch in zip(rows, inputs.joint_batches(c, part.directory, chosen.id.tolist(), 1)):
            found.append(
                scene_examples.Scene(
                    str(part.id[row]),
                    str(part.label[row]),
                    _first_frame(batch["image"][0].numpy(), 3),
                    grids[row],
                    boxes[row],
                    batch["audio"][0, : batch["num_samples"][0]].numpy(),
                )
            )
    return scene_examples.Scenes(found, len(kinds[True]), len(kinds[True]) + len(kinds[False]))


def _first_frame(value: np.ndarray, rank: int) -> np.ndarray:
    return value if value.ndim == rank else value[0]


def _clusters(
    run: models.Trained,
    users: recipe_embedder.RecipeEmbedder,
    part: shards.Index,
    modality: str,
) -> scene_examples.Clusters:
    """Returns the clusters of a modality, and which rows of `part` use each most."""
    ids = {modality: part.id.tolist()}
    used = inputs.embeddings(run.config, users.embed, part.directory, ids)[modality]
    strongest, share = np.split(np.stack([used[name] for name in part.id]), 2, axis=1)
    best = np.argsort(-strongest, axis=0, kind="stable")[:_NUM_EXAMPLES]  # [6, K]
    best = best[:, : scene_page.MAX_CLUSTERS]
    rows = np.unique(best)
    images, grids = _look(run, part.take(rows))
    spec = run.recipe.encoders[modality].item_spec
    clips = _listen(run, part.take(rows)) if spec.clip else [None] * len(rows)
    examples = []
    for k, chosen in enumerate(best.T):
        of_cluster = []
        for row in chosen:
            at = int(np.searchsorted(rows, row))
            heat = grids[at][..., k] if spec.fitted else None
            figures = float(strongest[row, k]), float(share[row, k])
            name, label = str(part.id[row]), str(part.label[row])
            of_cluster.append(
                scene_examples.Example(name, label, images[at], heat, clips[at], *figures)
            )
        examples.append(of_cluster)
    return scene_examples.Clusters(share.mean(axis=0), examples)


def _users(recipe: base.Recipe) -> recipe_embedder.RecipeEmbedder:
    """Returns what gives, of each row, the greatest and the mean assignment to each cluster."""
    assert outputs.clusters(recipe), "asked before the clusters are shown"

    def use(modality: str, batch: tensors.Batch) -> tf.Tensor:
        assignments = recipe.clusters(batch, modality)[1]  # zero where there is padding
        total = tf.reduce_sum(assignments, axis=1)
        share = total / tf.reduce_sum(total, axis=1, keepdims=True)
        return tf.concat([tf.reduce_max(assignments, axis=1), share], axis=1)

    return recipe_embedder.RecipeEmbedder(recipe, use)


def _look(run: models.Trained, part: shards.Index) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns of each row the image [S, S, 3], and its places' assignments [S, S, K]."""
    recipe = run.recipe
    assert outputs.clusters(recipe), "asked before the clusters are shown"
    encoder = recipe.encoders["image"]
    _, height, width, _ = recipe.map_shape["image"]
    place = (encoder.image_size, encoder.map_stride, encoder.map_offset)
    down, across = grids.at_pixels(height, *place), grids.at_pixels(width, *place)
    images, shares = [], []
    for batch in _batches(run, part, "image"):
        assignments = recipe.clusters(batch, "image")[1].numpy()[:, : height * width]
        grid = assignments.reshape([len(assignments), height, width, -1])
        shares += list(np.einsum("yh,bhwk,xw->byxk", down, grid, across, optimize=True))
        images += [_first_frame(image, 3) for image in batch["image"].numpy()]
    return images, shares


def _listen(run: models.Trained, part: shards.Index) -> list[np.ndarray]:
    """Returns each row's audio, [T] float32, as much of it as the run hears."""
    return [
        clip[:num_samples]
        for batch in _batches(run, part, "audio")
        for clip, num_samples in zip(batch["audio"].numpy(), batch["num_samples"].numpy())
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
