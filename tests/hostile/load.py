"""`tfav.load` as a command: load.py MODEL OUTPUT.npz INPUT ..., for `tests.forked`."""

import sys

import numpy as np

import tfav
from tfav import registry


def main(model: str, output: str, *inputs: str) -> None:
    """Embeds inputs and writes their vectors; a mistake of the user ends with 2."""
    try:
        found = tfav.load(model).embed(list(inputs))
    except registry.UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    arrays = {name: value for name, value in found.vectors.items()}
    ids = {f"{name}_id": np.array(value) for name, value in found.ids.items()}
    np.savez(output, **arrays, **ids, embedding_space=np.array(found.embedding_space))


if __name__ == "__main__":
    main(*sys.argv[1:])
