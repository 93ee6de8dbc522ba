"""How the conformance tests walk a table: every row, and no row unseen."""

from collections.abc import Collection, Mapping


def rows(table: Mapping, expected: Collection[str]) -> list[str]:
    """Names that the table has and the tests know; `check_complete` fails for the others."""
    return [name for name in table if name in expected]


def check_complete(table: Mapping, expected: Collection[str], name: str, add: str) -> None:
    """Fails with what to add for a new row, and with what to delete for one that is gone.

    `add` says it for a row called ROW.
    """
    for row in table:
        assert row in expected, f"{name} has a new row {row!r}: {add.replace('ROW', row)}"
    for row in expected:
        assert row in table, f"{name} has no row {row!r} any more: delete what the tests say of it"
