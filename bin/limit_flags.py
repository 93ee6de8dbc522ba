"""Flags of the limits on what one file may hold: one per row of `tfav.media.limits.Limits`."""

import dataclasses

from absl import flags

from tfav.media import limits

_DEFAULTS = dataclasses.asdict(limits.Limits())

for _field in dataclasses.fields(limits.Limits):
    _default = _DEFAULTS[_field.name]
    _define = flags.DEFINE_integer if isinstance(_default, int) else flags.DEFINE_float
    _define(
        _field.name,
        _default,
        _field.metadata["help"],
        lower_bound=_field.metadata["least"],
        upper_bound=_field.metadata["most"],
    )


def value() -> limits.Limits:
    """Returns the limits that the flags say."""
    return limits.Limits(**{name: flags.FLAGS.get_flag_value(name, None) for name in _DEFAULTS})
