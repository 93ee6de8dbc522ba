"""Trains a config's run, phase by phase, from wherever it stands."""

import contextlib
import os
from typing import Any

import ml_collections
import tensorflow as tf
from absl import logging

from tfav import compat, config, config_file, registry, scalars
from tfav.commands import destinations, first_lines, mishaps, readiness
from tfav.commands.protocols import table as protocols
from tfav.data import shards
from tfav.experiment import bad_records, class_memory, inputs, models, workdirs
from tfav.inference import spaces
from tfav.interop import initial_weights
from tfav.recipes import recipe as base
from tfav.training import checkpoints as checkpoints_lib
from tfav.training import environment, fitting, lock, strategy, trainer, weights_file, writer


def train(
    c: ml_collections.ConfigDict,
    workdir: str,
    strategy_name: str = "auto",
    *,
    worker_timeout_seconds: float = strategy.WORKER_TIMEOUT_SECONDS,
    expect_gpus: int | None = None,
) -> None:
    """Trains to `c.train.num_steps`.

    Starts from (1) the workdir's latest checkpoint, (2) `init_from`, encoders only, (3) scratch,
    with the released encoders that `init` names. A config with a `first_phase` trains that first,
    in `workdir/first_phase`, and takes its tables or its teacher over; each phase is continued
    where it stopped.

    Args:
      c: the experiment.
      workdir: the run's folder; continued when it holds the same experiment.
      strategy_name: a row of `strategy.STRATEGIES`.
      worker_timeout_seconds: Time after which a worker that is silent counts as gone.
      expect_gpus: Number of GPUs that this process must see; None: any.

    Raises:
      UserError: something in the config, the data or the workdir does not fit, or another process
        trains in the workdir; names value and fix.
    """
    destinations.check_folder("workdir", workdir, "run")
    phases = [(c, workdir)]
    if c.first_phase:
        folder = os.path.join(workdir, "first_phase")
        if c.train.tables_from not in ("", folder):
            raise registry.UserError(
                f"--config.train.tables_from={c.train.tables_from}: the config has a first_phase "
                "that finds these weights: leave one of them empty."
            )
        with c.unlocked():
            c.train.tables_from = ""
            phases.insert(0, (config.first_phase(c), folder))
            c.train.tables_from = folder
    for phase, _ in phases:
        config.validate(phase)
    blended = _reads_log(c)
    if c.deterministic:
        compat.enable_determinism()
    strategy.set_intra_op_threads(c.train.intra_op_threads)
    replicas = strategy.create(  # before anything makes a tensor
        strategy_name, worker_timeout_seconds=worker_timeout_seconds, expect_gpus=expect_gpus
    )
    one_at_a_time = lock.held(workdir) if strategy.is_chief(replicas) else contextlib.nullcontext()
    with one_at_a_time:  # before the workdir is looked at: another run may be writing there
        if checkpoints_lib.saved_steps(workdir):  # the tables of the first phase are in there
            phases = phases[-1:]
        for phase, folder in phases:
            workdirs.check(phase, folder)
        if blended and len(phases) > 1:
            readiness.check_validated(*phases[0])
        for phase, folder in phases:
            _train(phase, folder, replicas, blended=blended and phase is not c)


def record(workdir: str) -> dict[str, Any]:
    """Returns what a training left, for JSON: the step that it stands at and the kept weights."""
    path = os.path.join(workdir, weights_file.FILE)
    return {
        "workdir": workdir,
        "step": scalars.last_step(workdir),
        "weights": {"file": path, **weights_file.read(path)[1]},
    }


def _reads_log(c: ml_collections.ConfigDict) -> bool:
    return models.recipe_class(c).reads_log(models.recipe_arguments(c))


