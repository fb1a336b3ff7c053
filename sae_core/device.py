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

    "auto": bfloat16 products on CUDA (its exponent is float32's: no loss scaling), plain float32 on a CPU.
    "bfloat16" uses it on a CPU too, which pays only on processors that have it. "tf32" rounds what a product reads on
    CUDA to 10 bits behind the point; a CPU does not know it.
    """
    if precision == "tf32":
        return _tf32()
    if precision == "bfloat16" or (precision == "auto" and device.type == "cuda"):
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
