"""A run that learns without labels: evaluated by pairs, by maps, and by a linear probe."""

import dataclasses
import json

import numpy as np
import pytest

from tests import small
from tfav import registry
from tfav.annotations import boxes
from tfav.commands import evaluate, train
from tfav.commands.protocols import by_maps, by_pairs, protocol
from tfav.data import shards
from tfav.evaluation import detection, localisation
from tfav.experiment import inputs, models
from tfav.recipes import dmc


def write(directory, change=lambda row: row, **options):
    rows = [change(row) for row in small.paired_records(**options)]
    columns = sorted({name for row in rows for name in row.extra})
    shards.write(directory, rows, columns=columns, modalities=["flow"])
    return str(directory)


def marked(row):
    whole = boxes.write([(0.0, 0.0, 1.0, 1.0)])
    return dataclasses.replace(row, extra={**row.extra, "objects": whole})


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
    with pytest.raises(registry.UserError, match="column annotations or objects"):
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
    extra = {"objects": boxes.write([(0.0, 0.0, 1.0, 0.5)])}
    wide = dataclasses.replace(record, height=16, width=32, extra=extra)
    shards.write(str(tmp_path), [wide], columns=["objects"], modalities=["flow"])
    (found,) = [marks.boxes for marks in by_maps.marks(shards.Index.read(str(tmp_path)))]
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


def _boxes_in(column):
    """A change of a row: two boxes that make up the left half of the image."""

    def change(row):
        halves = boxes.write([(0.0, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 1.0)])
        return dataclasses.replace(row, extra={**row.extra, column: halves})

    return change


def _chance(run, data):
    asked = protocol.Context(models.trained(run), shards.Index.read(data), ["test"])
    found = by_maps.Localisation().evaluate(asked).results
    return next(r.chance for r in found if r.metric == localisation.CIOU_AUC)


def test_boxes_of_objects_are_joined_and_those_of_annotators_are_votes(run, tmp_path):
    # A map that says everywhere has cIoU 1/2 with the half that both objects cover: 11 thresholds
    # pass, and half of the step to the next. Of votes, one everywhere, 1/4 / (1/4 + 1/2) = 1/3.
    joined = write(tmp_path / "objects", _boxes_in("objects"))
    voted = write(tmp_path / "votes", _boxes_in("annotations"))
    index = shards.Index.read(voted)
    assert by_maps.column(index) == "annotations"
    assert by_maps.column(shards.Index.read(joined)) == "objects"
    assert _chance(str(run / "run"), joined) == pytest.approx(0.5 + 0.025)
    assert _chance(str(run / "run"), voted) == pytest.approx(0.3 + 0.025)


@pytest.mark.parametrize(
    ("source", "meant"), [("synthetic_scenes", "objects"), ("flickr_soundnet", "annotations")]
)
def test_data_of_before_is_read_as_its_source_meant_it(tmp_path, source, meant):
    rows = [_boxes_in("boxes")(row) for row in small.paired_records()]
    shards.write(tmp_path, rows, columns=["speaker", "boxes"], modalities=["flow"], source=source)
    index = shards.Index.read(tmp_path)
    assert by_maps.column(index) == "boxes"
    assert boxes.meaning(by_maps.column(index), source) == meant
    assert len(by_maps.marks(index)[0].boxes) == 2


def test_a_column_that_does_not_say_whose_boxes_it_holds_is_refused_with_what_to_do(run, tmp_path):
    data = write(tmp_path / "old", _boxes_in("boxes"))
    with pytest.raises(registry.UserError, match="name it 'annotations' or 'objects' in the man"):
        _chance(str(run / "run"), data)


def test_the_rule_that_makes_a_map_say_where_is_a_flag_and_part_of_the_measurement(run):
    list(evaluate.evaluate([str(run / "run")], ["test"]))  # on its own terms
    folder = run / "run" / "evaluations"
    asked = {"protocols": ["localisation"], "tags": ["test"]}
    found = {}
    for rule in ("threshold", "top_half"):
        list(evaluate.evaluate([str(run / "run")], binarise=rule, **asked))
        for path in folder.glob("localisation-*.json"):
            document = json.loads(path.read_text())
            (measured,) = document["about"]["measured"]
            found[measured["settings"]["binarise"]] = document["results"]
    assert set(found) == {"threshold", "top_half"}
    assert {r["stratum"] for r in found["top_half"]} == {"top_half"}
    # The box is the whole image: half of its pixels are said, so that cIoU is one half.
    (ciou,) = [r for r in found["top_half"] if r["metric"] == "ciou"]
    assert ciou["value"] == 1.0
    own = json.loads((run / "run" / "metrics.json").read_text())
    rules = [m["settings"].get("binarise") for m in own["about"]["measured"]]
    assert rules == [None, "threshold"]  # of correspondence, of localisation


def test_a_rule_that_no_protocol_follows_is_refused(run):
    with pytest.raises(registry.UserError, match="--binarise=top_half means nothing to corresp"):
        list(
            evaluate.evaluate(
                [str(run / "run")], ["test"], protocols=["correspondence"], binarise="top_half"
            )
        )


@pytest.mark.parametrize("says", [True, False])
def test_negatives_are_ranked_by_confidence_and_are_no_pairs(run, tmp_path, monkeypatch, says):
    if not says:
        monkeypatch.delattr(dmc.DMC, "confidence")

    def change(row):
        number = int(row.id.split("/")[1].split(".")[0])
        its = marked(row)
        if number % 2 and row.split == "test":
            its = dataclasses.replace(row, extra={**row.extra, "objects": "none noise"})
        return its

    data = write(tmp_path / "negatives", change)
    trained = models.trained(str(run / "run"))
    index = shards.Index.read(data)
    part = by_maps.with_boxes(trained.config, index.select("test"))
    absent = np.array([marks.absent for marks in by_maps.marks(part)])
    assert set(absent) == {None, "noise"}
    asked = protocol.Context(trained, index, ["test"])
    found = {(r.metric.key, r.direction): r for r in by_maps.Localisation().evaluate(asked).results}
    assert found["ap", "any negative"].num_trials == len(part)
    assert found["pointing", "audio to image"].num_trials == (absent == None).sum()  # noqa: E711
    own = by_pairs.Scorer(trained.config, trained.recipe).own(part)
    every = by_pairs.Scorer(trained.config, trained.recipe).score(part)
    np.testing.assert_allclose(own, np.diag(every), rtol=1e-6)
    grids = by_maps.maps(asked, part)
    right = [localisation.binarise(localisation.upsample(g)).mean() >= 0.5 for g in grids]
    present = absent == None  # noqa: E711
    # A recipe that does not say how sure it is is as sure as its score of the row's own pair.
    sure = by_maps.confidences(asked, part) if says else own
    if says:
        (batch,) = inputs.joint_batches(trained.config, part.directory, part.id.tolist(), 99)
        heat = trained.recipe.heat({k: v for k, v in batch.items() if k != "id"}).numpy()
        hottest = -np.sort(-heat, axis=1)[:, : heat.shape[1] // 4].mean(axis=1)
        np.testing.assert_allclose(sure, hottest, rtol=1e-4, atol=1e-5)
    expected = detection.Detections(sure, right & present, present).average_precision()[0]
    assert found["ap", "any negative"].value == pytest.approx(expected)
    pairs = by_pairs.paired(trained.config, index.select("test"))
    assert len(pairs) == present.sum() < len(part)
    both = by_pairs.paired(trained.config, index.select("test"), negatives=True)
    assert len(both) == len(part)
