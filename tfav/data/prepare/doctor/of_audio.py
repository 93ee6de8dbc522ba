"""Findings on audio: length, rate, level."""

import collections

import numpy as np

from tfav import tensors
from tfav.data.prepare.doctor.evidence import Evidence
from tfav.data.prepare.doctor.finding import GOOD, MISLEADS, NOTE, Chart, Finding, one

SHORT_SECONDS = 1.0
CLIPPED_SHARE = 0.001
QUIET_DB = -45.0
MOSTLY_QUIET = 0.75
ZEROS_SECONDS = 0.25


def lengths(evidence: Evidence) -> Finding | None:
    """Says how long clips are, and which are too short to tell much."""
    there = evidence.has("audio")
    if not there.any():
        return None
    seconds = evidence.seconds
    low, high = seconds[there].min(), seconds[there].max()
    edges = np.linspace(low, high, 25) if high < 8 * low else np.geomspace(low, high, 25)
    edges[-1] = np.nextafter(high, np.inf)
    if high == low:
        edges = np.array([low - 0.5, low + 0.5])
    short = np.flatnonzero(there & (seconds < SHORT_SECONDS))
    short = short[np.argsort(seconds[short], kind="stable")]
    chart = Chart(
        "length (s)",
        evidence.histogram(seconds, there, edges),
        edges=edges.tolist(),
        mark=SHORT_SECONDS,
        logarithmic=bool(high >= 8 * low),
        counted="clips",
    )
    spread = f"{low:.2f} to {high:.2f} s, median {np.median(seconds[there]):.2f} s"
    return one(
        "Length of clips",
        len(short),
        f"of {there.sum()} clips",
        f": the clip is shorter than {SHORT_SECONDS:g} s, and little can be told of it; all last "
        f"{spread}.",
        f"Clips last {spread}.",
        "Join pieces of one recording, or give config.data.audio_seconds a stretch that most clips "
        "fill: a shorter clip is repeated until it does.",
        level=NOTE,
        rows=evidence.named(short, (f"{seconds[k]:.2f} s" for k in short)),
        chart=chart,
    )


def rates(evidence: Evidence) -> Finding | None:
    """Says at which rates and in which formats clips come, and which hold no high frequencies."""
    there = [k for k, text in enumerate(evidence.formats) if text]
    if not there:
        return None
    counts = collections.Counter(evidence.formats[k] for k in there)
    names = [name for name, _ in counts.most_common(12)]
    chart = Chart(
        "format of the file",
        evidence.counts(np.array(evidence.formats, object), evidence.usable, names),
        names=names,
        counted="files",
    )
    rate = np.array([int(text.split(" ")[0]) if text else 0 for text in evidence.formats])
    low = np.flatnonzero((rate > 0) & (rate < tensors.SAMPLE_RATE_HZ))
    told = "; ".join(f"{n} x {name}" for name, n in counts.most_common(6))
    title = "Rates and formats"
    if not len(low):
        return Finding(GOOD, title, f"All files are of 16 kHz or more: {told}.", chart=chart)
    mixed = len(low) < len(there)
    return Finding(
        MISLEADS if mixed else NOTE,
        title,
        f"{len(low)} of {len(there)} files are of less than 16 kHz and hold nothing above half "
        f"their rate: {told}.",
        "Take the originals at 16 kHz or more; where some labels or splits alone have low rates, "
        "bring all files to the lowest, or a model tells them apart by that."
        if mixed
        else "Nothing is to be done where all clips to come are like that; a model trained on them "
        "will not know what lies above.",
        len(low),
        evidence.named(low, (evidence.formats[int(k)] for k in low)),
        chart,
    )


def clipped(evidence: Evidence) -> Finding | None:
    """Says which clips were recorded too loud."""
    there = evidence.has("audio")
    if not there.any():
        return None
    share = evidence.table["clipped"]
    found = np.flatnonzero(there & (share >= CLIPPED_SHARE))
    found = found[np.argsort(-share[found], kind="stable")]
    return one(
        "Clipped audio",
        len(found),
        f"of {there.sum()} clips",
        f": {CLIPPED_SHARE:.1%} or more of the samples reach full scale.",
        "No clip reaches full scale for long.",
        "Record again at a lower level, or take the clip out: what was cut off cannot be restored, "
        "and the harmonics it makes are not of the voice.",
        rows=evidence.named(found, (f"{share[k]:.2%} of the samples" for k in found)),
    )


def quiet(evidence: Evidence) -> Finding | None:
    """Says which clips are nearly silent, or mostly so."""
    there = evidence.has("audio")
    if not there.any():
        return None
    level, silent = evidence.table["level_db"], evidence.table["quiet"]
    found = np.flatnonzero(there & ((level < QUIET_DB) | (silent > MOSTLY_QUIET)))
    found = found[np.argsort(-silent[found], kind="stable")]
    edges = np.linspace(-80, 0, 33)
    return one(
        "Silent audio",
        len(found),
        f"of {there.sum()} clips",
        f": the level is below {QUIET_DB:g} dB, or more than {MOSTLY_QUIET:.0%} of the time is "
        "silent.",
        "Every clip is loud enough, and most of each is sound.",
        "Listen to them: cut the silence off, amplify what is too low, and take out what holds no "
        "sound of the label.",
        rows=evidence.named(found, (f"{level[k]:.0f} dB, {silent[k]:.0%} silent" for k in found)),
        chart=Chart(
            "level of a clip (dB below full scale)",
            evidence.histogram(np.clip(level, -80, -1e-3), there, edges),
            edges=edges.tolist(),
            mark=QUIET_DB,
            counted="clips",
        ),
    )


def digital_silence(evidence: Evidence) -> Finding | None:
    """Says which clips hold a stretch of zeros, as padding and dropped packets leave."""
    there = evidence.has("audio")
    if not there.any():
        return None
    zeros = evidence.table["zeros_seconds"]
    found = np.flatnonzero(there & (zeros >= ZEROS_SECONDS))
    found = found[np.argsort(-zeros[found], kind="stable")]
    return one(
        "Digital silence",
        len(found),
        f"of {there.sum()} clips",
        f": {ZEROS_SECONDS:g} s or more are zeros in a row.",
        "No clip holds a long stretch of zeros.",
        "Cut the zeros off: the logarithm of their spectrum is far from that of any room, and "
        "embeddings move with it.",
        rows=evidence.named(found, (f"{zeros[k]:.2f} s of zeros" for k in found)),
    )
