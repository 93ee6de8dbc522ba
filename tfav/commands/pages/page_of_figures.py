"""The page of a run whose protocol has none of its own: figures and drawings."""

from tfav.commands.pages import page_kind
from tfav.commands.protocols import protocol, table
from tfav.reports import figures_page, names, page


class PageOfFigures(page_kind.PageKind):
    """What the run's protocols find."""

    heading = "Figures"

    def evaluate(self, context: protocol.Context, request: page_kind.Request) -> page_kind.Content:
        """Returns the figures of every protocol of the run, and their drawings."""
        results, pictures = [], []
        for name in request.protocols:
            evaluated = table.fitting(name, context.run.recipe, context.config).evaluate(context)
            results += evaluated.results
            pictures += [
                page.Picture(f"{names.sentence(drawn)}, {tag}", content)
                for tag, of_tag in evaluated.pictures.items()
                for drawn, content in of_tag.items()
            ]
        return page_kind.Content(results, pictures)

    def build(
        self,
        context: protocol.Context,
        content: page_kind.Content,
        request: page_kind.Request,
        frame: page.Frame,
    ) -> str:
        """Returns the page."""
        del context, request
        return figures_page.build(content.results, content.kept, frame)
