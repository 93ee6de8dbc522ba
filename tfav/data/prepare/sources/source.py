"""What a source is: its function, the flags that it reads, and what its labels are."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tfav import registry, values

IDENTITIES, CLASSES, CLIPS, ANY = "identities", "classes", "clips", "any"
_LABELS = (IDENTITIES, CLASSES, CLIPS, ANY)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes:
      function: `rows(options) -> list[manifest.Row]`, or its dotted path, imported when it is used
        (so that the table of sources can be read at once).
      about: what it lists, in a few words.
      reads: flags that it reads, which are fields of `manifest.Options`; None: all of them.
      own: options that no other source has, by `--source_option=NAME=VALUE` and in
        `manifest.Options.own`: name to what it may be; None: any name, with a text.
      labels: what a label is. `identities` belong to one split each, and query lists are drawn of
        them; `classes` are in every split by design; `clips` have a label each; `any`: not known.
    """

    function: Callable | str
    about: str = ""
    reads: Collection[str] | None = None
    labels: str = ANY
    own: Mapping[str, values.Value] | None = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels not in _LABELS:
            raise ValueError(f"labels {self.labels!r} is none of {_LABELS}")

    def rows(self, options: Any) -> list[Any]:
        """Returns the rows of a data set, as `function` lists them."""
        if isinstance(self.function, str):
            return registry.lookup({}, self.function, "source", _FUNCTION)(options)
        return self.function(options)

    @property
    def draws_lists(self) -> bool:
        """Whether query lists are drawn where nobody asks for some, or for none."""
        return self.labels in (IDENTITIES, ANY)


_FUNCTION = registry.function("options")
_WANTED = registry.Wanted(
    f"{_FUNCTION.words} that lists rows, or an instance of tfav.data.prepare.sources.Source",
    lambda found: isinstance(found, Source) or _FUNCTION.holds(found),
)


def named(table: Mapping[str, Source], name: str) -> Source:
    """Returns the source of `--source`: a row of the table, or a dotted path.

    What the path leads to is a `Source`, or a function `rows(options)` that may read every flag.

    Raises:
      UserError: it leads nowhere, or to something else.
    """
    found = registry.lookup(table, name, "source", _WANTED)
    return found if isinstance(found, Source) else Source(found, own=None)


def own_options(name: str, source: Source, given: Sequence[str]) -> dict[str, Any]:
    """Returns the values of a source's own options.

    Args:
      name: of the source.
      source: the source.
      given: texts `NAME=VALUE`, of `--source_option`.

    Raises:
      UserError: a text of another form, a name that is unknown or given twice, or a value out of
        range.
    """
    found: dict[str, Any] = {}
    for text in given:
        option, equals, value = text.partition("=")
        if not equals:
            raise registry.UserError(f"--source_option={text}: write it as NAME=VALUE.")
        if option in found:
            raise registry.UserError(
                f"--source_option={text}: {option!r} has the value {found[option]!r} already: give "
                "it once."
            )
        if source.own is None:
            found[option] = value
        elif option in source.own:
            row = source.own[option]
            found[option] = row.parsed(value)
            values.check({option: found[option]}, source.own, "--source_option={}".format)
        else:
            own = ", ".join(source.own) or "no option of its own"
            raise registry.UserError(
                f"--source_option={text} means nothing to --source={name}, which has {own}: leave "
                "it out."
            )
    return found


def readers(table: Mapping[str, Source], flag: str) -> list[str]:
    """Returns the names of the sources that read a flag."""
    return [name for name, source in table.items() if source.reads is None or flag in source.reads]


def refuse_unread(
    table: Mapping[str, Source], name: str, source: Source, given: Collection[str]
) -> None:
    """Refuses flags that a source does not read.

    Args:
      table: of all sources.
      name: of the source.
      source: the source.
      given: names of the flags of sources that were given.

    Raises:
      UserError: names the first of them, and who reads it.
    """
    for flag in given:
        if source.reads is not None and flag not in source.reads:
            own = ", ".join(f"--{x}" for x in source.reads) or "no flag of its own"
            raise registry.UserError(
                f"--{flag} means nothing to --source={name}, which reads {own}: leave it out (it "
                f"is for {', '.join(readers(table, flag))})."
            )
