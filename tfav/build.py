"""The map of the house: the only module that knows everything, and where a config stops.

Each public function below `model` is one binary's work.
"""

import contextlib
import functools
import itertools
import os
import pathlib
import re
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
from tfav.evaluation import film, media, page, protocols, report, showcase
from tfav.evaluation import space as spaces
from tfav.export import embedders, files, publish, pytorch, torch_file
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


@contextlib.contextmanager
def _reading(directory: str) -> Iterator[None]:
    """Makes of a damaged record in the data set `directory` a sentence."""
    try:
        yield
    except tf.errors.DataLossError as error:
        where = re.search(r"corrupted record at \d+|truncated record at \d+", error.message)
        raise registry.UserError(
            f"a shard in {directory} is damaged ({where[0] if where else 'it cannot be read'}): "
            f"copy it again, or make it again with tfav-prepare --output={directory} --overwrite."
        ) from error


def _embeddings(
    c: ml_collections.ConfigDict,
    embedder: files.Run,
    directory: str,
    ids: dict[str, Sequence[str]],
) -> dict[str, dict[str, np.ndarray]]:
    """Embeds each modality's items once: modality -> id -> unit vector."""
    vectors = {}
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
        with _reading(directory):
            found, matrix = embed_lib.collect(
                batches, embed_fn, total=len(names), description=f"embed {modality}"
            )
        vectors[modality] = dict(zip(found, matrix))
    return vectors


def _validation_lists(directory: str) -> list[tuple[lists.ListName, pathlib.Path]]:
    folder = os.path.join(directory, "lists")
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
    return found


