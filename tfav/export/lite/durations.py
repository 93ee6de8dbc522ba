"""The files of a phone and their signatures: clips of one length, of several, or of any."""

from collections.abc import Sequence

from tfav import registry, tensors
from tfav.export import servable as servable_lib

_LEAST_SECONDS = 0.1


def check(audio_seconds: float, durations: Sequence[float], dynamic_time: bool) -> None:
    """Refuses lengths that no clip has, in seconds, and two wishes at once.

    Raises:
      UserError: that.
    """
    if not audio_seconds > 0:
        raise registry.UserError(
            f"--config.export.audio_seconds={audio_seconds}: give the clip length of the .tflite "
            "in seconds, above 0."
        )
    for seconds in durations:
        if not _LEAST_SECONDS <= seconds < float("inf"):
            raise registry.UserError(
                f"--durations={seconds:g}: give clip lengths in seconds, {_LEAST_SECONDS} or more."
            )
    if durations and dynamic_time:
        raise registry.UserError(
            "--durations and --dynamic_time exclude each other: clips of any length need no list."
        )


def files(
    servable: servable_lib.Servable,
    audio_samples: int,
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
) -> dict[str, servable_lib.Functions]:
    """Returns the signatures of each file, by the beginning of its name.

    Args:
      servable: whose encoders.
      audio_samples: length of a clip.
      durations: seconds; the encoder of sounds then has a signature for each, `embed_audio_3s`.
      dynamic_time: the encoder of sounds takes any length.
    """
    found = servable.fixed_signatures(audio_samples)
    stems = {name: name.removeprefix("embed_") for name in found} | {"classify": "classifier"}
    files = {stems[name]: {name: function} for name, function in found.items()}
    if "audio" in files and durations:
        steps = [(f"embed_audio_{s:g}s", s) for s in sorted(set(durations))]
        samples = {name: round(seconds * tensors.SAMPLE_RATE_HZ) for name, seconds in steps}
        files["audio"] = {
            name: servable.fixed_signatures(length, "audio")["embed_audio"]
            for name, length in samples.items()
        }
    elif "audio" in files and dynamic_time:
        files["audio"] = servable.fixed_signatures(None, "audio")
    return files
