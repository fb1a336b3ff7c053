"""Training on more rows than fit into memory: which row is when, and the part of them that is in memory.

An epoch is cut into runs of neighbouring rows. The runs are put in random order; as many as fill the buffer are read,
one after the other as they lie on the disk, and the rows of these are shuffled. So every row comes once an epoch, each
is read once by long sequential reads, and rows that were neighbours are far apart. The order follows from the seed, the
epoch and the buffer's size alone: a training goes on in the middle of an epoch without doing anything again, and by any
number of processes. A buffer that holds everything gives the order of a training in memory.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

RUNS = 64
"""runs in a buffer: more mix better, longer ones are read faster"""
_AT_ONCE = 1 << 24
"""numbers that are looked at together where all rows are gone through"""


class Source(Protocol):
    """Rows [N, d_in] somewhere."""

    @property
    def d_in(self) -> int: ...

    @property
    def dtype(self) -> str:
        """float16 | float32"""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Copy rows start to stop, not with, into out."""

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Single rows [n] → [n, d_in]."""


class Stream:
    """All rows of a source, of which `buffer` are in memory.

    It answers what the trainer, and a variant's `start` and `finish`, ask of the tensor x [N, d_in] that all training
    data is elsewhere: len, shape, device, slices and rows by index, mean(0) and std(0, correction=0).
    """

    def __init__(self, source: Source, buffer: int, seed: int, device: torch.device) -> None:
        n = len(source)
        self.source, self.seed, self.device = source, seed, device
        self.shape = torch.Size((n, source.d_in))
        self._run = max(1, min(buffer, n) // RUNS) if buffer < n else n
        self._per_window = max(1, buffer // self._run)
        self._buffer = np.empty((min(buffer, n), source.d_in), source.dtype)
        self._filled: tuple[int, int] | None = None  # the epoch and window whose rows the buffer has
        self._epoch, self._runs, self._ends = -1, np.empty(0, int), np.empty(0, int)
        self._window, self._shuffled = (-1, -1), torch.empty(0)
        self._moments: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    # ---- in which order

    def order(self, epoch: int, start: int, stop: int) -> Tensor:
        """The rows that are in the places start to stop, not with, of that epoch: indices [stop − start]."""
        self._begin(epoch)
        stop, found = min(stop, len(self)), []
        while start < stop:
            window = int(np.searchsorted(self._ends, start, side="right"))
            first = int(self._ends[window - 1]) if window else 0
            found.append(self._rows_of(window)[start - first : stop - first])
            start += len(found[-1])
        return torch.cat(found)

    def _begin(self, epoch: int) -> None:
        """Put the runs of an epoch in order, and say where each window ends."""
        if self._epoch == epoch:
            return
        n = -(-len(self) // self._run)
        self._runs = torch.randperm(n, generator=self._generator(epoch, -1)).numpy()
        lengths = np.minimum(self._run, len(self) - self._runs * self._run)
        ends = lengths.cumsum()
        self._ends = np.append(ends[self._per_window - 1 :: self._per_window], ends[-1])
        self._epoch = epoch

    def _runs_of(self, window: int) -> np.ndarray:
        return np.sort(self._runs[window * self._per_window : (window + 1) * self._per_window])

    def _rows_of(self, window: int) -> Tensor:
        """The rows of a window of this epoch, shuffled."""
        if self._window != (self._epoch, window):
            firsts = self._runs_of(window) * self._run
            rows = np.concatenate([np.arange(first, min(first + self._run, len(self))) for first in firsts])
            order = torch.randperm(len(rows), generator=self._generator(self._epoch, window))
            self._window, self._shuffled = (self._epoch, window), torch.from_numpy(rows)[order]
        return self._shuffled

    def _generator(self, epoch: int, window: int) -> torch.Generator:
        """That of the first window is the one of a training in memory."""
        return torch.Generator().manual_seed((self.seed + 1_000_003 * epoch + 1_000_000_007 * window) % 2**63)

    # ---- the rows themselves

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        """Rows from, to, or by index, float32 on the device."""
        if isinstance(which, Tensor):
            found = self._by_index(which.cpu().numpy())
        else:
            start, stop, _ = which.indices(len(self))
            found = np.empty((max(0, stop - start), self.shape[1]), self._buffer.dtype)
            self.source.read(start, stop, found)
        return torch.from_numpy(found).to(self.device).float()

    def _by_index(self, index: np.ndarray) -> np.ndarray:
        """From the buffer, which is filled with the window that the last `order` ended in; what is not there (the end
        of the window before, or rows from everywhere) is read row by row."""
        if self._epoch < 0:
            return self.source.rows(index)
        runs = self._runs_of(self._window[1])
        if self._filled != self._window:
            self._fill(runs)
        run = index // self._run
        slot = np.searchsorted(runs, run).clip(max=len(runs) - 1)
        here = runs[slot] == run
        found = np.empty((len(index), self.shape[1]), self._buffer.dtype)
        found[here] = self._buffer[slot[here] * self._run + index[here] % self._run]  # only the last run may be short
        if not here.all():
            found[~here] = self.source.rows(index[~here])
        return found

    def _fill(self, runs: np.ndarray) -> None:
        self._filled = None
        for slot, run in enumerate(runs):
            first, last = run * self._run, min((run + 1) * self._run, len(self))
            self.source.read(int(first), int(last), self._buffer[slot * self._run : slot * self._run + last - first])
        self._filled = self._window

    # ---- all of it

    def mean(self, dim: int) -> Tensor:
        """Of each input over all rows [d_in]; dim 0."""
        return self._over_all(dim)[0]

    def std(self, dim: int, *, correction: int) -> Tensor:
        """Of each input over all rows [d_in]; dim 0, correction 0."""
        if correction != 0:
            raise ValueError("of a stream there is the standard deviation with correction 0")
        return self._over_all(dim)[1]

    def _over_all(self, dim: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, in one pass, put together in float64 from those of each part."""
        if dim != 0:
            raise ValueError("of a stream there is the mean over all rows, dim 0")
        if self._moments is None:
            whole = len(self) <= len(self._buffer)  # then as a training in memory has it, to the last bit
            at_once = len(self) if whole else max(1, min(len(self._buffer), _AT_ONCE // self.shape[1]))
            n, mean, power = 0, torch.zeros(self.shape[1]).double(), torch.zeros(self.shape[1]).double()
            for start in range(0, len(self), at_once):
                part = self[start : start + at_once]
                of_part, spread = part.mean(0).cpu().double(), part.std(0, correction=0).cpu().double()
                away, both = of_part - mean, n + len(part)
                mean = (n * mean + len(part) * of_part) / both
                power += len(part) * (spread.square() + away.square() * n / both)
                n = both
            if not bool(torch.isfinite(power).all()):
                raise ValueError("the activations have NaN or infinite values; `data check` says where")
            std = (power / n).sqrt()
            self._moments = mean.float().to(self.device), std.float().to(self.device)
        return self._moments
