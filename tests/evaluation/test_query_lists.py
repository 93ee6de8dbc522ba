"""The three protocols on embeddings small enough to check by hand."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfav import registry
from tfav.annotations import list_folder, lists
from tfav.evaluation import list_tasks, query_lists, result
from tfav.evaluation import space as spaces
from tfav.evaluation.metric import Metric

# cos(a, A) = cos(b, A) = 0.7071, cos(a, B) = 0, cos(b, B) = 1. Norms differ on purpose.
VOICES = {"a.wav": [3.0, 0.0], "b.wav": [0.0, 0.5]}
FACES = {"A.jpg": [2.0, 2.0], "B.jpg": [0.0, 4.0]}
LABELS = {"a.wav": "ann", "A.jpg": "ann", "b.wav": "bob", "B.jpg": "bob"}
LISTS = {
    "match_v2f_2_test.txt": "a.wav A.jpg B.jpg\nb.wav B.jpg A.jpg\n",
    "match_f2v_2_test.txt": "A.jpg a.wav b.wav\nB.jpg b.wav a.wav\n",
    "verify_v2f_test.txt": "a.wav A.jpg\na.wav B.jpg\nb.wav A.jpg\nb.wav B.jpg\n",
    "retrieval_v2f_test.txt": "a.wav b.wav\nA.jpg B.jpg\n",
    "reterival_f2v_test.txt": "A.jpg B.jpg\na.wav b.wav\n",
}


def write_lists(folder, lists):
    for name, text in lists.items():
        (folder / name).write_text(text)
    return folder


def evaluate(folder, voices=VOICES, faces=FACES, labels=LABELS, missing=0.01, **kwargs):
    space = spaces.Space({"audio": voices, "image": faces}, labels, missing)
    return query_lists.evaluate(folder, "test", space, **kwargs)


def pick(results, key="value"):
    return {(r.metric.key, r.direction): getattr(r, key) for r in results}


@pytest.fixture
def folder(tmp_path):
    return write_lists(tmp_path, LISTS)


def test_every_figure_by_hand(folder):
    value = pick(evaluate(folder))
    # Voice to face: a has A 0.71 > B 0, b has B 1 > A 0.71: both right.
    # Face to voice: A has a = b = 0.71, a tie, which is wrong; B has b 1 > a 0: one of two.
    assert value["accuracy", "v2f"] == 1.0
    assert value["accuracy", "f2v"] == 0.5
    # Right pairs 0.71, 1; wrong 0, 0.71: won 1 + 1/2 + 1 + 1 = 3.5 of 4.
    assert value["auc", "v2f"] == 3.5 / 4
    # (FPR, FNR): (0, 1/2) at 1, (1/2, 0) at 0.71: they meet half way, at 1/4.
    assert value["eer", "v2f"] == pytest.approx(1 / 4, abs=1e-12)
    assert value["map", "v2f"] == 1.0
    # A finds a behind the tied b: 1/2; B finds b first: 1. Mean 3/4; one of two is first.
    assert value["map", "f2v"] == 0.75
    assert value["recall@1", "f2v"] == 0.5
    assert value["recall@5", "f2v"] == 1.0


def test_chance_trials_and_identities_stand_beside_every_figure(folder):
    results = evaluate(folder)
    chance = pick(results, "chance")
    assert chance["accuracy", "v2f"] == 0.5
    assert chance["auc", "v2f"] == chance["eer", "v2f"] == 0.5
    assert chance["map", "v2f"] == pytest.approx(0.75)  # first or second of two: (1 + 1/2) / 2
    assert chance["recall@1", "v2f"] == 0.5
    assert {r.num_identities for r in results} == {2}
    assert pick(results, "num_trials")["auc", "v2f"] == 4
    assert pick(results, "num_trials")["map", "v2f"] == 2


def test_results_say_what_they_were_measured_on_and_are_json(folder):
    results = json.loads(json.dumps([r.to_json() for r in evaluate(folder)], allow_nan=False))
    keys = "protocol stratum direction n tag metric value chance low high num_trials num_identities"
    assert list(results[0]) == [*keys.split(), "list", "sha256", "resampled"]
    first = results[0]
    assert (first["protocol"], first["stratum"], first["n"]) == ("matching", "unrestricted", 2)
    assert first["list"] == "match_v2f_2_test.txt" and len(first["sha256"]) == 64
    assert first["resampled"] == "the probes' identities"
    assert [r["n"] for r in results if r["protocol"] != "matching"] == [None] * 10


def test_chance_of_1_in_n_matching_is_1_in_n(tmp_path):
    write_lists(tmp_path, {"match_v2f_4_test.txt": "a A B C D\n"})
    voices, faces = {"a": [1, 0]}, {"A": [1, 0], "B": [0, 1], "C": [-1, 0], "D": [0, -1]}
    (result,) = evaluate(tmp_path, voices, faces, {"a": 0, "A": 0, "B": 1, "C": 2, "D": 3})
    assert (result.value, result.chance, result.n) == (1.0, 0.25, 4)


def random_space(num_identities, per_identity, noise, seed=0):
    """Voices and faces round a common centre of each identity, and the lists of all of them."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(num_identities, 16))
    voices, faces, labels = {}, {}, {}
    for k in range(num_identities):
        for i in range(per_identity):
            for side, name in ((voices, f"{k}/{i}.wav"), (faces, f"{k}/{i}.jpg")):
                side[name] = centre[k] + noise * rng.normal(size=16)
                labels[name] = f"person {k}"
    match, verify = [], []
    for voice in voices:
        other = [face for face in faces if labels[face] != labels[voice]]
        right = voice.replace("wav", "jpg")
        negatives = rng.choice(other, 2, replace=False)
        match.append(f"{voice} {right} {negatives[0]}")
        verify += [f"{voice} {right}", f"{voice} {negatives[1]}"]
    texts = {
        "match_g_v2f_2_test.txt": "\n".join(match),
        "verify_g_v2f_test.txt": "\n".join(verify),
        "retrieval_v2f_test.txt": " ".join(voices) + "\n" + " ".join(faces),
    }
    return voices, faces, labels, texts


