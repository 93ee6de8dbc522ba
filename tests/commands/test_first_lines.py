"""What a training says before its first step, and that clocks do not change it."""

import logging
import re

from tests import small
from tfav.commands import train


def test_the_first_lines_say_devices_data_parameters_memory_and_time(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    c = small.config(small.write_dataset(str(tmp_path / "data")))
    c.train.num_steps = 3
    c.train.steps_per_call = 1
    train.train(c, str(tmp_path / "run"), "one_device")
    told = {m.split(": ")[0]: m for m in caplog.messages if ": " in m}
    assert re.fullmatch(r"devices: \d CPU.* here; 1 replica in all", told["devices"])
    # Sixteen identities of two sounds and two images; half train, a quarter each the others.
    for split in ("train 32 rows of 8 labels", "val 16 rows of 4 labels", "test 16 rows of 4"):
        assert split in told["data"]
    assert " M trained, of " in told["parameters"]
    assert " MB, optimizer " in told["memory"]
    assert "for 1 more steps of" in told["expected time"]
    order = [m.split(": ")[0] for m in caplog.messages]
    assert order.index("devices") < order.index("start") < order.index("expected time")
