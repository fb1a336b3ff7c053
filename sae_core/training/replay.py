"""A training step on a GPU, recorded once and replayed: much of a small model's step is the launching of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_BEFORE = 3
"""steps that are done as they are, on the stream that records, so that all memory is there: what CUDA asks for"""


class Replay:
    """`step`, a function of a batch's indices on a CUDA device that returns named losses, as a CUDA graph.

    The first calls run it; then it is recorded, for batches of that size, and replayed. It must not read a number back
    from the device, nor make tensors whose size depends on one. What it returns is overwritten by the next call.
    """

    def __init__(self, step: Callable[[Tensor], dict[str, Tensor]]) -> None:
        self._step, self._done = step, 0
        self._stream = torch.cuda.Stream()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index, self._losses = torch.empty(0), dict[str, Tensor]()

    def __call__(self, index: Tensor) -> dict[str, Tensor]:
        """index [B] on the device."""
        if self._graph is not None and index.shape == self._index.shape:
            self._index.copy_(index)
            self._graph.replay()
            return self._losses
        if self._graph is not None:  # an epoch's last batch, which may be smaller
            return self._step(index)
        if self._done < _BEFORE:
            self._done += 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                losses = self._step(index)
            torch.cuda.current_stream().wait_stream(self._stream)
            return losses
        self._index, self._graph = index.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._losses = self._step(self._index)
        self._graph.replay()
        return self._losses