def test_collapsed_embeddings_score_nothing_wherever_the_positive_stands(tmp_path):
    # All equal: every comparison ties. The released code (argmax == 0) would call matching perfect.
    voices, faces, labels, texts = random_space(6, 3, noise=0.0)
    point = np.random.default_rng(1).normal(size=16)
    voices = {name: point * (1 + i) for i, name in enumerate(voices)}
    faces = {name: point for name in faces}
    value = pick(evaluate(write_lists(tmp_path, texts), voices, faces, labels))
    assert value["accuracy", "v2f"] == 0.0
    assert value["auc", "v2f"] == value["eer", "v2f"] == 0.5
    # Three relevant behind fifteen others: ranks 16, 17, 18.
    assert value["map", "v2f"] == pytest.approx((1 / 16 + 2 / 17 + 3 / 18) / 3, abs=1e-12)
    assert value["recall@10", "v2f"] == 0.0


def test_the_seed_fixes_the_intervals_and_zero_resamples_leaves_them_out(tmp_path):
    voices, faces, labels, texts = random_space(8, 3, noise=1.5)
    sides = write_lists(tmp_path, texts), voices, faces, labels
    assert evaluate(*sides, num_bootstrap=50, seed=1) == evaluate(*sides, num_bootstrap=50, seed=1)
    ends = [[r.low for r in evaluate(*sides, num_bootstrap=50, seed=seed)] for seed in (1, 2)]
    assert ends[0] != ends[1]
    assert {r.low for r in evaluate(*sides, num_bootstrap=0)} == {None}


def test_several_galleries_of_one_list_are_evaluated_apart(tmp_path):
    # Each probe meets only its own gallery: a would lose to B in a common one.
    write_lists(tmp_path, {"retrieval_g_v2f_test.txt": "a.wav\nA.jpg\nb.wav\nB.jpg\n"})
    voices = {"a.wav": [0.0, 1.0], "b.wav": [0.0, 1.0]}
    value = pick(evaluate(tmp_path, voices))
    assert value["map", "v2f"] == 1.0


def test_verification_scores_are_those_the_figures_came_from(folder):
    space = spaces.Space({"audio": VOICES, "image": FACES}, LABELS)
    scores = query_lists.verification_scores(folder, "test", space)
    score, label = scores["verify_v2f_test.txt"]
    np.testing.assert_allclose(score, [0.5**0.5, 0, 0.5**0.5, 1], atol=1e-6)
    np.testing.assert_array_equal(label, [True, False, False, True])


