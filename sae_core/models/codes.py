"""Codes: the results of a forward pass, dense and as pairs, and how the largest are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class SAEOutput(NamedTuple):
    """One forward pass."""

    x_hat: Tensor
    """reconstruction [N, d_in], not clipped"""
    acts: Tensor
    """code [N, d_sae], dense; zero where a latent is not active"""


class SparseCode(NamedTuple):
    """A code as pairs, the largest magnitude first; m is the largest L0 of the batch."""

    indices: Tensor
    """latents [N, m], int64; 0 where the value is 0"""
    values: Tensor
    """activations [N, m]; a row with fewer than m active latents ends in zeros"""


def keep_topk(pre_acts: Tensor, k: int) -> Tensor:
    """Keep the k largest values of each row [.., d_sae] and set the rest to 0."""
    top = pre_acts.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre_acts).scatter(-1, top.indices, top.values)


def largest(pre_acts: Tensor, k: int) -> Tensor:
    """Which latents of each row [B, d_sae] are the k largest, in any order; of equal ones any: [B, k].

    On a CPU by NumPy's partition, which sorts nothing and takes half the time of torch's top-k or less.
    """
    if pre_acts.device.type != "cpu":
        return pre_acts.topk(k, dim=-1, sorted=False).indices
    first = pre_acts.shape[-1] - k
    return torch.from_numpy(np.argpartition(pre_acts.detach().numpy(), first, axis=-1)[:, first:])


def to_sparse(acts: Tensor) -> SparseCode:
    """Dense acts [N, d_sae] → pairs. Codes are kept and passed on in this form."""
    m = int((acts != 0).sum(-1).max()) if len(acts) else 0
    order = acts.abs().topk(m, dim=-1).indices
    values = acts.gather(-1, order)
    return SparseCode(torch.where(values != 0, order, 0), values)
