"""Where rows come from: the table of sources. A source elsewhere is named by its dotted path."""

from tfav import values
from tfav.data.prepare.sources.source import (
    ANY,
    CLASSES,
    CLIPS,
    IDENTITIES,
    Source,
    named,
    own_options,
    readers,
    refuse_unread,
)

__all__ = [
    "ANY",
    "CLASSES",
    "CLIPS",
    "IDENTITIES",
    "SOURCES",
    "Source",
    "named",
    "own_options",
    "readers",
    "refuse_unread",
]
_HERE = "tfav.data.prepare.sources."

SOURCES = {
    "manifest": Source(
        _HERE + "csv_manifest.rows",
        "a CSV file of your own",
        ("manifest", "columns", "modalities"),
    ),
    "synthetic": Source(
        _HERE + "synthetic_people.rows",
        "invented people with voices and faces",
        ("corpus", "identities", "columns"),
        IDENTITIES,
    ),
    "synthetic_classes": Source(
        _HERE + "synthetic_classes.rows",
        "invented birds of twelve species",
        ("corpus", "columns"),
        CLASSES,
    ),
    "synthetic_scenes": Source(
        _HERE + "synthetic_scenes.rows",
        "invented toys that sound",
        ("corpus", "identities", "columns"),
        CLASSES,
    ),
    "crema_d": Source(
        _HERE + "crema_d.rows",
        "CREMA-D: actors who speak in six emotions",
        ("root", "split_csv", "speaker_disjoint", "split_number", "val_fraction", "columns"),
        CLASSES,
    ),
    "dcase2014": Source(
        _HERE + "dcase2014.rows",
        "acoustic scenes of the challenge of 2013",
        ("root", "val_fraction", "columns"),
        CLASSES,
    ),
    "esc50": Source(
        _HERE + "esc50.rows",
        "ESC-50: environmental sounds in five folds",
        ("root", "split_csv", "subset", "split_number", "val_fraction", "columns"),
        CLASSES,
    ),
    "flickr_soundnet": Source(
        _HERE + "flickr_soundnet.rows",
        "the test of sound localisation with boxes",
        ("root", "split_csv", "columns"),
        CLIPS,
    ),
    "is3": Source(
        _HERE + "is3.rows",
        "IS3: made-up images of two sources that sound in turn",
        ("root", "columns"),
        CLASSES,
    ),
    "kinetics_sounds": Source(
        _HERE + "web_clips.kinetics_sounds",
        "Kinetics-Sounds: videos of actions that are heard",
        ("root", "split_csv", "val_fraction", "columns"),
        CLASSES,
    ),
    "mav_celeb": Source(
        _HERE + "mav_celeb.rows",
        "MAV-Celeb: people who speak two languages, one of them heard",
        ("root", "split_csv", "val_fraction", "test_fraction", "columns"),
        IDENTITIES,
        {"heard": values.text("the language that the model trains on")},
    ),
    "ssw60": Source(
        _HERE + "ssw60.rows",
        "Sapsucker Woods: videos of sixty birds",
        ("root", "val_fraction", "columns"),
        CLASSES,
    ),
    "ucf101": Source(
        _HERE + "ucf101.rows",
        "UCF-101: videos of human actions",
        ("root", "split_csv", "split_number", "val_fraction", "columns"),
        CLASSES,
    ),
    "vggsound": Source(
        _HERE + "web_clips.vggsound",
        "VGGSound: videos of what sounds",
        ("root", "split_csv", "val_fraction", "columns"),
        CLASSES,
    ),
    "vggss": Source(
        _HERE + "vggss.rows",
        "VGG-SS: frames of VGGSound with boxes of what sounds",
        ("root", "split_csv", "columns"),
        CLASSES,
    ),
    "vectors": Source(
        _HERE + "vectors.rows",
        "tables of vectors, .npz, .tfrecord or .csv, one per modality",
        ("manifest", "val_fraction", "test_fraction", "columns"),
        own=None,
    ),
    "videos": Source(
        _HERE + "videos.rows",
        "any folder of videos, without labels",
        ("root", "segment_seconds", "test_fraction", "val_fraction", "columns"),
        CLIPS,
    ),
    "voxceleb1": Source(
        _HERE + "voxceleb1.rows",
        "VoxCeleb1 voices with VGGFace photographs",
        ("audio_root", "image_root", "split_csv", "columns"),
        IDENTITIES,
    ),
    "voxceleb2": Source(
        _HERE + "voxceleb2.rows",
        "VoxCeleb2 utterances with frames of the face",
        ("audio_root", "image_root", "split_csv", "val_fraction", "columns"),
        IDENTITIES,
    ),
}
