"""An export of a run: what it is measured and calibrated on, and what it says of its origin."""

import json

import numpy as np
import pytest

from tests import small, untrained
from tfav import registry
from tfav.commands import evaluate, export, train
from tfav.commands.protocols import by_pairs
from tfav.data import shards
from tfav.evaluation import correspondence
from tfav.experiment import models, provenance
from tfav.experiment import samples as specimens
from tfav.export.lite import calibration, conversion
from tfav.inference import embedders


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exporting")
    c = small.config(small.write_dataset(str(folder / "data")))
    lists = folder / "data" / "lists"
    lines = [line.split() for line in (lists / "match_v2f_2_test.txt").read_text().splitlines()]
    pairs = [f"{probe} {other}\n" for probe, *both in lines for other in both]
    (lists / "verify_v2f_test.txt").write_text("".join(pairs))
    c.train.num_steps = 5
    c.train.validate_every = 0
    train.train(c, str(folder / "run"), "one_device")
    list(evaluate.evaluate([str(folder / "run")], ["test"]))
    return folder


@pytest.fixture(scope="module")
def exported(run):
    lines = export.export(
        str(run / "run"),
        str(run / "model"),
        precisions=("float32", "int8_static"),
        dynamic_time=True,
        frontend="conv",
        min_cosine_int8=0.5,
        license_text="CC-BY-4.0",
    )
    return run / "model", "\n".join(lines)


def test_trials_are_pairs_of_the_datas_own_list(run):
    c, *_ = models.trained(str(run / "run"))
    found = specimens.trials(c, shards.Index.read(str(run / "data")))
    assert found.name == "verify_v2f_test.txt"
    for sound, picture, right in found.pairs:
        assert (sound.split("/")[0][1:] == picture.split("/")[0][1:]) == right
        assert sound in found.items["audio"] and picture in found.items["image"]


def test_8_bit_files_are_calibrated_on_the_train_split_alone(run):
    c, recipe, *_ = models.trained(str(run / "run"))
    index = shards.Index.read(str(run / "data"))
    found = specimens.calibration(c, recipe, index)
    part = index.select("train")
    assert len(found) == part.held("audio").sum() + part.held("image").sum()
    heard = {row["audio"].tobytes() for row in found if "audio" in row}
    known = specimens._read(c, index, "audio", part.id[part.held("audio")].tolist())
    assert heard == {item.tobytes() for _, item in known}
    c.data.train_split = "absent"
    assert specimens.calibration(c, recipe, index) == []


def test_calibration_is_the_same_every_time_and_balanced(run, monkeypatch):
    monkeypatch.setattr(specimens, "_NUM_CALIBRATION", 4)
    c, recipe, *_ = models.trained(str(run / "run"))
    index = shards.Index.read(str(run / "data"))
    first, second = (specimens.calibration(c, recipe, index) for _ in range(2))
    assert len(first) == 8
    for one, other in zip(first, second):
        ((modality, item),) = one.items()
        np.testing.assert_array_equal(item, other[modality])
    levels = [calibration.loudness(row["audio"]) for row in first[:4]]
    assert len(set(levels)) == 4


def test_the_certificate_tells_origin_license_and_thresholds(run, exported):
    found = json.loads((exported[0] / "parity.json").read_text())
    assert found["license"] == "CC-BY-4.0"
    assert found["origin"]["recipe"] == "voice_face"
    assert found["origin"]["encoders"] == {"audio": "tiny", "image": "tiny"}
    assert found["origin"]["init"] == {}
    figures = found["evaluation"]["figures"]
    assert figures and all(-1 <= figure["threshold"] <= 1 for figure in figures)
    assert {figure["metric"] for figure in figures} == {"eer"}
    assert set(found["trials"]["artefacts"]) == set(found["artefacts"])


def test_the_conv_front_end_of_any_length_has_no_rfft_and_agrees(run, exported):
    content = (exported[0] / "audio_float32.tflite").read_bytes()
    described = conversion.describe(content)
    assert "RFFT2D" not in described["ops"]
    assert described["signatures"]["embed_audio"]["inputs"]["waveform"]["shape"] == [1, None]
    found = json.loads((exported[0] / "parity.json").read_text())
    assert (
        found["artefacts"]["audio_float32.tflite"]["parity"]["embed_audio"]["cosine_min"] > 0.9999
    )
    phone = embedders.load(str(exported[0] / "audio_float32.tflite"))
    served = embedders.load(str(exported[0]))
    for samples in (1_600, 16_000, 70_001):
        clip = np.random.default_rng(samples).normal(0, 0.1, [1, samples]).astype(np.float32)
        np.testing.assert_allclose(
            phone.embed("audio", {"audio": clip}), served.embed("audio", {"audio": clip}), atol=1e-4
        )


def test_the_summary_has_a_line_an_answer_and_the_commands_of_a_server(exported):
    assert "audio_int8_static.tflite" in exported[1] and " kB" in exported[1]
    assert "tensorflow_model_server" in exported[1]


def test_initial_weights_are_known_by_their_hash(run, tmp_path):
    c, *_ = models.trained(str(run / "run"))
    (tmp_path / "voice.model").write_bytes(b"weights")
    c.init.audio, c.train.init_from = str(tmp_path / "voice.model"), str(run / "run")
    found = provenance.origin(c, str(run / "run"), shards.Index.read(str(run / "data")))["init"]
    # printf weights | sha256sum
    assert found["init.audio"]["sha256"].startswith("9a129038d9a0")
    assert found["train.init_from"] == {"file": str(run / "run"), "sha256": None}


def test_without_or_with_a_damaged_evaluation(run, tmp_path):
    assert provenance.evaluation(str(tmp_path)) is None
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(registry.UserError, match="metrics.json is .*tfav-eval"):
        provenance.evaluation(str(tmp_path))


def test_a_pair_is_matched_from_where_both_kinds_of_val_err_alike(tmp_path):
    data = untrained.write_data(tmp_path / "data")
    index = shards.Index.read(data)
    run = untrained.run(data, "dmc")
    found = export._threshold(run.config, run.recipe, index, None)
    part = by_pairs.paired(run.config, index.select("val"))
    score = by_pairs.Scorer(run.config, run.recipe).score(part)
    matched, mismatched = correspondence.draw(score, None, 0)

    def errors(threshold):
        return np.mean(matched < threshold), np.mean(mismatched >= threshold)

    refused, accepted = errors(found)
    assert refused <= accepted
    refused, accepted = errors(np.nextafter(found, np.inf))  # the highest such score
    assert refused > accepted or found == score.max()
    for name, taught in (("l3", 0.0), ("voice_face", None)):
        other = untrained.run(data, name)
        assert export._threshold(other.config, other.recipe, index, None) == taught
