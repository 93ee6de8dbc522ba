"""What every kind of page has: one object per kind, in the table `report.PAGES`."""

import abc
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav.commands.pages import projected
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation.result import Result
from tfav.experiment import models
from tfav.reports import page


class Request(NamedTuple):
    """What a user asks of a page.

    Attributes:
      workdir: Folder of the run.
      title: what to call it.
      baseline: workdir of a run to compare it with; empty: none.
      num_probes: probes to show of each retrieval.
      protocols: names of the run's protocols.
    """

    workdir: str
    title: str
    baseline: str = ""
    num_probes: int = 30
    protocols: Sequence[str] = ()


class Content(NamedTuple):
    """What a page shows.

    Attributes:
      results: the figures.
      kept: what else the kind of page has found and wants to draw.
    """

    results: list[Result]
    kept: Any = None


class PageKind(abc.ABC):
    """A kind of page.

    A class of one's own is used by the dotted path of an instance, as `page` of a protocol.

    Attributes:
      heading: before the run's name in the title.
      films: whether it can be filmed.
    """

    heading: str = ""
    films: bool = False

    def tags(self, run: models.Trained, index: shards.Index) -> Sequence[str]:
        """Returns which lists or splits are shown if nobody says."""
        del run, index
        return ("test",)

    @abc.abstractmethod
    def evaluate(self, context: protocol.Context, request: Request) -> Content:
        """Returns the figures of a run, of the one to show or of the one to compare it with."""

    @abc.abstractmethod
    def build(
        self, context: protocol.Context, content: Content, request: Request, frame: page.Frame
    ) -> str:
        """Returns the page; without an item of the data where `frame.media` is off.

        Raises:
          UserError: it cannot be as small as asked.
        """

    def project(
        self, context: protocol.Context, content: Content, folder: str, title: str
    ) -> tuple[int, np.ndarray | None]:
        """Writes embeddings for TensorBoard's projector: those of the tags' rows.

        Only called of a run whose modalities share a space.

        Args:
          context: of the run.
          content: that of its page.
          folder: that exists, for the files.
          title: Name of the run.

        Returns:
          how many items were written, and a sheet [H, W, 3] uint8 of what is found; None: there is
          none.

        Raises:
          UserError: no row to show.
        """
        del content, title
        return projected.write(context, folder), None

    def check_film(self, context: protocol.Context) -> None:
        """Refuses a film where there is nothing to film; only called where `films`.

        Raises:
          UserError: that.
        """
        raise NotImplementedError(f"{type(self).__name__} says that it films and does not")

    def film(self, context: protocol.Context, content: Content, path: str, title: str) -> float:
        """Writes a film and returns its seconds; only called where `films`."""
        raise NotImplementedError(f"{type(self).__name__} says that it films and does not")


def title_of(workdir: str) -> str:
    """Returns what a page calls a run: its folder, and a seed of tfav-compare by its variant."""
    above, name = os.path.split(os.path.abspath(workdir))
    return f"{os.path.basename(above)}/{name}" if re.fullmatch(r"seed\d+", name) else name
