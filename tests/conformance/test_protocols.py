"""Every task on lists and every protocol keeps its promises, with every recipe that it fits."""

import json
import math

import numpy as np
import pytest

from tests import small, untrained
from tests.conformance import walk
from tfav import recipes, registry
from tfav.annotations import lists
from tfav.commands import report
from tfav.commands.protocols import protocol, table
from tfav.data import shards
from tfav.evaluation import (
    catalogue,
    classification,
    list_tasks,
    metrics,
    paired_runs,
    result,
    trial_lists,
)
from tfav.evaluation import space as spaces
from tfav.experiment import inputs
from tfav.inference import recipe_embedder
from tfav.reports import tables

NUM_IDENTITIES, PER_IDENTITY = 30, 4
VOICES = [f"{k}/{i}.wav" for k in range(NUM_IDENTITIES) for i in range(PER_IDENTITY)]
FACES = [name.replace("wav", "jpg") for name in VOICES]
LABELS = {name: f"person {name.split('/')[0]}" for name in VOICES + FACES}


def _wrong(faces_of_others=2):
    """For every voice, faces of other people."""
    random = np.random.default_rng(0)
    for i, voice in enumerate(VOICES):
        others = [face for face in FACES if LABELS[face] != LABELS[voice]]
        yield voice, FACES[i], random.choice(others, faces_of_others, replace=False)


