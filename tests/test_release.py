"""What a release and an audit are made of; the commands themselves take a network."""

import ast
import gzip
import io
import re
import shutil
import tarfile

import pytest

from release import audit, build


def sdist(mtime, names):
    """A `.tar.gz` as setuptools writes it: with the times and the owner of whoever built it."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid, member.uname = len(name), mtime, 1000, "ann"
            tar.addfile(member, io.BytesIO(name.encode()))
    return gzip.compress(text.getvalue(), mtime=mtime)


def test_an_sdist_built_at_another_time_in_another_order_is_the_same_bytes():
    one, other = sdist(1, ["a/b", "a/c"]), sdist(2, ["a/c", "a/b"])
    assert one != other
    same = build.normalised(one, 1_700_000_000)
    assert same == build.normalised(other, 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(same)) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == ["a/b", "a/c"]
        assert tar.extractfile("a/c").read() == b"a/c"
    assert {(m.mtime, m.uid, m.uname, m.mode) for m in members} == {(1_700_000_000, 0, "", 0o644)}


def test_two_builds_that_differ_are_no_release(tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.whl").write_text("same")
    folders = tmp_path / "one", tmp_path / "other"
    assert build.same_bytes(*folders) == ["a.whl"]
    (tmp_path / "other" / "b.tar.gz").write_text("alone")
    (tmp_path / "one" / "a.whl").write_text("else")
    with pytest.raises(build.ReleaseError, match="differ in a.whl, b.tar.gz: find why"):
        build.same_bytes(*folders)


def test_package_changelog_and_citation_name_one_version(tmp_path):
    version = build.check_version(build.ROOT)
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for name in ("tfav/__init__.py", "CHANGELOG.md", "CITATION.cff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(build.ROOT / name, tmp_path / name)
    citation = tmp_path / "CITATION.cff"
    citation.write_text(citation.read_text().replace(f"version: {version}", "version: 9.9.9"))
    with pytest.raises(build.ReleaseError, match="9.9.9 in CITATION.cff: write the same one in"):
        build.check_version(tmp_path)


def test_the_template_has_the_lines_of_a_card():
    card = ast.parse((build.ROOT / "tfav/commands/model_card.py").read_text(encoding="utf-8"))
    words = [n.value for n in ast.walk(card) if isinstance(n, ast.Constant)]
    written = {line for word in words if isinstance(word, str) for line in LINE.findall(word)}
    template = (build.ROOT / "release" / build.CARD).read_text(encoding="utf-8")
    wanted = set(LINE.findall(template)) - {"- Voices and faces are biometric data:"}
    assert wanted == written


# A heading, or a line that begins with what it is about.
LINE = re.compile(r"^(#+ .*|- [A-Z][\w ]*:)", re.M)


ANSWER = [
    {"name": "b", "version": "1", "vulns": []},
    {
        "name": "a",
        "version": "2",
        "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}],
    },
]


def audited(monkeypatch, tmp_path, capsys, text, answer):
    (tmp_path / "constraints").mkdir()
    (tmp_path / "constraints" / "audit.txt").write_text(text)
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "ask", lambda path: answer)
    return audit.main(), capsys.readouterr().out


@pytest.mark.parametrize(
    "text, code, told",
    [
        ("", 1, "a 2: PYSEC-1, fixed in 3: NO EXCEPTION"),
        ("CVE-1: we never parse that # why", 0, "PYSEC-1, fixed in 3: we never parse that"),
        ("CVE-1: x\nCVE-2: y", 0, "nothing has CVE-2 any more: delete its line"),
    ],
)
def test_a_vulnerability_needs_an_exception_and_an_exception_a_vulnerability(
    monkeypatch, tmp_path, capsys, text, code, told
):
    found, printed = audited(monkeypatch, tmp_path, capsys, text, ANSWER)
    assert found == code and told in printed


@pytest.mark.parametrize(
    "answer, told",
    [
        ([], "not run, 1 packages got no answer, such as all of them"),
        ([*ANSWER, {"name": "c", "skip_reason": "not found"}], "such as c (not found)"),
    ],
)
def test_a_package_that_nobody_was_asked_about_is_no_clean_bill(
    monkeypatch, tmp_path, capsys, answer, told
):
    found, printed = audited(monkeypatch, tmp_path, capsys, "", answer)
    assert found == audit.UNREACHABLE and told in printed


def test_an_exception_without_a_reason_is_refused():
    with pytest.raises(ValueError, match="'CVE-1' has no reason: write `ID: reason`"):
        audit.exceptions("CVE-1")
    assert audit.exceptions((build.ROOT / "constraints" / "audit.txt").read_text()) == {}
