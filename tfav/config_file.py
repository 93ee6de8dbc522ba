"""A config in a file, and whether a run may go on under another."""

import json
import os
from typing import Any

import ml_collections

from tfav import fields, registry, states, values

FILE = "config.json"

# What may differ between a run and its continuation without changing a single number it computes,
# but for the rounding of another machine: a run may go on on one with other cores. Of `eval` see
# `check_resumable`.
RESUMABLE = (
    "train.intra_op_threads",
    "train.steps_per_call",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.init_from",
    "train.tables_from",
    "init",
    "data.directory",
    "data.max_bad_records",
    "eval.groups",
    "eval.num_bootstrap",
    "eval.binarise",
    "export",
)

# Fields that are younger than some runs, and what a run without them computed with.
_LATER = {
    "audio.frontend.slopes": "hz",
    "audio.frontend.preemphasis": 0.0,
    "audio.frontend.centered": True,
    "audio.frontend.instance_norm": True,
    "audio.frontend.silence_db": 0.0,
    "audio.frontend.level_norm": False,
    "loss.contrastive": "contrastive",
    "loss.balance": "off",
    "model.late_fusion": "sum",
    **{
        f"{section}.{field}": value
        for section in ("model", "loss")
        for field, value in {
            "sampled": 1.0,
            "sharded": False,
            "sub_centers": 1,
            "margin_kind": "none",
            "margin": 0.0,
            "margin_warmup_steps": 0,
        }.items()
    },
}
# Likewise, of sections whose every field must be there.
_LATER_IN = {
    "data": {"num_lengths": 0, "max_bad_records": 0},
    "train": {"jit_compile": False, "intra_op_threads": 0},
    "eval": {"min_seconds": 0.0, "window_seconds": 0.0, "binarise": "threshold"},
}

# What a config's file must hold beside the fields that `fields.check` looks for.
_ANY = {"*": object}
_FORM = {
    **dict.fromkeys(("model", "loss", "first_phase", "further"), _ANY),
    "audio": {"frontend": _ANY, "arguments": _ANY, **_ANY},
    "image": {"arguments": _ANY, **_ANY},
    **_ANY,
}


def to_json(c: ml_collections.ConfigDict) -> str:
    """Returns the config as indented JSON."""
    return json.dumps(c.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ml_collections.ConfigDict:
    """Returns the locked config of a `to_json` text."""

    def tuples(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(tuples(v) for v in value)
        if isinstance(value, dict):
            return {k: tuples(v) for k, v in value.items()}
        return value

    return ml_collections.ConfigDict(tuples(json.loads(text))).lock()


def save(c: ml_collections.ConfigDict, workdir: str) -> None:
    """Writes the `config.json` of a workdir."""
    states.write(os.path.join(workdir, FILE), json.loads(to_json(c)))


def load(workdir: str) -> ml_collections.ConfigDict:
    """Reads the config a workdir was trained with.

    Raises:
      UserError: there is none, or it is damaged.
    """
    file = os.path.join(workdir, FILE)
    if not os.path.exists(file):
        raise registry.UserError(
            f"{file} does not exist: give the --workdir of a finished train run."
        )
    fix = "restore it from a copy, or train into a new --workdir"
    tree = states.read(file, _FORM, fix)
    for section, later in _LATER_IN.items():
        if isinstance(tree.get(section), dict):
            tree[section] = later | tree[section]
    try:
        c = from_json(json.dumps(tree))
        fields.check(c.to_dict())
    except registry.UserError as error:
        raise registry.UserError(f"{file} is damaged ({str(error).rstrip('.')}): {fix}.") from error
    return c


def check_resumable(
    before: ml_collections.ConfigDict, now: ml_collections.ConfigDict, workdir: str
) -> None:
    """Refuses to continue a run under a config that would compute something else.

    Raises:
      UserError: names the first field that differs, both values and the fix.
    """
    old, new = (_comparable(c) for c in (before, now))
    if now.train.schedule != "cosine":  # a cosine's every rate depends on where it ends
        old["train.num_steps"] = new["train.num_steps"]
    free = RESUMABLE if now.train.validate_every else (*RESUMABLE, "eval")
    for field in sorted(old.keys() | new.keys()):
        if any(field == f or field.startswith(f + ".") for f in free):
            continue
        if old.get(field) != new.get(field):
            raise registry.UserError(
                f"{workdir} holds a run with {field}={old.get(field)!r} and this one has "
                f"{new.get(field)!r}: "
                f"give the old value back, or train into a new --workdir."
            )


def _comparable(c: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns a config's fields by dotted name, in the form that JSON gives them back."""
    flat = _LATER | values.flat(c.to_dict())
    # The first protocol validates; the others only evaluate what was trained.
    found = json.loads(json.dumps(flat))
    found["eval.protocols"] = found["eval.protocols"][:1]
    return found
