"""Training by several processes, on one machine or many: `torchrun … -m sae_core train …`.

Every rank has the whole model and takes every size-th image of the same batch, so the order of the data does not
depend on how many there are; the gradients are added by the trainer's own step. What is equal to one process's
training, up to the order of summation, is said in docs/scale.md.

When a process dies, its connections close and the others end at once, or torchrun ends them. When a machine falls
silent, they end after SAE_RANKS_TIMEOUT seconds. All end in words, and the same command goes on from what was kept.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from sae_core import device as devices
from sae_core.models.alone import ALONE, Alone

T = TypeVar("T")
TIMEOUT_S = 300.0
"""seconds that a silent rank is waited for, where SAE_RANKS_TIMEOUT does not say otherwise"""
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@contextmanager
def joined(device: str = "auto") -> Iterator[Alone]:
    """This process's rank among those that torchrun started, or `ALONE` where it started none.

    gloo between CPUs, nccl between GPUs, of which a process takes the one that its LOCAL_RANK says. ConnectionError
    where the others do not come, ValueError where a machine has fewer GPUs than processes.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    ranks = Ranks(devices.resolve(device))
    yield ranks
    ranks.leave()  # not after an error: then the others may not answer


class Ranks(Alone):
    """One of many processes that train the same model; all of them ask the same in the same order.

    ConnectionError when another one is gone, or silent for longer than the timeout.
    """

    def __init__(self, device: torch.device) -> None:
        try:
            self.timeout = float(os.environ.get("SAE_RANKS_TIMEOUT") or TIMEOUT_S)
            wait = timedelta(seconds=self.timeout)
        except (ValueError, OverflowError):
            raise ValueError(f"SAE_RANKS_TIMEOUT must be seconds, not {os.environ['SAE_RANKS_TIMEOUT']!r}") from None
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        backend = "gloo"
        if device.type == "cuda":
            here, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
            if here >= gpus:
                raise ValueError(
                    f"this machine has {gpus} GPU for process {here + 1}: start as many as it has GPUs, or --device cpu"
                )
            torch.cuda.set_device(here)
            backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() else "gloo"
        with self._in_words():
            dist.init_process_group(backend, timeout=wait)
        self._whole, self._share = 0, 1.0

    # ---- what a model asks

    def images(self, n: int) -> int:
        return self._whole or n

    @torch.no_grad()
    def least(self, idle: Tensor) -> None:
        with self._in_words():
            dist.all_reduce(idle, dist.ReduceOp.MIN)

    def mean(self, here: Tensor) -> Tensor:
        """Its gradient is that of the mean here alone: the loss that is made of it is weighted by this part's share,
        and the sum over the ranks is then the whole mean's."""
        whole = here.detach() * self._share
        self.add([whole])
        return here + (whole - here.detach())

    @torch.no_grad()
    def nth_largest(self, values: Tensor, n: int) -> Tensor:
        """By their bits, a byte at a time: numbers that are not negative are in the order of their bits (NaN above
        all), so that 256 counts a byte travel and no activations."""
        kind = _BITS[values.element_size()]
        bits = values.view(kind).clamp_min(0) if self._share else values[:0].view(kind)
        found = 0
        for shift in range(8 * (values.element_size() - 1), -1, -8):
            byte = (bits >> shift) & 255
            counts = torch.bincount(byte, minlength=256)
            self.add([counts])
            reach = counts.flip(0).cumsum(0).flip(0)  # so many have this byte or a larger one
            at = int((reach >= n).sum()) - 1
            n -= int(reach[at] - counts[at])
            bits = bits[byte == at]
            found |= at << shift
        return torch.tensor(found, dtype=kind, device=values.device).view(values.dtype)

    @torch.no_grad()
    def same(self, tensors: Iterable[Tensor]) -> None:
        self._each(tensors, lambda t: dist.broadcast(t, 0, async_op=True))

    # ---- what the trainer asks

    def take(self, rows: Tensor) -> Tensor:
        """Every size-th of them. Where that is none, one that another rank has too, and it counts nothing here."""
        self._whole, mine = len(rows), rows[self.rank :: self.size]
        self._share = len(mine) / len(rows)
        return mine if len(mine) else rows[:1]

    def weighted(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: loss * self._share for name, loss in losses.items()}

    @torch.no_grad()
    def add(self, tensors: Iterable[Tensor]) -> None:
        self._each(tensors, lambda t: dist.all_reduce(t, async_op=True))

    # ---- what keeps the model asks

    def told(self, value: T) -> T:
        said = [value if self.first else None]
        with self._in_words():
            dist.broadcast_object_list(said, 0, device=torch.device("cpu"))
        return cast("T", said[0])

    def state(self, found: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
        like = self.told(None if found is None else {name: (t.shape, t.dtype) for name, t in found.items()})
        if like is None:
            return None
        if not self.first or found is None:
            found = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in like.items()}
        self.same(found.values())
        return found

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Meanwhile a thread of each rank adds up, again and again, how many are done: so nobody waits for a dead one
        longer than the timeout."""
        done, broken = threading.Event(), list[Exception]()

        def count() -> None:
            pause, ready = 0.001, torch.zeros(())
            while ready < self.size and not broken:
                done.wait(pause := min(2 * pause, 0.25))
                ready = torch.tensor(float(done.is_set()))
                try:
                    self.add([ready])
                except ConnectionError as e:
                    broken.append(e)

        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        yield  # an error in between ends this process, and with it the others
        done.set()
        thread.join()
        for error in broken:
            raise error

    def leave(self) -> None:
        if dist.is_initialized():
            self.add([torch.zeros(())])
            dist.destroy_process_group()

    # ---- how

    def _each(self, tensors: Iterable[Tensor], begin: object) -> None:
        """Begin something with every tensor at once and wait for all."""
        with self._in_words():
            held = [(t, t.detach().contiguous()) for t in tensors]
            for work in [begin(there) for _, there in held]:  # type: ignore[operator]
                work.wait()
        for t, there in held:
            if there.data_ptr() != t.data_ptr():
                t.copy_(there)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as e:
            why = re.sub(r"^\[.*?\] *", "", str(e).strip()).partition("\n")[0] or type(e).__name__
            raise ConnectionError(
                f"rank {self.rank} of {self.size} has lost the others ({why}); the same command goes on where it was"
            ) from e
