"""The fields of a config: what each may be; how they must fit together is in `field_rules`.

The table walks with `config.base()`: every field that all experiments share has a row. What a
recipe or an encoder alone takes is not here, see `Recipe.arguments`.
"""

import re
from collections.abc import Mapping
from typing import Any

from tfav import field_rules, registry, values
from tfav.field_rules import NYQUIST_HZ
from tfav.values import FLAG, choice, number, text, whole

_SEED = 2**31 - 1
_STEPS = 10**10
_SECONDS = "seconds of sound, of which an hour is more than any memory holds as a batch"

_PICTURES = {
    "encoder": text("a row of IMAGE_ENCODERS or a dotted path"),
    "size": whole(8, 4096, "pixels of a side; below 8 no encoder has a position left"),
    "num_frames": whole(1, 1024, "images per row, all in one batch"),
    "arguments.dropout": number(0.0, 0.99, "the share that is dropped; all would leave nothing"),
}

# What the section of a further modality holds whatever its kind; what else one of images holds has
# rows below, and what another kind takes stands in that kind, see `data.kinds.Kind.fields`.
OF_EVERY_KIND = ("kind", "encoder", "arguments", "augment")

# Dotted name to what the field may be. `*` is the name of a further modality.
FIELDS: dict[str, values.Value] = {
    "recipe": text("a row of RECIPES or a dotted path"),
    "seed": whole(0, _SEED, "generators take 31 bits and no sign"),
    "dtype": choice("float32", "mixed_bfloat16", "float64"),
    "deterministic": FLAG,
    "embedding_size": whole(1, 65_536, "numbers per embedding"),
    "modalities": text("a modality of the data", several=True),
    "audio.encoder": text("a row of AUDIO_ENCODERS or a dotted path"),
    "audio.arguments.dropout": _PICTURES["arguments.dropout"],
    "audio.frontend.kind": text("a row of FRONTENDS or a dotted path"),
    "audio.frontend.num_mels": whole(1, 1024, "bands; more than bins of the transform are empty"),
    "audio.frontend.frame_length_samples": whole(2, 65_536, "samples of a window"),
    "audio.frontend.frame_step_samples": whole(1, 65_536, "samples between two windows"),
    "audio.frontend.fft_length": whole(2, 65_536, "points of the transform, an even number"),
    "audio.frontend.lower_hz": number(0.0, NYQUIST_HZ, "half the sample rate is 8000 Hz"),
    "audio.frontend.upper_hz": number(0.0, NYQUIST_HZ, "half the sample rate", above=True),
    "audio.frontend.slopes": choice("hz", "mel"),
    "audio.frontend.window": text("a row of signal.WINDOWS"),
    "audio.frontend.power": number(0.0, 8.0, "2: power, 1: magnitude", above=True),
    "audio.frontend.log_offset": number(
        1e-37, 1e9, "below, float32 has 0, and its log is not finite"
    ),
    "audio.frontend.amplitude": number(0.0, 1e6, "a factor of the waveform", above=True),
    "audio.frontend.preemphasis": number(0.0, 1.0, "c of x_t - c x_(t-1); 0: none"),
    "audio.frontend.centered": FLAG,
    "audio.frontend.instance_norm": FLAG,
    "audio.frontend.silence_db": number(0.0, 200.0, "decibels below the clip; 0: no silence"),
    "audio.frontend.level_norm": FLAG,
    "audio.frontend.form": choice("stft", "conv"),
    **{f"image.{name}": row for name, row in _PICTURES.items()},
    **{f"further.*.{name}": row for name, row in _PICTURES.items()},
    "further.*.kind": text("a row of data.kinds.KINDS or a dotted path"),
    "further.*.augment": text("a row of IMAGE_AUGMENTATIONS or a dotted path", several=True),
    "init.audio": text("a file of released weights; empty: none"),
    "init.image": text("a file of released weights; empty: none"),
    "data.directory": text("the folder that prepare wrote"),
    "data.train_split": text("a split of the data"),
    "data.sampling": choice("identities", "rows"),
    "data.num_lengths": whole(0, 100_000, "lengths of training crops; 0: any"),
    "data.max_bad_records": whole(0, 10**9, "records that may be replaced; 0: a bad one stops"),
    "data.audio_seconds": number(0.01, 3600.0, _SECONDS, several=True),
    "data.augment": text("a row of an augmentation table", several=True),
    "train.batch_size": whole(2, 10**6, "a batch of one has no negatives"),
    "train.num_steps": whole(1, _STEPS, "steps of the whole run"),
    "train.optimizer": text("a row of OPTIMIZERS"),
    "train.learning_rate": number(0.0, 1000.0, "below 0 the loss climbs, 0 learns", above=True),
    "train.schedule": choice("constant", "step", "cosine"),
    "train.warmup_steps": whole(0, _STEPS, "steps up to the full rate; 0: none"),
    "train.decay_steps": whole(1, _STEPS, "where the rate falls", several=True),
    "train.decay_factor": number(0.0, 1.0, "a rate that falls", above=True),
    "train.momentum": number(0.0, 0.9999, "1 never forgets a gradient"),
    "train.weight_decay": number(0.0, 10.0, "below 0 weights grow without end"),
    "train.clip_norm": number(0.0, 1e9, "of the global gradient; 0: no clipping"),
    "train.jit_compile": FLAG,
    "train.intra_op_threads": whole(0, 1024, "threads of one operation; 0: TensorFlow's choice"),
    "train.steps_per_call": whole(1, 10**6, "steps between two looks of the host"),
    "train.checkpoint_every": whole(1, _STEPS, "steps between two checkpoints"),
    "train.keep_checkpoints": whole(1, 10**6, "without one no run can go on"),
    "train.validate_every": whole(0, _STEPS, "steps between two validations; 0: none"),
    "train.init_from": text("a workdir or weights.npz; empty: none"),
    "train.tables_from": text("a workdir or weights.npz; empty: none"),
    "eval.protocols": text("a row of PROTOCOLS or a dotted path", several=True),
    "eval.groups": text("a column of the data; empty: none"),
    "eval.batch_size": whole(1, 10**6, "items per batch"),
    "eval.audio_seconds": number(0.01, 3600.0, _SECONDS),
    "eval.min_seconds": number(0.0, 3600.0, "shorter clips repeat up to it; 0: none does"),
    "eval.window_seconds": number(0.0, 3600.0, "clips are heard in such windows; 0: whole"),
    "eval.binarise": choice("threshold", "top_half"),
    "eval.num_bootstrap": whole(0, 10**7, "resamplings behind each interval; 0: no interval"),
    "export.audio_seconds": number(0.01, 3600.0, _SECONDS),
    "export.min_cosine": number(0.0, 1.0, "a cosine; 0 would publish anything", above=True),
}

