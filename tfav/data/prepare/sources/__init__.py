"""Where rows come from: a source is a function `rows(options) -> list[manifest.Row]`."""

from tfav.data.prepare.sources import (
    crema_d,
    csv_manifest,
    dcase2014,
    esc50,
    flickr_soundnet,
    ssw60,
    synthetic_classes,
    synthetic_people,
    synthetic_scenes,
    ucf101,
    videos,
    voxceleb1,
    voxceleb2,
)

SOURCES = {
    "crema_d": crema_d.rows,
    "dcase2014": dcase2014.rows,
    "esc50": esc50.rows,
    "flickr_soundnet": flickr_soundnet.rows,
    "manifest": csv_manifest.rows,
    "ssw60": ssw60.rows,
    "synthetic": synthetic_people.rows,
    "synthetic_classes": synthetic_classes.rows,
    "synthetic_scenes": synthetic_scenes.rows,
    "ucf101": ucf101.rows,
    "videos": videos.rows,
    "voxceleb1": voxceleb1.rows,
    "voxceleb2": voxceleb2.rows,
}
