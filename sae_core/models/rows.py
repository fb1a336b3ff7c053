"""What is done to the rows of a dictionary, in place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_AT_ONCE = 512
"""rows that are looked at together: they then stay in the processor's cache"""


def unit_rows(d_sae: int, d_in: int) -> Tensor:
    """Rows [d_sae, d_in] to start with: of unit length, and orthogonal as far as there is room."""
    rows = nn.init.orthogonal_(torch.empty(d_sae, d_in))
    normalise_rows(rows)
    return rows


@torch.no_grad()
def normalise_rows(rows: Tensor) -> None:
    """Bring the rows [d_sae, d_in] to unit length."""
    for part in rows.split(_AT_ONCE):
        part.mul_(part.square().sum(-1, keepdim=True).clamp_min(1e-24).rsqrt())


@torch.no_grad()
def keep_inputs(rows: Tensor, which: Tensor) -> None:
    """Of the rows [d_sae, d_in] only the inputs which [d_in], and to unit length again."""
    rows *= which.to(rows)
    normalise_rows(rows)


@torch.no_grad()
def draw_rows(rows: Tensor, to: Tensor, by: float) -> None:
    """Draw each of the rows [d_sae, d_in] to its projection on the row of `to`, of unit length: by 1 onto it."""
    for part, line in zip(rows.split(_AT_ONCE), to.split(_AT_ONCE), strict=True):
        part.lerp_((part * line).sum(-1, keepdim=True) * line, by)


@torch.no_grad()
def picture_side(x: Tensor) -> int:
    """The side of the square pictures that x [N, d_in] are; 0 where they are none.

    Pictures are told from other activations by what is theirs: pixels beside each other are alike. The correlation of
    such pairs, of pixels less their mean over x, is 0 for independent numbers and 0.7 for MNIST; 0.25 is asked for.
    """
    side = math.isqrt(x.shape[-1])
    if side * side != x.shape[-1] or side < 2:
        return 0
    x = (x[:2000] - x[:2000].mean(0)).view(-1, side, side)
    alike = (x[:, 1:] * x[:, :-1]).mean() + (x[:, :, 1:] * x[:, :, :-1]).mean()
    return side if bool(alike / 2 > 0.25 * x.square().mean()) else 0


@torch.no_grad()
def smooth_rows(rows: Tensor, side: int, by: float) -> None:
    """One step of diffusion on the rows as pictures [d_sae, side, side]:

    ```
    row[p] ← row[p] + by · Σ over the neighbours q of p, two to four, of (row[q] − row[p])
    ```

    That is a step of gradient descent on by / 2 · Σ over neighbouring pixels of (row[p] − row[q])²: it takes from
    noise, whose neighbours differ, and leaves a stroke nearly as it is. A row's sum stays; stable for by < 1/4.
    """
    for part in rows.split(_AT_ONCE):
        picture = part.view(-1, side, side)
        down, across = picture.diff(dim=1).mul_(by), picture.diff(dim=2).mul_(by)
        picture[:, :-1] += down
        picture[:, 1:] -= down
        picture[:, :, :-1] += across
        picture[:, :, 1:] -= across
