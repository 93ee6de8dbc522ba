"""Trial lists: what they may look like, the figures by hand, clips that are not there."""

import gzip

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import trial_lists, trials

IDS = ["s1/v/1.wav", "s1/v/2.wav", "s2/v/1.wav", "s2/v/2.wav"]
# Cosines: s1 with itself 0.8, s2 with itself 0.6, s1/1 with s2/1 0, s1/2 with s2/2 0.96.
LOGITS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0], [0.8 * 3, 0.6 * 3]])
LIST = (
    "1,s1/v/1.wav,s1/v/2.wav\n0,s1/v/1.wav,s2/v/1.wav\n"
    "1,s2/v/1.wav,s2/v/2.wav\n0,s2/v/2.wav,s1/v/2.wav\n"
)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "pairs.csv").write_text(LIST)
    return tmp_path / "pairs.csv"


def evaluate(path, ids, logits, *, present=None, **options):
    """Trials by logits: each direction compares its own vectors with themselves."""
    directions = {}
    for name, values in logits.items():
        vectors = trials.Vectors(np.asarray(values), (present or {}).get(name))
        directions[name] = vectors, vectors
    return trials.evaluate(path, ids, directions, **options)


def pick(results, key="value"):
    return {(r.metric.key, r.direction): getattr(r, key) for r in results}


