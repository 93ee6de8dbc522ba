"""Every experiment loads, survives a file, and builds; wrong values end in a sentence."""

import importlib
import inspect
import json
import math
import pathlib
import re
import sys

import pytest
from absl import flags
from ml_collections import config_flags

from tests import small
from tfav import config, config_file, fields, recipes, registry, values
from tfav.experiment import models
from tfav.losses import alignment as alignments

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
ABLATIONS = ("implicit", "explicit", "both", "n_pair", "triplet", "supervised_contrastive")
MULTIMODAL = ("", "_vanilla", "_contrastive", "_vanilla_contrastive", "_gblend", "_cosine_gblend")
MULTIMODAL += ("_ogm_ge", "_cosine_ogm_ge", "_additive_cosine", "_additive_angular")
MULTIMODAL += ("_mmpareto", "_cosine_mmpareto", "_agm", "_cosine_agm", "_pmr", "_cosine_pmr")
MULTIMODAL += ("_reconboost", "_lfm", "_cosine_lfm", "_mla", "_fitted", "_vanilla_fitted")
PAPERS = ("av_digits", "crema_d", "ssw60", "voxceleb2", "ucf101", "ucf101_two")
EXPERIMENTS = [
    ("voice_face", "demo"),
    ("voice_face", "mobile"),
    ("voice_face", "voices_faces"),
    ("voice_face", "reweighted"),
    ("voice_face", "pretrained"),
    ("voice_face", "ablation_reweighted"),
    ("voice_face", "vox1"),
    ("voice_face", "vox1_normalized"),
    *[("voice_face", f"ablation_{row}") for row in ABLATIONS],
    *[("mmcosine", f"demo{row}") for row in MULTIMODAL],
    *[("mmcosine", paper) for paper in PAPERS],
    *[("mmcosine", f"{paper}_vanilla") for paper in ("voxceleb2", "ucf101")],
    ("mmcosine", "crema_d_vanilla_contrastive"),
    *[("dmc", row) for row in ("demo", "av_digits", "flickr", "flickr_80_50", "teacher")],
    *[("dmc", f"demo_{mode}") for mode in ("spherical", "euclidean", "capsule")],
    *[("dmc", row) for row in ("demo_l3", "av_digits_l3", "l3")],
    *[("dmc", row) for row in ("demo_infonce", "av_digits_infonce")],
    *[("dmc", f"{base}_avts") for base in ("demo", "av_digits", "talkers", "flickr")],
    ("dmc", "av_digits_soft"),
    *[("dmc", row) for row in ("av_digits_soundnet", "flickr_soundnet", "av_digits_teacher")],
    *[("dmc", row) for row in ("talkers", "talkers_l3")],
    *[("vectors", row) for row in ("voice_face", "supervised_contrastive", "fop", "pins")],
    *[("vectors", row) for row in ("dimnet", "cmpc", "self_lifting")],
]


def _load(name: str, variant: str):
    c = importlib.import_module(f"tfav.configs.{name}").get_config(variant)
    c.data.directory = "somewhere"
    return c


def test_every_config_file_is_listed_here():
    files = {p.stem for p in CONFIGS.glob("*.py") if p.stem != "__init__"}
    assert files == {name for name, _ in EXPERIMENTS}


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def shared_encoders(known, monkeypatch):
    """Experiments with the same encoders get the same ones: what they add is heads and losses."""

    def encoders(c):
        sections = [(m, s, its.to_json()) for m, (s, _, its) in models.sections(c).items()]
        key = str((sections, c.embedding_size, c.seed, c.dtype))
        return known[key] if key in known else known.setdefault(key, make(c))

    make = models.encoders
    monkeypatch.setattr(models, "encoders", encoders)


