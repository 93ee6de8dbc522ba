"""The model card that lies beside an export's artefacts, as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from tfav import scalars
from tfav.commands import energy
from tfav.data import shards
from tfav.evaluation import decisions, pair_calibration, pair_errors
from tfav.experiment import evaluations, measured_decisions
from tfav.training import pace

FILES = ("model_card.md", "model_card.json")

_LIMITS = (
    "Voices and faces are biometric data: not for identifying, tracking or judging people, nor for "
    "decisions about them; ask people for their consent.",
    "A score says how alike two recordings are to this model, not that they are of one person.",
    "The figures hold for data like that of the evaluation; errors differ between groups, so read "
    "them by stratum, and measure again on your own data before you rely on a threshold.",
)


def texts(
    certificate: Mapping[str, Any],
    c: ml_collections.ConfigDict,
    workdir: str,
    index: shards.Index,
    power_watts: float = 0.0,
) -> dict[str, str]:
    """Returns the card, file name to text: Markdown and JSON.

    Args:
      certificate: what `parity.json` says.
      c: Config of the run.
      workdir: Folder of the run.
      index: of the data that the export was measured on.
      power_watts: power that the machine drew while it trained; 0: not stated.
    """
    card = facts(certificate, c, workdir, index, power_watts)
    return dict(zip(FILES, (text(card), json.dumps(card, indent=2) + "\n")))


def facts(
    certificate: Mapping[str, Any],
    c: ml_collections.ConfigDict,
    workdir: str,
    index: shards.Index,
    power_watts: float = 0.0,
) -> dict[str, Any]:
    """Returns what the card says; see `texts`. What is not known is None, and said to be so."""
    origin, found = certificate["origin"], evaluations.own(workdir)
    weights = (found.about.get("weights") if found else None) or {}
    seconds = energy.trained_seconds(workdir)
    return {
        "recipe": origin["recipe"],
        "encoders": origin["encoders"],
        "embedding_space": certificate["embedding_space"],
        "vector_spaces": certificate.get("vector_spaces", {}),
        "license": certificate["license"],
        "weights": {
            "initial": origin["init"],
            "revision": origin["revision"],
            "step": weights.get("step"),
        },
        "training": {
            "num_steps": c.train.num_steps,
            "batch_size": c.train.batch_size,
            "logged_steps": _logged(workdir),
            "seconds": None if seconds is None else round(seconds, 1),
        },
        "energy": energy.estimate(seconds, power_watts),
        "data": {**origin["data"], "splits": _splits(index)},
        "figures": [result.to_json() for result in found.results] if found else None,
        "classes": certificate.get("classes", []),
        "decisions": certificate.get("decisions"),
        "errors": [
            {name: value for name, value in result.to_json().items() if name != "notes"}
            for result in measured_decisions.results(workdir, c)
            if result.metric in pair_errors.METRICS
        ],
        "limits": list(_LIMITS),
        "artefacts": {
            name: {"precision": its["precision"], "bytes": its["bytes"]}
            for name, its in certificate["artefacts"].items()
        },
    }


def text(card: Mapping[str, Any]) -> str:
    """Returns the card as Markdown."""
    data, weights, training = card["data"], card["weights"], card["training"]
    initial = ", ".join(f"{k} of {v['file']}" for k, v in weights["initial"].items())
    seconds, energy = training["seconds"], card["energy"]
    taken = "not known" if seconds is None else pace.duration(seconds)
    drawn = energy["kilowatt_hours"]
    estimate = "" if drawn is None else f"about {drawn:.3g} kWh, "
    lines = [
        "# Model card",
        "",
        f"- Method: {card['recipe']}; encoders "
        + ", ".join(f"{name} {encoder}" for name, encoder in card["encoders"].items()),
        f"- Licence of the weights: {card['license']}",
        f"- Origin of the weights: {initial or 'trained from scratch'}; code revision "
        f"{weights['revision'] or 'not known'}",
        f"- Training: {training['num_steps']} steps of {training['batch_size']} examples, "
        f"{training['logged_steps'] or 'no'} steps in the log; weights of step "
        f"{_known(weights['step'])}",
        f"- Time of training: {taken}",
        f"- Energy of training: {estimate}{energy['how']}",
        f"- Embedding space: {card['embedding_space']}",
        *(
            f"- Takes {modality} vectors of the embedding space: {space}"
            for modality, space in card["vector_spaces"].items()
        ),
        "",
        "## Data",
        "",
        f"Source {data['source']}, SHA-256 of its index {data['sha256']}.",
        "",
        "| split | rows | labels |",
        "|---|---|---|",
        *(f"| {name} | {its['rows']} | {its['labels']} |" for name, its in data["splits"].items()),
        "",
        "## Figures by stratum",
        "",
        *_table(card["figures"]),
        "",
        "## Decisions",
        "",
        *_decisions(card),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Files",
        "",
        *(
            f"- {name}: {its['precision']}, {its['bytes'] / 1000:.0f} kB"
            for name, its in card["artefacts"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(figures: Sequence[Mapping[str, Any]] | None) -> list[str]:
    if not figures:
        return ["Not evaluated: run tfav-eval on the workdir and export again."]
    lines = [
        "With 95 % bootstrap intervals; the threshold of an EER is the score at which both kinds "
        "of error are equal.",
        "",
        "| protocol | stratum | direction | figure | value | interval | chance | threshold |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        if one["metric"] in {metric.key for metric in pair_errors.METRICS}:
            continue  # below, by threshold
        ends = [_number(one.get(name)) for name in ("chance", "threshold")]
        among = f" 1:{one['n']}" if one.get("n") else ""
        cells = [one["protocol"] + among, one["stratum"], one["direction"], one["metric"]]
        lines.append(
            "| " + " | ".join([*cells, _number(one["value"]), _interval(one), *ends]) + " |"
        )
    return lines


def _decisions(card: Mapping[str, Any]) -> list[str]:
    found, errors = card["decisions"], card["errors"]
    if not found:
        return [f"None: {decisions.NO_SPACE if card['classes'] else decisions.MISSING}."]
    on, lines = found["measured_on"], []
    if on["fitted"] and found["shipped"]:
        lines.append(
            f"Fitted on {_pairs(on['fitted'])} and evaluated on {_pairs(on['evaluated'])}; a pair "
            f"is taken for matched from the {pair_calibration.called(found['shipped'])} on, and "
            f'below it the answer is "{decisions.NOT_SURE}".'
        )
    if found["calibration"]:
        its = found["calibration"]
        sign = "-" if its["intercept"] < 0 else "+"
        lines += [
            "",
            f"The probability that a pair is right is 1 / (1 + exp(-({its['slope']:.4g} s {sign} "
            f"{abs(its['intercept']):.4g}))) of its {found['score']} s, where a share of "
            f"{its['prior']:g} of the pairs is right.",
        ]
    left_out = [
        f"- No {pair_calibration.called(name)}: {why}." for name, why in found["left_out"].items()
    ]
    lines += ["", *left_out] if left_out else []
    if errors:
        lines += [
            "",
            "| threshold or group | score from | FAR | interval | wrong pairs | FRR | interval "
            "| right pairs |",
            "|---|---|---|---|---|---|---|---|",
        ]
    for name in dict.fromkeys(one["direction"] for one in errors):
        of_row = {one["metric"]: one for one in errors if one["direction"] == name}
        cells = [name, _number(next(iter(of_row.values())).get("threshold"))]
        for metric in pair_errors.METRICS:
            one = of_row.get(metric.key)
            cells += (
                [_number(one["value"]), _interval(one), str(one["num_trials"])] if one else [""] * 3
            )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pairs(of: Mapping[str, Any]) -> str:
    return (
        f"{of['num_right']:,} right and {of['num_wrong']:,} wrong pairs of "
        f"{of['num_identities']:,} identities of the split {of['split']}"
    )


def _interval(one: Mapping[str, Any]) -> str:
    low, high = one.get("low"), one.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _known(value: float | None) -> str:
    return "not known" if value is None else f"{value:g}"


def _splits(index: shards.Index) -> dict[str, dict[str, int]]:
    return {
        split: {"rows": len(index.select(split)), "labels": len(index.labels(split))}
        for split in dict.fromkeys(index.split.tolist())
    }


def _logged(workdir: str) -> int | None:
    """Returns the last step of the run's log; None without one."""
    steps = [line.scalars["step"] for line in scalars.lines(workdir) if line.scalars]
    return int(max(steps)) if steps else None
