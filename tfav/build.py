"""The map of the house: the only module that knows everything, and where a config stops.

Each public function below `model` is one binary's work.
"""

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf
from absl import logging

from tfav import compat, lists, recipes, registry
from tfav import config as config_lib
from tfav.data import pipeline, shards
from tfav.encoders import audio as audio_encoders
from tfav.encoders import image as image_encoders
from tfav.evaluation import embed as embed_lib
from tfav.evaluation import protocols, report
from tfav.evaluation import space as spaces
from tfav.export import embedders, files, publish
from tfav.recipes import base
from tfav.training import checkpoints as checkpoints_lib
from tfav.training import environment, optimizers, strategy, trainer, writer


def model(c: ml_collections.ConfigDict, num_classes: int) -> base.Recipe:
    """Returns the config's recipe with all weights created.

    Args:
      c: a config.
      num_classes: of the training split.
    """
    keras.utils.set_random_seed(c.seed)
    keras.mixed_precision.set_global_policy(c.dtype)
    audio = registry.lookup(audio_encoders.AUDIO_ENCODERS, c.audio.encoder, "audio encoder")
    image = registry.lookup(image_encoders.IMAGE_ENCODERS, c.image.encoder, "image encoder")
    encoders = {
        "audio": audio(
            embedding_size=c.embedding_size,
            frontend=c.audio.frontend.to_dict(),
            seed=c.seed,
            name="audio",
        ),
        "image": image(
            embedding_size=c.embedding_size, image_size=c.image.size, seed=c.seed, name="image"
        ),
    }
    recipe_class = registry.lookup(recipes.RECIPES, c.recipe, "recipe")
    return recipe_class(encoders, num_classes, seed=c.seed, **c.model.to_dict())


def _embeddings(
    c: ml_collections.ConfigDict,
    recipe: base.Recipe,
    directory: str,
    ids: dict[str, Sequence[str]],
) -> dict[str, dict[str, np.ndarray]]:
    """Embeds each modality's items once: modality -> id -> unit vector."""
    vectors = {}
    embedder = files.Run(recipe)
    for modality, names in ids.items():
        batches = pipeline.evaluation_batches(
            directory,
            names,
            modality,
            batch_size=c.eval.batch_size,
            max_seconds=c.eval.audio_seconds,
            image_size=c.image.size,
        )
        embed_fn = functools.partial(embedder.embed, modality)
        found, matrix = embed_lib.collect(
            batches, embed_fn, total=len(names), description=f"embed {modality}"
        )
        vectors[modality] = dict(zip(found, matrix))
    return vectors


def _validation(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
) -> dict[str, float]:
    """Returns 1:2 accuracy on the validation lists, each direction and their mean `val/metric`."""
    folder = os.path.join(c.data.directory, "lists")
    found = [
        (name, path)
        for name, path in lists.find(folder, "val")
        if name.protocol == "matching" and name.n == 2 and name.stratum == "unrestricted"
    ]
    if not found:
        raise registry.UserError(
            f"{folder} has no match_v2f_2_val.txt or match_f2v_2_val.txt to pick the weights "
            f"by: prepare a val "
            "split, or keep the last weights with --config.train.validate_every=0."
        )
    vectors = _embeddings(c, recipe, index.directory, lists.items(found))
    space = spaces.Space(vectors, dict(zip(index.id, index.label)))
    values = {
        f"val/matching_{name.direction}": protocols.matching(path, space, name.direction, 0, 0)[
            0
        ].value
        for name, path in found
    }
    return {**values, "val/metric": float(np.mean(list(values.values())))}


