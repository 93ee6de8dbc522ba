r"""Makes split files and query lists of the official files of Learnable PINs and of CMPC.

    python samples/pins.py vox1_meta.csv CMPC/data converted

`vox1_meta.csv` is VoxCeleb1's own table of people; `CMPC/data` is that folder of
github.com/Cocoxili/CMPC, which hands on PINs' split (`Splits/identity_splits.txt`) and lists
(`veriflist/`) beside its own (`matching/`, `retrieval/`). What it writes:

    converted/pins_train.csv, pins_val.csv, pins_test.csv    901, 100 and 250 people
    converted/lists/...    lists of people neither seen nor heard before, tag `test`, and of people
                           who train, tag `seenheard`

Then:

    tfav-prepare --source=voxceleb1 --audio_root=wav --image_root=faces \
        --split_csv=converted/pins_train.csv,converted/pins_val.csv,converted/pins_test.csv \
        --lists=converted/lists --output=data/pins
"""

import csv
import os
import sys

SPLITS = {"1": "train", "2": "val", "4": "test"}  # 3 is seen and heard: people who train as well
COLUMNS = ("VoxCeleb1_ID", "VGGFace1_ID", "Gender", "Nationality", "Set")
MARKS = {"random": "", "U": "", "G": "_g", "N": "_n", "A": "_a", "GNA": "_gna"}
TAGS = {"unseenunheard": "test", "seenheard": "seenheard"}


def convert(meta, source, target):
    """Writes the split files and lists into the folder `target`; returns what was left out."""
    with open(meta, encoding="utf-8", newline="") as file:
        people = {row["VGGFace1 ID"]: row for row in csv.DictReader(file, delimiter="\t")}
    os.makedirs(os.path.join(target, "lists"))
    write_splits(people, os.path.join(source, "Splits", "identity_splits.txt"), target)
    left_out, found = [], {}
    for folder, read in (("veriflist", verification), ("matching", matching)):
        for name in sorted(os.listdir(os.path.join(source, folder))):
            if name.endswith(".txt" if folder == "veriflist" else ".csv"):
                listed = read(name, os.path.join(source, folder, name), people)
                left_out += [] if listed else [name]
                found.update(listed)
    found.update(retrieval(os.path.join(source, "retrieval")))
    for name, lines in found.items():
        with open(os.path.join(target, "lists", name), "w", encoding="utf-8") as file:
            file.writelines(" ".join(line) + "\n" for line in lines)
    return [name for name in left_out if name != "README.txt"]


def write_splits(people, path, target):
    """Writes a table of the people of each split."""
    of_split = {split: [] for split in SPLITS.values()}
    with open(path, encoding="utf-8") as file:
        for name, number in (line.split() for line in file if line.strip()):
            if number in SPLITS:
                its = people[name]
                row = (its["VoxCeleb1 ID"], name, its["Gender"], its["Nationality"], its["Set"])
                of_split[SPLITS[number]].append(row)
    for split, rows in of_split.items():
        with open(os.path.join(target, f"pins_{split}.csv"), "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


def verification(name, path, people):
    """Returns a list of pairs by its name: `veriflist_test_{STRATUM}_{TAG}.txt`."""
    parts = os.path.splitext(name)[0].split("_")
    if parts[0] != "veriflist" or parts[2] not in MARKS or parts[3] not in TAGS:
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        pairs = [(voice(row, people), face(row)) for row in csv.DictReader(file)]
    return {f"verify{MARKS[parts[2]]}_v2f_{TAGS[parts[3]]}.txt": pairs}


def voice(row, people):
    """`NAME/VIDEO_0000005.wav` as VoxCeleb1 has it: `ID/VIDEO/00005.wav`."""
    person, file = row["voice-path"].split("/")
    stem, number = file.removesuffix(".wav").rsplit("_", 1)
    return f"{people[person]['VoxCeleb1 ID']}/{stem}/{int(number):05d}.wav"


def face(row):
    """`NAME/VIDEO/FRAME.jpg` as the faces lie: `NAME/1.6/VIDEO/FRAME.jpg`."""
    person, rest = row["face-path"].split("/", 1)
    return f"{person}/1.6/{rest}"


def matching(name, path, people):
    """Returns a list of probes and candidates by its name: `matching_{v2f,f2v}_{STRATUM}.csv`."""
    del people
    _, direction, stratum = os.path.splitext(name)[0].split("_")
    if stratum not in MARKS:
        return {}  # GN, gender and nationality alone, is no stratum of ours
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip()]
    return {f"match{MARKS[stratum]}_{direction}_{len(lines[0]) - 1}_test.txt": lines}


def retrieval(folder):
    """Returns both directions between all voices and all faces."""
    sides = []
    for name, column in (("wav_20k.csv", "wav"), ("jpg_20k.csv", "jpg")):
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            sides.append(list(dict.fromkeys(row[column] for row in rows)))
    return {"retrieval_v2f_test.txt": sides, "retrieval_f2v_test.txt": sides[::-1]}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("python samples/pins.py VOX1_META DATA OUTPUT")
    for left_out in convert(*sys.argv[1:]):
        sys.stdout.write(f"left out: {left_out}\n")
