"""Bad inputs, drawn from a seed, at the doors of the commands: `python -m tests.hostile --help`.

An attempt ends as one of `OUTCOMES`. The last two must never occur.
"""

from typing import NamedTuple

RIGHT = "right"  # used, and what comes out is what it should be
SENTENCE = "sentence"  # exit code 2 and one line that begins with `error:`
REFUSAL = "refusal"  # the rest is used; a bad row, a `left out` or a warning names this
TRACEBACK = "traceback"
SILENT = "silent wrong"  # used without a word, and what comes out is something else
OUTCOMES = (RIGHT, SENTENCE, REFUSAL, TRACEBACK, SILENT)


class Attempt(NamedTuple):
    """One bad input at one door.

    Attributes:
      kind: row of the table.
      door: the command.
      what: the input in words.
      outcome: one of `OUTCOMES`.
      said: the sentence or the warning, or what came out wrong.
    """

    kind: str
    door: str
    what: str
    outcome: str
    said: str
