"""The metrics of all protocols here: what figures mean that a file names by their keys alone."""

from tfav.evaluation import (
    classification,
    cluster_use,
    correspondence,
    linear_probe,
    list_tasks,
    listening_conditions,
    localisation,
    missing_modalities,
    operations,
    pair_calibration,
    pair_retrieval,
    trials,
)

METRICS = {
    protocol: {metric.key: metric for metric in metrics}
    for protocol, metrics in (
        *((name, task.metrics) for name, task in list_tasks.TASKS.items()),
        *(
            (module.PROTOCOL, module.METRICS)
            for module in (
                pair_calibration,
                listening_conditions,
                classification,
                missing_modalities,
                trials,
                correspondence,
                pair_retrieval,
                localisation,
                cluster_use,
                linear_probe,
                operations,
            )
        ),
    )
}
