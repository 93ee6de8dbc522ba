"""Every experiment loads, survives a file, and builds; wrong values end in a sentence."""

import importlib
import pathlib

import pytest

from tfav import config, registry
from tfav.experiment import models

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
ABLATIONS = ("implicit", "explicit", "both", "n_pair", "triplet", "supervised_contrastive")
MULTIMODAL = ("", "_vanilla", "_contrastive", "_vanilla_contrastive", "_gblend", "_cosine_gblend")
MULTIMODAL += ("_ogm_ge", "_cosine_ogm_ge")
PAPERS = ("av_digits", "crema_d", "ssw60", "voxceleb2", "ucf101", "ucf101_two")
EXPERIMENTS = [
    ("voice_face", "demo"),
    ("voice_face", "mobile"),
    ("voice_face", "voices_faces"),
    ("voice_face", "reweighted"),
    ("voice_face", "ablation_reweighted"),
    ("voice_face", "vox1"),
    ("voice_face", "vox1_normalized"),
    *[("voice_face", f"ablation_{row}") for row in ABLATIONS],
    *[("mmcosine", f"demo{row}") for row in MULTIMODAL],
    *[("mmcosine", paper) for paper in PAPERS],
    *[("mmcosine", f"{paper}_vanilla") for paper in ("voxceleb2", "ucf101")],
    ("mmcosine", "crema_d_vanilla_contrastive"),
    *[("dmc", row) for row in ("demo", "av_digits", "flickr", "flickr_80_50", "teacher")],
    *[("dmc", row) for row in ("demo_l3", "av_digits_l3", "l3")],
]


def _load(name: str, variant: str):
    c = importlib.import_module(f"tfav.configs.{name}").get_config(variant)
    c.data.directory = "somewhere"
    return c


def test_every_config_file_is_listed_here():
    files = {p.stem for p in CONFIGS.glob("*.py") if p.stem != "__init__"}
    assert files == {name for name, _ in EXPERIMENTS}


@pytest.mark.parametrize("name,variant", EXPERIMENTS)
def test_config_validates_survives_json_and_builds(name, variant):
    c = _load(name, variant)
    config.validate(c)
    again = config.from_json(config.to_json(c))
    assert again.to_dict() == c.to_dict()
    recipe = models.model(again, num_classes=5)
    assert len(recipe.named_weights()) >= len(recipe.trainable_weights) > 10


def test_the_papers_run_has_the_released_phases():
    c = _load("voice_face", "vox1")
    first = config.first_phase(c)
    assert (first.train.num_steps, first.train.decay_steps) == (2400, (1000, 2000))
    assert (c.train.num_steps, c.train.decay_steps) == (10_000, (2000, 3000))
    assert (first.model.reweighting, c.model.reweighting) == ("grow", "frozen")


def test_a_row_changes_its_head_and_losses_and_nothing_else():
    demo = _load("mmcosine", "demo").to_dict()
    for row in MULTIMODAL[1:]:
        c = _load("mmcosine", f"demo{row}")
        assert c.to_dict() != demo
        for part in demo.keys() - {"model", "loss", "first_phase"}:
            assert c.to_dict()[part] == demo[part], (row, part)
    first = config.first_phase(_load("mmcosine", "demo_gblend"))
    assert (first.loss.blending, first.model.head, first.loss.scale) == ("equal", "vanilla", None)
    assert 0 < first.train.validate_every <= first.train.num_steps // 2  # blending compares two


def test_unknown_variant_names_the_choices():
    with pytest.raises(registry.UserError, match="no variant 'demon'.*demo, voices_faces"):
        _load("voice_face", "demon")


def test_unknown_field_is_refused():
    c = config.from_json(config.to_json(_load("voice_face", "demo")))
    with pytest.raises(AttributeError):
        c.train.learning_rat = 1.0


@pytest.mark.parametrize(
    "field,value,sentence",
    [
        ("data.directory", "", "directory is empty"),
        ("dtype", "float16", "float32, mixed_bfloat16 or float64"),
        ("data.audio_seconds", (3.0, 2.0), "shortest <= longest"),
        ("train.batch_size", 1, "no negatives"),
        ("train.num_steps", 0, "give 1 or more"),
        ("modalities", ("audio", "flow"), r"\('audio', 'flow'\).*config.further"),
        ("modalities", (), "name each once"),
        ("modalities", ("audio", "audio"), "name each once"),
        ("data.sampling", "random", "identities or rows"),
        ("eval.protocols", (), "protocols is empty"),
        ("image.num_frames", 0, "num_frames of image"),
    ],
)
def test_wrong_value_names_the_field_and_the_fix(field, value, sentence):
    c = _load("voice_face", "demo")
    part, _, key = field.rpartition(".")
    setattr(getattr(c, part) if part else c, key, value)
    with pytest.raises(registry.UserError, match=sentence):
        config.validate(c)


def test_another_config_does_not_continue_a_run():
    before, now = _load("voice_face", "demo"), _load("voice_face", "demo")
    now.train.steps_per_call = 7  # changes no number
    config.check_resumable(before, now, "w")
    now.train.learning_rate = 0.5
    with pytest.raises(registry.UserError, match=r"train.learning_rate=0.002 and this one has 0.5"):
        config.check_resumable(before, now, "w")


def test_a_cosine_run_cannot_be_made_longer_and_a_constant_one_can():
    before, now = _load("voice_face", "demo"), _load("voice_face", "demo")
    now.train.num_steps = 2 * before.train.num_steps
    with pytest.raises(registry.UserError, match="train.num_steps"):
        config.check_resumable(before, now, "w")
    before.train.schedule = now.train.schedule = "constant"
    config.check_resumable(before, now, "w")
