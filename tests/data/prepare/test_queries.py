"""Query lists drawn from a seed follow the rules they claim to follow."""

import collections
import hashlib
import logging

import numpy as np
import pytest

from tfav.annotations import lists
from tfav.data import shards
from tfav.data.prepare import queries


def _index(tmp_path, people, split="val", gender=True):
    """A data set of (label, gender, voices, faces); the item `p0/v1` is voice 1 of p0."""
    records = []
    for label, sex, voices, faces in people:
        extra = {"gender": sex} if gender else {}
        for i in range(voices):
            audio = np.ones(4, np.int16)
            records.append(shards.Record(f"{label}/v{i}", split, label, audio=audio, extra=extra))
        for i in range(faces):
            image = {"image": b"x", "height": 20, "width": 20}
            records.append(shards.Record(f"{label}/f{i}", split, label, extra=extra, **image))
    shards.write(tmp_path / "set", records, columns=["gender"] if gender else [])
    return shards.Index.read(tmp_path / "set")


PEOPLE = [(f"p{i}", "fm"[i % 2], 2 + i % 3, 1 + i % 4) for i in range(8)]


def _lists(index, **options):
    return dict(queries.seeded(index, "val", seed=0, **options))


def _lines(text):
    return [line.split() for line in text.splitlines()]


def test_all_lists_of_both_directions_and_strata_are_drawn(tmp_path):
    found = _lists(_index(tmp_path, PEOPLE))
    expected = {f"match_{d}_{n}_val.txt" for d in ("v2f", "f2v") for n in range(2, 9)}
    expected |= {f"match_g_{d}_{n}_val.txt" for d in ("v2f", "f2v") for n in range(2, 5)}
    expected |= {f"verify{g}_{d}_val.txt" for d in ("v2f", "f2v") for g in ("", "_g")}
    expected |= {f"retrieval{g}_{d}_val.txt" for d in ("v2f", "f2v") for g in ("", "_g")}
    # 8 identities: no 1:9 and 1:10; 4 of each gender: no same-gender 1:5 and above.
    assert set(found) == expected


@pytest.mark.parametrize("direction", ["v2f", "f2v"])
@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("stratum", ["", "_g"])
def test_a_query_has_one_right_item_and_distinct_wrong_people(tmp_path, direction, n, stratum):
    lines = _lines(_lists(_index(tmp_path, PEOPLE))[f"match{stratum}_{direction}_{n}_val.txt"])
    probe_kind, other_kind = direction[0], direction[2]
    gender = {label: sex for label, sex, _, _ in PEOPLE}
    for line in lines:
        people, kinds = zip(*(item.split("/") for item in line))
        assert kinds[0][0] == probe_kind and {kind[0] for kind in kinds[1:]} == {other_kind}
        assert people[0] == people[1] and len(set(people)) == n
        if stratum:
            assert len({gender[person] for person in people}) == 1
    # Every item of the probes' modality asks three times: voices 2+3+4+2+3+4+2+3, faces 1..4 twice.
    assert len(lines) == 3 * (23 if direction == "v2f" else 20)
    assert set(collections.Counter(line[0] for line in lines).values()) == {3}


def test_the_whole_gallery_of_people_comes_up_when_n_is_their_number(tmp_path):
    lines = _lines(_lists(_index(tmp_path, PEOPLE))["match_v2f_8_val.txt"])
    assert all(len({item.split("/")[0] for item in line}) == 8 for line in lines)


def test_who_a_candidate_is_does_not_tell_whether_it_is_right(tmp_path):
    # p0 has ten times the voices: ten times as often right, so it must be as often wrong.
    people = [("p0", "f", 40, 2)] + [(f"p{i}", "f", 4, 2) for i in range(1, 11)]
    lines = _lines(_lists(_index(tmp_path, people), galleries_per_probe=40)["match_v2f_2_val.txt"])
    right = sum(line[1].startswith("p0/") for line in lines)
    wrong = sum(line[2].startswith("p0/") for line in lines)
    # 80 probes x 40: right 1600; wrong: of 1600 others' queries 40/76 = 842 (own never counts). A
    # draw that is uniform over the ten others would give 160.
    assert right == 1600 and wrong == pytest.approx(842, abs=80)


