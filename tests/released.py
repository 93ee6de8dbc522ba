"""The authors' two encoders with seeded weights, by the rule of the golden numbers, as arrays."""

import json
import pathlib

import numpy as np

_KEYS = pathlib.Path(__file__).parent / "golden" / "torch_state_dict_keys.json"
NAMES = {"audio": "voice", "image": "face"}


def names_and_shapes(modality: str) -> dict[str, list[int]]:
    """Names and shapes of a released encoder, without counters and front-end constants."""
    return json.loads(_KEYS.read_text())[NAMES[modality]]


def harmless(modality: str) -> set[str]:
    """Further names in its state dict, whose values no embedding depends on."""
    shapes = names_and_shapes(modality)
    names = {
        name.replace("running_var", "num_batches_tracked") for name in shapes if "_var" in name
    }
    return names | ({"model.torchfb.fb", "model.torchfb.win"} if modality == "audio" else set())


def seeded(modality: str) -> dict[str, np.ndarray]:
    """Seeded values: entry i of the sorted names, harmless ones too, has seed i."""
    shapes = names_and_shapes(modality)
    values = {}
    for i, name in enumerate(sorted(shapes.keys() | harmless(modality))):
        if name not in shapes:
            continue
        shape, random = shapes[name], np.random.RandomState(i)
        if name.endswith("running_var"):
            value = 1 + 0.5 * random.rand(*shape)
        elif name.endswith("running_mean"):
            value = 0.1 * random.randn(*shape)
        elif len(shape) >= 2:
            value = random.randn(*shape) / np.sqrt(np.prod(shape[1:]))
        elif name.endswith("weight"):
            value = 1 + 0.1 * random.randn(*shape)
        else:
            value = 0.1 * random.randn(*shape)
        values[name] = value.astype(np.float32)
    return values
