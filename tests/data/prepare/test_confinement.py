"""What a manifest of somebody else may name: files below one folder, whatever way it goes."""

import os

import pytest

from tfav import registry
from tfav.data.prepare import confinement
from tfav.data.prepare.sources import csv_manifest


@pytest.fixture
def root(tmp_path):
    """A folder with a file, and one beside it that is nobody's business."""
    (tmp_path / "root" / "frames").mkdir(parents=True)
    (tmp_path / "root" / "a.wav").write_bytes(b"x")
    (tmp_path / "root" / "frames" / "0.jpg").write_bytes(b"x")
    (tmp_path / "secret.wav").write_bytes(b"x")
    (tmp_path / "rooted").mkdir()  # its name begins like the other's
    (tmp_path / "rooted" / "b.wav").write_bytes(b"x")
    return tmp_path / "root"


def rows(root, cell, column="audio"):
    path = root / "mine.csv"
    path.write_text(f"id,split,label,{column}\nr0,train,p0,{cell}\n")
    return csv_manifest.read(path)


@pytest.mark.parametrize("cell", ["a.wav", "./frames/../a.wav", "../root/a.wav", "gone.wav"])
def test_files_below_the_folder_are_taken(root, cell):
    confinement.check(rows(root, cell), str(root))


def test_a_folder_that_is_itself_a_link_is_the_place_it_leads_to(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    confinement.check(rows(tmp_path / "link", "a.wav"), str(tmp_path / "link"))
    confinement.check(rows(root, "a.wav"), str(tmp_path / "link"))


@pytest.mark.parametrize("cell", ["../secret.wav", "../rooted/b.wav", "{}/secret.wav", "/etc/x"])
def test_a_row_that_leads_out_is_refused_with_its_name(root, tmp_path, cell):
    with pytest.raises(registry.UserError, match=r"the row 'r0' names .* out of --confine="):
        confinement.check(rows(root, cell.format(tmp_path)), str(root))


def test_links_that_lead_out_are_refused_also_in_a_folder_of_images(root):
    os.symlink("../secret.wav", root / "link.wav")
    with pytest.raises(registry.UserError, match=r"link.wav, which leads to .*secret.wav"):
        confinement.check(rows(root, "link.wav"), str(root))
    confinement.check(rows(root, "frames", "image"), str(root))
    os.symlink("../../secret.wav", root / "frames" / "1.jpg")
    with pytest.raises(registry.UserError, match=r"frames/1.jpg, which leads to .*secret.wav"):
        confinement.check(rows(root, "frames", "image"), str(root))


def test_a_folder_that_is_not_there_is_no_permission(root):
    with pytest.raises(registry.UserError, match="--confine=.*/gone is no folder"):
        confinement.check(rows(root, "a.wav"), f"{root}/gone")
