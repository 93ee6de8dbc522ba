"""The page of a run that tells classes apart: examples, classes, confusion, balance."""

from collections.abc import Sequence

import numpy as np

from tfav.commands.pages import page_kind, stored
from tfav.commands.protocols import by_classes, by_missing, protocol
from tfav.evaluation import classification
from tfav.reports import balance, class_page, classification_plots, drawing, missing_curves, page

_NUM_EXAMPLES = 12  # right, and as many wrong
_CONFUSION = (
    "Confusion matrix",
    "Rows are the true classes, columns what the fused prediction takes them for; the diagonal is "
    "right, and the stronger the blue of a cell, the larger the share of its row.",
)
_RELIABILITY = (
    "Reliability",
    f"Accuracy (blue) over confidence in {classification.NUM_BINS} bins, one panel per direction; "
    "hatched red is the gap to the diagonal, on which the model is as sure as it should be; the "
    "stepped line is the share of rows.",
)
_MISSING = (
    "Fused accuracy of the rows that hold every modality, where a share of them, drawn at random, "
    "has lost one: a curve per modality that is lost; the bands are 95 % intervals over rows."
)
_BALANCE = (
    "Balance of the modalities",
    "Logit share, training accuracy, gradient norm and weight norm over the steps of training, one "
    "column per run. The legend has a colour and dash per modality; the solid line without colour "
    "is all of them together, the dotted one an even share.",
)


class PageOfClasses(page_kind.PageKind):
    """The splits that the tags name."""

    heading = "Classes"

    def evaluate(self, context: protocol.Context, request: page_kind.Request) -> page_kind.Content:
        """Returns the figures of the splits, and their rows with what is said of them."""
        del request
        scored = {tag: by_classes.score(context, tag) for tag in context.tags}
        results = [r for tag, its in scored.items() for r in by_classes.figures(context, tag, its)]
        return page_kind.Content(results, scored)

    def build(
        self,
        context: protocol.Context,
        content: page_kind.Content,
        request: page_kind.Request,
        frame: page.Frame,
    ) -> str:
        """Returns the page."""
        labels = context.run.labels
        pictures, parts = [], []
        for tag, scored in content.kept.items():
            suffix = f", {tag}" if len(content.kept) > 1 else ""
            fused = scored.logits[classification.FUSED]
            matrix = classification.confusion_matrix(fused, scored.label)
            words = {"confusion": classification_plots.describe(matrix, labels)}
            said = {"confusion": _CONFUSION, "reliability": _RELIABILITY}
            for name, figure in by_classes.draw(context, scored).items():
                heading, meaning = said[name]
                drawn = drawing.svg(figure)
                words_of = words.get(name, "")
                pictures.append(page.Picture(heading + suffix, drawn, meaning, words_of))
            parts.append(_part(tag, scored, labels, context.seed))
            pictures += _missing(context, tag, scored, suffix)
        pictures += _balance(request)
        return class_page.build(content.results, parts, labels, pictures, frame)


def _missing(
    context: protocol.Context, tag: str, scored: by_classes.Scored, suffix: str
) -> list[page.Picture]:
    """Returns what becomes of the accuracy where rows lack a modality, if any row has all."""
    its = by_missing.MissingModalities()
    whole = np.all([scored.present[m] for m in context.config.modalities], axis=0)
    if not whole.any() or not its.fits(context.run.recipe, context.config):
        return []
    chart = missing_curves.chart(by_missing.figures(context, tag, scored))
    drawn = drawing.svg(chart.draw(titled=False))
    return [page.Picture(missing_curves.HEADING + suffix, drawn, _MISSING)]


def _balance(request: page_kind.Request) -> list[page.Picture]:
    """Returns what each modality did in training, where that was logged."""
    runs = {request.title: balance.read(request.workdir)}
    if request.baseline:
        name = page_kind.title_of(request.baseline)
        name = f"{name} (baseline)" if name == request.title else name
        runs = {name: balance.read(request.baseline), **runs}
    if not any(balance.modalities(scalars) for scalars in runs.values()):
        return []
    heading, meaning = _BALANCE
    return [page.Picture(heading, drawing.svg(balance.draw(runs)), meaning)]


def _part(tag: str, scored: by_classes.Scored, labels: Sequence[str], seed: int) -> class_page.Part:
    said = {d: classification.predict(z, scored.label) for d, z in scored.logits.items()}
    wrong = said[classification.FUSED] != scored.label
    draw = np.random.default_rng(seed)
    shown = []
    for kind in (wrong, ~wrong):
        rows = np.flatnonzero(kind)
        rows = np.sort(draw.permutation(rows)[:_NUM_EXAMPLES])
        shown.append([_example(scored, said, labels, int(row)) for row in rows])
    return class_page.Part(tag, scored.label, scored.logits, scored.present, *shown)


def _example(
    scored: by_classes.Scored, said: dict[str, np.ndarray], labels: Sequence[str], row: int
) -> class_page.Example:
    part = scored.part
    taken = int(said[classification.FUSED][row])
    return class_page.Example(
        id=str(part.id[row]),
        label=str(part.label[row]),
        said=labels[taken],
        probability=classification.probability(scored.logits[classification.FUSED][row])[taken],
        alone={m: labels[said[m][row]] for m, there in scored.present.items() if there[row]},
        image=stored.content(part, row, "image"),
        audio=stored.content(part, row, "audio"),
    )
