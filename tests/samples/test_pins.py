"""The converter of the official files of Learnable PINs and CMPC, on lines as those files have."""

import pathlib
import runpy

import pytest

from tfav.annotations import list_folder, lists
from tfav.data.prepare import queries
from tfav.data.prepare.sources import voxceleb1

SAMPLE = pathlib.Path(__file__).parents[2] / "samples" / "pins.py"
META = """VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet
id1\tAda_A\tf\tUK\tdev
id2\tBo_B.\tm\tUSA\tdev
id3\tCy_C\tm\tUSA\ttest
id4\tDi_D\tf\tUK\tdev
"""
HEAD = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"
PAIRS = HEAD + (
    "1,3,3,1,Cy_C/ab-c_XYZ0123_0000007.wav,Cy_C/0_laIeN-Q44/0007400.jpg\n"
    "2,3,4,0,Cy_C/ab-c_XYZ0123_0000012.wav,Di_D/M2k_enZdWu4/0009275.jpg\n"
)
MATCH = "id3/eNc4/00005.wav Cy_C/1.6/gaQq/0003650.jpg Di_D/1.6/s_fU/0004350.jpg\n"
OTHER = "Cy_C/1.6/gaQq/0003650.jpg id3/eNc4/00005.wav id4/eNc4/00001.wav\n"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pins")
    text = {
        "Splits/identity_splits.txt": "Ada_A 1 \nBo_B. 2 \nCy_C 4 \nDi_D 4 \n\n",
        "veriflist/README.txt": "This folder contains ...\n",
        "veriflist/veriflist_test_random_unseenunheard.txt": PAIRS,
        "veriflist/veriflist_test_GNA_unseenunheard.txt": PAIRS,
        "veriflist/veriflist_test_N_seenheard.txt": PAIRS,
        "matching/matching_v2f_U.csv": MATCH,
        "matching/matching_f2v_G.csv": OTHER,
        "matching/matching_v2f_GN.csv": MATCH,
        "retrieval/wav_20k.csv": "VoxCeleb1 ID\twav\nid3\tid3/a/1.wav\nid4\tid4/b/2.wav\n",
        "retrieval/jpg_20k.csv": "VoxCeleb1 ID\tjpg\n" + 2 * "id3\tCy_C/1.6/a/1.jpg\n",
    }
    for name, content in text.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "vox1_meta.csv").write_text(META)
    sample = runpy.run_path(str(SAMPLE))
    target = folder / "converted"
    left_out = sample["convert"](str(folder / "vox1_meta.csv"), str(folder / "data"), str(target))
    assert left_out == ["matching_v2f_GN.csv"]
    return target


def test_the_split_files_are_those_of_the_source_voxceleb1(converted):
    paths = [str(converted / f"pins_{split}.csv") for split in ("train", "val", "test")]
    found = voxceleb1.identities(paths)
    assert [(row["VoxCeleb1_ID"], row["Gender"], split) for row, split in found] == [
        ("id1", "f", "train"),
        ("id2", "m", "val"),
        ("id3", "m", "test"),
        ("id4", "f", "test"),
    ]


def test_the_lists_name_files_as_they_lie_and_are_found_by_stratum(converted):
    folder = converted / "lists"
    assert lists.read_verification(folder / "verify_gna_v2f_test.txt") == [
        ["id3/ab-c_XYZ0123/00007.wav", "Cy_C/1.6/0_laIeN-Q44/0007400.jpg"],
        ["id3/ab-c_XYZ0123/00012.wav", "Di_D/1.6/M2k_enZdWu4/0009275.jpg"],
    ]
    assert lists.read_matching(folder / "match_v2f_2_test.txt") == [MATCH.split()]
    assert lists.read_matching(folder / "match_g_f2v_2_test.txt") == [OTHER.split()]
    (gallery,) = lists.read_retrieval(folder / "retrieval_f2v_test.txt")
    assert gallery == (["Cy_C/1.6/a/1.jpg"], ["id3/a/1.wav", "id4/b/2.wav"])
    names = [name for name, _ in list_folder.find(folder)]
    assert {(n.protocol, n.stratum, n.tag) for n in names} >= {
        ("verification", "unrestricted", "test"),
        ("verification", "same_all_three", "test"),
        ("verification", "same_nationality", "seenheard"),
        ("matching", "same_gender", "test"),
    }
    assert len(queries.read_given(folder)) == 7
