"""A seed means the same weights in every version, and a config the same encoder.

`golden/initial_weights.json` was written by the release before layers had configs. The numbers are
the same on both dependency sets, and on a processor without fused multiply-add.
"""

import hashlib
import inspect
import json

import numpy as np

from tests import conftest
from tests.conformance import encoder_rows, walk
from tfav import weights

PINNED = json.loads((conftest.GOLDEN / "initial_weights.json").read_text())
PINNED_ROWS = [row for row in encoder_rows.ROWS if "-".join(row) in PINNED]


def _sha256(layer):
    digest = hashlib.sha256()
    for name, variable in sorted(weights.named_weights(layer, "x").items()):
        value = variable.numpy()
        digest.update(name.encode() + str((value.dtype.str, value.shape)).encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def test_every_encoder_is_pinned():
    rows = {"-".join(row): row for row in encoder_rows.ROWS}
    add = "put _sha256(encoder_rows.make(*ROW)) into tests/golden/initial_weights.json."
    walk.check_complete(rows, PINNED, "the tables of encoders", add)


@encoder_rows.parametrize(PINNED_ROWS)
def test_initial_weights_never_change_and_come_back_from_the_config(row):
    encoder = encoder_rows.make(*row)
    assert _sha256(encoder) == PINNED["-".join(row)]
    config = json.loads(json.dumps(encoder.get_config()))
    arguments = set(inspect.signature(type(encoder).__init__).parameters) - {"self"}
    assert set(config) == arguments | {"trainable", "policy"}
    again = type(encoder).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert _sha256(again) == PINNED["-".join(row)]
    batch = encoder_rows.batch(encoder, 2)
    np.testing.assert_array_equal(again(batch), encoder(batch))
