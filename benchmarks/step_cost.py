"""Counts the kernels of one training step and the bytes they move, from the graph: no timing.

Ops that the optimised graph drops (nobody reads what they give) and ops without a kernel worth the
name (reshapes, reads of variables) are left out. Bytes are those of all inputs and outputs, as if
nothing were fused and nothing stayed in a cache.
"""

import collections
import re

import tensorflow as tf

from benchmarks import step, timing

CASES = (("float32", 2_500, 40.0), ("mixed_bfloat16", 2_500, 22.0))
CONFIG = "configs/voice_face.py:vox1"
_FREE = {
    "BroadcastGradientArgs",
    "Const",
    "ExpandDims",
    "Identity",
    "IdentityN",
    "NoOp",
    "Placeholder",
    "ReadVariableOp",
    "Reshape",
    "Shape",
    "ShapeN",
    "Size",
    "Squeeze",
    "StopGradient",
}
_KINDS = {
    "convolution": r"conv2d",
    "batch norm": r"batch_?norm|(^|/)bn\d*(_\d+)?/",
    "PReLU": r"p_?re_?lu",
    "optimizer": r"resourceapply|assign",
    "log-mel": r"log_mel|frontend",
    "squeeze-excite": r"excite",
}


def count(graph: tf.Graph) -> dict[str, tuple[int, float]]:
    """Returns kind of op to (kernels, gigabytes moved) of what a graph really computes."""
    waiting = [t.op for t in graph.outputs]
    waiting += [op for op in graph.get_operations() if re.match("Assign|ResourceApply", op.type)]
    live: set[tf.Operation] = set()
    while waiting:
        op = waiting.pop()
        if op not in live:
            live.add(op)
            waiting += [t.op for t in op.inputs]
            waiting += op.control_inputs
    kernels, moved = collections.Counter(), collections.Counter()
    for op in live:
        if op.type in _FREE:
            continue
        # The gradient of a PReLU is computed by the op that batch norms use.
        name = f"{op.type} {op.name}".lower()
        kind = next((k for k, pattern in _KINDS.items() if re.search(pattern, name)), "other")
        kernels[kind] += 1
        moved[kind] += sum(_bytes(t) for t in (*op.inputs, *op.outputs))
    return {kind: (kernels[kind], moved[kind] / 1e9) for kind in kernels}


def _bytes(tensor: tf.Tensor) -> int:
    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    return (tensor.shape.num_elements() or 0) * tensor.dtype.size


def rows() -> list[timing.Row]:
    """Returns kernels and gigabytes of the paper's step at batch 64, against the goals for both."""
    found = []
    for dtype, most_kernels, most_gigabytes in CASES:
        made = step.Step(CONFIG, 64, 2.5, 924, dtype=dtype)
        counted = count(made.graph())
        kernels = sum(n for n, _ in counted.values())
        gigabytes = sum(b for _, b in counted.values())
        parts = ", ".join(
            f"{kind} {n} / {b:.1f} GB"
            for kind, (n, b) in sorted(counted.items(), key=lambda item: -item[1][1])
        )
        found.append(
            timing.Row(
                "kernels of a step" if dtype == "float32" else "kernels of a step in bfloat16",
                "IR-50 and thin SE-ResNet-34, batch 64",
                kernels,
                {"goal, kernels": most_kernels, "goal, gigabytes": most_gigabytes},
                {
                    "goal, kernels": kernels / most_kernels,
                    "goal, gigabytes": gigabytes / most_gigabytes,
                },
                {"goal, kernels": 1.0, "goal, gigabytes": 1.0},
                f"{gigabytes:.1f} GB moved: {parts}",
            )
        )
    return found
