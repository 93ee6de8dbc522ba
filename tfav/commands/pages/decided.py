"""What every page says of a run's decisions: thresholds, reliability, short and noisy clips."""

from tfav.commands.pages import page_kind
from tfav.commands.protocols import protocol, table
from tfav.evaluation.result import Result
from tfav.experiment import evaluations, measurement
from tfav.reports import condition_curves, drawing, page, reliability

# What is shown where it fits the run: one of its own protocols, or measured before on these terms.
SHOWN = ("calibration", "conditions")


def find(context: protocol.Context, request: page_kind.Request) -> page.Decided | None:
    """Returns what is known of a run's decisions; None where nothing is.

    A measurement that the run's folder holds is taken as it is; another one is made only where the
    run's own protocols ask for it.
    """
    results = [result for name in SHOWN for result in _results(name, context, request)]
    if not results:
        return None
    pictures, charts = [], []
    for tag in dict.fromkeys(result.tag for result in results):
        of_tag = [result for result in results if result.tag == tag]
        suffix = f", {tag}" if len(context.tags) > 1 else ""
        drawn = reliability.draw(of_tag)
        if drawn is not None:
            content, words = drawing.svg(drawn), reliability.describe(of_tag)
            heading = reliability.HEADING + suffix
            pictures.append(page.Picture(heading, content, reliability.MEANING, words))
        for chart in condition_curves.charts(of_tag).values():
            charts.append(chart._replace(title=chart.title + suffix))
    return page.Decided(results, pictures, charts)


def _results(name: str, context: protocol.Context, request: page_kind.Request) -> list[Result]:
    """Returns the figures of a protocol of one run."""
    its = table.find(name)
    if not its.fits(context.run.recipe, context.config):
        return []
    stored = [
        evaluations.find(
            request.workdir,
            measurement.measured(
                context.config,
                name,
                tags=(tag,),
                data=context.index.sha256,
                lists={},
                weights=measurement.weights_sha256(request.workdir),
                seed=context.seed,
            ),
        )
        for tag in context.tags
    ]
    if name in request.protocols and None in stored:
        return its.evaluate(context).results
    return [result for found in stored if found is not None for result in found.results]
