"""Where a computation runs: "auto" | "cpu" | "cuda" → a torch.device and its autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")


def resolve(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA where there is one. ValueError says what is missing."""
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was asked for, but this PyTorch finds no CUDA device; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager[object]:
    """Mixed precision for a training step.

    "tf32": float32 whose products on CUDA round what they read to 10 bits behind the point; a CPU does not know it.
    "auto" is this: "float32" on a CPU. "bfloat16" has products of 7 bits (its exponent is float32's: no loss scaling);
    on a CPU it pays only where the processor has them.
    """
    if precision in ("auto", "tf32"):
        return _tf32()
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
