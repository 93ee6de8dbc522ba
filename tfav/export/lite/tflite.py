"""TFLite files: an encoder each in every precision, and what answers to rows, facts inside."""

import functools
import os
import tempfile
from collections.abc import Sequence

from absl import logging

from tfav import registry, tensors
from tfav.export import servable as servable_lib
from tfav.export.lite import calibration as calibration_lib
from tfav.export.lite import conversion, inspection
from tfav.export.lite import precisions as precisions_lib
from tfav.export.serving import saved_model
from tfav.inference import tflite_metadata

# Files that are left out where builtin ops cannot express them: the served model has them too.
WHERE_POSSIBLE = ("localize", "score_pairs")


def write(
    servable: servable_lib.Servable,
    directory: str,
    *,
    audio_samples: int,
    precisions: Sequence[str] = ("float32", "float16"),
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
    calibration: calibration_lib.Rows = (),
) -> dict[str, str]:
    """Writes `<modality>_<precision>.tflite` for every encoder and precision, facts inside.

    Of a recipe that classifies also `classifier_<precision>.tflite`; of one that localises or
    scores pairs also `localize_<precision>.tflite` and `score_pairs_<precision>.tflite`, unless
    builtin ops cannot express that, which is logged.

    Args:
      servable: whose encoders.
      directory: an existing folder.
      audio_samples: length of the waveform a file takes.
      precisions: rows of `precisions.PRECISIONS`, or dotted paths to others.
      durations: seconds; an audio file then has one signature per duration, such as
        `embed_audio_3s`, which share the weights.
      dynamic_time: an audio file takes any length.
      calibration: real inputs, for `int8_static`.

    Returns:
      File name to precision.

    Raises:
      UserError: an unknown precision, one that needs a package that is missing, or an encoder that
        TFLite's builtin ops cannot express.
      ValueError: a converted file that is not whole.
      OSError: `directory` cannot be written.
    """
    wanted = {name: precisions_lib.find(name) for name in precisions}
    for precision in wanted.values():
        precision.require()
    files = {}
    with tempfile.TemporaryDirectory(prefix=".fixed-", dir=directory) as stage:
        model = os.path.join(stage, "model")
        planned = signatures(servable, audio_samples, durations, dynamic_time)
        saved_model.save(
            servable, model, {n: f for each in planned.values() for n, f in each.items()}
        )
        for stem, functions in planned.items():
            keys = list(functions)
            whole = functools.cache(functools.partial(conversion.convert, model, keys))
            if stem in WHERE_POSSIBLE:
                try:
                    whole()
                except registry.UserError as error:
                    logging.warning("no %s.tflite: %s", stem, error)
                    continue
            source = precisions_lib.Source(model, functions, servable.items, whole, calibration)
            for name, precision in wanted.items():
                content = precision.convert(source)
                size = precision.bytes_per_weight
                kernels = max(conversion.kernel_bytes(f, size) for f in functions.values())
                conversion.check(content, keys, kernels)
                if precision.quantised:
                    inspection.check_quantized(content)
                file = f"{stem}_{name.rpartition('.')[2]}.tflite"
                with open(os.path.join(directory, file), "wb") as f:
                    f.write(tflite_metadata.stamp(content, servable.facts()))
                files[file] = name
    return files


def signatures(
    servable: servable_lib.Servable,
    audio_samples: int,
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
) -> dict[str, servable_lib.Functions]:
    """Returns the signatures of each file of a phone, by the beginning of its name; see `write`."""
    found = servable.fixed_signatures(audio_samples)
    # Of a file of several inputs with a fixed length: what answers to rows has no other.
    stems = {name: name.removeprefix("embed_") for name in found} | {"classify": "classifier"}
    files: dict[str, servable_lib.Functions] = {
        stems[name]: {name: function} for name, function in found.items()
    }
    for modality, spec in servable.items.items():
        name = f"embed_{modality}"
        if spec.clip and durations:
            files[modality] = {
                f"{name}_{s:g}s": servable.fixed_signatures(
                    round(s * tensors.SAMPLE_RATE_HZ), modality
                )[name]
                for s in sorted(set(durations))
            }
        elif spec.clip and dynamic_time:
            files[modality] = servable.fixed_signatures(None, modality)
    return files
