"""How rows become a data set."""

import dataclasses
import math
from collections.abc import Sequence

from tfav import registry
from tfav.data.prepare import queries, records, sources
from tfav.media import image_files, limits, motion


@dataclasses.dataclass(frozen=True)
class Settings:
    """How rows become a data set.

    Attributes:
      output: folder to make.
      source: name of the source, for the record.
      lists: folder of query lists to use instead of seeded ones, or None.
      shards: files per split; 0 takes one for every 4000 rows.
      max_bad_fraction: share of rows that may be unusable, and of list items that may be missing.
      max_image_side: longest side in pixels that images keep.
      num_frames: frames to take of every video, evenly spaced.
      fps: when above 0, frames per second to take of every video instead.
      derive: rows of `motion.DERIVED` to make of every video, each a further modality.
      draw_lists: whether lists are drawn where none are given.
      galleries_per_probe: queries per probe in seeded lists.
      seed: random seed of the seeded lists.
      overwrite: replace a data set at `output`, once the new one is complete.
      decoded: folder that keeps decoded rows until the data set is complete: what a killed run left
        there is not decoded again. Empty: none are kept.
      runner: of Apache Beam, which decodes into that folder; empty: this process decodes.
      beam_options: flags for Beam and its runner.
      labels: what a label is, as `sources.Source.labels` says.
      bounds: what of one file is refused as too long or too large.
    """

    output: str
    source: str = "manifest"
    lists: str | None = None
    shards: int = 0
    max_bad_fraction: float = 0.01
    max_image_side: int = 512
    num_frames: int = 1
    fps: float = 0.0
    derive: Sequence[str] = ()
    draw_lists: bool = True
    galleries_per_probe: int = queries.GALLERIES_PER_PROBE
    seed: int = 0
    overwrite: bool = False
    decoded: str = ""
    runner: str = ""
    beam_options: Sequence[str] = ()
    labels: str = sources.ANY
    bounds: limits.Limits = limits.DEFAULT

    @property
    def decoding(self) -> records.Options:
        """How one row is decoded."""
        return records.Options(
            self.max_image_side, self.num_frames, self.fps, self.derive, self.bounds
        )

    def allowed(self, total: int) -> int:
        """Returns how many of `total` rows, or items of lists, may be unusable."""
        return math.floor(self.max_bad_fraction * total + 1e-9)

    def check(self) -> None:
        """Raises UserError for a setting out of range."""
        if "://" in self.output:
            raise registry.UserError(
                f"--output={self.output} is not a local folder: prepare locally, then copy."
            )
        if not 0 <= self.max_bad_fraction <= 1:
            raise registry.UserError(
                f"--max_bad_fraction={self.max_bad_fraction} is no fraction: give 0 to 1."
            )
        least = {"shards": 0, "num_frames": 1, "fps": 0, "seed": 0}
        least["max_image_side"] = image_files.MIN_SIDE
        for name, value in least.items():
            if not value <= getattr(self, name) < math.inf:
                raise registry.UserError(f"--{name}={getattr(self, name)}: give at least {value}.")
        if self.runner and not self.decoded:
            raise registry.UserError(
                f"--runner={self.runner} needs --decoded=FOLDER, which all its workers can reach."
            )
        if self.beam_options and not self.runner:
            raise registry.UserError(
                f"--beam_options={' '.join(self.beam_options)} means nothing without --runner: "
                "name the runner of Beam, or leave it out."
            )
        derive = list(self.derive)
        if not set(derive) <= set(motion.DERIVED) or len(set(derive)) < len(derive):
            raise registry.UserError(
                f"--derive={','.join(derive)}: name each once, of {', '.join(motion.DERIVED)}."
            )
