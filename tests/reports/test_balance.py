"""The plot of what each modality did: read whole, drawn for one run and for several."""

import json

import pytest

from tfav import registry
from tfav.reports import balance, drawing

PNG = b"\x89PNG"


def drawn(runs):
    return drawing.png(balance.draw(runs))


def scalars(share, steps=(10, 20, 30)):
    return [
        {
            "step": step,
            "loss": 1.0,
            "accuracy": 0.5,
            "share_audio": share,
            "share_image": 1 - share,
            "accuracy_audio": 0.4,
            "accuracy_image": 0.3,
            "gradient_norm": 2.0,
            "gradient_norm_audio": 1.0,
            "gradient_norm_image": 0.1,
            "weight_norm_audio": step / 10,
            "weight_norm_image": 1.0,
        }
        for step in steps
    ]


def test_modalities_are_those_that_the_scalars_name():
    assert balance.modalities(scalars(0.5)) == ["audio", "image"]
    assert balance.modalities([{"step": 1}, {"step": 2, "gradient_norm_flow": 1.0}]) == ["flow"]
    assert balance.modalities([{"step": 1, "gradient_norm": 1.0, "accuracy": 1.0}]) == []


def test_a_run_is_read_without_the_line_that_is_being_written(tmp_path):
    lines = [json.dumps(line) for line in scalars(0.5)]
    (tmp_path / "scalars.jsonl").write_text("\n".join([*lines, '{"step": 40, "sha']))
    assert balance.read(tmp_path) == scalars(0.5)
    with pytest.raises(registry.UserError, match="scalars.jsonl cannot be read .*train run"):
        balance.read(tmp_path / "none")


def test_one_run_or_several_are_one_picture_and_what_they_hold_changes_it():
    vanilla, cosine = scalars(0.9), scalars(0.55)
    one = drawn({"vanilla": vanilla})
    both = drawn({"vanilla": vanilla, "cosine": cosine})
    assert one.startswith(PNG) and both.startswith(PNG)
    assert int.from_bytes(both[16:20], "big") > 1.5 * int.from_bytes(one[16:20], "big")  # width
    assert both != drawn({"vanilla": vanilla, "cosine": vanilla})
    # Validation lines, a single step, three modalities and a name that looks like a formula serve.
    odd = [{"step": 5, "val/metric": 0.5}, *scalars(0.5, steps=(10,))]
    odd[1]["share_flow"] = 0.1
    assert drawn({"a $x$": odd}).startswith(PNG)


def test_scalars_without_modalities_are_refused():
    with pytest.raises(registry.UserError, match="the scalars of a, b have no share_<modality>"):
        balance.draw({"a": [{"step": 1, "loss": 2.0}], "b": []})