@pytest.mark.usefixtures("shared_encoders")
@pytest.mark.parametrize("name,variant", EXPERIMENTS)
def test_config_validates_survives_json_and_builds(name, variant):
    c = _load(name, variant)
    config.validate(c)
    again = config_file.from_json(config_file.to_json(c))
    assert again.to_dict() == c.to_dict()
    recipe = models.model(again, num_classes=5)
    assert len(recipe.named_weights()) >= len(recipe.trainable_weights) >= 10


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
        if row.endswith("fitted"):  # on the weights that are kept, the last ones
            assert c.train.validate_every == c.train.num_steps
            c.train.validate_every = 0
        for part in demo.keys() - {"model", "loss", "first_phase"}:
            assert c.to_dict()[part] == demo[part], (row, part)
    first = config.first_phase(_load("mmcosine", "demo_gblend"))
    assert (first.loss.blending, first.model.head, first.loss.scale) == ("equal", "vanilla", None)
    assert 0 < first.train.validate_every <= first.train.num_steps // 2  # blending compares two


@pytest.mark.parametrize("row", ["vox1", "vox1_normalized", "ablation_reweighted", "ablation_both"])
def test_what_a_paper_or_a_table_was_made_with_keeps_the_released_front_end(row):
    # SSoS: 40 bands of centred frames of 25 ms every 10 ms, an instance norm, and no more.
    found = _load("voice_face", row).audio.frontend
    assert found.instance_norm and not found.level_norm and found.silence_db == 0
    assert (found.num_mels, found.frame_length_samples, found.frame_step_samples) == (40, 400, 160)
    assert found.amplitude == (32768 if row.startswith("vox1") else 1)


@pytest.mark.parametrize("row", ["demo", "mobile", "voices_faces", "reweighted"])
def test_our_own_experiments_hear_no_silence(row):
    found = _load("voice_face", row).audio.frontend
    assert found.silence_db == 60
    assert found.level_norm == (row == "voices_faces") == (not found.instance_norm)


def test_the_soft_digits_differ_from_the_digits_in_nothing_but_the_sharpness_of_the_demo():
    soft, plain = _load("dmc", "av_digits_soft"), _load("dmc", "av_digits")
    assert (soft.model.sharpness, plain.model.sharpness) == (0.3, 1.0)
    assert soft.model.sharpness == _load("dmc", "demo").model.sharpness
    soft.model.sharpness = plain.model.sharpness
    assert soft.to_dict() == plain.to_dict()


def test_the_curriculum_of_avts_keeps_its_share_of_however_many_steps():
    c = _load("dmc", "av_digits_avts")
    assert (c.train.num_steps, c.loss.easy_steps) == (800, 444)  # 5 of 9 parts
    c.train.num_steps = 90
    assert c.loss.easy_steps == 50


def test_unknown_variant_names_the_choices():
    with pytest.raises(registry.UserError, match="no variant 'demon'.*demo, voices_faces"):
        _load("voice_face", "demon")


def test_unknown_field_is_refused():
    c = config_file.from_json(config_file.to_json(_load("voice_face", "demo")))
    with pytest.raises(AttributeError):
        c.train.learning_rat = 1.0


# Ranges ------------------------------------------------------------------------------------------


def _with(c, field, value):
    """The config with a field of a dotted name set, whatever its type was."""
    tree = c.to_dict()
    *path, last = field.split(".")
    node = tree
    for part in path:
        node = node[part]
    node[last] = value
    return config_file.from_json(json.dumps(tree))


def _wrong(row):
    """Values that a row must refuse: below, above, not finite, of another type."""
    if row.kind is bool:
        bad = [0, 1, "True", None]
    elif row.kind is str:
        bad = [0, True, 1.5, {"a": 1}, *(["nothing like it"] if row.choices else [])]
    else:
        step = 1 if row.kind is int else 1e-6
        bad = [row.least if row.above else row.least - step, 2 * row.most + 1, -(2**70)]
        bad += [math.nan, math.inf, -math.inf, "1", True, [0], None]
        bad += [0.5, 3.0] if row.kind is int else []
    if row.or_none:
        bad.remove(None)
    return [[value] for value in bad] + ["audio", 7] if row.several else bad


