"""Commands that are killed, as `kill -9` does, at drawn moments: `python -m tests.chaos --help`.

The same command is then run again, and what it leaves is held against what a run leaves that
nobody killed: byte for byte, number for number.
"""

from typing import NamedTuple


class Kill(NamedTuple):
    """One kill and what came of it.

    Attributes:
      recipe: which experiment, or the command where it is no training.
      moment: what the command was doing.
      event: at which event of the moment, of how many; 0: at a time.
      of: how many events of that moment a whole run has.
      again: training steps that were done and had to be done again.
      lost: what the end lacks or has too much of; empty: nothing.
    """

    recipe: str
    moment: str
    event: int
    of: int
    again: int
    lost: str
