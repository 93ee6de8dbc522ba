"""The checkpoint's own answers, which artefacts are compared with."""

import numpy as np

from tfav.export.parity import reference as reference_lib
from tfav.recipes import outputs


def test_items_of_one_shape_are_embedded_together_and_keep_their_places(recipe, monkeypatch):
    random = np.random.default_rng(0)
    lengths = [3_000, 8_000, 3_000, 5_000] + [8_000] * 17
    clips = [random.uniform(-0.3, 0.3, length).astype(np.float32) for length in lengths]
    alone = [outputs.embedding(recipe, "audio", {"audio": clip[np.newaxis]})[0] for clip in clips]
    batches, embedding = [], outputs.embedding

    def noted(recipe, modality, batch):
        batches.append(batch["audio"].shape)
        return embedding(recipe, modality, batch)

    monkeypatch.setattr(outputs, "embedding", noted)
    found = reference_lib.Reference(recipe, {}, ()).embed("audio", clips)
    np.testing.assert_allclose(found, alone, atol=1e-6)
    assert np.abs(found[0] - found[2]).max() > 1e-3  # clips differ, so places are seen
    # None is padded, and of eighteen clips of half a second sixteen go first.
    assert batches == [(2, 3_000), (16, 8_000), (2, 8_000), (1, 5_000)]
