"""A run that learns without labels: evaluated by pairs, by maps, and by a linear probe."""

import dataclasses
import json

import numpy as np
import pytest

from tests import small
from tfav import registry
from tfav.annotations import boxes
from tfav.commands import evaluate, train
from tfav.commands.protocols import by_maps, protocol
from tfav.data import shards
from tfav.experiment import models


def write(directory, change=lambda row: row, **options):
    rows = [change(row) for row in small.paired_records(**options)]
    columns = sorted({name for row in rows for name in row.extra})
    shards.write(directory, rows, columns=columns, modalities=["flow"])
    return str(directory)


def marked(row):
    whole = boxes.write([(0.0, 0.0, 1.0, 1.0)])
    return dataclasses.replace(row, extra={**row.extra, "boxes": whole})


def config(data):
    c = small.config(data)
    c.recipe = "dmc"
    c.model = {"num_clusters": 3, "cluster_size": 4, "num_iterations": 2}
    c.loss = {"negatives": "all", "margin": 2.0}
    c.data.sampling = "rows"
    c.train.batch_size = 6
    c.train.num_steps = 10
    c.train.checkpoint_every = 10
    c.train.validate_every = 5
    c.eval.protocols = ("correspondence", "localisation")
    return c


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    train.train(config(write(folder / "data", marked)), str(folder / "run"), "one_device")
    return folder


def read(path):
    return {(r["metric"], r["direction"]): r for r in json.loads(path.read_text())["results"]}


def test_pairs_and_maps_are_evaluated(run):
    text = "\n".join(evaluate.evaluate([str(run / "run")], ["test"]))
    found = read(run / "run" / "metrics.json")
    pairs = found["correspondence_auc", "any other picture"]
    # Six rows, five mismatches each, with the match: 36 scores.
    assert pairs["num_trials"] == 36 and 0 <= pairs["value"] <= 1
    # Two rows a class: four pictures of another label.
    assert found["correspondence_auc", "other label"]["num_trials"] == 30
    # The box is the whole picture: every maximum lies in it, unless the map is flat.
    assert found["pointing", "audio to image"]["chance"] == 1.0
    assert "correspondence AUC" in text and "cIoU" in text


def test_validation_without_labels_gives_an_auc(run):
    lines = [json.loads(x) for x in (run / "run" / "scalars.jsonl").read_text().splitlines()]
    assert all(0 <= x["val/metric"] <= 1 for x in lines if "val/metric" in x)
    assert sum("val/metric" in x for x in lines) == 2


def test_a_linear_probe_stands_beside_the_untrained_network_and_plain_statistics(run, tmp_path):
    def folded(row):
        number = int(row.id.split("/")[1].split(".")[0])
        extra = {"fold": str(1 + number // 3 % 2), "clip": row.id, "recording": row.id}
        return dataclasses.replace(row, extra=extra, split="all", image=None, further={})

    data = write(tmp_path / "esc", folded)
    own = (run / "run" / "metrics.json").exists()
    probing = {"directory": data, "protocols": ["linear_probe"]}
    lines = list(evaluate.evaluate([str(run / "run")], [], **probing))
    (path,) = (run / "run" / "evaluations").glob("linear_probe-*.json")
    found = read(path)
    assert set(found) == {
        ("probe_accuracy", name) for name in ("trained", "untrained", "log-mel statistics")
    }
    # Three tones that do not overlap: plain statistics tell them apart.
    assert found["probe_accuracy", "log-mel statistics"]["value"] == 1.0
    assert found["probe_accuracy", "trained"]["stratum"] == "2 folds"
    assert (path.with_suffix("") / "confusion.png").exists()
    assert (run / "run" / "metrics.json").exists() == own
    assert any("metrics.json stays as it is" in line for line in lines)


def test_a_probe_without_folds_is_refused(run, tmp_path):
    def unfolded(row):
        return dataclasses.replace(row, split="all")

    data = write(tmp_path / "esc", unfolded)
    with pytest.raises(registry.UserError, match="column fold, or the splits train and test"):
        list(evaluate.evaluate([str(run / "run")], [], directory=data, protocols=["linear_probe"]))


def test_a_recording_in_two_folds_is_refused(run, tmp_path):
    def leaky(row):
        number = int(row.id.split("/")[1].split(".")[0])
        extra = {"fold": str(1 + number % 2), "recording": "one"}
        return dataclasses.replace(row, extra=extra)

    data = write(tmp_path / "esc", leaky)
    with pytest.raises(registry.UserError, match="recording one lie in the folds 1, 2"):
        list(evaluate.evaluate([str(run / "run")], [], directory=data, protocols=["linear_probe"]))


def test_localisation_without_boxes_is_refused(run, tmp_path):
    data = write(tmp_path / "plain")
    with pytest.raises(registry.UserError, match="column boxes"):
        list(
            evaluate.evaluate(
                [str(run / "run")], ["test"], directory=data, protocols=["localisation"]
            )
        )


def test_several_frames_have_no_one_map_to_hold_against_boxes(run):
    trained = models.trained(str(run / "run"))
    trained.config.image.num_frames = 2
    index = shards.Index.read(str(run / "data"))
    with pytest.raises(registry.UserError, match="one image per row and this run looks at 2"):
        by_maps.Localisation().evaluate(protocol.Context(trained, index, ["test"]))


def test_an_unknown_protocol_names_the_choices(run):
    with pytest.raises(registry.UserError, match="unknown protocol 'listen'.*linear_probe"):
        list(evaluate.evaluate([str(run / "run")], ["test"], protocols=["listen"]))


def test_rows_of_one_modality_only_leave_nothing_to_evaluate(run, tmp_path):
    def deaf(row):
        return dataclasses.replace(row, audio=None) if row.split == "test" else row

    data = write(tmp_path / "deaf", deaf)
    with pytest.raises(registry.UserError, match="0 rows with audio and image"):
        list(evaluate.evaluate([str(run / "run")], ["test"], directory=data))


def test_boxes_move_with_the_picture_into_its_square(tmp_path):
    record = small.paired_records()[0]
    extra = {"boxes": boxes.write([(0.0, 0.0, 1.0, 0.5)])}
    wide = dataclasses.replace(record, height=16, width=32, extra=extra)
    shards.write(str(tmp_path), [wide], columns=["boxes"], modalities=["flow"])
    (found,) = by_maps.boxes(shards.Index.read(str(tmp_path)))
    # 32 x 16 in a square of 32: eight grey rows above and below; the upper half is rows 8 to 16.
    np.testing.assert_allclose(found, [(0.0, 0.25, 1.0, 0.5)])


def test_a_probe_over_disjoint_identities_is_refused(run, tmp_path):
    def split_by_class(row):
        split = "test" if row.label == "class2" else "train"
        return dataclasses.replace(row, split=split, extra={})

    rows = [split_by_class(row) for row in small.paired_records()]
    rows.sort(key=lambda row: row.split, reverse=True)
    data = str(tmp_path / "disjoint")
    shards.write(data, rows, modalities=["flow"])
    with pytest.raises(registry.UserError, match="none of the 1 classes tested .*disjoint identit"):
        list(evaluate.evaluate([str(run / "run")], [], directory=data, protocols=["linear_probe"]))