def test_verification_keeps_one_candidate_of_every_query(tmp_path):
    found = _lists(_index(tmp_path, PEOPLE), galleries_per_probe=20)
    pairs, matches = _lines(found["verify_v2f_val.txt"]), _lines(found["match_v2f_2_val.txt"])
    assert all(a == line[0] and b in line[1:] for (a, b), line in zip(pairs, matches, strict=True))
    right = np.mean([a.split("/")[0] == b.split("/")[0] for a, b in pairs])
    assert right == pytest.approx(0.5, abs=0.08)  # 460 coins: standard error 0.023


def test_retrieval_names_all_probes_and_the_whole_gallery(tmp_path):
    # p9 has faces only: they stay in the gallery of voices, but cannot be probes.
    index = _index(tmp_path, [*PEOPLE, ("p9", "m", 0, 2)])
    found = _lists(index)
    probes, gallery = _lines(found["retrieval_v2f_val.txt"])
    assert (len(probes), len(gallery)) == (23, 22)
    probes, gallery = _lines(found["retrieval_f2v_val.txt"])
    assert (len(probes), len(gallery)) == (20, 23)
    assert not any(item.startswith("p9/") for item in probes)
    assert "p9/" not in found["match_v2f_2_val.txt"]


def test_same_gender_retrieval_has_a_gallery_per_gender_with_all_who_are_of_it(tmp_path):
    # p8 and p9 have faces only: they stand in the gallery of their gender, and p9, whose gender is
    # not known, in none. p0, p2, p4, p6 are f with 2, 4, 3, 2 voices; the others m with 3, 2, 4, 3.
    people = [*PEOPLE, ("p8", "m", 0, 2), ("p9", "", 0, 2)]
    lines = _lines(_lists(_index(tmp_path, people))["retrieval_g_v2f_val.txt"])
    names = [sorted({item.split("/")[0] for item in line}) for line in lines]
    women, men = ["p0", "p2", "p4", "p6"], ["p1", "p3", "p5", "p7"]
    assert names == [women, women, men, [*men, "p8"]]
    # Faces: 1, 3, 1, 3 of the women; 2, 4, 2, 4 of the men and 2 of p8.
    assert [len(line) for line in lines] == [11, 8, 12, 14]


def test_one_identity_of_a_gender_gives_no_same_gender_retrieval(tmp_path):
    found = _lists(_index(tmp_path, PEOPLE[:3]))  # f, m, f: every item of m would be right
    assert "retrieval_v2f_val.txt" in found and "retrieval_g_v2f_val.txt" not in found


def test_a_list_depends_on_seed_and_name_only(tmp_path):
    index = _index(tmp_path, PEOPLE)
    everything, two = _lists(index), _lists(index, sizes=(2,), match_only=True)
    assert set(two) == {f"match{g}_{d}_2_val.txt" for d in ("v2f", "f2v") for g in ("", "_g")}
    assert all(everything[name] == text for name, text in two.items())
    other = dict(queries.seeded(index, "val", seed=1))
    assert other["match_v2f_2_val.txt"] != everything["match_v2f_2_val.txt"]


def test_lists_are_the_same_on_every_machine(tmp_path):
    found = _lists(_index(tmp_path, PEOPLE), sizes=(2, 3))
    # The bytes of before there were lists of retrieval within a gender; those follow of the data.
    drawn = sorted(name for name in found if not name.startswith("retrieval_g"))
    text = "".join(found[name] for name in drawn)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "adc65ab31111d3b8"