def _right(row):
    """Values that a row must take: its ends."""
    if row.kind is bool:
        return [True, False]
    if row.kind is str:
        return list(row.choices) or ["a"]
    least = row.least if not row.above else min(1e-9, row.most)
    return [least, row.most]


def _rows(c):
    """Each field of a config that has a row, and the row."""
    for name in values.flat(c.to_dict()):
        row = fields._row(name, values.flat(c.to_dict()))  # none of what a kind defines
        if row:
            yield name, row


def _refused(c, name, value):
    with pytest.raises(registry.UserError) as caught:
        config.validate(_with(c, name, value))
    text = str(caught.value)
    assert f"--config.{name}" in text and ("give" in text or "name" in text), (name, value, text)


def test_every_field_of_the_schema_has_a_row_and_every_row_a_field():
    found = set(values.flat(config.base().to_dict()))
    assert found <= set(fields.FIELDS)
    assert {name for name in set(fields.FIELDS) - found if not name.startswith("further.*")} == {
        "audio.arguments.dropout",
        "image.arguments.dropout",
        "audio.frontend.kind",
    }


@pytest.mark.parametrize("name", sorted(fields.FIELDS))
def test_a_row_takes_its_ends_and_refuses_what_lies_beyond_and_other_types(name):
    row = fields.FIELDS[name]
    for value in _right(row):
        assert row.wrong((value,) if row.several else value) == ""
    for value in _wrong(row):
        assert row.wrong(value) != "", value


def test_a_value_that_a_row_refuses_is_refused_in_every_field_of_the_schema():
    c = _load("voice_face", "demo")
    found = list(_rows(c))
    assert len(found) > 55
    for name, row in found:
        for value in _wrong(row):
            if value != {"a": 1}:  # which makes another field
                _refused(c, name, value)


@pytest.mark.parametrize("name,variant", EXPERIMENTS)
def test_what_an_experiment_changes_stays_within_reach_of_the_table(name, variant):
    c = _load(name, variant)
    base = values.flat(config.base().to_dict())
    changed = [(field, row) for field, row in _rows(c) if base.get(field) != _field(c, field)]
    assert len(changed) >= 5
    for field, row in changed:
        _refused(c, field, _wrong(row)[0])


def _field(c, name):
    return values.flat(c.to_dict())[name]


@pytest.mark.parametrize(
    "field,value,sentence",
    [
        ("data.directory", "", "directory is empty: name the folder"),
        ("dtype", "float16", "dtype='float16' is none of them: give one of float32, mixed_bfl"),
        ("data.audio_seconds", (3.0, 2.0), "shortest <= longest"),
        ("data.audio_seconds", (3.0,), "give two, shortest <= longest"),
        ("train.batch_size", 1, "a whole number from 2 to 1000000 .a batch of one has no negat"),
        ("train.num_steps", 0, "num_steps=0 is out of range: give a whole number from 1 to"),
        ("train.learning_rate", -0.1, "rate=-0.1 is out of range: give a number above 0"),
        ("train.learning_rate", math.nan, "is no finite number"),
        ("train.momentum", "0.9", "momentum='0.9' is of another type: give a number from 0 to"),
        (
            "model",
            {"margin_warmup_steps": 201},
            "model.margin_warmup_steps=201 is more than the 200 steps of the run",
        ),
        ("train.warmup_steps", 201, "warmup_steps=201 is more than the 200 steps of the run"),
        ("train.decay_steps", (3, 2), r"decay_steps=\(3, 2\): give each step once, in ascending"),
        ("train.decay_steps", (2, 2), "give each step once"),
        ("eval.min_seconds", 3.5, "min_seconds=3.5 is more than the 3 s that are heard: lower"),
        ("audio.frontend.fft_length", 513, "fft_length=513 is odd.* such as 512"),
        ("audio.frontend.frame_length_samples", 514, "samples=514 is more than fft_length=512"),
        ("audio.frontend.frame_length_samples", 401, "samples=401 is odd, and centred frames"),
        ("audio.frontend.lower_hz", 8000.0, "lower_hz=8000 is not below upper_hz=8000: lower"),
        ("modalities", ("audio", "flow"), r"\('audio', 'flow'\).*config.further"),
        ("modalities", (), "name each once"),
        ("modalities", ("audio", "audio"), "name each once"),
        ("data.sampling", "random", "identities, rows"),
        ("eval.protocols", (), "protocols is empty"),
        ("image.num_frames", 0, "image.num_frames=0"),
        ("train.lerning_rate", 0.1, "train.lerning_rate that nothing reads; did you mean train.l"),
        ("first_phase", {"train": {"num_steps": 0}}, "num_steps=0 is out of range"),
        ("first_phase", {"train": {"num_step": 10}}, "train.num_step that nothing reads; did you"),
        ("first_phase", {"train": {"num_steps": "x"}}, "first_phase does not fit the config"),
    ],
)
def test_wrong_value_names_the_field_and_the_fix(field, value, sentence):
    c = _with(_load("voice_face", "demo"), field, value)
    with pytest.raises(registry.UserError, match=sentence):
        config.validate(config.first_phase(c) if field == "first_phase" else c)


