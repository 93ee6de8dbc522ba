"""What of a data set an export is measured on."""

import types

from tests import small
from tfav.experiment import samples


def test_trials_that_lie_on_no_folder_of_this_machine_are_told_to_be_left_out(caplog):
    c = small.config("unused")
    for directory, told in (("ram://data", True), ("/no/where", False)):
        caplog.clear()
        index = types.SimpleNamespace(directory=directory, info={"splits": {"test": 1}})
        assert samples.trials(c, index) is None
        assert ("ram://data/lists is no folder of this machine" in caplog.text) == told