def _validation(
    c: ml_collections.ConfigDict, embedder: files.Run, index: shards.Index
) -> dict[str, float]:
    """Returns 1:2 accuracy on the validation lists, each direction and their mean `val/metric`."""
    found = _validation_lists(index.directory)
    vectors = _embeddings(c, embedder, index.directory, lists.items(found))
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

    Starts from (1) the workdir's latest checkpoint, (2) `init_from`, encoders only, (3) scratch,
    with the released encoders that `init` names. A config with a `first_phase` trains that first,
    in `workdir/first_phase`, and takes its tables over; each phase is continued where it stopped.

    Args:
      c: the experiment.
      workdir: the run's folder; continued when it holds the same experiment.
      strategy_name: a row of `strategy.STRATEGIES`.

    Raises:
      UserError: something in the config, the data or the workdir does not fit; names value and fix.
    """
    phases = [(c, workdir)]
    if c.first_phase:
        folder = os.path.join(workdir, "first_phase")
        with c.unlocked():
            c.train.tables_from = folder
        phases.insert(0, (config_lib.first_phase(c), folder))
    for phase, folder in phases:
        config_lib.validate(phase)
        if os.path.exists(os.path.join(folder, "config.json")):
            config_lib.check_resumable(config_lib.load(folder), phase, folder)
    if c.deterministic:
        tf.config.experimental.enable_op_determinism()
    replicas = strategy.create(strategy_name)  # before anything makes a tensor
    for phase, folder in phases:
        _train(phase, folder, replicas)


def _train(c: ml_collections.ConfigDict, workdir: str, replicas: tf.distribute.Strategy) -> None:
    """Trains one phase to its end, from wherever it stands."""
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
    else:
        _start(c, recipe)
    # Before anything is written: what the data cannot serve leaves no workdir behind.
    if c.train.validate_every:
        _validation_lists(index.directory)
    batches = pipeline.identity_batches(
        c.data.directory,
        c.data.train_split,
        batch_size=c.train.batch_size,
        seed=c.seed,
        audio_seconds=c.data.audio_seconds,
        image_size=c.image.size,
        augment=c.data.augment,
        start_step=loop.step,
    )
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

    def keep_best(metric: float | None, step: int) -> None:
        facts = {} if metric is None else {"metric": metric}
        checkpoints_lib.save_weights(
            os.path.join(workdir, checkpoints_lib.WEIGHTS_FILE),
            recipe.named_weights(),
            write=chief,
            step=step,
            **facts,
        )

    with _reading(c.data.directory):
        trainer.fit(
            loop,
            iter(replicas.distribute_datasets_from_function(batches)),
            checkpoints,
            writer.Writer(workdir, loop.step) if chief else None,
            functools.partial(_validation, c, files.Run(recipe), index),
            keep_best,
            num_steps=c.train.num_steps,
            steps_per_call=c.train.steps_per_call,
            checkpoint_every=c.train.checkpoint_every,
            validate_every=c.train.validate_every,
        )


def _start(c: ml_collections.ConfigDict, recipe: base.Recipe) -> None:
    """Gives a run that has no checkpoint what it starts from."""
    if c.train.init_from:
        checkpoints_lib.load_weights(c.train.init_from, recipe.encoder_weights())
    logging.info(
        "start: %s", f"encoders of {c.train.init_from}" if c.train.init_from else "scratch"
    )
    for modality, path in sorted(c.init.items()):
        if path:
            pytorch.assign(recipe.encoders[modality], torch_file.read(path), path)
            logging.info("start: released %s encoder of %s", modality, path)
    if recipe.needs_tables:
        if not c.train.tables_from:
            raise registry.UserError(
                "this recipe uses identity weights that another run has grown and "
                "--config.train.tables_from names none: name that run's workdir, or give the "
                "config a first_phase that grows them."
            )
        checkpoints_lib.load_weights(c.train.tables_from, recipe.table_weights())
        logging.info("start: tables of %s", c.train.tables_from)


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
        c, recipe, facts = trained(workdir)
        data = directory or c.data.directory
        results, written = _judge(c, recipe, facts, workdir, tags, lists_dir, data, seed)
        yield report.text_table(results)
        yield from (f"wrote {path}" for path in written)
        runs.append(results)
    if len(runs) > 1:
        yield report.spread_table(runs)


def evaluate_released(
    released: str,
    output: str,
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
) -> Iterator[str]:
    """Judges the authors' training checkpoint like a run of ours, see `evaluate`.

    Args:
      released: their `.pth.tar` file.
      output: folder for `metrics.json` and plots, made if absent.
      tags: which lists, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data.
      seed: of the bootstrap.
    """
    for flag, value in (("data", directory), ("output", output)):
        if not value:
            raise registry.UserError(f"--{flag} is missing: with --released give --{flag}=DIR.")
    c = config_lib.base()  # images of 112 pixels and ten seconds of sound, as they evaluate
    encoders = {m: pytorch.load_released(released, m, whole=True) for m in pytorch.RELEASED}
    recipe = base.Recipe(encoders, heads={})
    facts = {"released": released, "sha256": lists.sha256(released)}
    os.makedirs(output, exist_ok=True)
    results, written = _judge(c, recipe, facts, output, tags, lists_dir, directory, seed)
    yield report.text_table(results)
    yield from (f"wrote {path}" for path in written)


def _judge(
    c: ml_collections.ConfigDict,
    recipe: base.Recipe,
    facts: dict[str, Any],
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    directory: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Writes `metrics.json` and plots into the folder `output`; returns figures and files."""
    index = shards.Index.read(directory)
    lists_dir = lists_dir or os.path.join(index.directory, "lists")
    found = [item for tag in tags for item in lists.find(lists_dir, tag)]
    vectors = _embeddings(c, files.Run(recipe), index.directory, lists.items(found))
    labels = dict(zip(index.id, index.label))
    results, pictures = [], []
    for tag in tags:
        of_tag = protocols.evaluate(
            lists_dir, tag, vectors, labels, num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        scores = protocols.verification_scores(lists_dir, tag, vectors, labels)
        pictures += report.plots(of_tag, scores, os.path.join(output, "plots", tag))
        results += of_tag
    about = {"weights": facts, "data": index.directory, "lists": lists_dir, "seed": seed}
    path = os.path.join(output, "metrics.json")
    environment.write_text(path, report.to_json(results, about))
    return results, [*pictures, path]


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
        with _reading(index.directory):
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
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    if os.path.exists(os.path.join(source, "config.json")):
        embedder = files.Run(trained(source)[1])
    else:
        embedder = embedders.load(source)
    # Not the run's own: a SavedModel does not know them, and must hear as much of a clip.
    settings = config_lib.base().eval
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


def make_report(
    workdir: str,
    tags: Sequence[str],
    output: str = "",
    *,
    num_probes: int = 30,
    max_megabytes: float = 20.0,
    video: str = "",
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
) -> Iterator[str]:
    """Writes the page that a run can be judged by ear and eye on; yields lines that say so.

    Args:
      workdir: of a finished run.
      tags: which lists; the retrieval is that of their retrieval lists, or over the split so named.
      output: the page; empty: `report.html` in the workdir. An older one is replaced.
      num_probes: probes to show of each retrieval.
      max_megabytes: the page is no larger.
      video: also writes this film of the voice probes; empty: none.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: of the probes drawn at random and of the bootstrap.
    """
    tags = list(dict.fromkeys(tags))
    if not tags:
        raise registry.UserError("--tags is empty: name which query lists to show, such as test.")
    output = output or os.path.join(workdir, "report.html")
    for flag, path in (("output", output), ("video", video)):
        if os.path.isdir(path):
            raise registry.UserError(f"--{flag}={path} is a folder: name a file.")
    if video:
        if not video.endswith(".mp4"):
            raise registry.UserError(f"--video={video}: films are written as .mp4, name such one.")
        film.find_ffmpeg()
    c, recipe, facts = trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    lists_dir = lists_dir or os.path.join(index.directory, "lists")
    found = [item for tag in tags for item in _lists_of(lists_dir, tag)]
    asked = [task for tag in tags for task in _retrievals(lists_dir, tag, index)]
    if video and all(name.direction != "v2f" for name, *_ in asked):
        raise registry.UserError(
            f"--video={video}: {', '.join(tags)} has no retrieval from voice to face to film."
        )
    wanted = {m: dict.fromkeys(names) for m, names in lists.items(found).items()}
    for name, _, galleries in asked:
        for modality, ids in zip(lists.MODALITIES[name.direction], zip(*galleries)):
            wanted.setdefault(modality, {}).update(dict.fromkeys(itertools.chain(*ids)))
    vectors = _embeddings(c, recipe, index.directory, {m: list(v) for m, v in wanted.items()})
    labels = dict(zip(index.id, index.label))
    space = spaces.Space(vectors, labels)
    tasks = [
        showcase.task(name, galleries, space, origin=origin, num_probes=num_probes, seed=seed)
        for name, origin, galleries in asked
    ]
    results, scores = [], {}
    for tag in dict.fromkeys(name.tag for name, _ in found):
        results += protocols.evaluate(
            lists_dir, tag, vectors, labels, num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        scores |= protocols.verification_scores(lists_dir, tag, vectors, labels)
    run = os.path.basename(os.path.abspath(workdir))
    items = _items(index, tasks)
    text = page.build(
        tasks,
        results,
        scores,
        items,
        title=f"Voices and faces: {run}",
        about={
            "Run": f"{run}, recipe {c.recipe}, seed {c.seed}",
            "Weights": ", ".join(f"{name} {value:.6g}" for name, value in sorted(facts.items())),
            "Data": os.path.basename(os.path.abspath(index.directory)),
        },
        max_megabytes=max_megabytes,
    )
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    environment.write_text(output, text)
    size = len(text.encode()) / 1e6
    yield f"wrote {output} ({size:.1f} MB): open {pathlib.Path(output).resolve().as_uri()}"
    if video:
        probes = [probe for task in tasks if task.direction == "v2f" for probe in task.in_groups()]
        os.makedirs(os.path.dirname(os.path.abspath(video)), exist_ok=True)
        with environment.whole(video) as temporary:
            seconds = film.write(temporary, probes, items["audio"], items["image"], title=run)
        yield f"wrote {video} ({seconds:.0f} seconds)"


def _lists_of(folder: str, tag: str) -> list[tuple[lists.ListName, pathlib.Path]]:
    """Returns the lists of a tag, none when there are none."""
    if not os.path.isdir(folder) or not any(map(lists.is_list, os.listdir(folder))):
        return []
    return [item for item in lists.find(folder) if item[0].tag == tag]


def _retrievals(
    lists_dir: str, tag: str, index: shards.Index
) -> list[tuple[lists.ListName, str, list[lists.Gallery]]]:
    """Returns (name, where from, galleries) of a tag's retrieval lists, or over the split so named.

    Raises:
      UserError: there is neither.
    """
    found = [
        (name, os.fspath(path), lists.read_retrieval(path))
        for name, path in _lists_of(lists_dir, tag)
        if name.protocol == "retrieval"
    ]
    if found:
        return found
    part = index.take(np.flatnonzero(index.split == tag))
    held = {
        "audio": part.id[part.num_samples > 0].tolist(),
        "image": part.id[part.height > 0].tolist(),
    }
    lacking = [modality for modality, ids in held.items() if not ids]
    if lacking:
        splits = index.info["splits"]
        what = f"has {lacking[0]}" if tag in splits else "is there"
        raise registry.UserError(
            f"{lists_dir} holds no retrieval list of tag {tag!r}, and no split of that name in "
            f"{index.directory} {what}: name another of --tags (splits: {', '.join(splits)})."
        )
    return [
        (
            lists.ListName("retrieval", lists.STRATA[0], direction, None, tag),
            f"split {tag}",
            [lists.Gallery(held[probe], held[item])],
        )
        for direction, (probe, item) in lists.MODALITIES.items()
    ]


def _items(index: shards.Index, tasks: Sequence[showcase.Task]) -> dict[str, dict[str, media.Item]]:
    """Returns what the tasks show, read from the shards: modality -> id -> item."""
    rows = {
        "audio": {index.id[row]: row for row in np.flatnonzero(index.num_samples > 0)},
        "image": {index.id[row]: row for row in np.flatnonzero(index.height > 0)},
    }
    gender = index.extra.get("gender", np.full(len(index), ""))
    items: dict[str, dict[str, media.Item]] = {"audio": {}, "image": {}}
    for task in tasks:
        probe_modality, item_modality = lists.MODALITIES[task.direction]
        shown = [(probe_modality, probe.id) for probe in task.probes]
        shown += [(item_modality, hit.id) for probe in task.probes for hit in probe.hits]
        for modality, name in shown:
            if name in items[modality]:
                continue
            row = rows[modality][name]
            # Embedded a moment ago, when the record's checksum was verified.
            with tf.io.gfile.GFile(os.path.join(index.directory, index.shard[row]), "rb") as file:
                file.seek(int(index.offset[row]))
                record = tf.train.Example.FromString(file.read(int(index.length[row])))
            content = record.features.feature[modality].bytes_list.value[0]
            items[modality][name] = media.Item(content, str(index.label[row]), str(gender[row]))
    return items