def test_a_first_phase_has_the_threads_of_the_process():
    c = _with(_load("voice_face", "demo"), "first_phase", {"train": {"intra_op_threads": 2}})
    sentence = "first_phase.train.intra_op_threads=2 is not that of train, 0, .*: set --config.tr"
    with pytest.raises(registry.UserError, match=sentence):
        config.validate(c)
    c = _with(c, "train.intra_op_threads", 2)
    config.validate(c)
    config.validate(config.first_phase(c))


def test_two_sources_of_weights_for_one_encoder_are_refused():
    c = _with(_load("voice_face", "demo"), "init.audio", "a.pth")
    c = _with(c, "train.init_from", "runs/x")
    with pytest.raises(registry.UserError, match="give one of them"):
        config.validate(c)


# What a recipe takes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_argument_of_a_recipe_has_a_row(name):
    recipe = recipes.RECIPES[name]
    taken = set(inspect.signature(recipe).parameters) - {"encoders", "num_classes", "seed"}
    rows = {row.split(".")[0] for row in recipe.arguments}
    assert rows == taken


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_recipe_refuses_what_its_rows_refuse(name):
    c = _load("voice_face", "demo")
    tree = c.to_dict() | {"recipe": name, "model": {}, "loss": {}}
    for field, row in recipes.RECIPES[name].arguments.items():
        for section in ("model", "loss"):
            for value in _right(row):
                _arguments(tree, section, field, (value,) if row.several else value)
            for value in _wrong(row):
                if value == {"a": 1}:  # an argument may be a dict with rows of its own
                    continue
                with pytest.raises(registry.UserError) as caught:
                    _arguments(tree, section, field, value)
                assert f"--config.{section}.{field}=" in str(caught.value)


def _arguments(tree, section, field, value):
    *path, last = field.split(".")
    given = {last: value}
    for part in reversed(path):
        given = {part: given}
    return models.recipe_arguments(config_file.from_json(json.dumps(tree | {section: given})))