def test_listed_items_without_an_embedding_are_counted_and_three_are_named(folder):
    (folder / "verify_v2f_test.txt").write_text("".join(f"x{i}.wav A.jpg\n" for i in range(5)) * 2)
    expected = (
        "verify_v2f_test.txt: 5 of its 5 audio items have no embedding "
        r"\(first: x0.wav, x1.wav, x2.wav\)"
    )
    with pytest.raises(registry.UserError, match=expected):
        evaluate(folder)


def test_a_few_items_without_an_embedding_are_left_out_counted_and_named(tmp_path):
    voices, faces, labels, texts = random_space(10, 5, noise=1.0)
    folder = write_lists(tmp_path, texts)
    del voices["3/1.wav"], faces["4/2.jpg"]
    # 50 voices and 50 faces: one of each is 2 %.
    with pytest.raises(registry.UserError, match="1 of its 50 audio items .*more than the 1 % "):
        evaluate(folder, voices, faces, labels)
    options = {"num_bootstrap": 0, "missing": 0.02}
    results = evaluate(folder, voices, faces, labels, **options)
    lost = {"match_g_v2f_2_test.txt": 0, "verify_g_v2f_test.txt": 0}
    for name in lost:
        kept = [
            line
            for line in texts[name].splitlines()
            if "3/1.wav" not in line and "4/2.jpg" not in line
        ]
        total = len(texts[name].splitlines())
        found = [r for r in results if r.list_name == name]
        assert {r.num_trials for r in found} == {len(kept)} and len(kept) < total
        note = (
            f"{name}: 2 of its items are not in the data (first: 3/1.wav, 4/2.jpg); "
            f"{total - len(kept)} of {total} trials that name them are left out."
        )
        assert all(r.notes == (note,) for r in found)
        (tmp_path / name).write_text("\n".join(kept))
    (retrieved, *_) = [r for r in results if r.metric.key == "map"]
    assert retrieved.num_trials == 49 and "they are left out." in retrieved.notes[0]
    # The figures are those of lists without such lines.
    (tmp_path / "retrieval_v2f_test.txt").write_text(" ".join(voices) + "\n" + " ".join(faces))
    whole = evaluate(folder, voices, faces, labels, num_bootstrap=0)
    assert [r.value for r in results] == [r.value for r in whole]
    assert not any(r.notes for r in whole)
    space = spaces.Space({"audio": voices, "image": faces}, labels, 0.02)
    scores = query_lists.verification_scores(folder, "test", space)
    assert len(scores["verify_g_v2f_test.txt"][0]) == whole[1].num_trials


def test_what_the_missing_items_leave_must_be_something(tmp_path):
    folder = write_lists(tmp_path, {"match_v2f_2_test.txt": "x.wav A.jpg B.jpg\n"})
    with pytest.raises(registry.UserError, match="first: x.wav.*; 1 of 1 trials"):
        evaluate(folder, missing=1.0)
    write_lists(tmp_path, {"match_v2f_2_test.txt": LISTS["match_v2f_2_test.txt"]})
    write_lists(tmp_path, {"retrieval_v2f_test.txt": "x.wav\nA.jpg B.jpg\n"})
    with pytest.raises(registry.UserError, match="leaves a gallery or its probes empty"):
        evaluate(folder, missing=1.0)


def test_probes_without_a_relevant_item_count_zero_aloud_and_none_with_one_is_refused(tmp_path):
    folder = write_lists(tmp_path, {"retrieval_v2f_test.txt": "a.wav b.wav\nB.jpg\n"})
    results = evaluate(folder)
    assert pick(results)["map", "v2f"] == 0.5  # b finds B; a has nobody to find
    note = "1 of 2 probes have no item of their identity in the gallery and count 0."
    assert results[0].notes == (f"retrieval_v2f_test.txt: {note}",)
    write_lists(tmp_path, {"retrieval_v2f_test.txt": "a.wav\nB.jpg\n"})
    with pytest.raises(registry.UserError, match="none of its 1 probes has an item of its ident"):
        evaluate(folder)


