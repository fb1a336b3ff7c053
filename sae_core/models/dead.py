"""Latents that are active no more: how long each has been idle, and the two ways of bringing them back.

Nothing here knows an SAE: its tensors, and what it misses of its input, are handed in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sae_core.models.codes import keep_topk


@torch.no_grad()
def watch(idle: Tensor, acts: Tensor, n: int) -> None:
    """Count in idle [.., d_sae], in place, for how many images each latent has not been active, after n more; acts
    [.., B, d_sae] are of those of them that are here."""
    idle += n
    idle.masked_fill_((acts != 0).any(-2), 0)


@torch.no_grad()
def watch_latents(idle: Tensor, active: Tensor, n: int) -> None:
    """The same after n images that activate the latents `active`, in any order and number."""
    idle += n
    idle[active] = 0


def explained(pre_acts: Tensor, rows: Tensor, aux_k: int) -> Tensor:
    """What dead latents make of what they see: e_hat = ReLU(the aux_k largest of pre_acts) @ rows, [.., B, d_in].

    pre_acts [.., B, n] and rows [.., n, d_in] are theirs. Without the decoder's bias, which would otherwise be learned
    twice. Source: Gao et al. 2024.
    """
    return keep_topk(pre_acts, min(aux_k, pre_acts.shape[-1])).relu() @ rows


def unexplained(e_hat: Tensor, residual: Tensor) -> Tensor:
    """mean (e_hat − e)² of the residual e [.., B, d_in], which is taken as given; of several models it is the sum."""
    return (e_hat - residual.detach()).pow(2).mean(dim=(-2, -1)).sum()


@torch.no_grad()
def start_anew(
    dead: Tensor, residual: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor | None, generator: torch.Generator
) -> None:
    """Start the latents where dead [d_sae] anew, in place, from what is missed most of the residual [N, d_in].

    An image is drawn with a probability proportional to its squared error, and no image twice where there are enough:
    two latents that start as one would be chosen by rounding. Its residual, at unit length, is the
    latent's decoder row (W_dec None: the decoder follows from the encoder) and, at a fifth of the mean length of the
    living ones, its encoder's; its bias is 0. Source: Bricken et al. 2023 ("neuron resampling").
    """
    n_dead = int(dead.sum())
    if n_dead == 0:
        return
    weights = residual.pow(2).sum(-1).cpu().double() + 1e-12
    drawn = torch.multinomial(weights, n_dead, replacement=n_dead > len(weights), generator=generator)
    rows = nn.functional.normalize(residual[drawn.to(residual.device)], dim=-1)
    length = W_enc[:, ~dead].norm(dim=0).mean() if n_dead < len(dead) else W_enc.new_ones(())
    W_enc[:, dead] = 0.2 * length * rows.t()
    b_enc[dead] = 0
    if W_dec is not None:
        W_dec[dead] = rows