@pytest.mark.parametrize(
    "recipe,section,arguments,sentence",
    [
        ("voice_face", "model", {"depth": 3}, "'voice_face' in --config.model .* 'depth': leave"),
        ("voice_face", "model", {"implicit_weight": 0, "explicit_weight": 0}, "leave no loss"),
        ("voice_face", "model", {"alignment_args": {"k": 1}}, "takes m"),
        (
            "voice_face",
            "model",
            {"reweighting": "grow", "reweighting_args": {"decai": 1.0}},
            "reweighting_args: .*'decai': leave it out, or choose from .*decay",
        ),
        ("mmcosine", "loss", {"modulation_args": {"beta": 1}}, "modulation_args: .*'beta'"),
        ("mmcosine", "loss", {"contrastive": "nothing"}, "unknown alignment loss 'nothing'"),
        ("mmcosine", "loss", {"blending": {"fused": -1.0, "audio": 1, "image": 1}}, "not be neg"),
        ("mmcosine", "loss", {"margin": 0.1}, "margin=0.1 does nothing with margin_kind='none'"),
        (
            "mmcosine",
            "loss",
            {"margin_kind": "arc"},
            "unknown margin_kind 'arc': choose one of add",
        ),
        ("mmcosine", "loss", {"head": "vanilla", "margin_kind": "additive_cosine"}, "for cosines"),
        ("mmcosine", "model", {"head": "vanilla", "sub_centers": 2}, "'vanilla' .*'sub_centers'"),
        ("mmcosine", "model", {"head": "vanilla", "sampled": 0.5}, "'vanilla' takes all: choose"),
        ("voice_face", "model", {"sampled": 0.0}, "sampled=0.0 is out of range: give a number ab"),
        ("voice_face", "model", {"normalized": False, "sub_centers": 2}, "needs normalized=True"),
        (
            "voice_face",
            "model",
            {"normalized": False, "margin_kind": "additive_cosine"},
            "those of this head are none: choose",
        ),
        ("mmcosine", "loss", {"posterior": 0.1}, "posterior=0.1 must lie between chance"),
        ("dmc", "model", {"num_clusters": "ten"}, "num_clusters='ten' is of another type"),
    ],
)
def test_a_recipe_names_what_it_does_not_take(recipe, section, arguments, sentence):
    tree = small.config("").to_dict() | {"recipe": recipe, "model": {}, "loss": {}}
    c = config_file.from_json(json.dumps(tree | {section: arguments}))
    with pytest.raises(registry.UserError, match=sentence):
        models.model(c, num_classes=5)


def test_an_argument_stands_in_one_section_and_an_encoder_names_what_it_does_not_take():
    tree = small.config("").to_dict()
    c = config_file.from_json(json.dumps(tree | {"loss": {"alignment": "explicit"}}))
    with pytest.raises(registry.UserError, match="alignment stands in --config.model and in"):
        models.model(c, num_classes=5)
    for part in ("audio", "image"):
        c = _with(small.config(""), f"{part}.arguments", {"depth": 3})
        with pytest.raises(
            registry.UserError, match=f"'tiny' in --config.{part}.arguments .*'depth': leave"
        ):
            models.model(c, num_classes=5)


# Going on ----------------------------------------------------------------------------------------


def test_another_config_does_not_continue_a_run():
    before, now = _load("voice_face", "demo"), _load("voice_face", "demo")
    now.train.steps_per_call = 7  # changes no number
    now.train.intra_op_threads = 1
    config_file.check_resumable(before, now, "w")
    now.train.learning_rate = 0.5
    with pytest.raises(registry.UserError, match=r"train.learning_rate=0.002 and this one has 0.5"):
        config_file.check_resumable(before, now, "w")


def test_a_cosine_run_cannot_be_made_longer_and_a_constant_one_can():
    before, now = _load("voice_face", "demo"), _load("voice_face", "demo")
    now.train.num_steps = 2 * before.train.num_steps
    with pytest.raises(registry.UserError, match="train.num_steps"):
        config_file.check_resumable(before, now, "w")
    before.train.schedule = now.train.schedule = "constant"
    config_file.check_resumable(before, now, "w")


@pytest.mark.parametrize(
    "field,value",
    [
        ("eval.audio_seconds", 2.5),
        ("eval.min_seconds", 1.0),
        ("eval.batch_size", 7),
        ("eval.protocols", ("trials", "lists")),
    ],
)
def test_what_changes_a_validation_does_not_continue_a_run_that_validates(field, value):
    before = _load("voice_face", "demo")
    now = _with(before, field, value)
    with pytest.raises(registry.UserError, match=f"{field}=.* and this one has"):
        config_file.check_resumable(before, now, "w")
    for c in (before, now):
        with c.unlocked():
            c.train.validate_every = 0
    config_file.check_resumable(before, now, "w")


