"""A run's own thresholds: fitted on val, found again, read by every command."""

import dataclasses
import json

import numpy as np
import pytest

import tfav
from tests import small, untrained
from tfav import config_file, registry
from tfav.commands import evaluate, export, report, search
from tfav.commands.protocols import pair_trials, protocol, table
from tfav.data import shards
from tfav.evaluation import decisions, pair_calibration, thresholds
from tfav.experiment import evaluations, inputs, measured_decisions, models
from tfav.inference import recipe_embedder
from tfav.recipes import outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose val tells a little apart, evaluated; and one that nobody evaluated."""
    folder = tmp_path_factory.mktemp("decisions")
    data = small.write_dataset(str(folder / "data"), 32)
    own = {"eval.protocols": ("lists", "calibration"), "seed": 1}
    lists = folder / "data" / "lists"
    lines = [line.split() for line in (lists / "match_v2f_2_test.txt").read_text().splitlines()]
    pairs = [f"{probe} {other}\n" for probe, *others in lines for other in others]
    (lists / "verify_v2f_test.txt").write_text("".join(pairs))
    untrained.write(folder / "run", data, "voice_face", **own)
    untrained.write(folder / "new", data, "voice_face", **own)
    list(evaluate.evaluate([str(folder / "run")], ["test"]))
    return folder


def trained(folder, name="run"):
    return models.trained(str(folder / name))


def context(run, directory, tags=("test",)):
    return protocol.Context(run, shards.Index.read(directory), tags, f"{directory}/lists", 0)


def record(results):
    return results[0].details[pair_calibration.DECISIONS]


def test_other_test_rows_change_no_threshold_and_no_calibration(folder, tmp_path):
    """The same val, and a test split whose items have changed places among its people."""
    run = trained(folder)
    rows = small.records(32)
    faces = [row.label for row in rows if row.split == "test" and row.image is not None]
    turned = iter(faces[2:] + faces[:2])  # two faces of everyone: each has the next one's
    others = [
        dataclasses.replace(row, label=next(turned))
        if row.split == "test" and row.image is not None
        else row
        for row in rows
    ]
    shards.write(str(tmp_path / "data"), others, columns=["gender"])
    calibrate = table.find("calibration").evaluate
    one = record(calibrate(context(run, str(folder / "data"))).results)
    other = record(calibrate(context(run, str(tmp_path / "data"))).results)
    assert one["calibration"] is not None and one["calibration"] == other["calibration"]
    assert one["thresholds"].keys() == other["thresholds"].keys() >= {"eer", "far_0.1"}
    for name, its in one["thresholds"].items():
        assert its["threshold"] == other["thresholds"][name]["threshold"]
        assert its["interval"] == other["thresholds"][name]["interval"]
    errors = [[x["thresholds"]["eer"][k] for k in ("far", "frr")] for x in (one, other)]
    assert errors[0] != errors[1]


def test_the_pairs_are_all_of_a_split_and_their_scores_the_cosines(folder):
    run = trained(folder)
    index = shards.Index.read(str(folder / "data")).select("val")
    compare = pair_trials.scorer(run.config, run.recipe)
    pairs = pair_trials.PairTrials(run.config, run.recipe, index, compare)
    found = pairs.trials()
    embed = recipe_embedder.RecipeEmbedder(run.recipe).embed
    voices, faces = (index.take(np.flatnonzero(index.held(m))) for m in ("audio", "image"))
    assert found.label.reshape(16, 16).tolist() == (voices.label[:, None] == faces.label).tolist()
    assert (found.num_right, found.num_wrong, found.num_identities) == (32, 224, 8)
    batches = {
        m: inputs.embeddings(run.config, embed, index.directory, {m: part.id.tolist()})[m]
        for m, part in (("audio", voices), ("image", faces))
    }
    first = batches["audio"][voices.id[0]] @ batches["image"][faces.id[3]]
    assert found.score[3] == pytest.approx(first, abs=1e-6) and pairs.score == decisions.COSINE
    some = pair_trials.PairTrials(run.config, run.recipe, index, compare, most=4)
    # Four of sixteen, from the first to the last: rows 0, 5, 10 and 15.
    assert some.audio.id.tolist() == voices.id[[0, 5, 10, 15]].tolist()
    assert len(some.trials().score) == 16


def test_groups_are_pairs_that_agree_in_a_column_of_few_values(folder, tmp_path):
    run = trained(folder)
    rows = [
        dataclasses.replace(row, extra={**row.extra, "mood": f"m{i % 9}"})
        for i, row in enumerate(small.records(32))
    ]
    shards.write(str(tmp_path / "data"), rows, columns=["gender", "mood"])
    part = shards.Index.read(str(tmp_path / "data")).select("test")
    compare = pair_trials.scorer(run.config, run.recipe)
    groups, notes = pair_trials.PairTrials(run.config, run.recipe, part, compare).groups()
    assert [(g.column, g.value) for g in groups] == [("gender", "f"), ("gender", "m")]
    # Eight people, four of either gender, two voices and two faces of each: 8 x 8 pairs.
    assert [int(g.some.sum()) for g in groups] == [64, 64]
    assert notes == ["test: no error rates by mood, of which there are more than 8 values."]


def test_without_val_nothing_is_fitted_and_the_notes_say_so(folder, tmp_path):
    rows = [row for row in small.records(32) if row.split != "val"]
    shards.write(str(tmp_path / "data"), rows, columns=["gender"])
    found = table.find("calibration").evaluate(context(trained(folder), str(tmp_path / "data")))
    assert [r.metric.key for r in found.results] == ["pair_eer"] and not found.pictures
    stored = record(found.results)
    assert stored["calibration"] is None and "has no split 'val'" in stored["left_out"]["eer"]


def test_a_split_without_pairs_is_left_out_and_one_that_is_none_refused(folder, tmp_path, caplog):
    rows = [r for r in small.records(32) if r.split != "test" or r.image is None]
    shards.write(str(tmp_path / "data"), rows, columns=["gender"])
    run = trained(folder)
    found = table.find("calibration").evaluate(context(run, str(tmp_path / "data")))
    assert not found.results and "no calibration of test: " in caplog.text
    with pytest.raises(registry.UserError, match="has no split 'tset'"):
        table.find("calibration").evaluate(context(run, str(folder / "data"), ["tset"]))


def test_val_itself_says_that_it_was_fitted_on(folder):
    found = table.find("calibration").evaluate(
        context(trained(folder), str(folder / "data"), ["val"])
    )
    assert any("were fitted on" in note for note in found.results[0].notes)
    stored = record(found.results)
    assert stored["measured_on"]["fitted"] == stored["measured_on"]["evaluated"]


def test_what_was_measured_is_found_for_these_weights_and_settings_alone(folder):
    workdir = str(folder / "run")
    c = config_file.load(workdir)
    found = measured_decisions.find(workdir, c)
    own = evaluations.own(workdir)
    assert found == next(r.details["decisions"] for r in own.results if "decisions" in r.details)
    index = shards.Index.read(str(folder / "data"))
    on = found["measured_on"]
    assert on["data"] == index.sha256 and on["recipe"] == "voice_face"
    assert on["embedding_space"] == outputs.embedding_space(trained(folder).recipe)
    assert measured_decisions.find(str(folder / "new"), c) is None
    with c.unlocked():
        c.eval.audio_seconds = 0.5
    assert measured_decisions.find(workdir, c) is None


def test_a_run_answers_with_its_probability_and_one_that_nobody_evaluated_says_why(folder):
    its = tfav.load(folder / "run")
    stored = measured_decisions.find(str(folder / "run"), config_file.load(str(folder / "run")))
    unit = np.eye(8, dtype=np.float32)
    found = its.match(unit[0], unit[:2])
    at = stored["calibration"]
    expected = 1 / (1 + np.exp(-(at["slope"] * np.array([1.0, 0.0]) + at["intercept"])))
    assert found.probability[0] == pytest.approx(expected, rel=1e-5)
    threshold = stored["thresholds"]["eer"]["threshold"]
    assert found.matched[0].tolist() == [threshold <= 1.0, threshold <= 0.0]
    new = tfav.load(folder / "new").match(unit[0], unit[:2])
    assert new.probability is None and new.why == decisions.MISSING


def test_an_export_and_its_card_hold_the_decisions_of_the_run(folder, tmp_path):
    known = measured_decisions.find(str(folder / "run"), config_file.load(str(folder / "run")))
    export.export(str(folder / "run"), str(tmp_path / "model"), precisions=("float32",))
    assert json.loads((tmp_path / "model" / "parity.json").read_text())["decisions"] == known
    model = tfav.load(tmp_path / "model" / "image_float32.tflite")
    assert dict(model.decisions.content) == known
    card = json.loads((tmp_path / "model" / "model_card.json").read_text())
    text = (tmp_path / "model" / "model_card.md").read_text()
    assert card["decisions"] == known
    directions = {one["direction"] for one in card["errors"]}
    assert {"EER threshold", "10 % FAR threshold", "gender f", "gender m"} == directions
    assert "Fitted on 32 right and 224 wrong pairs of 8 identities of the split val" in text
    assert "- No 1 % FAR threshold: 1 % of the 224 wrong pairs of val are 2.2" in text


def test_a_search_says_probability_and_decision_or_why_not(folder, tmp_path):
    model = tfav.load(folder / "run")
    gallery, queries = (tmp_path / name for name in ("gallery.npz", "queries.npz"))
    unit = np.eye(8, dtype=np.float32)
    for path, modality, vectors in ((gallery, "image", unit[:2]), (queries, "audio", unit[:1])):
        np.savez(
            path,
            embedding_space=np.array(model.embedding_space),
            **{f"{modality}_id": np.array([f"{modality}{i}" for i in range(len(vectors))])},
            **{modality: vectors},
        )
    told = model.match(unit[0], unit[:2])
    found = search.search([str(gallery)], [str(queries)], str(folder / "run"))
    head, *lines = (line.split(maxsplit=3) for line in search.table(found).splitlines())
    assert head[:3] == ["query", "rank", "cosine"] and head[3].startswith("probability  decision")
    words = {True: "match", False: "not sure"}
    for line, cosine, p, matched in zip(lines, (1.0, 0.0), told.probability[0], told.matched[0]):
        assert line[2] == f"{cosine:.4f}"
        assert line[3].startswith(f"{p:.3f}") and words[bool(matched)] in line[3]
    near = search.record(found)["queries"][0]["found"][0]
    assert near["probability"] == pytest.approx(told.probability[0, 0], rel=1e-6)
    assert near["matched"] == bool(told.matched[0, 0])
    assert "no probability" not in search.about(found)
    new = search.search([str(gallery)], [str(queries)], str(folder / "new"))
    assert "probability" not in search.table(new)
    assert search.about(new).endswith(f"no probability: {decisions.MISSING}")
    assert "probability" not in search.record(new)["queries"][0]["found"][0]


def test_the_page_shows_thresholds_groups_and_reliability(folder, tmp_path):
    page = tmp_path / "report.html"
    list(report.make_report(str(folder / "run"), output=str(page)))
    text = page.read_text()
    assert 'id="decisions"' in text and "Reliability of pairs" in text
    for name in ("EER threshold", "10 % FAR threshold", "gender f", "gender m"):
        assert f'<th scope="row">{name}</th>' in text
    assert "1 % of the 224 wrong pairs of val are 2.2, and 10 are needed" in text
    assert "Short and noisy clips" not in text  # nobody measured them


def test_the_pictures_of_every_own_protocol_are_kept(folder):
    found = {path.name for path in (folder / "run" / "plots" / "test").iterdir()}
    assert found == {"roc.png", "pair_reliability.png"}


def test_temperatures_are_fitted_on_val(folder, tmp_path):
    data = untrained.write_data(tmp_path / "data")
    run = untrained.run(data, "mmcosine")
    found = table.find("calibration").evaluate(context(run, data)).results
    assert [r.metric.key for r in found] == ["scaled_ece", "temperature"]
    of_val = table.find("calibration").evaluate(context(run, data, ["val"])).results
    assert found[1].value == of_val[1].value and found[0].value != of_val[0].value


def test_thresholds_of_the_table_are_those_that_the_record_names():
    names = {*thresholds.POINTS, "taught"}
    called = {name: pair_calibration.called(name) for name in names}
    assert called["far_0.001"] == "0.1 % FAR threshold" and called["eer"] == "EER threshold"
    assert len(set(called.values())) == len(names)
