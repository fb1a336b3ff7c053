"""What limits a dictionary's reconstruction: the values of its code, the choice of its latents, or its rows.

Three codes of the same images in the same dictionary, each with the same number of latents for each image:

```
own      what the encoder makes:                    acts
refitted the encoder's latents, the best values:    argmin over z with z's support in that of acts of ‖x − c − z D‖²
omp      latents chosen one by one by what is left: orthogonal matching pursuit (Pati et al. 1993), as many as acts has
```

What lies between own and refitted is the encoder's values, between refitted and OMP its choice; what OMP leaves is the
dictionary's (OMP is greedy: with all choices tried it would be a little less). Both may take away as well as add, which
a code behind ReLU may not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import orthogonal_mp_gram
from torch import Tensor

from sae_core.measure.metrics import RunningMetrics, batches
from sae_core.models.sae import SAE
from sae_core.stage import Stage

_BATCH = 250
"""images that are coded together"""


class Limits(NamedTuple):
    """The fraction of variance unexplained of n images by three codes of theirs in one dictionary; see the module."""

    l0: float
    """active latents per image, the same for all three"""
    fvu: float
    """by the encoder's code"""
    fvu_refit: float
    """with the best values on its latents"""
    fvu_omp: float
    """with latents chosen by orthogonal matching pursuit"""
    n: int
    """images"""


def refit(x: Tensor, acts: Tensor, D: Tensor, c: Tensor) -> Tensor:
    """Codes [N, d_sae] with the support of acts [N, d_sae] whose x_hat = code @ D + c is nearest to x [N, d_in].

    By least squares in float64; of several best the shortest.
    """
    D, target = D.double(), x.double() - c.double()
    m = int((acts != 0).sum(1).max())
    if m == 0:
        return torch.zeros_like(acts)
    strongest = acts.abs().topk(m)
    used = strongest.values != 0
    rows = D[strongest.indices] * used[:, :, None]  # rows of zeros, where an image has fewer, are given 0
    values = torch.linalg.lstsq(rows.mT, target[:, :, None], driver="gelsd").solution[:, :, 0]
    return torch.zeros_like(acts).scatter_(1, strongest.indices, (values * used).to(acts.dtype))


def omp(x: Tensor, acts: Tensor, D: Tensor, c: Tensor) -> Tensor:
    """Codes [N, d_sae] of x [N, d_in] in the dictionary D [d_sae, d_in] by orthogonal matching pursuit.

    Each image is given as many latents as it has in acts [N, d_sae]. Rows of zeros are never chosen.
    """
    counts = (acts != 0).sum(1).numpy()
    rows, target = D.double().numpy(), (x.double() - c.double()).numpy()
    norms = np.linalg.norm(rows, axis=1)
    usable = np.flatnonzero(norms > 0)
    rows = rows[usable] / norms[usable, None]  # what is chosen is what explains most, whatever the rows' lengths
    gram, seen, squares = rows @ rows.T, rows @ target.T, (target**2).sum(1)
    codes = np.zeros((len(target), len(D)))
    for k in np.unique(counts):
        which = np.flatnonzero(counts == k)
        if k == 0 or len(usable) == 0:
            continue
        found = orthogonal_mp_gram(
            gram, seen[:, which], n_nonzero_coefs=min(int(k), len(usable)), norms_squared=squares[which]
        )
        codes[np.ix_(which, usable)] = np.atleast_2d(found.T) / norms[usable]
    return torch.from_numpy(codes).to(x.dtype)


@torch.no_grad()
def measure(sae: SAE, pictures: np.ndarray | Tensor, on_stage: Stage | None = None) -> Limits:
    """The three codes of what the SAE reads of pictures [N, 784]; OMP takes about 20 ms an image at k = 50.

    ValueError for an ensemble: choose a member.
    """
    D, c = sae.W_dec.cpu(), sae.b_dec.expand(sae.config.d_in).cpu()
    own, refitted, pursued = (RunningMetrics() for _ in range(3))
    for batch in batches(pictures, sae.W_enc.device, _BATCH):
        if on_stage:
            on_stage("refitting and pursuing", own.n, len(pictures))
        h = sae.read(batch)
        x, acts = h.cpu(), sae(h).acts.cpu()
        for running, codes in ((own, acts), (refitted, refit(x, acts, D, c)), (pursued, omp(x, acts, D, c))):
            running.update(x, codes @ D + c, codes)
    of_own = own.compute()
    return Limits(of_own.l0, of_own.fvu, refitted.compute().fvu, pursued.compute().fvu, own.n)
