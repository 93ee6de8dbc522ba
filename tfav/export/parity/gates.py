"""Whether an export may be published: its certificate against the gate of each precision."""

from typing import Any

from tfav import registry
from tfav.export.lite import precisions
from tfav.export.options import ExportOptions


def check(found: dict[str, Any], options: ExportOptions) -> None:
    """Refuses a certificate with an answer too far from the checkpoint's, or of another class.

    A map and a score must also be as near in each of their values.

    Args:
      found: the certificate.
      options: Options of the export, with the gate of each precision.

    Raises:
      UserError: names the artefact, the worst item, its cosine and the switch.
    """
    for name, artefact in found["artefacts"].items():
        gate = precisions.find(artefact["precision"]).gate
        least, switch = getattr(options, gate.option), gate.switch
        for signature, parity in artefact["parity"].items():
            cosine = parity.get("cosine_min", 1.0)  # scores have none
            if not cosine >= least:  # NaN is no parity either
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} has cosine "
                    f"{parity['cosine_min']:.6f} to the checkpoint on {parity['worst_item']} (mean "
                    f"{parity['cosine_mean']:.6f}), below {least}: find out why, or set "
                    f"{switch} to what you accept."
                )
            if parity.get("argmax_flips"):
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} takes "
                    f"{parity['argmax_flips'][0]} for another class than the checkpoint, whose "
                    "logits of the two are no tie: find out what it computes otherwise."
                )
            allowed = parity.get("max_error_allowed")  # of maps and scores
            if allowed is not None and not parity["max_abs_error"] <= allowed:
                raise registry.UserError(
                    f"parity failed and nothing was published: {signature} of {name} is "
                    f"{parity['max_abs_error']:.1e} away from the checkpoint's answer to "
                    f"{parity['max_error_item']}, above {allowed:g}: find out what it computes "
                    "otherwise, or leave that precision out."
                )
