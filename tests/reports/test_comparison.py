"""The table of variants over seeds, by hand."""

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import catalogue, cluster_use, correspondence
from tfav.evaluation import result as results_lib
from tfav.reports import comparison, sensitivity

PROTOCOLS = {"accuracy": "matching", "auc": "verification", "eer": "verification"}


def result(metric, direction, value, n=None, stratum="unrestricted", tag="test", **more):
    protocol = PROTOCOLS.get(metric, "retrieval")
    chance = {"chance": 0.05 if metric == "map" else 0.5, **more}
    return results_lib.Result(
        protocol=protocol,
        metric=catalogue.METRICS[protocol][metric],
        direction=direction,
        tag=tag,
        value=value,
        low=None,
        high=None,
        num_trials=9,
        num_identities=3,
        stratum=stratum,
        n=n,
        **chance,
    )


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


def of_class(metric, direction, value, chance):
    return results_lib.Result(
        protocol="classification",
        metric=catalogue.METRICS["classification"][metric],
        direction=direction,
        tag="test",
        value=value,
        chance=chance,
        low=None,
        high=None,
        num_trials=9,
        num_identities=3,
    )


def classes(fused, audio, image, nll):
    return [
        of_class("accuracy", "fused", fused, 0.1),
        of_class("ece", "fused", 0.05, None),
        of_class("nll", "fused", nll, 2.3),
        of_class("accuracy", "audio", audio, 0.1),
        of_class("nll", "audio", 9.0, 2.3),
        of_class("accuracy", "image", image, 0.1),
    ]


def test_classes_have_fused_figures_single_accuracies_and_their_gap():
    runs = {
        "vanilla": [classes(0.80, 0.75, 0.35, 0.7), classes(0.82, 0.77, 0.37, 0.7)],
        "cosine": [classes(0.86, 0.75, 0.65, 0.5), classes(0.84, 0.73, 0.63, 0.6)],
    }
    lines = comparison.table(comparison.summarise(runs, "vanilla"), "vanilla").splitlines()
    heads = "fused accuracy | audio accuracy | image accuracy | uni-modal gap"
    heads += " | fused calibration error ↓ | fused NLL (nats) ↓"
    ece = "**5.0** [5.0, 5.0]"
    assert lines[:5] == [
        f"| test, %, 2 seeds: mean [least, greatest] | {heads} |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| vanilla | 81.0 [80.0, 82.0] | **76.0** [75.0, 77.0] | 36.0 [35.0, 37.0] | "
        f"40.0 [40.0, 40.0] | {ece} | 0.700 [0.700, 0.700] |",
        "| cosine | **85.0** [84.0, 86.0] | 74.0 [73.0, 75.0] | **64.0** [63.0, 65.0] | "
        f"10.0 [10.0, 10.0] | {ece} | **0.550** [0.500, 0.600] |",
        "| chance | 10.0 | 10.0 | 10.0 |  |  | 2.300 |",
    ]
    # NLL: 0.5 - 0.7 = -0.2 and -0.1: mean -0.15, error 0.05, times 12.706.
    assert lines[8].endswith("| -30.0 ± 0.0 | +0.0 ± 0.0 | -0.150 ± 0.635 |")
    legend = " ".join(lines[10:])
    assert "↓: lower is better." in legend and "uni-modal gap is the best less the" in legend
    assert "same gender" not in legend


def test_of_a_neutral_figure_none_is_bold():
    def clusters(share, milliseconds):
        shares = np.array([share, share]), np.array([[0.5, 0.5]] * 2)
        used = {"modality": "audio", "tag": "test", "num_bootstrap": 0, "seed": 0}
        time = cluster_use.step(np.array([milliseconds]), tag="test")
        return [*cluster_use.evaluate(*shares, **used), time]

    runs = {"one": [clusters(0.8, 5.0)], "two": [clusters(0.6, 9.0)]}
    lines = comparison.table(comparison.summarise(runs, "one"), "one").splitlines()
    assert lines[2] == "| one | 80.0 | 100.0 | **5.0** |"
    assert lines[3] == "| two | 60.0 | 100.0 | 9.0 |"


def test_a_sweep_is_drawn_with_a_line_for_what_is_not_swept():
    runs = {
        "vanilla": [classes(0.80, 0.75, 0.35, 0.7)],
        **{f"s={s}": [classes(0.8 + s / 200, 0.7, 0.6, 0.5)] for s in (10, 2)},
    }
    figures = comparison.summarise(runs, "vanilla")
    swept = {"s=10": 10.0, "s=2": 2.0}
    picture = sensitivity.draw(figures, "loss.scale", swept)
    assert picture.startswith(b"\x89PNG")
    assert picture == sensitivity.draw(figures, "loss.scale", dict([*swept.items()][::-1]))
    changed = comparison.summarise({**runs, "vanilla": [classes(0.5, 0.5, 0.5, 2.0)]}, "vanilla")
    assert picture != sensitivity.draw(changed, "loss.scale", swept)
    words = {"s=10": "sgd", "s=2": "adam"}
    assert sensitivity.draw(figures, "$f", words).startswith(b"\x89PNG")


def test_where_nothing_is_fused_every_direction_is_a_column():
    def run(value):
        return [
            results_lib.Result(
                protocol="correspondence",
                metric=correspondence.AUC,
                direction=direction,
                tag="test",
                value=value,
                chance=0.5,
                low=None,
                high=None,
                num_trials=9,
                num_identities=3,
            )
            for direction in ("any other picture", "other label")
        ]

    figures = comparison.summarise({"a": [run(0.8)], "b": [run(0.7)]}, "a")
    lines = comparison.table(figures, "a").splitlines()
    assert lines[0].endswith(
        "| any other picture correspondence AUC | other label correspondence AUC |"
    )
    assert "| b | 70.0 | 70.0 |" in lines and "| chance | 50.0 | 50.0 |" in lines
