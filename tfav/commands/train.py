"""Trains a config's run, phase by phase, from wherever it stands."""

import os
from collections.abc import Sequence

import ml_collections
import tensorflow as tf
from absl import logging

from tfav import compat, config, files, registry, theory
from tfav.commands.protocols import table as protocols
from tfav.data import shards
from tfav.encoders import encoder as encoders_base
from tfav.experiment import inputs, models
from tfav.interop import pytorch, torch_file
from tfav.recipes import recipe as base
from tfav.reports import balance
from tfav.training import checkpoints as checkpoints_lib
from tfav.training import environment, optimizers, strategy, trainer, writer


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
        phases.insert(0, (config.first_phase(c), folder))
    for phase, folder in phases:
        config.validate(phase)
        if os.path.exists(os.path.join(folder, "config.json")):
            config.check_resumable(config.load(folder), phase, folder)
    if c.deterministic:
        tf.config.experimental.enable_op_determinism()
    replicas = strategy.create(strategy_name)  # before anything makes a tensor
    for phase, folder in phases:
        _train(phase, folder, replicas)


def _train(c: ml_collections.ConfigDict, workdir: str, replicas: tf.distribute.Strategy) -> None:
    """Trains one phase to its end, from wherever it stands."""
    chief = strategy.is_chief(replicas)
    index = shards.Index.read(c.data.directory)
    data_sha256 = files.sha256(os.path.join(c.data.directory, "index.csv"))
    for start in environment.starts(workdir):
        if start["data_sha256"] != data_sha256:
            raise registry.UserError(
                f"{c.data.directory} is not the data {workdir} was trained on (index.csv has "
                f"changed): give that data "
                "back, or train into a new --workdir."
            )
    labels = index.labels(c.data.train_split)
    with replicas.scope():
        recipe = models.model(c, len(labels))
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
    protocols.check(c, index)
    batches = inputs.training_batches(c, loop.step)
    if chief:
        os.makedirs(workdir, exist_ok=True)
        files.write_text(os.path.join(workdir, "config.json"), config.to_json(c))
        facts = environment.facts(
            step=loop.step,
            replicas=replicas.num_replicas_in_sync,
            data=c.data.directory,
            data_sha256=data_sha256,
            labels=labels,
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

    with inputs.whole(c.data.directory):
        trainer.fit(
            loop,
            iter(replicas.distribute_datasets_from_function(batches)),
            checkpoints,
            writer.Writer(workdir, loop.step) if chief else None,
            protocols.validation(c, recipe, index),
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
            _load(recipe.encoders[modality], path)
            logging.info("start: %s encoder of %s", modality, path)
    if recipe.needs_tables:
        if not c.train.tables_from:
            raise registry.UserError(
                "this recipe uses weights that another run has found (of identities, or of losses) "
                "and --config.train.tables_from names none: name that run's workdir, or give the "
                "config a first_phase that finds them."
            )
        checkpoints_lib.load_weights(c.train.tables_from, recipe.table_weights())
        logging.info("start: tables of %s", c.train.tables_from)
        if "blending" in recipe.tables:
            weights = _blending_weights(c.train.tables_from, recipe.tables["blending"].names)
            recipe.tables["blending"].assign(weights)
            logging.info("start: losses blended by %s", weights)


def _blending_weights(workdir: str, names: Sequence[str]) -> dict[str, float]:
    """Returns how to blend losses, from the first and the last validation of the run in `workdir`.

    Raises:
      UserError: that run has not been validated twice.
    """
    lines = [line for line in balance.read(workdir) if f"val/loss_{names[0]}" in line]
    if len(lines) < 2:
        raise registry.UserError(
            f"{workdir} was validated {len(lines)} times, and blending compares two: set "
            "--config.train.validate_every to half of its steps or fewer."
        )
    ends = lines[0], lines[-1]
    return theory.blending_weights(
        {name: tuple(line[f"loss_{name}"] for line in ends) for name in names},
        {name: tuple(line[f"val/loss_{name}"] for line in ends) for name in names},
    )


def _load(encoder: encoders_base.Encoder, path: str) -> None:
    """Gives an encoder the weights of others: a file of Keras, or of the authors' PyTorch code."""
    if not path.endswith(".h5"):
        pytorch.assign(encoder, torch_file.read(path), path)
    elif hasattr(encoder, "load_keras_weights"):
        encoder.load_keras_weights(path)
    else:
        raise registry.UserError(
            f"{path} holds weights of Keras, which a {type(encoder).__name__} does not take: name "
            "vgg16 in --config.image.encoder, or leave --config.init empty."
        )
