"""The page of a run that tells classes apart: figures, confusion, calibration, balance."""

import os

from tfav import registry
from tfav.commands.protocols import by_classes
from tfav.data import shards
from tfav.evaluation import classification
from tfav.experiment import models
from tfav.reports import balance, classification_page, classification_plots


def build(
    run: models.Trained,
    index: shards.Index,
    about: dict[str, str],
    *,
    title: str,
    tags: list[str],
    workdir: str,
    baseline: str,
    seed: int,
) -> str:
    """Returns the page; see `showing.make_report`."""
    results, figures, words = [], {}, {}
    for tag in tags:
        logits, label, groups, present = by_classes.score(run, index, tag)
        results += classification.evaluate(
            logits,
            label,
            class_names=run.labels,
            groups=groups,
            present=present,
            tag=tag,
            num_bootstrap=run.config.eval.num_bootstrap,
            seed=seed,
        )
        drawn = classification_plots.pictures(logits, label, run.labels, present)
        for name, content in drawn.items():
            figures[name if len(tags) == 1 else f"{name}, {tag}"] = content
        name = "confusion" if len(tags) == 1 else f"confusion, {tag}"
        matrix = classification.confusion_matrix(logits["fused"], label)
        words[name] = classification_plots.describe(matrix, run.labels)
    runs = {title: balance.read(workdir)}
    if baseline:
        runs = {os.path.basename(os.path.abspath(baseline)): balance.read(baseline), **runs}
    if any(balance.modalities(scalars) for scalars in runs.values()):
        figures["balance"] = balance.plot(runs)
    elif baseline:
        raise registry.UserError(
            f"--baseline={baseline} logged no balance of modalities: name a run of a classifier of "
            "several modalities."
        )
    return classification_page.build(
        results, figures, title=f"Classes: {title}", about=about, descriptions=words
    )
