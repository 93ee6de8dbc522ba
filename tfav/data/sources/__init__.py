"""Where rows come from: a source is a function `rows(options) -> list[manifest.Row]`."""

from tfav.data.sources import manifest, synthetic, voxceleb1

SOURCES = {
    "manifest": manifest.rows,
    "synthetic": synthetic.rows,
    "voxceleb1": voxceleb1.rows,
}