def train(c: ml_collections.ConfigDict, workdir: str, strategy_name: str = "auto") -> None:
    """Trains to `c.train.num_steps`.

    Starts from (1) the workdir's latest checkpoint, (2) `init_from`, encoders only, (3) scratch.

    Args:
      c: the experiment.
      workdir: the run's folder; continued when it holds the same experiment.
      strategy_name: a row of `strategy.STRATEGIES`.

    Raises:
      UserError: something in the config, the data or the workdir does not fit; names value and fix.
    """
    config_lib.validate(c)
    if os.path.exists(os.path.join(workdir, "config.json")):
        config_lib.check_resumable(config_lib.load(workdir), c, workdir)
    if c.deterministic:
        tf.config.experimental.enable_op_determinism()
    replicas = strategy.create(strategy_name)  # before anything makes a tensor
    chief = strategy.is_chief(replicas)
    index = shards.Index.read(c.data.directory)
    data_sha256 = lists.sha256(os.path.join(c.data.directory, "index.csv"))
    for start in environment.starts(workdir):
        if start["data_sha256"] != data_sha256:
            raise registry.UserError(
                f"{c.data.directory} is not the data {workdir} was trained on (index.csv has "
                f"changed): give that data "
                "back, or train into a new --workdir."
            )
    labels = index.labels(c.data.train_split)
    with replicas.scope():
        recipe = model(c, len(labels))
        optimizer = optimizers.create(
            c.train.optimizer,
            c.train.learning_rate,
            schedule=c.train.schedule,
            num_steps=c.train.num_steps,
            warmup_steps=c.train.warmup_steps,
            boundaries=c.train.decay_steps,
            factor=c.train.decay_factor,
            momentum=c.train.momentum,
        )
        compat.build_optimizer(optimizer, recipe.trainable_weights)
        checkpoints = checkpoints_lib.Checkpoints(
            recipe, optimizer, workdir, replicas, keep=c.train.keep_checkpoints
        )
    loop = trainer.Trainer(
        recipe,
        optimizer,
        replicas,
        batch_size=c.train.batch_size,
        weight_decay=c.train.weight_decay,
        clip_norm=c.train.clip_norm,
    )
    if checkpoints.restore():
        logging.info("resume: step %d of %s", loop.step, workdir)
    elif c.train.init_from:
        checkpoints_lib.load_weights(c.train.init_from, recipe.encoder_weights())
        logging.info("start: encoders of %s", c.train.init_from)
    else:
        logging.info("start: scratch")
    if chief:
        os.makedirs(workdir, exist_ok=True)
        environment.write_text(os.path.join(workdir, "config.json"), config_lib.to_json(c))
        facts = environment.facts(
            step=loop.step,
            replicas=replicas.num_replicas_in_sync,
            data=c.data.directory,
            data_sha256=data_sha256,
            num_classes=len(labels),
        )
        environment.record(workdir, facts)

    def batches(step: int) -> Iterator:
        make = pipeline.identity_batches(
            c.data.directory,
            c.data.train_split,
            batch_size=c.train.batch_size,
            seed=c.seed,
            audio_seconds=c.data.audio_seconds,
            image_size=c.image.size,
            augment=c.data.augment,
            start_step=step,
        )
        return iter(replicas.distribute_datasets_from_function(make))

    def keep_best(metric: float | None, step: int) -> None:
        facts = {} if metric is None else {"metric": metric}
        checkpoints_lib.save_weights(
            os.path.join(workdir, checkpoints_lib.WEIGHTS_FILE),
            recipe.named_weights(),
            write=chief,
            step=step,
            **facts,
        )

    trainer.fit(
        loop,
        batches,
        checkpoints,
        writer.Writer(workdir, loop.step) if chief else None,
        lambda: _validation(c, recipe, index),
        keep_best,
        num_steps=c.train.num_steps,
        steps_per_call=c.train.steps_per_call,
        checkpoint_every=c.train.checkpoint_every,
        validate_every=c.train.validate_every,
    )


def trained(workdir: str) -> tuple[ml_collections.ConfigDict, base.Recipe, dict[str, float]]:
    """Returns a finished run's config, its recipe (float32) with the kept weights, and their facts.

    Raises:
      UserError: no finished run there.
    """
    c = config_lib.load(workdir)
    with c.unlocked():
        c.dtype = "float32"
    starts = environment.starts(workdir)
    if not starts:
        raise registry.UserError(f"{workdir} has no environment.json: restore it, or train again.")
    recipe = model(c, starts[-1]["num_classes"])
    facts = checkpoints_lib.load_weights(workdir, recipe.named_weights())
    return c, recipe, facts


def evaluate(
    workdirs: Sequence[str],
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
) -> Iterator[str]:
    """Judges runs on query lists: writes `metrics.json` and plots into each, yields text to print.

    Args:
      workdirs: of finished runs. Of several a table of their spread follows.
      tags: which lists, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: of the bootstrap.
    """
    runs = []
    for workdir in workdirs:
        results, pictures, about = _judge(workdir, tags, lists_dir, directory, seed)
        path = os.path.join(workdir, "metrics.json")
        environment.write_text(path, report.to_json(results, about))
        yield report.text_table(results)
        yield from (f"wrote {p}" for p in [*pictures, path])
        runs.append(results)
    if len(runs) > 1:
        yield report.spread_table(runs)


