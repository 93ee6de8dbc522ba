"""The page of figures and drawings alone, for every protocol that has none of its own."""

from collections.abc import Sequence

from tfav.evaluation.result import Result
from tfav.reports import names, page, rendering


def build(results: Sequence[Result], pictures: Sequence[page.Picture], frame: page.Frame) -> str:
    """Returns the page.

    Args:
      results: the figures; the first metric of each protocol stands above all else.
      pictures: drawings, in the order to show.
      frame: what stands round them.

    Raises:
      UserError: the page is larger than allowed.
    """
    first = {r.protocol: r.metric for r in reversed(results)}
    tiles = [
        page.Tile(f"{r.tag}: {r.name}, {names.LONG.get(r.direction, r.direction)}", r)
        for r in results
        if r.metric == first[r.protocol]
    ]
    text = rendering.render(
        "figures.html",
        frame,
        results,
        tiles=tiles,
        pictures=pictures,
        about={**frame.about, **page.facts(results)},
    )
    return rendering.fitting([text], frame.max_megabytes, "the page")
