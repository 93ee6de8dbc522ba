"""The questions that are asked of a data set: one function and one row each."""

from collections.abc import Callable, Mapping, Sequence

from tfav import registry
from tfav.data.prepare.doctor import finding, of_audio, of_images, of_leaks, of_rows
from tfav.data.prepare.doctor.evidence import Evidence

Question = Callable[[Evidence], finding.Finding | None]

# Each returns None where its question does not arise, such as on images where there are none.
FINDINGS: dict[str, Question] = {
    "unusable": of_rows.unusable,
    "list_items": of_rows.list_items,
    "splits": of_rows.splits,
    "identities": of_leaks.people,
    "groups": of_leaks.groups,
    "files": of_leaks.files,
    "copies": of_leaks.copies,
    "near_copies": of_leaks.near_copies,
    "two_labels": of_leaks.two_labels,
    "missing_modalities": of_rows.missing_modalities,
    "unseen_classes": of_rows.unseen_classes,
    "balance": of_rows.balance,
    "gender": of_rows.gender,
    "lengths": of_audio.lengths,
    "rates": of_audio.rates,
    "clipped": of_audio.clipped,
    "silent": of_audio.quiet,
    "digital_silence": of_audio.digital_silence,
    "sizes": of_images.sizes,
    "blur": of_images.blur,
    "empty": of_images.flat,
    "left_out": of_rows.left_out,
}
_WANTED = registry.function("evidence")


def named(own: Sequence[str]) -> dict[str, Question]:
    """Returns the table, and behind it what the dotted paths of the user's own lead to.

    Raises:
      UserError: a path that leads to no function of one argument.
    """
    return {
        **FINDINGS,
        **{path: registry.lookup({}, path, "finding", _WANTED) for path in own},
    }


def ask(evidence: Evidence, asked: Mapping[str, Question]) -> dict[str, finding.Finding]:
    """Returns the answers by name, worst level first, within a level as the table has them.

    Raises:
      UserError: a function of the user's own that gives something else than a finding.
    """
    found = {}
    for name, question in asked.items():
        answer = question(evidence)
        if answer is None:
            continue
        if not isinstance(answer, finding.Finding) or answer.level not in finding.LEVELS:
            raise registry.UserError(
                f"the finding {name!r} gives {answer!r}: let it return None, or a Finding whose "
                f"level is one of {', '.join(finding.LEVELS)}."
            )
        found[name] = answer
    order = list(finding.LEVELS)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].level)))
