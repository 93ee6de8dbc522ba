import pytest
from absl import logging

from tests.conformance import test_sources
from tfav import registry
from tfav.data.prepare import manifest, sources


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "kinetics_sounds",
            {
                ("a_000001_000011", "train", "playing piano"),
                ("b-_x_000010_000020", "val", "bowling"),
                ("c_000003_000013", "test", "bowling"),
            },
        ),
        (
            "vggsound",
            {("a_000030", "train", "people marching"), ("b_000000", "test", "hail, falling")},
        ),
    ],
)
def test_clips_are_found_in_any_of_the_usual_folders_and_the_gone_are_counted(
    name, expected, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    rows = sources.SOURCES[name].rows(test_sources.EXAMPLES[name](tmp_path))
    assert {(row.id, row.split, row.label) for row in rows} == expected
    assert said == [f"{name}: {len(expected)} of {len(expected) + 1} clips are there"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("vggsound", "a,x,dog,train\n", "line 1 has the second 'x', which is no whole number"),
        ("vggsound", "a,1,dog,other\n", "line 1 has the split 'other', which is none of train"),
        ("vggsound", "a,1,train\n", r"line 1 has 3 fields \(a,1,train\): each is video,second"),
        ("vggsound", "a,1,dog,train\na,1,cat,train\n", "name the clip a_000001 as 'dog' and as"),
        ("vggsound", "a,1,dog,train\n", "holds none of the 1 clips of the lists, such as a_000001"),
        ("kinetics_sounds", "label,split\nx,test\n", "has no column 'youtube_id'"),
        (
            "kinetics_sounds",
            "label,youtube_id,time_start,time_end,split\nx,a,1.5,2,test\n",
            "line 2 has the time_start '1.5' .*times are whole seconds",
        ),
    ],
)
def test_a_list_that_does_not_fit_is_a_sentence(name, text, message, tmp_path):
    (tmp_path / "list.csv").write_text(text)
    options = manifest.Options(root=str(tmp_path), split_csv=[str(tmp_path / "list.csv")])
    with pytest.raises(registry.UserError, match=message):
        sources.SOURCES[name].rows(options)
