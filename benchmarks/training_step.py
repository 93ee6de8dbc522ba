"""The paper's training step against PyTorch: eager and compiled, float32 and bfloat16."""

from collections.abc import Callable

from benchmarks import step, timing

CONFIG = "configs/voice_face.py:vox1"
SECONDS, CLASSES = 2.5, 924
# dtype, most of PyTorch eager's time, most of torch.compile's.
CASES = (("float32", 0.8, 1.0), ("mixed_bfloat16", 0.5, 1.0))


def rows(batch_size: int = 16) -> list[timing.Row]:
    """Returns a row per type; without PyTorch, ours alone."""
    found = []
    for dtype, eager, compiled in CASES:
        made = step.Step(CONFIG, batch_size, SECONDS, CLASSES, dtype=dtype)
        peers = _peers(dtype, batch_size)
        targets = {"PyTorch eager": eager, "torch.compile": compiled}
        found.append(
            timing.row(
                f"training step, {dtype}",
                f"IR-50 and thin SE-ResNet-34, batch {batch_size}",
                made.runner(),
                peers,
                {name: most for name, most in targets.items() if name in peers},
            )
        )
    return found


def _peers(dtype: str, batch_size: int) -> dict[str, Callable[[], object]]:
    try:
        import torch
    except ImportError:
        return {}
    from benchmarks import torch_nets

    def peer(compiled: bool) -> Callable[[], object]:
        torch.manual_seed(0)
        net = torch_nets.VoiceFace(CLASSES).to(memory_format=torch.channels_last)
        waveform = 0.1 * torch.randn(batch_size, round(16_000 * SECONDS))
        pixels = torch.randint(0, 256, (batch_size, 112, 112, 3), dtype=torch.uint8)
        label = torch.randperm(CLASSES)[:batch_size]
        optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)
        forward = torch.compile(net) if compiled else net
        half = dtype == "mixed_bfloat16"

        def run() -> float:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = forward(waveform, pixels, label)
            loss.backward()
            optimizer.step()
            return float(loss)

        return run

    return {"PyTorch eager": peer(False), "torch.compile": peer(True)}