@pytest.mark.parametrize(
    "field,value",
    [("eval.groups", "x"), ("eval.num_bootstrap", 7), ("eval.protocols", ("lists", "trials"))],
)
def test_what_only_the_last_evaluation_reads_may_change(field, value):
    before = _load("voice_face", "demo")
    config_file.check_resumable(before, _with(before, field, value), "w")


def test_a_run_without_the_younger_fields_is_continued_with_their_values_of_then():
    now = _load("mmcosine", "demo")
    tree = now.to_dict()
    later = ("slopes", "preemphasis", "centered", "instance_norm", "silence_db", "level_norm")
    for name in later:
        del tree["audio"]["frontend"][name]
    for name in ("contrastive", "margin_kind", "margin", "margin_warmup_steps"):
        del tree["loss"][name]
    for name in ("balance", "balance_args"):
        tree["loss"].pop(name, None)
    for name in ("sampled", "sub_centers", "late_fusion"):
        tree["model"].pop(name)
    del tree["train"]["intra_op_threads"]
    before = config_file.from_json(json.dumps(tree))
    config_file.check_resumable(before, now, "w")
    now.audio.frontend.instance_norm = False
    with pytest.raises(registry.UserError, match="instance_norm=True and this one has False"):
        config_file.check_resumable(before, now, "w")


@pytest.mark.parametrize(
    "change,sentence",
    [
        (
            lambda tree: tree["train"].pop("num_steps"),
            r"damaged \(the config has no field train.num_steps: start",
        ),
        (lambda tree: tree["train"].update(num_steps="x"), r"damaged \(--config.train.num_steps="),
        (lambda tree: tree["train"].update(num_steps={}), "no field train.num_steps"),
        (lambda tree: tree.update(train=7), "has a field train that nothing reads"),
        (lambda tree: tree.update(model=7), r"damaged \(model is 7 instead of an object\)"),
        (lambda tree: tree.update(new=7), r"damaged \(the config has a field new that nothing"),
    ],
)
def test_a_damaged_config_file_is_named(tmp_path, change, sentence):
    tree = _load("voice_face", "demo").to_dict()
    change(tree)
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(registry.UserError, match=sentence):
        config_file.load(str(tmp_path))


def test_a_saved_config_comes_back_and_a_changed_letter_is_seen(tmp_path):
    c = _load("mmcosine", "demo")
    config_file.save(c, str(tmp_path))
    assert config_file.load(str(tmp_path)).to_dict() == c.to_dict()
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"num_steps": 300', '"num_steps": 301'))
    with pytest.raises(registry.UserError, match="is not what was written, its sha256 does not"):
        config_file.load(str(tmp_path))
    tree = json.loads(path.read_text())
    del tree["sha256"]
    path.write_text(json.dumps(tree))
    assert config_file.load(str(tmp_path)).train.num_steps == 301


def test_flags_alone_put_a_loss_of_ones_own_in_the_place_of_the_demos(monkeypatch):
    """As docs/how-to/own-loss.md says: the demo's argument `m` is not for it."""
    given = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=given)
    own = "tests.conformance.out_of_tree.cosine_gap.cosine_gap"
    demo = ["x", f"--config={CONFIGS}/voice_face.py:demo", f"--config.model.alignment={own}"]
    told = (CONFIGS.parent / "docs" / "how-to" / "own-loss.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"`--config\.model\.alignment=\S+ (\S+)`", told)
    monkeypatch.setattr(sys, "argv", [*demo, words])  # in which ml_collections looks for fields
    given(sys.argv)
    model = given.config.model
    assert (model.alignment, model.alignment_args.to_dict()) == (own, {})
    alignments.resolve(model.alignment, **model.alignment_args)
    with pytest.raises(registry.UserError, match="unexpected keyword argument 'm'"):
        alignments.resolve(own, m=5.4)
