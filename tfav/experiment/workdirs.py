"""What a workdir holds of a run, and whether that can go on."""

import os

import ml_collections
from absl import logging

from tfav import config_file, registry, scalars
from tfav.training import checkpoints, environment, weights_file

_EVALUATED = ("metrics.json", "evaluations")
# What a run leaves in its workdir beside what it goes on from.
_RESULTS = (*_EVALUATED, "plots", "report.html", "tensorboard")


def check(c: ml_collections.ConfigDict, workdir: str) -> None:
    """Refuses to train where a run of before would be lost, or mixed with another one.

    No file's absence means that there was no run: a workdir is new when nothing in it tells of a
    step that was taken, or of what came of it. A run that was killed before its first checkpoint
    starts again.

    Args:
      c: of the run that is to be trained.
      workdir: of the run; need not exist.

    Raises:
      UserError: the workdir holds another experiment, or a run that lacks a file to go on from, or
        a damaged one.
    """
    steps = checkpoints.saved_steps(workdir)
    weights = os.path.join(workdir, weights_file.FILE)
    logged = scalars.last_step(workdir)
    traces = [f"ckpt-{step}" for step in steps[-1:]]
    traces += [weights_file.FILE] if os.path.exists(weights) else []
    traces += [f"scalars up to step {logged}"] if logged else []
    config_path = os.path.join(workdir, config_file.FILE)
    for name in (config_file.FILE, environment.FILE) if traces else ():
        if not os.path.exists(os.path.join(workdir, name)):
            raise registry.UserError(
                f"{workdir} holds {' and '.join(traces)} and no {name}: restore that file from a "
                "copy, or train into a new --workdir."
            )
    results = [name for name in _RESULTS if os.path.exists(os.path.join(workdir, name))]
    if results and not os.path.exists(config_path):
        raise registry.UserError(
            f"{workdir} holds results of a run ({', '.join(results)}) and no {config_file.FILE}: "
            "restore that file and the checkpoints from a copy, or train into a new --workdir."
        )
    environment.starts(workdir)
    if not os.path.exists(config_path):
        return
    before = config_file.load(workdir)
    config_file.check_resumable(before, c, workdir)
    # A run is evaluated once it has weights.
    traces = traces or [name for name in _EVALUATED if name in results]
    if steps or not traces:
        return
    reached = logged
    if os.path.exists(weights):
        reached = max(reached, int(weights_file.read(weights)[1].get("step", 0)))
    first = min(before.train.checkpoint_every, before.train.num_steps)
    if reached > first or reached >= before.train.num_steps or not logged:
        raise registry.UserError(
            f"{workdir} holds {' and '.join(traces)} and no checkpoint to go on from: copy its "
            "folder checkpoints back, or train into a new --workdir."
        )
    logging.warning(
        "%s was stopped at step %d, before its first checkpoint: it starts again", workdir, reached
    )


def check_kept(workdir: str) -> None:
    """Refuses to go on without the weights that validation has kept: no later step need beat them.

    Raises:
      UserError: `weights.npz` is missing or damaged.
    """
    path = os.path.join(workdir, weights_file.FILE)
    if not os.path.exists(path):
        raise registry.UserError(
            f"{path} is missing, and the run has kept weights there by validation: restore it from "
            "a copy, or train into a new --workdir."
        )
    weights_file.read(path)
