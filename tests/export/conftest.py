"""Two small recipes, each published once for all tests of this folder."""

from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

from tests import once
from tfav.encoders import audio, image
from tfav.evaluation import decisions
from tfav.export import publish, signature_specs
from tfav.export.options import ExportOptions, Inputs
from tfav.export.parity import verification
from tfav.layers import shared_classifier
from tfav.recipes import outputs
from tfav.recipes import recipe as base

SIZE = 32
EMBEDDING_SIZE = 16
CLASSES = ("nought", "one", "two")
FRAMES = 2


def export(recipe, inputs, directory, describe=lambda found: {}, **changes):
    """Publishes for clips of half a second, unless told otherwise."""
    options = ExportOptions(**{"audio_seconds": 0.5, "min_cosine": 0.999, **changes})
    return publish.publish(recipe, inputs, str(directory), options, describe)


class Published(NamedTuple):
    """What `publish` wrote, to be read only.

    Attributes:
      directory: where.
      certificate: what it returned.
      traced: the inputs of every signature that it traced.
    """

    directory: str
    certificate: dict
    traced: list[tuple[str, ...]]


def export_once(factory, name, model, recipe, inputs, **changes) -> Published:
    """Publishes a recipe as `model`, in one of the processes of a test run for all of them."""

    def make(folder):
        traced, trace = [], signature_specs.trace

        def noted(function, specs):
            traced.append(tuple(sorted(specs)))
            return trace(function, specs)

        with mock.patch.object(signature_specs, "trace", noted):
            return export(recipe, inputs, folder / model, **changes), traced

    folder, made = once.once(factory, name, make)
    return Published(str(folder / model), *made)


class Classifying(base.Recipe):
    """A classifier a modality, of embedding sizes of their own; their logits add up."""

    def __init__(self, encoders):
        heads = {
            f"{name}_head": shared_classifier.SharedClassifier(
                len(CLASSES), embedding_size=encoder.embedding_size, seed=seed
            )
            for seed, (name, encoder) in enumerate(encoders.items())
        }
        # Of a size that a .tflite without it would seem to have lost weights.
        heads["training_only"] = shared_classifier.SharedClassifier(1_000, embedding_size=1_000)
        super().__init__(encoders, heads)
        self.num_classes = len(CLASSES)

    def features(self, batch, training=False):
        return {name: self.embed(name, batch, training) for name in self.encoders}

    def logits(self, features):
        found = {name: self.heads[f"{name}_head"](value) for name, value in features.items()}
        return {"fused": sum(found.values()), **found}


def settle(encoders):
    """Gives batch norms values as if trained, so that folding them wrongly shows."""
    random = np.random.default_rng(0)
    for name, variable in base.Recipe(encoders, heads={}).encoder_weights().items():
        if name.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif name.endswith(("beta", "moving_mean")):
            variable.assign(random.normal(0.0, 0.1, variable.shape))
    return encoders


def decided(space, score="cosine") -> dict:
    """Thresholds and a calibration as an evaluation stores them: even odds at a score of 0.25."""
    return {
        "score": score,
        "calibration": {"slope": 8.0, "intercept": -2.0, "prior": 0.5},
        "thresholds": {"eer": {"threshold": 0.5, "far": 0.1, "frr": 0.2}},
        "shipped": "eer",
        "left_out": {"far_0.01": "there are too few"},
        "measured_on": {"embedding_space": space, "fitted": {"split": "val"}},
    }


@pytest.fixture(scope="session")
def recipe() -> base.Recipe:
    """Tiny encoders of one embedding size."""
    encoders = {
        "audio": audio.Tiny(EMBEDDING_SIZE, dropout=0.5),
        "image": image.Tiny(EMBEDDING_SIZE, SIZE, dropout=0.5),
    }
    return base.Recipe(settle(encoders), heads={})


@pytest.fixture(scope="session")
def classifying() -> Classifying:
    """Sound, a picture and two frames of a third modality; three classes."""
    encoders = {
        "audio": audio.Tiny(EMBEDDING_SIZE),
        "image": image.Tiny(EMBEDDING_SIZE, SIZE),
        "flow": image.Tiny(8, 16, name="flow"),
    }
    return Classifying(settle(encoders))


@pytest.fixture(scope="session")
def inputs() -> dict:
    """Clips shorter than, equal to and longer than the half second of the .tflite; three images."""
    random = np.random.default_rng(1)
    lengths = {"short.wav": 3_000, "half.wav": 8_000, "long.wav": 20_000}
    return {
        "audio": [(n, random.uniform(-0.3, 0.3, t).astype(np.float32)) for n, t in lengths.items()],
        "image": [
            (f"{i}.jpg", random.integers(0, 256, [SIZE, SIZE, 3], np.uint8)) for i in range(3)
        ],
    }


@pytest.fixture(scope="session")
def published(recipe, inputs, tmp_path_factory) -> Published:
    """What `publish` writes and returns; read only."""
    return export_once(tmp_path_factory, "published", "demo", recipe, Inputs(inputs))


@pytest.fixture(scope="session")
def rows(inputs) -> list:
    """Rows of all three modalities."""
    random = np.random.default_rng(2)
    flow = random.integers(0, 256, [3, FRAMES, 16, 16, 3], np.uint8)
    return [
        (
            f"row{i}",
            {"audio": inputs["audio"][i][1], "image": inputs["image"][i][1], "flow": flow[i]},
        )
        for i in range(3)
    ]


@pytest.fixture(scope="session")
def classified(classifying, rows, tmp_path_factory) -> Published:
    """What `publish` writes and returns of a recipe that classifies; read only."""
    options = {"num_frames": {"flow": FRAMES}, "classes": CLASSES}
    inputs = Inputs({}, rows=rows)
    return export_once(tmp_path_factory, "classified", "classes", classifying, inputs, **options)


@pytest.fixture(scope="session")
def verified(recipe, inputs, tmp_path_factory) -> Published:
    """What `publish` writes and returns where there are pairs to verify; read only."""
    names = {m: [name for name, _ in items] for m, items in inputs.items()}
    pairs = [
        (s, p, i == j) for i, s in enumerate(names["audio"]) for j, p in enumerate(names["image"])
    ]
    found = verification.Trials(
        "verify_v2f_test.txt", "0" * 64, pairs, {m: dict(items) for m, items in inputs.items()}
    )
    options = {"durations": (0.25, 0.5), "precisions": ("float32",), "about": {"license": "CC0"}}
    space = outputs.embedding_space(recipe)
    options["decided"] = decisions.read(decided(space), space)
    inputs = Inputs(inputs, trials=found)
    return export_once(tmp_path_factory, "verified", "verified", recipe, inputs, **options)
