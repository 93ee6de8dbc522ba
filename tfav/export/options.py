"""What an export is asked for, and what it is measured on."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfav import registry
from tfav.evaluation import decisions
from tfav.export.lite import calibration as calibration_lib
from tfav.export.lite import precisions as precisions_lib
from tfav.export.parity import reference, verification
from tfav.hearing import Hearing
from tfav.recipes import recipe as base

_LEAST_SECONDS = 0.1


class Inputs(NamedTuple):
    """Real inputs that an export is measured and calibrated on.

    Attributes:
      items: modality to (id, item): waveforms [T] float32 in [-1, 1], 16 kHz, and images [S, S, 3]
        uint8 of the encoder's size, or [F, S, S, 3] of several frames. A modality left out is taken
        from `rows`.
      rows: (id, modality to item) to classify, localise or score, each with every modality.
      trials: Pairs of audio and image to verify before and after.
      calibration: Items of the training data, for `int8_static`.
    """

    items: reference.Items
    rows: reference.Rows = ()
    trials: verification.Trials | None = None
    calibration: calibration_lib.Rows = ()


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What an export is asked for.

    Attributes:
      audio_seconds: fixed clip length of the `.tflite`.
      min_cosine: an item below it, in any float artefact, forbids all.
      min_cosine_int8: likewise in any 8-bit one.
      version: a positive integer; None: the one after the newest.
      precisions: Precisions of the `.tflite` files, rows of `precisions.PRECISIONS`.
      durations: clip lengths in seconds, one signature each, instead of `audio_seconds`.
      dynamic_time: clips of any length, instead of `audio_seconds`.
      on_phone: the recipe with the same weights as the `.tflite` compute it, where that differs in
        form; it is compared with the recipe itself.
      num_frames: modality to frames of an image input; one where left out.
      classes: their names in the order of the logits, of a recipe that classifies.
      threshold: Score from which a pair is taken for matched, of a recipe that scores pairs; None:
        what it was taught, or none.
      decided: thresholds and calibration with what they were measured on; None: nobody measured
        any.
      keep_versions: so many of the newest version folders stay; 0: all.
      about: further entries of `parity.json`, such as origin and license.
    """

    audio_seconds: float
    min_cosine: float
    min_cosine_int8: float = 0.98
    version: int | str | None = None
    precisions: Sequence[str] = ("float32", "float16")
    durations: Sequence[float] = ()
    dynamic_time: bool = False
    on_phone: base.Recipe | None = None
    num_frames: Mapping[str, int] = dataclasses.field(default_factory=dict)
    classes: Sequence[str] = ()
    threshold: float | None = None
    decided: decisions.Decisions | None = None
    keep_versions: int = 0
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check(self, hearing: Hearing) -> None:
        """Refuses lengths that no clip has, two wishes at once, and unknown precisions.

        Args:
          hearing: Hearing of the recipe. A file that no clip fits is refused.

        Raises:
          UserError: that.
        """
        if not self.audio_seconds > 0:
            raise registry.UserError(
                f"--config.export.audio_seconds={self.audio_seconds}: give the clip length of the "
                ".tflite in seconds, above 0."
            )
        for seconds in self.durations:
            if not _LEAST_SECONDS <= seconds < float("inf"):
                raise registry.UserError(
                    f"--durations={seconds:g}: give clip lengths in seconds, {_LEAST_SECONDS} or "
                    "more."
                )
        if self.durations and self.dynamic_time:
            raise registry.UserError(
                "--durations and --dynamic_time exclude each other: clips of any length need no "
                "list."
            )
        shortest = min(self.durations, default=self.audio_seconds)
        least = hearing.min_seconds
        if hearing.window_seconds:
            least = min(least, hearing.window_seconds)
        if shortest < least and not self.dynamic_time:
            raise registry.UserError(
                f"a .tflite for clips of {shortest:g} s would take none: the run hears at least "
                f"{least:g} s of each (eval.min_seconds), give --durations={least:g} or more, or "
                "--dynamic_time."
            )
        for precision in self.precisions:
            precisions_lib.find(precision).require()
