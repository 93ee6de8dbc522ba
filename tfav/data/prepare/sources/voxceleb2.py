"""VoxCeleb2 utterances with frames of the speaker's face; the class is the speaker.

`--audio_root` holds `<id>/<video>/<utterance>.wav` (or `.m4a`, as it is distributed, or any other
suffix of `media.formats`), and `--image_root` one folder an utterance,
`<id>#<video>#<utterance>.txt#000.mp4/0000001.png` and so on: frames taken at 2 a second.
`--split_csv` names lists of trials with lines `label,first.wav,second.wav` (MMCosine's
`test_pairs.csv`, `veri_test.csv`). What a trial names is `test`; all other utterances are `train`,
but for those of speakers whom a trial names, which are left out: their voices would be known.

Class order: speakers sorted by name.
"""

import os

from absl import logging

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import parts
from tfav.media import formats

NAME = "voxceleb2"


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row an utterance, with two frames in training and one in the test.

    The id is `<id>/<video>/<utterance>.wav`, as the trials name it (without their leading slash),
    whatever kind the file is of. `recording` (`<id>/<video>`) is a further column.
    `--val_fraction` holds that share of each speaker's recordings out of `train`, as `val`.

    Raises:
      UserError: a folder, list or flag does not fit.
    """
    audio_root = parts.folder(options.audio_root, NAME, "audio_root")
    image_root = parts.folder(options.image_root, NAME, "image_root")
    if not options.split_csv:
        raise registry.UserError(f"--source={NAME} needs --split_csv=FILE.csv, a list of trials.")
    trials = [name for path in options.split_csv for name in _trial_items(path)]
    testing = {_speaker(name) for name in trials}
    files = _utterances(audio_root)
    train = [name for name in files if _speaker(name) not in testing]
    if not train:
        raise registry.UserError(
            f"--audio_root={audio_root} holds no <id>/<video>/<utterance> of a speaker whom the "
            f"trials do not name ({formats.listed('audio')}): give the folder with the development "
            "part."
        )
    others = sorted(set(files) - set(train) - set(trials))
    if others:
        logging.warning(
            "%s: %d utterances of %d speakers of the trials are left out, first %s",
            NAME,
            len(others),
            len(set(map(_speaker, others))),
            others[0],
        )
    held_out = parts.carve({_recording(name): _speaker(name) for name in train}, options)
    carried = parts.columns(options, ("recording",), NAME)
    found, without = [], []
    for name in [*train, *dict.fromkeys(trials)]:
        split = "test" if _speaker(name) in testing else "train"
        frames = _frames(image_root, name, split)
        if not frames:
            without.append(name)
        audio = os.path.join(audio_root, files.get(name, name))
        row = manifest.Row(
            id=name,
            split="val" if _recording(name) in held_out else split,
            label=_speaker(name),
            audio=audio,
            image=frames or None,
            extra={"recording": _recording(name)} if carried else {},
        )
        manifest.check_words(row, audio)
        found.append(row)
    if len(without) == len(found):
        raise registry.UserError(
            f"--image_root={image_root} holds no folder of frames of any utterance, such as "
            f"{_folder(without[0])}: correct the path."
        )
    if without:
        logging.warning(
            "%s: %d utterances have no frames, first %s", NAME, len(without), without[0]
        )
    return parts.ordered(found, sorted({row.label for row in found}))


def frame_numbers(count: int, split: str) -> tuple[int, ...]:
    """Returns which of `count` frames are used (MMCosine's rule), counted from 0.

    Training takes two, as far apart as the clip is long; the test takes frame 2. Where there are
    not that many, the last one.
    """
    if split == "test":
        wanted: tuple[int, ...] = (2,)
    else:
        wanted = {7: (2, 5), 6: (2, 4), 5: (1, 3)}.get(count, (2, 6) if count >= 8 else (0, 2))
    return tuple(min(number, count - 1) for number in wanted)


def _frames(root: str, name: str, split: str) -> tuple[str, ...]:
    folder = os.path.join(root, _folder(name))
    if not os.path.isdir(folder):
        return ()
    files = sorted(file for file in os.listdir(folder) if formats.modality(file) == "image")
    if not files:
        return ()
    return tuple(os.path.join(folder, files[n]) for n in frame_numbers(len(files), split))


def _folder(name: str) -> str:
    return os.path.splitext(name)[0].replace("/", "#") + ".txt#000.mp4"


def _speaker(name: str) -> str:
    return name.split("/")[0]


def _recording(name: str) -> str:
    return name.rpartition("/")[0]


def _utterances(root: str) -> dict[str, str]:
    """Returns the id of every sound file three levels below `root`, sorted, and its path there."""
    found: dict[str, str] = {}
    left_out = formats.LeftOut()
    preferred = list(formats.SUFFIXES["audio"])
    for path in formats.below(root):
        stem, suffix = os.path.splitext(path)
        name = f"{stem}.wav"
        if path.count("/") != 2 or formats.modality(path) != "audio":
            left_out.add([path])
            continue
        other = found.get(name)
        if other is None:
            found[name] = path
            continue
        rank = [preferred.index(os.path.splitext(p)[1].lower()) for p in (other, path)]
        found[name], beaten = (other, path) if rank[0] <= rank[1] else (path, other)
        left_out.add([beaten])
    left_out.warn(NAME)
    return found


def _trial_items(path: str) -> list[str]:
    """Returns the utterances that a list of trials names, in order, each once."""
    names: dict[str, None] = {}
    for number, line in parts.read_lines(path):
        cells = [cell.strip() for cell in line.split(",")]
        if number == 1 and cells[0] not in ("0", "1"):  # a header
            continue
        items = [cell.lstrip("/") for cell in cells[1:]]
        if cells[0] not in ("0", "1") or len(items) != 2 or any(i.count("/") != 2 for i in items):
            raise registry.UserError(
                f"{path} line {number} is {line!r}: each line is a trial, as in "
                "1,id00017/Nd3m-TBtp6A/00037.wav,id00017/kQJq9nFET5M/00138.wav."
            )
        names.update(dict.fromkeys(items))
    return list(names)
