"""The table of variants over seeds, by hand."""

import pytest

from tfav import registry
from tfav.evaluation import comparison


def result(metric, direction, value, n=None, stratum="unrestricted", tag="test"):
    return {
        "tag": tag,
        "stratum": stratum,
        "metric": metric,
        "n": n,
        "direction": direction,
        "value": value,
        "chance": 0.05 if metric == "map" else 0.5,
    }


def run(accuracy, auc=(0.8, 0.9), **more):
    return [
        result("accuracy", "v2f", accuracy, n=2, **more),
        result("accuracy", "v2f", 0.1, n=10, **more),
        result("eer", "v2f", 0.3, **more),
        result("auc", "v2f", auc[0], **more),
        result("auc", "f2v", auc[1], **more),
    ]


@pytest.fixture
def runs():
    return {
        "ours": [run(0.90), run(0.92)],
        "theirs": [run(0.89, (0.70, 0.72)), run(0.89, (0.80, 0.84))],
    }


def test_a_cell_is_the_mean_over_seeds_with_least_greatest_and_the_best_bold(runs):
    text = comparison.table(comparison.summarise(runs, "ours"), "ours")
    # AUC of theirs: the means of both directions are 71 and 82 %.
    assert text.splitlines()[:5] == [
        "| test, %, 2 seeds: mean [least, greatest] | 1:2 V->F U | AUC U |",
        "| --- | --- | --- |",
        "| ours | **91.0** [90.0, 92.0] | **85.0** [85.0, 85.0] |",
        "| theirs | 89.0 [89.0, 89.0] | 76.5 [71.0, 82.0] |",
        "| chance | 50.0 | 50.0 |",
    ]


def test_differences_are_paired_by_seed(runs):
    figures = comparison.summarise(runs, "ours")
    # 89 - 90 = -1 and 89 - 92 = -3: mean -2, standard error sqrt(2) / sqrt(2) = 1, and Student's t
    # of one degree of freedom is 12.706. AUC: 71 - 85 = -14, 82 - 85 = -3: -8.5, error 5.5: 69.9.
    lines = comparison.table(figures, "ours").splitlines()
    assert lines[6:9] == [
        "| test, %, 2 seeds: difference to ours | 1:2 V->F U | AUC U |",
        "| --- | --- | --- |",
        "| theirs | -2.0 ± 12.7 | -8.5 ± 69.9 |",
    ]
    assert "± 12.7" in comparison.table(comparison.summarise(runs, "theirs"), "theirs")
    figure = figures["test"]["1:2 V->F U"]["ours"]
    assert figure["values"] == [0.90, 0.92]
    assert (figure["difference"], figure["difference_half_width"]) == (0.0, 0.0)


def test_one_seed_has_no_spread_and_one_variant_no_difference(runs):
    one = {variant: of_variant[:1] for variant, of_variant in runs.items()}
    text = comparison.table(comparison.summarise(one, "ours"), "ours")
    assert "| ours | **90.0** | **85.0** |" in text and "| theirs | -1.0 | -14.0 |" in text
    alone = {"ours": one["ours"]}
    assert "difference to" not in comparison.table(comparison.summarise(alone, "ours"), "ours")


def test_every_best_of_a_tie_is_bold(runs):
    runs["theirs"] = runs["ours"]
    text = comparison.table(comparison.summarise(runs, "ours"), "ours")
    assert text.count("**91.0**") == 2


def test_each_tag_and_stratum_stands_apart(runs):
    for of_variant in runs.values():
        for results in of_variant:
            results += run(0.6, stratum="same_gender", tag="seen") + run(0.7, tag="seen")
            results.append(result("map", "v2f", 0.2, tag="seen"))  # one direction alone: no column
    figures = comparison.summarise(runs, "ours")
    assert list(figures) == ["test", "seen"]
    assert list(figures["seen"]) == ["1:2 V->F U", "1:2 V->F G", "AUC U", "AUC G"]
    assert figures["seen"]["1:2 V->F G"]["ours"]["mean"] == 0.6


def test_a_column_that_one_run_lacks_is_left_out_and_none_at_all_is_refused(runs):
    del runs["theirs"][1][0]
    assert list(comparison.summarise(runs, "ours")["test"]) == ["AUC U"]
    del runs["ours"][0][3]
    with pytest.raises(registry.UserError, match="no figure in common.*--tags"):
        comparison.summarise(runs, "ours")
