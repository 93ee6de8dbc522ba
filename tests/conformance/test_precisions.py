"""What every row of the table of precisions promises: a small file that embeds as the network."""

import numpy as np
import pytest

from tests.conformance import encoder_rows
from tfav.export import servable as servable_lib
from tfav.export.lite import precisions, tflite
from tfav.export.options import ExportOptions
from tfav.inference import embedders
from tfav.recipes import recipe as base

ROW = ("audio", "tiny")
SAMPLES = 4_800


@pytest.fixture(scope="module")
def recipe():
    return base.Recipe({"audio": encoder_rows.trained(ROW)}, heads={})


@pytest.mark.parametrize("name", precisions.PRECISIONS)
def test_a_file_of_each_precision_is_small_and_passes_its_gate(name, recipe, tmp_path):
    row = precisions.find(name)
    try:
        row.require()
    except Exception as error:  # an extra that is not installed here
        pytest.skip(str(error))
    clips = encoder_rows.noise(8, SAMPLES)
    (file,) = tflite.write(
        servable_lib.Servable(recipe),
        str(tmp_path),
        audio_samples=SAMPLES,
        precisions=(name,),
        calibration=[{"audio": clip} for clip in clips] if row.calibrated else (),
    )
    assert file == f"audio_{name}.tflite"
    gates = ExportOptions(audio_seconds=SAMPLES / 16_000, min_cosine=0.999)
    found = embedders.load(str(tmp_path / file)).embed("audio", {"audio": clips})
    exact = recipe.embed("audio", {"audio": clips}).numpy()
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert np.sum(found * exact, axis=1).min() >= getattr(gates, row.gate.option)
    weights = sum(int(np.prod(weight.shape)) for weight in recipe.encoders["audio"].weights)
    assert (tmp_path / file).stat().st_size < row.bytes_per_weight * weights + 400_000
