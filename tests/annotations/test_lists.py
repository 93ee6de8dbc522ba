"""Names and lines of query lists, and the sentences a malformed one ends in."""

import gzip
import hashlib
import json

import pytest

from tfav import files, registry
from tfav.annotations import list_folder, lists


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("match_v2f_2_val.txt", ("matching", "unrestricted", "v2f", 2, "val")),
        ("match_g_f2v_10_test.txt", ("matching", "same_gender", "f2v", 10, "test")),
        ("verify_v2f_seen.txt", ("verification", "unrestricted", "v2f", None, "seen")),
        ("verify_g_f2v_test_2.txt", ("verification", "same_gender", "f2v", None, "test_2")),
        ("retrieval_f2v_test.txt", ("retrieval", "unrestricted", "f2v", None, "test")),
        ("some/folder/reterival_v2f_test.txt", ("retrieval", "unrestricted", "v2f", None, "test")),
        ("match_v2f_2_val.txt.gz", ("matching", "unrestricted", "v2f", 2, "val")),
    ],
)
def test_a_file_name_says_the_protocol(filename, expected):
    assert tuple(lists.parse_name(filename)) == expected


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("match_g_f2v_10_val.txt", "match_g_f2v_10_val.txt"),
        ("verify_f2v_my_tag.txt.gz", "verify_f2v_my_tag.txt"),
        ("reterival_v2f_test.txt.gz", "retrieval_v2f_test.txt"),
    ],
)
def test_every_list_has_one_spelling(filename, expected):
    assert lists.parse_name(filename).file == expected


@pytest.mark.parametrize(
    "filename",
    [
        "match_v2f_val.txt",  # how many candidates?
        "match_v2f_1_val.txt",  # one candidate is no choice
        "verify_v2v_test.txt",
        "retrieval_v2f_.txt",
        "match_x_v2f_2_val.txt",
        "verify_v2f_test.csv",
        "verify_v2f_test",
        "verify_v2f_test.gz",
    ],
)
def test_another_name_is_refused_with_the_forms(filename):
    with pytest.raises(registry.UserError, match=f"{filename} .*rename it to match"):
        lists.parse_name(filename)


def test_only_files_that_begin_like_lists_count_as_lists():
    assert lists.is_list("match_nonsense.txt") and lists.is_list("a/reterival_v2f_test.txt")
    assert lists.is_list("verify_v2f_test.txt.gz")
    for other in ("lists.json", "matches.txt", "vf_test.csv", "match_v2f_2_test.csv.gz"):
        assert not lists.is_list(other)


def test_lines_are_read_through_blank_lines_crlf_a_byte_order_mark_and_no_last_newline(write):
    path = write(
        "verify_v2f_test.txt", b"\xef\xbb\xbfa.wav b.jpg\r\n\r\n  c.wav\td.jpg  \n\ne.wav f.jpg"
    )
    expected = [["a.wav", "b.jpg"], ["c.wav", "d.jpg"], ["e.wav", "f.jpg"]]
    assert lists.read_verification(path) == expected


def test_a_matching_line_holds_what_its_name_promises(write):
    path = write("match_v2f_3_test.txt", "p yes no1 no2\np yes no3 no4\n")
    assert lists.read_matching(path) == [["p", "yes", "no1", "no2"], ["p", "yes", "no3", "no4"]]


def test_a_short_line_is_named_by_its_number_in_the_file(write):
    path = write("match_v2f_3_test.txt", "p yes no1 no2\n\np yes no3\n")
    expected = (
        r"match_v2f_3_test.txt line 3 has 3 items, expected 4 items: probe, positive and 2 neg"
    )
    with pytest.raises(registry.UserError, match=expected):
        lists.read_matching(path)
    path = write("verify_v2f_test.txt", "p yes no\n")
    with pytest.raises(registry.UserError, match="line 1 has 3 items, expected 2 items: probe and"):
        lists.read_verification(path)
    path = write("match_v2f_2_test.txt", "p\n")
    with pytest.raises(
        registry.UserError, match="line 1 has 1 item, .* positive and 1 negative$|item"
    ):
        lists.read_matching(path)