@pytest.mark.parametrize(
    "text",
    [
        LIST,
        "\ufefflabel,wav1,wav2\n" + LIST,
        LIST.replace(",s", ",/s").replace("\n", "\r\n"),
        LIST.replace(",", " "),
        "\n" + LIST.rstrip("\n") + "\n\n",
    ],
)
def test_a_list_is_read_with_and_without_header_slashes_and_commas(tmp_path, text):
    for name, content in (("a.csv", text.encode()), ("a.csv.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        found = trial_lists.read(tmp_path / name)
        np.testing.assert_array_equal(found.label, [True, False, True, False])
        assert found.first == ["s1/v/1.wav", "s1/v/1.wav", "s2/v/1.wav", "s2/v/2.wav"]
        assert found.second == ["s1/v/2.wav", "s2/v/1.wav", "s2/v/2.wav", "s1/v/2.wav"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,a.wav\n", "line 1 has 2 cells, expected three: label, item, item"),
        ("1,a.wav,b.wav\n\n2,a.wav,b.wav\n", "line 3 has the label '2': write 1 "),
        ("1,a.wav,\n", "line 1 has 3 cells"),
        ("label,wav1,wav2\n", "holds no trial"),
        ("", "holds no trial"),
        (b"1,\xff,a\n", "is not UTF-8"),
    ],
)
def test_a_malformed_list_is_a_sentence_with_its_line(tmp_path, text, sentence):
    path = tmp_path / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(registry.UserError, match=f"pairs.csv.*{sentence}"):
        trial_lists.read(path)
    with pytest.raises(registry.UserError, match="none.csv cannot be read"):
        trial_lists.read(tmp_path / "none.csv")


@pytest.mark.parametrize("again", ["0 a/1 b/1", "0 b/1 a/1", "0,/b/1,a/1"])
def test_one_pair_is_not_of_one_speaker_and_of_two(tmp_path, again):
    path = tmp_path / "trials.txt"
    path.write_text(f"1 a/1 b/1\n1 a/1 c/1\n{again}\n")
    with pytest.raises(registry.UserError, match="line 3 says 0 of .* and line 1 says 1 of the sa"):
        trial_lists.read(path)


def test_trials_that_come_twice_are_counted(tmp_path):
    path = tmp_path / "trials.txt"
    path.write_text("1 a b\n1 b a\n0 a c\n0 a c\n0 b c\n")
    notes = trial_lists.rows(path, trial_lists.read(path), ["a", "b", "c"], 0.0)[2]
    assert notes == ["trials.txt: 1 of its 5 trials repeat an earlier one and count again."]


def test_every_figure_by_hand(path):
    results = evaluate(path, IDS, {"fused": LOGITS}, num_bootstrap=0)
    value = pick(results)
    # The fourth row points as the second does: its trial, of two speakers, scores 1. Right 0.8 and
    # 0.6, wrong 0 and 1: two of four pairs are won; FNR = FPR = 1/2 between 0.6 and 0.8.
    assert value["auc", "fused"] == 0.5
    assert value["eer", "fused"] == pytest.approx(0.5, abs=1e-12)
    assert value["min_dcf", "fused"] == 1.0  # nothing is accepted before the wrong one
    first = results[0]
    assert (first.tag, first.list_name, first.protocol) == ("pairs", "pairs.csv", "trials")
    assert (first.num_trials, first.num_identities, first.low) == (4, 2, None)
    assert pick(results, "chance") == {
        ("auc", "fused"): 0.5,
        ("eer", "fused"): 0.5,
        ("min_dcf", "fused"): 1.0,
    }


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.5),
        ([0.1, 0.2, 0.3, 0.6, 0.7, 0.8], [0, 0, 1, 0, 1, 1], 1 / 3),
        ([0.1, 0.2, 0.7, 0.8], [0, 0, 1, 1], 0.0),
    ],
)
def test_the_worked_scores_reach_their_equal_error_rates_as_trials(
    tmp_path, score, label, expected
):
    # Clip 0 lies on the first axis; clip k at the angle whose cosine is the score of trial k.
    ids = [f"s{k}/1.wav" for k in range(len(score) + 1)]
    logits = np.array([[1.0, 0.0], *([c, np.sqrt(1 - c * c)] for c in score)])
    lines = [f"{y},{ids[0]},{ids[k]}" for k, y in enumerate(label, start=1)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    results = evaluate(tmp_path / "a.csv", ids, {"fused": logits}, num_bootstrap=0)
    assert pick(results)["eer", "fused"] == pytest.approx(expected, abs=1e-7)


def test_clips_are_found_whatever_their_slash_and_ending(path):
    expected = pick(evaluate(path, IDS, {"fused": LOGITS}, num_bootstrap=0))
    for ids in ([f"/{name}" for name in IDS], [name.replace("wav", "mp4") for name in IDS]):
        found = evaluate(path, ids, {"fused": LOGITS}, num_bootstrap=0)
        assert pick(found) == expected and not found[0].notes
    # Two rows that differ in their endings only: which is meant is not to be guessed.
    ids = [*(name.replace("wav", "mp4") for name in IDS), "s1/v/1.flac"]
    with pytest.raises(registry.UserError, match=r"1 of its 4 items .*\(first: s1/v/1.wav\)"):
        evaluate(path, ids, {"fused": np.ones((5, 2))})


def test_unknown_clips_are_counted_three_are_named_and_past_the_limit_it_ends(path):
    path.write_text(LIST + "".join(f"1,s1/v/1.wav,x/{k}.wav\n" for k in range(4)))
    sentence = r"4 of its 8 items .*\(first: x/0.wav, x/1.wav, x/2.wav\), more than the 1 % that"
    with pytest.raises(registry.UserError, match=sentence):
        evaluate(path, IDS, {"fused": LOGITS})
    results = evaluate(path, IDS, {"fused": LOGITS}, num_bootstrap=0, max_missing_fraction=0.5)
    assert pick(results)["auc", "fused"] == 0.5 and results[0].num_trials == 4
    assert results[0].notes == (
        "pairs.csv: 4 of its 8 items are not in the data (first: x/0.wav, x/1.wav, x/2.wav); "
        "4 of 8 trials that name them are left out.",
    )


def test_a_modality_that_a_clip_lacks_is_evaluated_without_it(path):
    path.write_text(LIST + "1,s1/v/2.wav,s1/v/1.wav\n")
    present = {"image": np.array([True, True, True, False]), "flow": np.zeros(4, bool)}
    logits = dict.fromkeys(("fused", "image", "flow"), LOGITS)
    results = evaluate(path, IDS, logits, present=present, num_bootstrap=0)
    assert pick(results, "num_trials")["auc", "fused"] == 5
    assert pick(results, "num_trials")["auc", "image"] == 3
    assert pick(results)["auc", "image"] == 1.0
    (note,) = next(r.notes for r in results if r.direction == "image")
    assert note.startswith("pairs: 2 of 5 trials have an item without image and are left out")
    assert {r.direction for r in results} == {"fused", "image"}


def test_trials_of_one_kind_and_broken_logits_are_refused(path):
    path.write_text("1,s1/v/1.wav,s1/v/2.wav\n1,s2/v/1.wav,s2/v/2.wav\n")
    with pytest.raises(registry.UserError, match="all 2 trials with fused are of one speaker"):
        evaluate(path, IDS, {"fused": LOGITS})
    path.write_text("0,s1/v/1.wav,s2/v/2.wav\n")
    with pytest.raises(registry.UserError, match="all 1 trials with fused are of two speakers"):
        evaluate(path, IDS, {"fused": LOGITS})
    path.write_text(LIST)
    broken = LOGITS.copy()
    broken[2, 0] = np.nan
    with pytest.raises(
        registry.UserError, match=r"fused vectors of 1 of 4 .*\(first: s2/v/1.wav\)"
    ):
        evaluate(path, IDS, {"fused": broken})
    with pytest.raises(ValueError, match="1 of 4 ids come twice"):
        evaluate(path, [*IDS[:3], IDS[0]], {"fused": LOGITS})


def test_intervals_resample_speakers_those_given_or_the_first_folder(path):
    rng = np.random.default_rng(0)
    ids = [f"s{k}/v/{i}.wav" for k in range(8) for i in range(4)]
    logits = np.repeat(rng.normal(size=(8, 6)), 4, axis=0) + 0.8 * rng.normal(size=(32, 6))
    pairs = [(a, b) for a in range(32) for b in range(a)]
    path.write_text("".join(f"{int(a // 4 == b // 4)},{ids[a]},{ids[b]}\n" for a, b in pairs))
    found = evaluate(path, ids, {"fused": logits}, num_bootstrap=200)
    assert all(r.low <= r.value <= r.high for r in found if r.metric.key != "min_dcf")
    assert found[0].num_identities == 8
    given = [name.split("/")[0] for name in ids]
    again = evaluate(path, ids, {"fused": logits}, speakers=given, num_bootstrap=200)
    assert again == found
    (one, *_) = evaluate(path, ids, {"fused": logits}, speakers=["who"] * 32)
    assert one.low is None and one.num_identities == 1


@pytest.mark.parametrize(
    ("name", "size", "right", "speakers"),
    [("veri_test", 27270, 13905, 40), ("test_pairs", 9822, 4911, 118)],
)
def test_the_official_lists_have_their_published_sizes_and_are_evaluated(
    real_data, name, size, right, speakers
):
    path = real_data / "protocols" / "voxceleb2" / f"mmcosine_{name}.csv.gz"
    found = trial_lists.read(path)
    assert (len(found.label), int(found.label.sum())) == (size, right)
    assert not any(clip.startswith("/") for clip in (*found.first, *found.second))
    ids = sorted({*found.first, *found.second})
    who = [clip.split("/")[0] for clip in ids]
    assert len(set(who)) == speakers
    rng = np.random.default_rng(0)
    centre = {speaker: rng.normal(size=16) for speaker in sorted(set(who))}
    logits = {"fused": np.array([centre[s] for s in who]), "audio": rng.normal(size=(len(ids), 16))}
    results = evaluate(path, ids, logits, num_bootstrap=20)
    value = pick(results)
    assert value["eer", "fused"] == value["min_dcf", "fused"] == 0.0
    assert value["auc", "fused"] == 1.0
    assert value["eer", "audio"] == pytest.approx(0.5, abs=0.02)
    assert value["min_dcf", "audio"] == pytest.approx(1.0, abs=0.01)
    assert results[0].tag == f"mmcosine_{name}"


def test_embeddings_are_compared_within_and_across_modalities(path):
    # Two voices and two faces of each of two people: audio first, then image, by the angle.
    ids = ["a1.wav", "b1.wav", "a2.wav", "a.jpg", "b.jpg", "a9.jpg"]
    angle = np.radians([0, 90, 10, 0, 80, 5])
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    heard = trials.Vectors(points, np.array([1, 1, 1, 0, 0, 0], bool))
    seen = trials.Vectors(points, np.array([0, 0, 0, 1, 1, 1], bool))
    directions = {
        "audio-audio": (heard, heard),
        "audio-image": (heard, seen),
        "image-image": (seen, seen),
    }
    lines = ["1 a1.wav a2.wav", "0 a1.wav b1.wav", "1 a.jpg a9.jpg", "0 a.jpg b.jpg"]
    # One of the mixed trials names the image first: it counts all the same.
    lines += ["1 a1.wav a.jpg", "0 a.jpg b1.wav"]
    path.write_text("\n".join(lines))
    options = {"speakers": list("abaaba"), "num_bootstrap": 0}
    results = trials.evaluate(path, ids, directions, **options)
    assert pick(results, "num_trials") == {
        (metric, direction): 2 for metric in ("auc", "eer", "min_dcf") for direction in directions
    }
    assert all(r.value == (r.metric.key == "auc") for r in results)
    assert results[0].notes[0].startswith("pairs: 4 of 6 trials have an item without audio-audio")
    # What no trial asks for has no figure, and where nothing is left there is a sentence.
    path.write_text("\n".join(lines[:2]))
    results = trials.evaluate(path, ids, directions, **options)
    assert {r.direction for r in results} == {"audio-audio"} and not results[0].notes
    with pytest.raises(registry.UserError, match="no trial has two items with image-image"):
        trials.evaluate(path, ids, {"image-image": (seen, seen)}, **options)


def test_the_cosine_of_unlike_sides_takes_each_item_on_its_own_side(path):
    # Only the first coordinate is heard and only the second seen: a swap would give cosine 0.
    ids = ["v", "f", "w", "g"]
    heard = trials.Vectors(
        np.array([[1.0, 0], [0, 9], [1, 0], [0, 9]]), np.array([1, 0, 1, 0], bool)
    )
    seen = trials.Vectors(
        np.array([[0.0, 9], [1, 0], [0, 9], [0, 1]]), np.array([0, 1, 0, 1], bool)
    )
    path.write_text("1 v f\n1 f w\n0 v g\n")
    results = trials.evaluate(
        path, ids, {"audio-image": (heard, seen)}, speakers=["s"] * 4, num_bootstrap=0
    )
    assert pick(results)["auc", "audio-image"] == 1.0 and results[0].num_trials == 3
