"""The table of encoders and precisions is that of real exports."""

import pytest

from tests import small
from tfav import registry
from tfav.commands import encoder_formats
from tfav.data import shards


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.write_dataset(str(tmp_path_factory.mktemp("formats") / "data"))


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_each_modality_has_a_table_with_a_row_a_precision(data):
    tables = encoder_formats.table(data, ["tiny"], ["float32", "float16"], 0.5)
    assert [table.split(" encoder")[0] for table in tables] == ["| audio", "| image"]
    for table in tables:
        _, _, whole, half = (cells(line) for line in table.strip().splitlines())
        assert (whole[0], whole[2], half[2]) == ("tiny", "float32", "float16")
        # Four bytes a weight, and two; the rest of a file is its graph.
        assert 4000 * float(whole[1]) < float(whole[3]) < 4000 * float(whole[1]) + 300
        assert float(half[3]) < float(whole[3])
        assert 0.999 < float(half[5]) <= float(half[4]) <= 1.00001
        assert float(whole[7]) == 1.0 and float(whole[6]) > 0


def test_a_table_is_told_to_machines_row_by_row():
    text = "| audio encoder | kB |\n|---|---|\n| tiny | 9 |\n| vgg_m | 80 |\n"
    assert encoder_formats.records([text, text.replace("audio", "image")]) == [
        {"audio encoder": "tiny", "kB": "9"},
        {"audio encoder": "vgg_m", "kB": "80"},
        {"image encoder": "tiny", "kB": "9"},
        {"image encoder": "vgg_m", "kB": "80"},
    ]


def test_batch_norms_are_settled_on_the_training_data(data, monkeypatch):
    seen = {}

    def publish(recipe, *_, **__):
        seen.update({name: v.numpy() for name, v in recipe.encoder_weights().items()})
        return {"artefacts": {}}

    monkeypatch.setattr(encoder_formats.publish, "publish", publish)
    encoder_formats.table(data, ["tiny_map"], ["float32"], 0.5)
    means = [value for name, value in seen.items() if name.endswith("moving_mean")]
    assert means and all(abs(value).max() > 0 for value in means)


def test_an_unknown_encoder_is_refused(data):
    with pytest.raises(registry.UserError, match="unknown encoder 'small': choose from .*ir50"):
        encoder_formats.table(data, ["small"], ["float32"], 0.5)


def test_speeds_need_something_to_be_compared_with(data):
    with pytest.raises(registry.UserError, match="--precisions=float16 lacks float32"):
        encoder_formats.table(data, ["tiny"], ["float16"], 0.5)


def test_encoders_of_what_the_data_lacks_are_left_out(tmp_path):
    sounds = [r for r in small.records() if r.image is None]
    shards.write(str(tmp_path / "sounds"), sounds)
    (table,) = encoder_formats.table(str(tmp_path / "sounds"), ["tiny"], ["float32"], 0.5)
    assert table.startswith("| audio encoder")
    with pytest.raises(registry.UserError, match="holds nothing that these encoders take"):
        encoder_formats.table(str(tmp_path / "sounds"), ["ir50"], ["float32"], 0.5)
