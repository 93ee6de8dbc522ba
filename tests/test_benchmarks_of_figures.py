"""The benchmarks of figures: both sides of a row do the same work, and exponents are measured."""

import numpy as np
import pytest

from benchmarks import __main__ as main
from benchmarks import bootstrap, made_up, pairs, processes, retrieval, timing


def test_the_exponent_of_a_power_law_is_found_whatever_its_factor():
    sizes = np.array([10, 100, 1000])
    assert timing.exponent(sizes, 7e-3 * sizes**2) == pytest.approx(2)
    # In logarithms of base 10: (1, 0), (2, 0), (3, 3); the best slope is 3 / 2.
    assert timing.exponent(sizes, [1, 1, 1000]) == pytest.approx(1.5)


def test_scales_are_printed_with_their_ends_and_drawn(tmp_path):
    scales = [timing.Scale("retrieval", "items", [1000, 100_000], [2.0, 300.0], 1.088, 1.0)]
    assert main.scale_table(scales).splitlines()[-1] == (
        "| retrieval | 1,000 to 100,000 items | 2 to 300 | 1.09 | 1 |"
    )
    main.plot(scales, str(tmp_path / "scale.png"))
    assert (tmp_path / "scale.png").stat().st_size > 0


def test_a_subject_is_measured_in_a_process_of_its_own():
    with pytest.raises(ModuleNotFoundError, match="No module named 'benchmarks.none'"):
        processes.measured("none")


def test_a_scale_holds_a_time_per_size():
    calls = {10: lambda: None, 1000: lambda: None}
    found = timing.scale("nothing", "items", calls, 0.0, count=1, least_seconds=0.0)
    assert list(found.sizes) == [10, 1000] and len(found.milliseconds) == 2


def test_retrieval_and_its_loop_find_the_same():
    probes, gallery = made_up.items(20, 5, 1), made_up.items(60, 5, 2)
    assert retrieval._ours(probes, gallery)() == pytest.approx(
        retrieval._loop(probes, gallery), abs=1e-12
    )


def test_pairs_and_their_loops_find_the_same():
    asked = pairs.Asked(200, 1)
    np.testing.assert_allclose(asked.verify(), asked.verify_one_by_one(), atol=0.01)
    asked = pairs.Asked(200, 3)
    assert asked.match() == asked.match_one_by_one()


def test_the_bootstrap_and_its_loop_find_the_same_and_half_of_the_trials_are_right():
    trials = made_up.trials(500, 6)
    assert 0.4 < trials.label.mean() < 0.8
    for ours, figure in bootstrap.FIGURES.values():
        found = ours(*trials, bootstrap.FEW, 0)
        np.testing.assert_allclose(found, bootstrap._loop(figure, trials)(), atol=1e-12)