def test_a_verification_list_is_not_read_as_a_matching_list(write):
    with pytest.raises(registry.UserError, match="not named as a matching list"):
        lists.read_matching(write("verify_v2f_test.txt", "p q\n"))


def test_a_retrieval_list_is_one_gallery_or_several(write):
    path = write("reterival_v2f_test.txt", "a b\nx y z\n")
    assert lists.read_retrieval(path) == [(["a", "b"], ["x", "y", "z"])]
    path = write("retrieval_g_v2f_test.txt", "a b\nx y\n\nc\nz\n")
    assert lists.read_retrieval(path) == [(["a", "b"], ["x", "y"]), (["c"], ["z"])]


def test_a_retrieval_list_without_its_gallery_or_with_an_item_twice_is_refused(write):
    with pytest.raises(registry.UserError, match="line 4: probes without a gallery"):
        lists.read_retrieval(write("retrieval_v2f_test.txt", "a b\nx y\n\nc d\n"))
    with pytest.raises(registry.UserError, match="line 2: y is named twice"):
        lists.read_retrieval(write("retrieval_v2f_test.txt", "a b\nx y y\n"))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("match_v2f_2_test.txt", lists.read_matching),
        ("verify_v2f_test.txt", lists.read_verification),
        ("retrieval_v2f_test.txt", lists.read_retrieval),
    ],
)
def test_empty_missing_and_unreadable_files_are_named(write, tmp_path, name, read):
    with pytest.raises(registry.UserError, match=f"{name} cannot be read .No such file"):
        read(tmp_path / name)
    with pytest.raises(registry.UserError, match=f"{name} is empty"):
        read(write(name, "\n \r\n"))
    with pytest.raises(registry.UserError, match=f"{name} is not UTF-8"):
        read(write(name, b"\xff\xfe\x00 b\n"))


def test_a_file_that_is_not_what_gz_promises_is_named(write):
    whole = gzip.compress(b"a b\n" * 9)
    flipped = whole[:12] + bytes([whole[12] ^ 255]) + whole[13:]
    for content in (b"not gzip", whole[:-9], flipped):
        with pytest.raises(registry.UserError, match="verify_v2f_test.txt.gz cannot be read"):
            lists.read_verification(write("verify_v2f_test.txt.gz", content))


def test_the_hash_is_of_the_bytes_as_published_packed_or_not(write):
    content = b"a b\r\n"
    expected = hashlib.sha256(content).hexdigest()
    assert files.sha256(write("verify_v2f_test.txt", content)) == expected
    path = write("verify_v2f_test.txt.gz", gzip.compress(content))
    assert files.sha256(path) == expected
    assert files.content(path) == content


def test_lists_of_a_tag_come_in_a_fixed_order(write, tmp_path):
    names = [
        "match_v2f_2_test.txt",
        "match_f2v_2_test.txt",
        "match_v2f_10_test.txt",
        "match_g_v2f_2_test.txt",
        "verify_f2v_test.txt",
        "reterival_v2f_test.txt",
    ]
    for name in sorted(names) + ["match_v2f_2_val.txt", "list.csv", "README.txt"]:
        write(name, "a b c\n")
    assert [path.name for _, path in list_folder.find(tmp_path, "test")] == names


def test_without_a_tag_all_lists_are_found_side_by_side(write, tmp_path):
    for name in ("verify_v2f_val.txt", "verify_v2f_test.txt.gz", "match_f2v_2_val.txt"):
        write(name, "a b c\n")
    found = [path.name for _, path in list_folder.find(tmp_path)]
    assert found == ["match_f2v_2_val.txt", "verify_v2f_test.txt.gz", "verify_v2f_val.txt"]


def test_a_folder_without_lists_is_told_how_they_are_called(write, tmp_path):
    write("notes.txt", "a b\n")
    for tag in (None, "test"):
        with pytest.raises(registry.UserError, match="no query list: they are called match_v2f"):
            list_folder.find(tmp_path, tag)


def test_a_tag_without_lists_names_the_tags_there_are(write, tmp_path):
    write("verify_v2f_val.txt", "a b\n")
    with pytest.raises(registry.UserError, match="no query list of tag 'test'; tags there: val"):
        list_folder.find(tmp_path, "test")
    with pytest.raises(registry.UserError, match="is no folder"):
        list_folder.find(tmp_path / "absent", "test")


