r"""Makes tables, splits and query lists of the data set that vfal-eva hands out.

    python samples/vfal_eva.py dataset converted

`dataset` is the unpacked `dataset.zip` of github.com/my-yy/vfal-eva, whose files are pickles.
**Whoever made a pickle decides what runs where it is opened**: run this only where you trust that
maker. What it writes holds numbers and text alone:

    converted/voices.npz, converted/faces.npz   id, vector, label, split, gender
    converted/lists/match_v2f_2_test.txt, ...    matching, verification, retrieval

The people are split 901 / 100 / 250, as in Learnable PINs. Then:

    tfav-prepare --source=vectors --source_option=audio=converted/voices.npz \
        --source_option=image=converted/faces.npz --lists=converted/lists --output=data/pins
"""

import os
import pickle
import sys

import numpy as np

SPLITS = {"train": "train", "valid": "val", "test": "test"}


def convert(source, target):
    """Writes tables and lists of the folder `source` into the folder `target`."""
    people = read(source, "info/train_valid_test_names.pkl")
    split = {name: SPLITS[part] for part, names in people.items() for name in names}
    gender = read(source, "info/name2gender.pkl")
    files = read(source, "info/name2jpgs_wavs.pkl")
    os.makedirs(os.path.join(target, "lists"))
    for table, vectors, of_person in (
        ("voices", "voice_input.pkl", files["name2wavs"]),
        ("faces", "face_input.pkl", files["name2jpgs"]),
    ):
        found = read(source, vectors)
        label = {path: name for name in split for path in of_person[name]}
        ids = [path for path in label if path in found]
        np.savez(
            os.path.join(target, f"{table}.npz"),
            id=ids,
            vector=np.stack([np.asarray(found[path], np.float32) for path in ids]),
            label=[label[path] for path in ids],
            split=[split[label[path]] for path in ids],
            gender=["m" if gender[label[path]] in ("m", 1) else "f" for path in ids],
        )
    for name, lines in lists(source).items():
        with open(os.path.join(target, "lists", name), "w", encoding="utf-8") as file:
            file.writelines(" ".join(line) + "\n" for line in lines)


def lists(source):
    """Returns the name of each query list and its lines, each a list of ids."""
    found = {}
    for mark in ("", "_g"):
        pairs = read(source, f"evals/test_matching{mark}.pkl")["match_list"]
        # Person, voice and face of one, then of another one.
        found[f"match{mark}_v2f_2_test.txt"] = [[v, f, other] for _, v, f, _, _, other in pairs]
        found[f"match{mark}_f2v_2_test.txt"] = [[f, v, other] for _, v, f, _, other, _ in pairs]
        pairs = read(source, f"evals/test_verification{mark}.pkl")["list"]
        found[f"verify{mark}_v2f_test.txt"] = [[voice, face] for voice, face, _ in pairs]
    pairs = read(source, "evals/valid_verification.pkl")["list"]
    found["verify_v2f_val.txt"] = [[voice, face] for voice, face, _ in pairs]
    # Voices and faces of ten people, the first of whom asks.
    tens = read(source, "evals/test_matching_10.pkl")["match_list"]
    for n in range(3, len(tens[0][0]) + 1):
        found[f"match_v2f_{n}_test.txt"] = [[v[0], *f[:n]] for v, f in tens]
        found[f"match_f2v_{n}_test.txt"] = [[f[0], *v[:n]] for v, f in tens]
    # Groups of voice, face and person; each group is one gallery.
    groups = read(source, "evals/test_retrieval.pkl")["retrieval_lists"]
    sides = [([v for v, _, _ in g], [f for _, f, _ in g]) for g in groups]
    found["retrieval_v2f_test.txt"] = [line for v, f in sides for line in (v, f)]
    found["retrieval_f2v_test.txt"] = [line for v, f in sides for line in (f, v)]
    return found


def read(folder, name):
    """Returns what a pickle holds."""
    with open(os.path.join(folder, name), "rb") as file:
        return pickle.load(file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("python samples/vfal_eva.py DATASET OUTPUT")
    convert(*sys.argv[1:])