# A list of each protocol: its file name and its lines; what perfect embeddings reach.
EXPECTED = {
    "matching": (
        "match_v2f_3_test.txt",
        lambda: [f"{voice} {right} {a} {b}" for voice, right, (a, b) in _wrong()],
        {"accuracy": 1.0},
    ),
    "verification": (
        "verify_v2f_test.txt",
        lambda: [
            f"{voice} {face}" for voice, right, (other,) in _wrong(1) for face in (right, other)
        ],
        {"auc": 1.0, "eer": 0.0},
    ),
    "retrieval": (
        "retrieval_v2f_test.txt",
        lambda: [" ".join(VOICES), " ".join(FACES)],
        {"map": 1.0, "recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0},
    ),
}
ROWS = walk.rows(list_tasks.TASKS, EXPECTED)


def test_every_task_on_lists_is_expected():
    add = (
        "add 'ROW': (file name, lines, best value of each metric) to EXPECTED in "
        "tests/conformance/test_protocols.py."
    )
    walk.check_complete(list_tasks.TASKS, EXPECTED, "TASKS", add)
    for name, task in list_tasks.TASKS.items():
        assert task.form.protocol == name
        assert {metric.key for metric in task.metrics} == set(EXPECTED[name][2])


def evaluate(name, folder, embeddings, num_bootstrap=100):
    file, lines, _ = EXPECTED[name]
    (folder / file).write_text("\n".join(lines()) + "\n")
    of = {
        "audio": {item: embeddings[item] for item in VOICES},
        "image": {item: embeddings[item] for item in FACES},
    }
    space = spaces.Space(of, LABELS)
    query = list_tasks.Query(lists.parse_name(file), folder / file, space, num_bootstrap, 0)
    figures = list_tasks.TASKS[name].evaluate(query)
    for figure in figures:
        for value in (figure.value, figure.chance, figure.low, figure.high):
            assert 0.0 <= value <= 1.0, figure
        assert figure.low <= figure.value <= figure.high
        assert figure.num_identities == NUM_IDENTITIES
        assert figure.num_trials >= len(VOICES)
    return {figure.metric.key: figure for figure in figures}


@pytest.mark.parametrize("name", ROWS)
def test_perfect_embeddings_reach_the_best_value(name, tmp_path):
    random = np.random.default_rng(1)
    centre = {label: random.normal(size=16) for label in LABELS.values()}
    figures = evaluate(name, tmp_path, {item: centre[label] for item, label in LABELS.items()})
    best = EXPECTED[name][2]
    assert {metric: figure.value for metric, figure in figures.items()} == best
    assert all(figure.low == figure.high == best[metric] for metric, figure in figures.items())


@pytest.mark.parametrize("name", ROWS)
def test_unrelated_embeddings_are_at_chance(name, tmp_path):
    random = np.random.default_rng(2)
    figures = evaluate(name, tmp_path, {item: random.normal(size=16) for item in LABELS})
    for metric, figure in figures.items():
        # 120 probes of 30 identities: one standard deviation is at most sqrt(0.25 / 30) = 0.09.
        assert abs(figure.value - figure.chance) < 0.18, metric


# Protocols and recipes ---------------------------------------------------------------------------

PAIRED = {"correspondence", "pair_retrieval", "calibration", "linear_probe", "operations"}
# What each recipe can be evaluated by; everything else is refused by name.
FITS = {
    "voice_face": {"lists", "trials", "calibration", "conditions", "linear_probe", "operations"},
    "mmcosine": {
        "classification",
        "missing_modalities",
        "trials",
        "calibration",
        "linear_probe",
        "operations",
    },
    "dmc": {*PAIRED, "localisation", "clusters"},
    "l3": PAIRED,
    "infonce": {*PAIRED, "lists", "trials", "conditions"},
    "avts": PAIRED,
    "soundnet": PAIRED,
    **dict.fromkeys(
        ("fop", "pins", "dimnet", "cmpc", "self_lifting"),
        {"lists", "trials", "calibration", "conditions", "linear_probe", "operations"},
    ),
}
CELLS = [(recipe, name) for recipe in FITS for name in table.PROTOCOLS]


def test_every_recipe_is_expected():
    add = "add 'ROW': {protocols that fit} to FITS here, and its config to tests/untrained.py."
    walk.check_complete(recipes.RECIPES, FITS, "RECIPES", add)
    assert set().union(*FITS.values()) == set(table.PROTOCOLS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return untrained.write_data(tmp_path_factory.mktemp("protocols") / "data")


@pytest.fixture(scope="module")
def runs(data):
    return {recipe: untrained.run(data, recipe) for recipe in FITS}


def context(run, data):
    return protocol.Context(run, shards.Index.read(data), ["test"], f"{data}/lists", 0)


@pytest.mark.parametrize(("recipe", "name"), [c for c in CELLS if c[1] in FITS[c[0]]])
def test_a_protocol_that_fits_gives_its_metrics(runs, data, recipe, name):
    run = runs[recipe]
    its = table.fitting(name, run.recipe, run.config)
    found, pictures = its.evaluate(context(run, data))
    assert {r.metric for r in found} <= set(its.metrics) and found
    if its.by_tag:
        assert {r.tag for r in found} == {"test"}
    for r in found:
        assert r.num_trials > 0 and r.resampled and math.isfinite(r.value)
        if r.low is None:
            assert "has no interval: " in r.metric.definition
        known = catalogue.METRICS[r.protocol]
        again = json.loads(json.dumps(r.to_json()))
        assert result.from_json(again, {r.protocol: known}) == r
    assert all(c.startswith(b"\x89PNG") for drawn in pictures.values() for c in drawn.values())
    text = tables.text_table(found)
    assert all(r.name in text for r in found)
    assert tables.spread_table([found, found]).count("\n") > 2
    same, left_out = paired_runs.differences(found, found)
    assert len(same) == len(found) and not left_out
    assert all(d.value == 0 and d.low in (0, None) for d in same)


@pytest.mark.parametrize(("recipe", "name"), [c for c in CELLS if c[1] not in FITS[c[0]]])
def test_a_protocol_that_does_not_fit_is_refused_by_name_with_what_fits(runs, recipe, name):
    run = runs[recipe]
    with pytest.raises(registry.UserError) as refusal:
        table.fitting(name, run.recipe, run.config)
    sentence = str(refusal.value)
    assert sentence.startswith(f"the recipe {recipe} cannot be evaluated by {name}, which compares")
    choices = sentence.split("choose ")[1].split(" by --protocols")[0].split(" or ")
    assert set(choices) == FITS[recipe]


@pytest.mark.parametrize("recipe", FITS)
def test_training_refuses_what_could_not_be_evaluated(data, recipe):
    c = untrained.config(data, recipe)
    for name in table.PROTOCOLS:
        c.eval.protocols = (name,)
        if name in FITS[recipe]:
            table.check_fit(c)
        else:
            with pytest.raises(registry.UserError, match=f"cannot be evaluated by {name}"):
                table.check_fit(c)


@pytest.mark.parametrize("name", table.PROTOCOLS)
def test_validation_without_a_split_val_names_the_flag_that_does_without(tmp_path, name):
    recipe = next(recipe for recipe, fits in FITS.items() if name in fits)
    rows = [r for r in small.paired_records() if r.split != "val"]
    shards.write(tmp_path, rows, columns=["speaker"], modalities=["flow"])
    c = untrained.config(str(tmp_path), recipe)
    c.eval.protocols, c.train.validate_every = (name,), 10
    with pytest.raises(registry.UserError, match="--config.train.validate_every=0"):
        table.check_data(c, shards.Index.read(tmp_path))


def test_voices_and_faces_are_verified_by_the_cosine_of_their_embeddings(runs, data):
    run = runs["voice_face"]
    found, _ = table.find("trials").evaluate(context(run, data))
    assert {r.direction for r in found} == {"audio-audio", "audio-image", "image-image"}
    index = shards.Index.read(data).select("test")
    embed = recipe_embedder.RecipeEmbedder(run.recipe).embed
    ids = {m: index.id.tolist() for m in ("audio", "image")}
    vectors = inputs.embeddings(run.config, embed, data, ids)
    listed = trial_lists.read(f"{data}/lists/speakers.txt")
    for direction in ("audio-audio", "audio-image"):
        first, second = direction.split("-")
        score = [
            float(vectors[first][a] @ vectors[second][b])
            for a, b in zip(listed.first, listed.second)
        ]
        expected = metrics.roc_auc(np.round(score, 6), listed.label)
        (auc,) = [r for r in found if (r.direction, r.metric.key) == (direction, "auc")]
        assert auc.value == pytest.approx(expected, abs=1e-6)
        assert auc.num_trials == len(listed.label) and auc.list_name == "speakers.txt"


def test_every_metric_is_in_the_catalogue():
    for its in table.PROTOCOLS.values():
        for metric in its.metrics:
            assert any(metric in known.values() for known in catalogue.METRICS.values())


def test_every_protocol_has_a_page_and_every_page_a_protocol():
    shown = {its.page for its in table.PROTOCOLS.values()}
    assert shown == set(report.PAGES)


def test_perfect_logits_reach_the_best_value_and_unrelated_ones_are_at_chance():
    random = np.random.default_rng(4)
    label = random.permutation(np.arange(600) % 4)
    logits = {"fused": 50 * np.eye(4)[label], "audio": random.normal(size=(600, 4))}
    results = classification.evaluate(logits, label, class_names=list("abcd"))
    found = {(r.direction, r.metric.key): r for r in results}
    for metric, best in (("accuracy", 1.0), ("ece", 0.0), ("nll", 0.0)):
        assert abs(found["fused", metric].value - best) < 1e-12
    accuracy = found["audio", "accuracy"]  # one standard deviation is sqrt(0.19 / 600) = 0.018
    assert accuracy.chance == 0.25 and abs(accuracy.value - 0.25) < 0.06
    assert found["audio", "nll"].value > found["audio", "nll"].chance
