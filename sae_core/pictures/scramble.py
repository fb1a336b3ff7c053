"""Images whose blocks are in a random order: the class after a data set's own, "not a digit"."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 4
"""pixels of a block's side: 49 blocks in a 28×28 picture"""


def scramble(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [N, side²] → the same with their 4×4 blocks permuted, each picture in its own random order.

    All at once: the order of N random numbers a block is a random permutation. The generator is the CPU's, so that
    every device draws the same. Source: document 004.
    """
    n, per_side = len(x), round(x.shape[1] ** 0.5) // BLOCK
    if per_side * BLOCK * per_side * BLOCK != x.shape[1]:
        raise ValueError(f"a picture of {x.shape[1]} pixels cannot be cut into blocks of {BLOCK}×{BLOCK}")
    blocks = x.view(n, per_side, BLOCK, per_side, BLOCK).transpose(2, 3).reshape(n, per_side**2, BLOCK**2)
    order = torch.rand(n, per_side**2, generator=generator).argsort(1).to(x.device)
    mixed = blocks.gather(1, order[:, :, None].expand_as(blocks))
    return mixed.view(n, per_side, per_side, BLOCK, BLOCK).transpose(2, 3).reshape(n, -1)
