"""The small exports that `tests/export` makes."""

from tests.export.conftest import (  # noqa: F401
    classified,
    classifying,
    inputs,
    published,
    recipe,
    rows,
    verified,
)
