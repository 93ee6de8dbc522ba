"""How long a run has trained, and the energy that this took."""

import os
from typing import Any

from tfav.training import writer

_JOULES_PER_KWH = 3.6e6


def trained_seconds(workdir: str) -> float | None:
    """Returns how long a run and its first phase have trained; None where that is not known."""
    first = os.path.join(workdir, "first_phase")
    phases = [workdir, *([first] if os.path.isdir(first) else [])]
    found = [writer.spent_seconds(phase) for phase in phases]
    return None if None in found else sum(filter(None, found))


def estimate(seconds: float | None, power_watts: float) -> dict[str, Any]:
    """Returns the energy of a training in kWh, or None, and how it was found."""
    if not power_watts:
        return {"kilowatt_hours": None, "power_watts": None, "how": "not measured"}
    if seconds is None:
        how = f"not known: {power_watts:g} W are stated and the time is not known"
        return {"kilowatt_hours": None, "power_watts": power_watts, "how": how}
    return {
        "kilowatt_hours": power_watts * seconds / _JOULES_PER_KWH,
        "power_watts": power_watts,
        "how": f"estimated: the time of training times a stated power of {power_watts:g} W",
    }