@pytest.mark.parametrize(
    ("genders", "level", "sentence"),
    [
        ("ffff", logging.WARNING, "have the gender 'f'"),
        ("fm f", logging.WARNING, "the gender of 'p2' is ''"),
        (
            None,
            logging.INFO,
            "keeps to one gender: the data has no column 'gender'",
        ),
    ],
)
def test_same_gender_lists_that_make_no_sense_are_left_out_aloud(
    tmp_path, caplog, genders, level, sentence
):
    people = [(f"p{i}", (genders or "fmfm")[i].strip(), 2, 2) for i in range(4)]
    with caplog.at_level(logging.INFO, logger="absl"):
        found = _lists(_index(tmp_path, people, gender=bool(genders)), sizes=(2,))
    assert sorted(found) == sorted(
        f"{kind}.txt"
        for d in ("v2f", "f2v")
        for kind in (f"match_{d}_2_val", f"verify_{d}_val", f"retrieval_{d}_val")
    )
    said = [record for record in caplog.records if sentence in record.getMessage()]
    assert [record.levelno for record in said] == [level]  # once, and aloud where it was promised
    assert len(caplog.records) == 1


def test_too_few_identities_are_named_aloud(tmp_path, caplog):
    found = _lists(_index(tmp_path, PEOPLE[:3]), sizes=(2, 3, 4))
    assert "match_v2f_3_val.txt" in found and "match_v2f_4_val.txt" not in found
    both = "no list match_v2f_N_val and no match_f2v_N_val for N = 4: 3 identities in 'val' have"
    assert caplog.text.count(both) == 1
    assert "match_g_f2v_N_val for N = 2, 3, 4: 1 identities of one gender" in caplog.text


@pytest.mark.parametrize(("nations", "told"), [("aa", False), ("ab", True)])
def test_a_column_that_tells_nobody_apart_is_as_good_as_none(tmp_path, caplog, nations, told):
    """Data of one nationality have nothing to say of it; that of two, one of them here, have."""
    records = []
    for split, nation in zip(("val", "test"), nations):
        for person in range(4):
            extra = {"gender": "fm"[person % 2], "nationality": nation}
            one, image = f"{split}{person}", {"image": b"x", "height": 20, "width": 20}
            sound = {"audio": np.ones(4, np.int16)}
            records.append(shards.Record(f"{one}/v", split, one, extra=extra, **sound))
            records.append(shards.Record(f"{one}/f", split, one, extra=extra, **image))
    shards.write(tmp_path / "set", records, columns=["gender", "nationality"])
    found = _lists(shards.Index.read(tmp_path / "set"), sizes=(2,))
    assert not any("_n_" in name for name in found)
    assert ("have the nationality 'a'" in caplog.text) == told


def test_candidates_may_share_nationality_age_or_all_three(tmp_path):
    """The strata N, A and GNA of vfal-eva, where the data have the columns."""
    records = []
    for person in range(16):
        extra = {"gender": "fm"[person % 2], "nationality": "ab"[person // 2 % 2]}
        extra["age"] = "yo"[person // 4 % 2]
        audio = np.ones(4, np.int16)
        name = f"p{person:02d}"
        records.append(shards.Record(f"{name}/v", "val", name, audio=audio, extra=extra))
        image = {"image": b"x", "height": 20, "width": 20}
        records.append(shards.Record(f"{name}/f", "val", name, extra=extra, **image))
    shards.write(tmp_path / "set", records, columns=["gender", "nationality", "age"])
    index = shards.Index.read(tmp_path / "set")
    found = _lists(index)
    of = {label: {c: x[n] for c, x in index.extra.items()} for n, label in enumerate(index.label)}
    for mark, shared in (("_n", ["nationality"]), ("_a", ["age"]), ("_gna", list(index.extra))):
        # 16 people: 8 of each nationality and age, 2 of each of the eight kinds.
        sizes = {int(x.split("_")[-2]) for x in found if x.startswith(f"match{mark}_v2f")}
        assert max(sizes) == (2 if mark == "_gna" else 8)
        for line in _lines(found[f"match{mark}_v2f_2_val.txt"]):
            people = [item.split("/")[0] for item in line]
            assert all(len({of[p][column] for p in people}) == 1 for column in shared)
        galleries = _lines(found[f"retrieval{mark}_v2f_val.txt"])
        assert len(galleries) == 2 * (8 if mark == "_gna" else 2)
        name = lists.parse_name(f"match{mark}_v2f_2_val.txt")
        assert name.file == f"match{mark}_v2f_2_val.txt" and lists.SHARED[name.stratum] == tuple(
            shared
        )