def _train(
    c: ml_collections.ConfigDict,
    workdir: str,
    replicas: tf.distribute.Strategy,
    *,
    blended: bool,
) -> None:
    """Trains one phase to its end, from wherever it stands.

    Args:
      c: Config of the phase.
      workdir: Folder of the phase.
      replicas: where it computes.
      blended: a phase follows that weighs its losses by this one's validations.
    """
    chief = strategy.is_chief(replicas)
    index = shards.Index.read(c.data.directory, cut=c.data.max_bad_records > 0)
    for start in environment.starts(workdir):
        # What older versions noted was the hash of index.csv alone.
        if start["data_sha256"] not in (index.sha256, index.info["index_sha256"]):
            raise registry.UserError(
                f"{c.data.directory} is not the data {workdir} was trained on (its rows or "
                "what they hold have changed): give that data back, or train into a new --workdir."
            )
    for source in filter(None, (workdir, c.train.tables_from)):  # what a teacher is given too
        folder = os.path.dirname(source) if source.endswith(".npz") else source
        trained_on = environment.vector_spaces(folder)
        spaces.require_inputs(c.data.directory, index.vector_spaces, trained_on)
    labels = index.labels(c.data.train_split)
    readiness.check_groups(c, index)
    readiness.check_lost(c, index)
    readiness.count_unheard(c, index)
    classes = class_memory.need(c, len(labels), replicas.num_replicas_in_sync)
    if classes:
        class_memory.check(classes, strategy.num_here(replicas))
    with replicas.scope():
        recipe = models.model(c, len(labels))
        recipe.read_columns(readiness.columns(recipe.columns, index, c.data.train_split))
        optimizer = models.optimizer(c, recipe)
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
        jit_compile=c.train.jit_compile,
        tolerant=c.data.max_bad_records > 0,
    )
    for line in first_lines.lines(c, index, recipe, optimizer, replicas):
        logging.info("%s", line)
    if classes:
        logging.info("%s", classes.line())
    weights_path = os.path.join(workdir, weights_file.FILE)
    if checkpoints.restore():
        logging.info("resume: step %d of %s", loop.step, workdir)
        if checkpoints.best.numpy() > float("-inf"):
            workdirs.check_kept(workdir)
    else:
        _start(c, recipe)
    # Before anything is written: what the data cannot serve leaves no workdir behind.
    protocols.check_fit(c)
    readiness.check_validation(c, index, needed=blended)
    batches = inputs.training_batches(c, loop.step)
    inputs.check_shapes(c, index)
    with inputs.whole(c.data.directory):  # tables of vectors are read here
        iterator = strategy.iterate(replicas, batches)
    if chief:
        os.makedirs(workdir, exist_ok=True)
        config_file.save(c, workdir)
        facts = environment.facts(
            step=loop.step,
            replicas=replicas.num_replicas_in_sync,
            data=c.data.directory,
            data_sha256=index.sha256,
            labels=labels,
            **({"vector_spaces": index.vector_spaces} if index.vector_spaces else {}),
        )
        environment.record(workdir, facts)

    def keep_best(metric: float | None, step: int) -> None:
        facts = {} if metric is None else {"metric": metric}
        weights_file.save(weights_path, recipe.named_weights(), write=chief, step=step, **facts)

    met = bad_records.BadRecords(workdir, batches, index, c.data.max_bad_records, write=chief)
    with inputs.whole(c.data.directory), met.refused():
        fitting.fit(
            loop,
            iterator,
            checkpoints,
            writer.Writer(workdir, loop.step) if chief else None,
            protocols.validation(c, recipe, index),
            keep_best,
            mishaps.explainer(loop, batches, workdir if chief else ""),
            met.note,
            num_steps=c.train.num_steps,
            steps_per_call=c.train.steps_per_call,
            checkpoint_every=c.train.checkpoint_every,
            validate_every=c.train.validate_every,
        )
    # A finished run without them, whose last weights are the kept ones.
    if not c.train.validate_every and loop.workers_mean(float(not os.path.exists(weights_path))):
        with compat.averaged(optimizer, recipe.trainable_weights):
            keep_best(None, loop.step)


def _start(c: ml_collections.ConfigDict, recipe: base.Recipe) -> None:
    """Gives a run that has no checkpoint what it starts from."""
    readiness.check_frontend(recipe)
    if c.train.init_from:
        weights_file.load(c.train.init_from, recipe.encoder_weights())
    logging.info(
        "start: %s", f"encoders of {c.train.init_from}" if c.train.init_from else "scratch"
    )
    for modality, path in sorted(c.init.items()):
        if path:
            initial_weights.load(recipe.encoders[modality], path)
            logging.info("start: %s encoder of %s", modality, path)
    taken = recipe.taken_weights()
    if c.train.tables_from and not taken:
        raise registry.UserError(
            f"--config.train.tables_from={c.train.tables_from}: this recipe takes no weights over "
            "from another run: leave it empty."
        )
    source = c.train.tables_from
    if recipe.needs_tables and not source:
        raise registry.UserError(
            "this recipe uses weights that another run has found (of identities, of losses, or a "
            "teacher's) and --config.train.tables_from names none: name that run's workdir, or "
            "give the config a first_phase that finds them."
        )
    if source:
        weights_file.load(source, taken)
        logging.info("start: tables of %s", source)
        if _reads_log(c):
            recipe.read_log(scalars.read(source, whole=True), source)
