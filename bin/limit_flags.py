"""Flags of the limits on what one file may hold: one per row of `tfav.media.limits.Limits`."""

import dataclasses

from absl import flags

from tfav.media import limits

for _field in dataclasses.fields(limits.Limits):
    _define = flags.DEFINE_integer if isinstance(_field.default, int) else flags.DEFINE_float
    _define(
        _field.name,
        _field.default,
        _field.metadata["help"],
        lower_bound=_field.metadata["least"],
        upper_bound=_field.metadata["most"],
    )


def value() -> limits.Limits:
    """Returns the limits that the flags say."""
    names = [field.name for field in dataclasses.fields(limits.Limits)]
    return limits.Limits(**{name: flags.FLAGS[name].value for name in names})
