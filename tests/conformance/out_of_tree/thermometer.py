"""A modality that is neither audio nor image: one class, and its instance."""

import numpy as np

from tfav.data import kinds
from tfav.media import bad_file


class Thermometer(kinds.ArrayKind):
    """Text files of a temperature and a humidity on each line, as sequences [T, 2]."""

    name = f"{__name__}.THERMOMETER"
    suffixes = (".txt",)

    def values_in(self, path, bounds):
        try:
            return np.loadtxt(path, ndmin=2)
        except ValueError as error:
            raise bad_file.BadFile(f"is no table of numbers ({error})") from error


THERMOMETER = Thermometer()