# Fields that hold what others define: names below them have no row unless one is above.
OPEN = re.compile(
    r"(model|loss|first_phase|audio\.frontend|(audio|image|further\.[^.]+)\.arguments)\..+"
)


def check(tree: Mapping[str, Any]) -> None:
    """Refuses a config with an unknown or missing field, a value out of range, or values at odds.

    Args:
      tree: the nested config, whole.

    Raises:
      UserError: names the field, its value and what to set.
    """
    found = values.flat(tree)
    rows = {name: _row(name, found) for name in found}
    for name, row in rows.items():
        if row is None and not (OPEN.match(name) or _is_of_a_kind(name, found)):
            near = values.nearest(name, list(FIELDS))
            raise registry.UserError(f"the config has a field {name} that nothing reads{near}.")
    missing = [name for name in FIELDS if name not in found and not OPEN.match(name)]
    missing = [name for name in missing if "*" not in name]
    if missing:
        raise registry.UserError(
            f"the config has no field {missing[0]}: start from config.base(), which has them all."
        )
    values.check(found, rows, "--config.{}".format)
    for rule in field_rules.RULES:
        sentence = rule(tree)
        if sentence:
            raise registry.UserError(f"--config.{sentence}.")


def _row(name: str, found: Mapping[str, Any]) -> values.Value | None:
    """Returns the row of a field; None of one that a kind of modality defines."""
    if _is_of_a_kind(name, found):
        return None
    return FIELDS.get(re.sub(r"^further\.[^.]+", "further.*", name))


def _is_of_a_kind(name: str, found: Mapping[str, Any]) -> bool:
    """Says whether the kind of a further modality that is no image says what a field may be."""
    head, _, rest = name.partition(".")
    modality, _, field = rest.partition(".")
    kind = found.get(f"further.{modality}.kind", "image")
    return head == "further" and kind != "image" and field.split(".")[0] not in OF_EVERY_KIND