def test_a_folder_of_another_machine_is_told_to_be_copied():
    with pytest.raises(registry.UserError, match="gs://b/lists is no folder of this machine"):
        list_folder.find("gs://b/lists", "test")


@pytest.mark.parametrize("other", ["reterival_v2f_test.txt", "retrieval_v2f_test.txt.gz"])
def test_two_lists_for_one_question_are_refused(write, tmp_path, other):
    write("retrieval_v2f_test.txt", "a\nb\n")
    write(other, "a\nb\n")
    with pytest.raises(registry.UserError, match="answer the same question"):
        list_folder.find(tmp_path, "test")


def test_the_items_of_lists_come_once_under_their_modality(write, tmp_path):
    write("match_v2f_2_test.txt", "a.wav A.jpg B.jpg\na.wav A.jpg C.jpg\n")
    write("verify_f2v_test.txt", "D.jpg a.wav\nA.jpg b.wav\n")
    write("reterival_f2v_test.txt.gz", gzip.compress(b"E.jpg\nc.wav a.wav\n"))
    assert list_folder.items(list_folder.find(tmp_path, "test")) == {
        "audio": ["a.wav", "b.wav", "c.wav"],
        "image": ["A.jpg", "B.jpg", "C.jpg", "D.jpg", "E.jpg"],
    }


# lists.json --------------------------------------------------------------------------------------


@pytest.fixture
def hashed(write, tmp_path):
    """A folder of two lists, one of them gzipped after its hash was taken, and their hashes."""
    entries = {}
    for name in ("verify_v2f_val.txt", "verify_v2f_test.txt"):
        entries[name] = {"sha256": files.sha256(write(name, f"{name} b\n")), "origin": "seeded"}
    packed = tmp_path / "verify_v2f_val.txt.gz"
    packed.write_bytes(gzip.compress((tmp_path / "verify_v2f_val.txt").read_bytes()))
    (tmp_path / "verify_v2f_val.txt").unlink()
    write("lists.json", json.dumps(entries))
    return tmp_path


def test_lists_that_have_their_hashes_are_found_and_so_is_one_that_has_none(hashed, write):
    write("verify_f2v_test.txt", "mine yours\n")
    assert len(list_folder.find(hashed)) == 3


@pytest.mark.parametrize("tag", ["test", None])
def test_a_list_that_is_not_the_one_of_its_hash_is_refused(hashed, tag):
    (hashed / "verify_v2f_test.txt").write_text("verify_v2f_test.txt c\n")
    with pytest.raises(registry.UserError, match="v2f_test.txt is not the list whose SHA-256 is"):
        list_folder.find(hashed, tag)
    assert len(list_folder.find(hashed, "val")) == 1  # a question that the change does not touch


def test_a_list_that_has_a_hash_and_is_gone_is_missed(hashed, write):
    write("verify_f2v_test.txt", "mine yours\n")
    (hashed / "verify_v2f_test.txt").unlink()
    with pytest.raises(registry.UserError, match="v2f_test.txt is missing, and lists.json beside"):
        list_folder.find(hashed, "test")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "lists.json is empty"),
        ("{", "lists.json is not readable JSON"),
        ("[]", r"lists.json is damaged \(it is \[\] instead of an object\)"),
        ('{"verify_v2f_test.txt": 7}', r"damaged \(verify_v2f_test.txt is 7 instead of an object"),
        ('{"verify_v2f_test.txt": {"sha": ""}}', "verify_v2f_test.txt has no field 'sha256'"),
        ('{"verify_v2f_test.txt": {"sha256": 7}}', "sha256 is 7 instead of a text"),
        ('{"verify_test.txt": {"sha256": ""}}', r"lists.json is damaged \(verify_test.txt is not"),
    ],
)
def test_damaged_hashes_are_a_sentence(hashed, text, sentence):
    (hashed / "lists.json").write_text(text)
    with pytest.raises(registry.UserError, match=sentence):
        list_folder.find(hashed, "test")
