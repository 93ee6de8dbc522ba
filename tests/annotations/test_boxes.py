"""Boxes as text and as XML."""

import pytest

from tfav import registry
from tfav.annotations import boxes


def test_boxes_survive_their_column():
    drawn = [(0.1, 0.2, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0)]
    assert boxes.read(boxes.write(drawn), "x") == drawn


@pytest.mark.parametrize(
    ("text", "heard"),
    [("none", ""), ("none off-screen", "off-screen"), ("", None), ("0 0 1 1", None)],
)
def test_a_cell_may_say_that_nothing_sounds_and_what_is_heard_instead(text, heard):
    assert boxes.absent(text) == heard
    assert (boxes.read(text, "x") == []) == (text != "0 0 1 1")


@pytest.mark.parametrize(
    ("columns", "source", "found"),
    [
        ([], "manifest", ""),
        (["gender", "objects"], "manifest", "objects"),
        (["annotations", "boxes"], "manifest", "annotations"),
        (["boxes"], "synthetic_scenes", "boxes"),
    ],
)
def test_one_column_of_a_data_set_holds_boxes(columns, source, found):
    assert boxes.column(columns, source, "data") == found


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["annotations", "objects"], "data has the columns annotations and objects"),
        (["boxes"], "data has a column 'boxes', which does not say whether"),
    ],
)
def test_columns_that_can_be_read_in_two_ways_are_refused(columns, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        boxes.column(columns, "manifest", "data")


@pytest.mark.parametrize("text", ["0 0 1", "0.5 0 0.2 1", "0 0 2 1", "a b c d"])
def test_a_wrong_box_is_named(text):
    with pytest.raises(registry.UserError, match="row 7: the box"):
        boxes.read(text, "row 7")


def test_annotations_are_read_on_the_grid_of_256(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotation><object><name>x</name><bbox><name>a</name><xmin>64</xmin><ymin>0</ymin>"
        "<xmax>128</xmax><ymax>300</ymax></bbox></object></annotation>"
    )
    assert boxes.read_annotation(str(path)) == [(0.25, 0.0, 0.5, 1.0)]


@pytest.mark.parametrize(
    "text", ["", "<a>", "<a></a>", "<a><bbox><xmin>1</xmin></bbox></a>", "<a><bbox/></a>"]
)
def test_a_file_that_is_no_annotation_is_named(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(registry.UserError, match=r"a\.xml"):
        boxes.read_annotation(str(path))