def _judge(
    workdir: str, tags: Sequence[str], lists_dir: str, directory: str, seed: int
) -> tuple[list[dict[str, Any]], list[os.PathLike], dict[str, Any]]:
    """Returns a run's figures, the pictures drawn, and what they are about."""
    c, recipe, facts = trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    lists_dir = lists_dir or os.path.join(index.directory, "lists")
    found = [item for tag in tags for item in lists.find(lists_dir, tag)]
    vectors = _embeddings(c, recipe, index.directory, lists.items(found))
    labels = dict(zip(index.id, index.label))
    results, pictures = [], []
    for tag in tags:
        of_tag = protocols.evaluate(
            lists_dir, tag, vectors, labels, num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        scores = protocols.verification_scores(lists_dir, tag, vectors, labels)
        pictures += report.plots(of_tag, scores, os.path.join(workdir, "plots", tag))
        results += of_tag
    about = {"weights": facts, "data": index.directory, "lists": lists_dir, "seed": seed}
    return results, pictures, about


def _parity_inputs(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index, limit: int = 32
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Returns up to `limit` items of each modality, spread over the test (or else last) split."""
    split = "test" if "test" in index.info["splits"] else list(index.info["splits"])[-1]
    part = index.select(split)
    inputs: dict[str, list[tuple[str, np.ndarray]]] = {}
    for modality in recipe.encoders:
        held = part.id[(part.num_samples if modality == "audio" else part.height) > 0]
        ids = held[np.linspace(0, len(held) - 1, min(limit, len(held))).round().astype(int)]
        batches = pipeline.evaluation_batches(
            index.directory,
            ids.tolist(),
            modality,
            batch_size=1,
            max_seconds=c.eval.audio_seconds,
            image_size=c.image.size,
        )
        inputs[modality] = [
            (b["id"][0].decode(), b[modality][0]) for b in batches.as_numpy_iterator()
        ]
    return inputs


def export(
    workdir: str,
    output: str,
    version: str | None = None,
    min_cosine: float | None = None,
    directory: str = "",
) -> list[str]:
    """Publishes a run's encoders as SavedModel and TFLite with their parity; returns a summary.

    Args:
      workdir: of a finished run.
      output: the model's folder.
      version: integer of the version directory; None: the next.
      min_cosine: parity below it publishes nothing; None: the config's.
      directory: the data parity is measured on; empty: that of the run.
    """
    c, recipe, _ = trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    found = publish.publish(
        recipe,
        _parity_inputs(c, recipe, index),
        output,
        audio_seconds=c.export.audio_seconds,
        min_cosine=c.export.min_cosine if min_cosine is None else min_cosine,
        version=version,
    )
    lines = []
    for name, artefact in found["artefacts"].items():
        for signature, parity in artefact["parity"].items():
            lines.append(
                f"{os.path.join(output, name):<48} {signature:<12} cosine >= "
                f"{parity['cosine_min']:.7f}  "
                f"max error {parity['max_abs_error']:.1e}"
            )
    return [*lines, f"wrote {os.path.join(output, publish.PARITY_FILE)}"]


def embed(
    source: str,
    inputs: Sequence[str],
    output: str,
    max_bad_fraction: float,
    overwrite: bool,
    stream: bool,
) -> list[str]:
    """Embeds files into one `.npz`; returns lines that say what was written.

    Args:
      source: a workdir, a SavedModel folder or a `.tflite`.
      inputs: files or folders.
      output: the `.npz`.
      max_bad_fraction: share of unreadable files that may be left out.
      overwrite: replace an existing output.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).
    """
    if not output.endswith(".npz"):
        raise registry.UserError(
            f"--output={output}: embeddings are written as .npz, name such a file."
        )
    if os.path.exists(output) and not overwrite:
        raise registry.UserError(f"{output} exists: name another --output, or pass --overwrite.")
    found = files.find(inputs)
    settings = config_lib.base().eval
    if os.path.exists(os.path.join(source, "config.json")):
        c, recipe, _ = trained(source)
        embedder, settings = files.Run(recipe), c.eval
    else:
        embedder = embedders.load(source)
    arrays, bad = files.embed(
        embedder,
        found,
        batch_size=settings.batch_size,
        max_seconds=settings.audio_seconds,
        max_bad_fraction=max_bad_fraction,
        stream=stream,
    )
    checkpoints_lib.write_npz(output, arrays)
    lines = [f"left out {path}: {reason}" for path, reason in bad]
    lines += [
        f"{m}: {arrays[m].shape[0]} x {arrays[m].shape[1]}" for m in files.SUFFIXES if m in arrays
    ]
    return [*lines, f"wrote {output}"]
