"""The front-ends by name, the presets of the papers, and what makes one of a config."""

import inspect
from collections.abc import Mapping
from typing import Any

from tfav import registry
from tfav.layers import frontend
from tfav.layers.spectrograms import LogMel, LogSpectrogram
from tfav.layers.speechbrain_fbank import SpeechBrainFbank

FRONTENDS = {
    "log_mel": LogMel,
    "spectrogram": LogSpectrogram,
    "speechbrain_fbank": SpeechBrainFbank,
}

_DMC = {
    "num_mels": 64,
    "lower_hz": 125.0,
    "upper_hz": 7500.0,
    "slopes": "mel",
    "window": "hann",
    "power": 1.0,
    "log_offset": 0.01,
    "centered": False,
    "instance_norm": False,
}
# The front-ends of the papers: arguments of `make`. 5 s give 99 x 64 with dmc_80_50 and 498 x 64
# with dmc_25_10, whose 496 x 64 are the first 4.975 s, 79 600 samples.
PRESETS: dict[str, dict[str, Any]] = {
    "ssos": {"amplitude": 32768.0},
    "crema_d": {"kind": "spectrogram"},
    "voxceleb2": {"preemphasis": 0.97},
    "dmc_25_10": _DMC,
    "dmc_80_50": _DMC
    | {"frame_length_samples": 1280, "frame_step_samples": 800, "fft_length": 2048},
}


def make(arguments: Mapping[str, Any]) -> frontend.Frontend:
    """Returns the front-end that a config describes.

    Args:
      arguments: `kind`, a row of `FRONTENDS` or a dotted path, by default `log_mel`; and the
        arguments of that front-end.

    Raises:
      UserError: The kind is unknown, does not take one of the arguments, or refuses its value.
    """
    arguments = dict(arguments)
    kind = arguments.pop("kind", "log_mel")
    row = registry.lookup(FRONTENDS, kind, "front-end kind")
    try:
        inspect.signature(row).bind(**arguments)
    except TypeError as error:
        known = ", ".join(inspect.signature(row).parameters)
        raise registry.UserError(
            f"the front-end {kind!r} {error}: leave it out, or choose from {known}."
        ) from error
    try:
        return row(**arguments)
    except ValueError as error:
        raise registry.UserError(
            f"the front-end {kind!r} cannot be made ({error}): correct that in audio.frontend."
        ) from error
