import numpy as np
import pytest

from tfav.export.parity import verification

PAIRS = [("s1", "p1", True), ("s1", "p2", False), ("s2", "p2", True), ("s2", "p1", False)]


def vectors(*angles):
    return {f"s{i}": np.array([np.cos(a), np.sin(a)], np.float32) for i, a in enumerate(angles, 1)}


def test_auc_and_eer_are_those_of_the_cosines_before_and_after():
    pictures = {"p1": np.float32([1, 0]), "p2": np.float32([0, 1])}
    before = {"audio": vectors(0.0, np.pi / 2), "image": pictures}  # each sound on its picture
    after = {"audio": vectors(np.pi / 2, 0.0), "image": pictures}  # each on the other's
    found = verification.compare(PAIRS, before, after)
    assert found == {
        "num_trials": 4,
        "auc_before": 1.0,
        "eer_before": 0.0,
        "auc_after": 0.0,
        "eer_after": 1.0,
    }


def test_embeddings_of_nan_have_no_figures():
    pictures = {"p1": np.float32([1, 0]), "p2": np.float32([0, np.nan])}
    both = {"audio": vectors(0.0, 1.0), "image": pictures}
    assert verification.compare(PAIRS, both, both)["auc_after"] is None


@pytest.mark.parametrize("most, kept", [(4, 4), (3, 2), (100, 4)])
def test_few_items_are_named_often(most, kept):
    # The first right and wrong pair bring s1, p1 and p2; then s2 is one too many for three.
    found = verification.limited(PAIRS, most)
    assert len({x for pair in found for x in pair[:2]}) <= most
    assert len(found) == kept


def test_the_certificate_tells_what_each_artefact_does_to_verification(verified):
    found = verified.certificate["trials"]
    assert (found["list"], found["num_items"]) == ("verify_v2f_test.txt", {"audio": 3, "image": 3})
    assert set(found["artefacts"]) == set(verified.certificate["artefacts"])
    for name, figures in found["artefacts"].items():
        assert figures["num_trials"] == 9, name
        assert figures["auc_after"] == pytest.approx(figures["auc_before"], abs=0.1)
