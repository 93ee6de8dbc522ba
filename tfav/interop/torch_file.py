"""PyTorch files of weights as NumPy arrays, by a loader that runs nothing in them."""

import os
import re
from types import ModuleType

import numpy as np

from tfav import registry

_SAFE_TORCH = (2, 6)  # before, a weights-only load could be made to run code (CVE-2025-32434)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the float tensors of a PyTorch file, float32, by their names in it.

    Args:
      path: a file that holds a dict of tensors, or one with such a dict as `state_dict`.

    Raises:
      UserError: PyTorch is missing or too old to be safe; the file is missing, damaged, holds
        anything but tensors and plain containers, or no dict of tensors.
    """
    torch = _torch()
    try:
        with open(path, "rb") as f:
            found = torch.load(f, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise registry.UserError(f"{path} does not exist: name the authors' file.") from error
    except Exception as error:  # the bytes of the file choose what is raised
        raise registry.UserError(
            f"{path} is not a PyTorch file of weights alone ({_reason(error)}): download it again; "
            "nothing else is ever unpickled."
        ) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    entries = found.items() if isinstance(found, dict) else ()
    tensors = {n: v for n, v in entries if isinstance(n, str) and _is_whole(torch, v)}
    if not tensors:
        raise registry.UserError(
            f"{path} holds no dict of weights but a {type(found).__name__}: name the authors' file."
        )
    return {name: value.detach().float().numpy() for name, value in tensors.items()}


def _torch() -> ModuleType:
    """Imports PyTorch, an optional extra, in a version whose weights-only load is safe."""
    try:
        import torch
    except ImportError as error:
        raise registry.UserError(
            f"PyTorch cannot be imported ({error}), which reads released weights: "
            "pip install 'tfav[torch]'."
        ) from error
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _SAFE_TORCH:
        raise registry.UserError(
            f"PyTorch {torch.__version__} can be made to run code by a file of weights "
            "(CVE-2025-32434): pip install 'tfav[torch]'."
        )
    return torch


def _is_whole(torch: ModuleType, value: object) -> bool:
    """Whether it is a plain float tensor in memory that claims no more than its file held."""
    return (
        isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _reason(error: Exception) -> str:
    """Returns the gist of what PyTorch says, which goes on for lines and advises the unsafe way."""
    text = " ".join(str(error).split())
    code = re.search(r"GLOBAL (\S+)", text)
    if code:
        return f"it holds Python objects, {code[1].rstrip('.')} first"
    first = re.split(r"[.:;] ", text)[0].rstrip(".")
    return f"{type(error).__name__}: {first}"[:100].rstrip(": ")
