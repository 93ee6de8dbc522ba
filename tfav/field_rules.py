"""How the fields of a config must fit together, beyond what each alone may be (`fields`)."""

from collections.abc import Callable, Mapping
from typing import Any

NYQUIST_HZ = 8000.0  # half of `tensors.SAMPLE_RATE_HZ`


def _modalities(c: Mapping[str, Any]) -> str:
    names = tuple(c["modalities"])
    unknown = [m for m in names if m not in ("audio", "image", *c["further"])]
    if names and not unknown and len(set(names)) == len(names):
        return ""
    return (
        f"modalities={names}: name each once, of audio, image and what config.further says of "
        "others"
    )


def _protocols(c: Mapping[str, Any]) -> str:
    if c["eval"]["protocols"]:
        return ""
    return "eval.protocols is empty: name how the run is evaluated, such as lists"


def _stretch(c: Mapping[str, Any]) -> str:
    seconds = tuple(c["data"]["audio_seconds"])
    if len(seconds) == 2 and seconds[0] <= seconds[1]:
        if seconds[0] < seconds[1] and c["data"].get("num_lengths") == 1:
            return (
                f"data.num_lengths=1 is too few for data.audio_seconds={seconds}, whose ends are "
                "two: give 2 or more, or 0 for any length"
            )
        return ""
    return f"data.audio_seconds={seconds}: give two, shortest <= longest, in seconds"


def _heard(c: Mapping[str, Any]) -> str:
    least, most = c["eval"]["min_seconds"], c["eval"]["audio_seconds"]
    if least <= most:
        return ""
    return (
        f"eval.min_seconds={least:g} is more than the {most:g} s that are heard: lower it, or "
        "raise --config.eval.audio_seconds"
    )


def _warmup(c: Mapping[str, Any]) -> str:
    warmup, steps = c["train"]["warmup_steps"], c["train"]["num_steps"]
    if warmup <= steps:
        return ""
    return (
        f"train.warmup_steps={warmup} is more than the {steps} steps of the run, which would never "
        "reach its learning rate: lower it, or raise --config.train.num_steps"
    )


def _margin_warmup(c: Mapping[str, Any]) -> str:
    steps = c["train"]["num_steps"]
    for section in ("model", "loss"):
        warmup = c[section].get("margin_warmup_steps")
        if isinstance(warmup, int) and warmup > steps:
            return (
                f"{section}.margin_warmup_steps={warmup} is more than the {steps} steps of the "
                "run, which would never reach its margin: lower it, or raise "
                "--config.train.num_steps"
            )
    return ""


def _decay(c: Mapping[str, Any]) -> str:
    steps = tuple(c["train"]["decay_steps"])
    if all(a < b for a, b in zip(steps, steps[1:])):
        return ""
    return f"train.decay_steps={steps}: give each step once, in ascending order"


def _bands(c: Mapping[str, Any]) -> str:
    its = c["audio"]["frontend"]
    lower, upper = its.get("lower_hz", 0.0), its.get("upper_hz", NYQUIST_HZ)
    if lower < upper:
        return ""
    return f"audio.frontend.lower_hz={lower:g} is not below upper_hz={upper:g}: lower it"


def _frames(c: Mapping[str, Any]) -> str:
    its = c["audio"]["frontend"]
    points, frame = its.get("fft_length"), its.get("frame_length_samples")
    if points is None:
        return ""
    if points % 2:
        return (
            f"audio.frontend.fft_length={points} is odd, and its last bin would not lie at half "
            "the sample rate: give an even one, such as 512"
        )
    if frame is not None and frame > points:
        return (
            f"audio.frontend.frame_length_samples={frame} is more than fft_length={points}: lower "
            "it, or raise fft_length"
        )
    if frame is not None and its.get("centered", True) and frame % 2:
        return (
            f"audio.frontend.frame_length_samples={frame} is odd, and centred frames have a middle "
            "sample: give an even one, or set centered=False"
        )
    return ""


def _start(c: Mapping[str, Any]) -> str:
    released = c["init"]["audio"] or c["init"]["image"]
    if not (c["train"]["init_from"] and released):
        return ""
    return (
        f"train.init_from={c['train']['init_from']} and --config.init name weights ({released}) "
        "for the same encoders: give one of them"
    )


def _threads(c: Mapping[str, Any]) -> str:
    threads, first = c["train"]["intra_op_threads"], c["first_phase"].get("train")
    own = first.get("intra_op_threads", threads) if isinstance(first, Mapping) else threads
    if own == threads:
        return ""
    return (
        f"first_phase.train.intra_op_threads={own} is not that of train, {threads}, and one "
        "process trains both phases: set --config.train.intra_op_threads alone"
    )


def _late_fusion(c: Mapping[str, Any]) -> str:
    if c["model"].get("late_fusion") != "fitted" or c["train"]["validate_every"]:
        return ""
    return (
        "model.late_fusion=fitted takes its weights from validations and "
        "train.validate_every=0 has none: give a number of steps, such as that of the run"
    )


# Each returns what is wrong, from the field's name on, or an empty text.
RULES: tuple[Callable[[Mapping[str, Any]], str], ...] = (
    _modalities,
    _protocols,
    _stretch,
    _heard,
    _warmup,
    _margin_warmup,
    _decay,
    _bands,
    _frames,
    _start,
    _threads,
    _late_fusion,
)
