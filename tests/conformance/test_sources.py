"""Every row of `SOURCES` keeps the promises of a source."""

import json
import os

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import clips
from tests.conformance import walk
from tfav import registry
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, sources


def _files(folder, *names):
    """Writes a fifth of a second of sound or video, or a small picture, at each path."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".wav":
            soundfile.write(path, 0.3 * np.sin(np.arange(3200) / 9), 16_000)
        elif path.suffix in (".avi", ".mp4"):
            clips.write(path, 5, 25)
        else:
            Image.new("RGB", (24, 20), (200, 150, 100)).save(path)


def _manifest(folder):
    _files(folder, "a.wav", "a.jpg", "b.wav", "b.jpg")
    lines = ["id,split,label,audio,image,note", "1,train,ann,a.wav,a.jpg,x", "2,test,bob,b.wav,,y"]
    (folder / "mine.csv").write_text("\n".join([*lines, "3,test,bob,,b.jpg,z"]) + "\n")
    return manifest.Options(manifest=str(folder / "mine.csv"))


def _voxceleb1(folder):
    _files(folder / "wav", "id1/a/1.wav", "id1/a/2.wav", "id2/b/1.wav")
    _files(folder / "faces", "Ann/1.jpg", "Bob/1.jpg")
    lines = ["VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set"]
    lines += ["id1,Ann,f,Norway,dev", "id2,Bob,m,USA,test"]
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    return manifest.Options(
        split_csv=[str(folder / "people.csv")],
        audio_root=str(folder / "wav"),
        image_root=str(folder / "faces"),
    )


def _crema_d(folder):
    lists = {"train": ["1001_IEO_HAP_LO", "1002_DFA_ANG_XX"], "test": ["1001_IEO_ANG_HI"]}
    for split, names in lists.items():
        for name in names:
            _files(folder, f"AudioWAV/{name}.wav", f"image/{name}.jpg")
        (folder / f"{split}.csv").write_text("\n".join(f"{n},{n.split('_')[2]}" for n in names))
    return manifest.Options(root=str(folder))


def _ssw60(folder):
    _files(folder, "video_ml/11.mp4", "video_ml/12.mp4", "video_ml/13.mp4")
    lines = ["asset_id,label,split,fps,reliable_audio", "11,1,train,25,1", "12,0,train,25,1"]
    (folder / "video_ml.csv").write_text("\n".join([*lines, "13,0,test,25,0"]) + "\n")
    return manifest.Options(root=str(folder))


def _dcase2014(folder):
    _files(folder / "scenes_stereo", "bus01.wav", "park01.wav")
    _files(folder / "scenes_stereo_testset", "bus01.wav")
    return manifest.Options(root=str(folder))


def _esc50(folder):
    _files(folder / "audio", "1-7-A-0.wav", "1-7-B-0.wav", "2-8-A-1.wav")
    lines = ["filename,fold,target,category,esc10,src_file,take", "1-7-A-0.wav,1,0,dog,True,7,A"]
    lines += ["1-7-B-0.wav,1,0,dog,True,7,B", "2-8-A-1.wav,2,1,rooster,True,8,A"]
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return manifest.Options(root=str(folder))


def _flickr_soundnet(folder):
    _files(folder, "frames/1.jpg", "audio/1.wav")
    box = "<xmin>0</xmin><ymin>0</ymin><xmax>128</xmax><ymax>256</ymax>"
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "1.xml").write_text(f"<a><bbox>{box}</bbox></a>")
    return manifest.Options(root=str(folder))


def _vggss(folder):
    _files(folder, "frames/a_1.jpg", "audio/a_1.wav")
    entry = {"file": "a_1", "class": "dog barking", "bbox": [[0.1, 0.2, 0.5, 1]]}
    (folder / "vggss.json").write_text(json.dumps([entry]))
    return manifest.Options(root=str(folder))


def _is3(folder):
    _files(folder, "images/cat_dog_1_dog.jpg", "audio_wav/cat_dog_1_dog.wav")
    entry = {"image": "x/cat_dog_1_dog.jpg", "audio": "x/cat_dog_1_dog.wav"}
    entry["gt_box"] = [0.0, 10.0, 224.0, 100.0]
    (folder / "IS3_annotation.json").write_text(json.dumps([entry]))
    return manifest.Options(root=str(folder))


def _videos(folder):
    for name in ("a.mp4", "b/c.mov"):
        (folder / name).parent.mkdir(exist_ok=True)
        clips.write(folder / name, sound=clips.chirp(3), codecs=("mpeg4", "aac"))
    return manifest.Options(root=str(folder), segment_seconds=2, test_fraction=0.5)


def _ucf101(folder):
    train, test = "Archery/v_Archery_g08_c01.avi", "Archery/v_Archery_g01_c01.avi"
    _files(folder / "UCF-101", train, test)
    lists = {"classInd": "1 Archery", "trainlist01": f"{train} 1", "testlist01": test}
    (folder / "ucfTrainTestlist").mkdir()
    for name, line in lists.items():
        (folder / "ucfTrainTestlist" / f"{name}.txt").write_text(f"{line}\n")
    return manifest.Options(root=str(folder))


def _voxceleb2(folder):
    for speaker in ("id1", "id2", "id9"):
        _files(folder / "wav", f"{speaker}/v/00001.wav")
        frames = [f"{speaker}#v#00001.txt#000.mp4/{number:07d}.png" for number in range(5)]
        _files(folder / "faces", *frames)
    (folder / "trials.csv").write_text("1,/id9/v/00001.wav,/id9/v/00001.wav\n")
    return manifest.Options(
        audio_root=str(folder / "wav"),
        image_root=str(folder / "faces"),
        split_csv=[str(folder / "trials.csv")],
    )


def _synthetic(folder):
    return manifest.Options(corpus=str(folder / "corpus"), identities=12, overwrite=True)


def _synthetic_classes(folder):
    return manifest.Options(corpus=str(folder / "corpus"), overwrite=True)


def _synthetic_scenes(folder):
    return manifest.Options(corpus=str(folder / "corpus"), identities=4, overwrite=True)


def _kinetics_sounds(folder):
    _files(folder / "train" / "playing_piano", "a_000001_000011.mp4")
    _files(folder / "val" / "bowling", "b-_x_000010_000020.mp4")
    _files(folder, "c_000003_000013.mp4")
    lines = [
        "label,youtube_id,time_start,time_end,split,is_cc",
        "playing piano,a,1,11,train,0",
        "bowling,b-_x,10,20,validate,0",
        "bowling,c,3,13,test,0",
        "bowling,gone,3,13,test,0",
    ]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return manifest.Options(root=str(folder), split_csv=[str(folder / "list.csv")])


def _vggsound(folder):
    _files(folder, "video/a_000030.mp4", "video/b_000000.mp4")
    lines = ["a,30,people marching,train", 'b,0,"hail, falling",test', "gone,7,hail,test"]
    (folder / "vggsound.csv").write_text("\n".join(lines) + "\n")
    return manifest.Options(root=str(folder), split_csv=[str(folder / "vggsound.csv")])


def _mav_celeb(folder):
    for person in ("id1", "id2", "id3"):
        for language in ("English", "Urdu"):
            _files(
                folder, f"voices/{person}/{language}/a/1.wav", f"faces/{person}/{language}/a/1.jpg"
            )
    return manifest.Options(root=str(folder), test_fraction=0.3, own={"heard": "English"})


def _vectors(folder):
    for modality in ("audio", "image"):
        np.savez(
            folder / f"{modality}.npz",
            id=[f"p{n}/{modality}" for n in range(4)],
            vector=np.random.default_rng(0).normal(size=(4, 3)),
        )
    own = {modality: str(folder / f"{modality}.npz") for modality in ("audio", "image")}
    return manifest.Options(own=own, test_fraction=0.3)


# What lets a source give its smallest data set: writes it into a folder, returns the options.
EXAMPLES = {
    "crema_d": _crema_d,
    "dcase2014": _dcase2014,
    "esc50": _esc50,
    "flickr_soundnet": _flickr_soundnet,
    "is3": _is3,
    "kinetics_sounds": _kinetics_sounds,
    "manifest": _manifest,
    "mav_celeb": _mav_celeb,
    "ssw60": _ssw60,
    "synthetic": _synthetic,
    "synthetic_classes": _synthetic_classes,
    "synthetic_scenes": _synthetic_scenes,
    "ucf101": _ucf101,
    "vectors": _vectors,
    "vggsound": _vggsound,
    "vggss": _vggss,
    "videos": _videos,
    "voxceleb1": _voxceleb1,
    "voxceleb2": _voxceleb2,
}
TEST_ONLY = ("flickr_soundnet", "is3", "vggss")
ROWS = walk.rows(sources.SOURCES, EXAMPLES)


def test_every_row_has_an_example():
    add = (
        "write a function that makes its smallest data set in a folder and returns its "
        "manifest.Options, and add 'ROW' with it to EXAMPLES in tests/conformance/test_sources.py."
    )
    walk.check_complete(sources.SOURCES, EXAMPLES, "SOURCES", add)


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_unique_named_and_there_and_prepare_takes_every_one(name, tmp_path):
    options = EXAMPLES[name](tmp_path)
    rows = sources.SOURCES[name].rows(options)
    assert {row.split for row in rows} >= ({"test"} if name in TEST_ONLY else {"train", "test"})
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.id and len(row.id.split()) == 1 and row.label
        assert row.paths and all(map(os.path.isfile, row.paths)), row
        assert row.extra.keys() == rows[0].extra.keys()
    assert sources.SOURCES[name].rows(options) == rows  # the same files, in the same order
    report = dataset.prepare(
        rows, dataset.Settings(output=str(tmp_path / "out"), source=name, max_bad_fraction=0)
    )
    index = shards.Index.read(tmp_path / "out")
    assert set(index.id) == {row.id for row in rows}, report
    assert dict(zip(index.id, index.label)) == {row.id: row.label for row in rows}


@pytest.mark.parametrize("name", ROWS)
def test_without_its_flags_a_sentence_names_the_first(name):
    with pytest.raises(registry.UserError, match=f"--source={name} needs --[a-z_]+="):
        sources.SOURCES[name].rows(manifest.Options())
