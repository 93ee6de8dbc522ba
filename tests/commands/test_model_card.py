"""The card beside an export: data, figures by stratum, limits, licence and origin."""

import json

import tensorflow as tf

from tests import small
from tfav.commands import model_card
from tfav.data import shards
from tfav.evaluation import catalogue, decisions, result
from tfav.experiment import evaluations

CERTIFICATE = {
    "origin": {
        "recipe": "voice_face",
        "encoders": {"audio": "tiny", "image": "tiny"},
        "revision": "abc",
        "data": {"source": "synthetic", "sha256": "0f"},
        "init": {"init.audio": {"file": "voice.pth", "sha256": "1a"}},
    },
    "embedding_space": "0123456789abcdef",
    "license": "CC-BY-4.0",
    "artefacts": {"audio.tflite": {"precision": "float32", "bytes": 12_300}},
}


def card(tmp_path, power_watts=0.0):
    directory = small.write_dataset(str(tmp_path / "data"))
    c = small.config(directory)
    c.train.num_steps, c.train.batch_size = 60, 8
    index = shards.Index.read(directory)
    made = model_card.texts(CERTIFICATE, c, str(tmp_path / "run"), index, power_watts)
    assert list(made) == ["model_card.md", "model_card.json"]
    return made["model_card.md"], json.loads(made["model_card.json"])


def test_a_card_says_licence_origin_data_training_and_limits(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scalars.jsonl").write_text('{"step": 20, "loss": 1.0}\n')
    text, told = card(tmp_path)
    assert "Licence of the weights: CC-BY-4.0" in text and "init.audio of voice.pth" in text
    assert "60 steps of 8 examples, 20 steps in the log; weights of step not known" in text
    assert "| train | 32 | 8 |" in text and "audio.tflite: float32, 12 kB" in text
    assert "Not evaluated: run tfav-eval" in text and told["figures"] is None
    assert "None: this model holds no calibration" in text and told["decisions"] is None
    assert "biometric data" in told["limits"][0] and told["limits"][0] in text


def test_a_classifiers_card_advises_no_calibration_that_it_cannot_have(tmp_path, monkeypatch):
    monkeypatch.setitem(CERTIFICATE, "classes", ["crow", "owl"])
    text, told = card(tmp_path)
    assert told["classes"] == ["crow", "owl"]
    assert f"None: {decisions.NO_SPACE}." in text and "--protocols=calibration" not in text


def test_figures_stand_by_stratum_with_their_intervals(tmp_path, monkeypatch):
    figures = [
        result.Result(
            protocol="verification",
            metric=catalogue.METRICS["verification"]["auc"],
            direction="v2f",
            tag="test",
            value=0.75,
            chance=0.5,
            low=0.7,
            high=0.8,
            num_trials=10,
            num_identities=4,
            stratum="same_gender",
            threshold=0.25,
        ),
        result.Result(
            protocol="matching",
            metric=catalogue.METRICS["matching"]["accuracy"],
            direction="v2f",
            tag="test",
            value=0.5,
            chance=0.25,
            low=None,
            high=None,
            num_trials=10,
            num_identities=4,
            n=4,
        ),
    ]
    about = {"weights": {"step": 40.0}}
    own = evaluations.Evaluation([], figures, about)
    monkeypatch.setattr(evaluations, "own", lambda workdir: own)
    (tmp_path / "run").mkdir()
    text, told = card(tmp_path)
    line = "| verification | same_gender | v2f | auc | 0.750 | 0.700 to 0.800 | 0.500 | 0.250 |"
    assert line in text and "weights of step 40" in text
    assert "| matching 1:4 | unrestricted | v2f | accuracy | 0.500 |  | 0.250 |  |" in text
    assert told["figures"][0]["low"] == 0.7


def test_time_is_that_of_all_starts_and_phases_and_energy_is_time_by_the_stated_power(tmp_path):
    # Two starts of 30 and 60 minutes, and a first phase of 30: two hours, of 500 W 1 kWh.
    for folder, minutes in (("run", (30, 60)), ("run/first_phase", (30,))):
        (tmp_path / folder / "tensorboard").mkdir(parents=True)
        for number, length in enumerate(minutes):
            path = tmp_path / folder / "tensorboard" / f"events.out.tfevents.{number}"
            with tf.io.TFRecordWriter(str(path)) as file:
                for moment in (0, 60 * length):
                    event = tf.compat.v1.Event(wall_time=1000.0 * number + moment)
                    file.write(event.SerializeToString())
    text, told = card(tmp_path, power_watts=500.0)
    assert "- Time of training: 2 h 0 min" in text and told["training"]["seconds"] == 7200
    assert told["energy"]["kilowatt_hours"] == 1.0
    how = "the time of training times a stated power of 500 W"
    assert f"- Energy of training: about 1 kWh, estimated: {how}" in text


def test_what_nobody_measured_is_said_to_be_not_measured(tmp_path):
    text, told = card(tmp_path)
    assert "- Time of training: not known" in text and "- Energy of training: not measured" in text
    assert told["energy"]["kilowatt_hours"] is None
    text, told = card(tmp_path / "more", power_watts=100.0)
    assert "not known: 100 W are stated and the time is not known" in text