def test_an_item_without_identity_and_a_modality_without_embeddings_are_named(folder):
    labels = {name: who for name, who in LABELS.items() if name != "B.jpg"}
    with pytest.raises(registry.UserError, match="1 of its 2 image items have no identity .*B.jpg"):
        evaluate(folder, labels=labels)
    with pytest.raises(registry.UserError, match="2 of its 2 image items have no embedding"):
        query_lists.evaluate(folder, "test", spaces.Space({"audio": VOICES}, LABELS))
    with pytest.raises(registry.UserError, match="2 of its 2 image items have no embedding"):
        evaluate(folder, faces={})


@pytest.mark.parametrize(
    ("vector", "kind"), [([0.0, 0.0], "zero"), ([np.nan, 1.0], "NaN"), ([np.inf, 1.0], "infinite")]
)
def test_a_broken_embedding_is_named_by_its_id(folder, vector, kind):
    with pytest.raises(registry.UserError, match=f"audio embedding of b.wav is .*{kind}"):
        evaluate(folder, voices={**VOICES, "b.wav": vector})


def test_a_matching_list_that_contradicts_the_identities_is_refused(folder):
    (folder / "match_v2f_2_test.txt").write_text("a.wav B.jpg A.jpg\n")
    with pytest.raises(registry.UserError, match="item 2 of 1 trials contradicts .*a.wav B.jpg"):
        evaluate(folder)
    (folder / "match_v2f_2_test.txt").write_text("a.wav A.jpg B.jpg\na.wav A.jpg A.jpg\n")
    with pytest.raises(registry.UserError, match="item 3 of 1 trials contradicts .*a.wav A.jpg"):
        evaluate(folder)


def test_a_verification_list_of_right_pairs_alone_is_refused(folder):
    (folder / "verify_v2f_test.txt").write_text("a.wav A.jpg\nb.wav B.jpg\n")
    with pytest.raises(registry.UserError, match="verify_v2f_test.txt: all 2 pairs are right"):
        evaluate(folder)


def test_a_task_of_ones_own_is_one_object_and_its_lists_are_found_by_their_name(tmp_path):
    # "Odd one out": of all items of a line, is the first pair the closest? One object says it all.
    metric = Metric("hits", "odd one out of {n}", definition="How often the pair is found.")

    def odd(query):
        galleries = task.form.read(query.path)
        hit = []
        for (probe,), candidates in galleries:
            voice = query.space.vectors(query.path, "audio", [probe])
            faces = query.space.vectors(query.path, "image", candidates)
            hit.append(np.argmax(faces @ voice[0]) == 0)
        identity = np.arange(len(hit))
        return [query.result(metric, identity, value=np.mean(hit), chance=0.5, replicates=None)]

    def read(path):
        lines = [line.split() for line in path.read_text().splitlines()]
        return [lists.Gallery(line[:1], line[1:]) for line in lines]

    task = list_tasks.ListTask(lists.Form("odd", ("odd",), True, read), (metric,), odd)
    write_lists(tmp_path, {"odd_v2f_2_test.txt": "a.wav B.jpg A.jpg\nb.wav B.jpg A.jpg\n"})
    write_lists(tmp_path, {"match_v2f_2_test.txt": LISTS["match_v2f_2_test.txt"]})
    tasks = {**list_tasks.TASKS, "odd": task}
    matched, own = evaluate(tmp_path, tasks=tasks)
    assert matched.protocol == "matching"  # each list by the task of its name
    assert (own.protocol, own.n, own.value, own.list_name) == ("odd", 2, 0.5, "odd_v2f_2_test.txt")
    assert own.name == "odd one out of 2" and isinstance(own, result.Result)
    found = list_folder.find(tmp_path, "test", query_lists.forms(tasks))
    assert list_folder.items(found, query_lists.forms(tasks)) == {
        "audio": ["a.wav", "b.wav"],
        "image": ["A.jpg", "B.jpg"],
    }
    assert len(evaluate(tmp_path)) == 1  # without it, such a list is any other file


def test_evaluation_needs_numpy_and_no_tensorflow():
    code = (
        "import sys\n"
        "from tfav.evaluation import catalogue, paired_runs, query_lists\n"
        "from tfav.reports import balance, comparison, tables\n"
        "print(*{'tensorflow', 'keras', 'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
