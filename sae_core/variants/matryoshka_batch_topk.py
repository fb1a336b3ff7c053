"""BatchTopK whose first latents reconstruct by themselves: dictionaries within a dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sae_core.models.registry import register
from sae_core.options import option
from sae_core.variants.batch_topk import BatchTopK, BatchTopKConfig


@dataclass(frozen=True)
class MatryoshkaBatchTopKConfig(BatchTopKConfig):
    """Shape, sparsity and nesting of `matryoshka_batch_topk`."""

    prefixes: str = option(
        "0.0625,0.125,0.25,0.5",
        "first latents that are to reconstruct by themselves, besides all of them: numbers, or shares of d_sae below 1",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.sizes  # which says what cannot be read
        if sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)):
            raise ValueError(f"prefixes must ascend from 1 to below d_sae = {self.d_sae}, not {self.prefixes!r}")

    @property
    def sizes(self) -> list[int]:
        """How many of the first latents each nested dictionary has, ascending; the last has all.

        Of a small dictionary, shares that come to as many latents, or to all, are one.
        """
        counts, shares = list[int](), set[int]()
        for part in filter(None, (part.strip() for part in self.prefixes.split(","))):
            try:
                share = float(part)
                whole = int(part) if share >= 1 else 0
            except ValueError:
                raise ValueError(
                    f"prefixes must be whole numbers or shares below 1, with commas between them, not {self.prefixes!r}"
                ) from None
            if 0 < share < 1:
                shares.add(max(1, round(share * self.d_sae)))
            else:
                counts.append(whole)
        return [*(sorted({*counts, *shares} - {self.d_sae}) if shares else counts), self.d_sae]


@register
class MatryoshkaBatchTopK(BatchTopK):
    """`batch_topk` whose first latents, of several numbers M, are each a dictionary of their own.

    ```
    acts      = as `batch_topk`: the k·B largest of a batch in training, all above a threshold in use
    x_hat_m   = acts[:, :m] @ W_dec[:m] + b_dec,   x_hat = x_hat_m of all latents
    loss      = mean over m in M of mean (x_hat_m − x)²  +  aux (see `topk`)  +  shrink / 2 · ‖W_enc‖²
    ```

    The first latents have to say what matters most without the rest, so they stay general, instead of being split up
    by the many special ones that a large dictionary has room for. The logged "mse" is that mean over M.

    Source: Bussmann et al. 2025, "Learning multi-level features with matryoshka sparse autoencoders"
    (arXiv 2503.17547).
    """

    variant = "matryoshka_batch_topk"
    Config = MatryoshkaBatchTopKConfig
    config: MatryoshkaBatchTopKConfig

    def by_pairs(self, x: Tensor) -> bool:
        """Never: each prefix has a reconstruction of its own."""
        return False

    def prefixes(self, acts: Tensor) -> Tensor:
        """acts [B, d_sae] → the reconstruction by each nested dictionary [M, B, d_in]; the last is by all."""
        sizes = self.config.sizes
        blocks = [b - a for a, b in pairwise([0, *sizes])]
        parts = zip(acts.split(blocks, -1), self.W_dec.split(blocks), strict=True)
        return torch.stack([a @ rows for a, rows in parts]).cumsum(0) + self.b_dec

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        pre_acts = self._pre_acts(x)
        acts = self.select_batch(pre_acts)
        nested = self.prefixes(acts)
        found = self._losses(x, pre_acts, acts, nested[-1])
        return {**found, "mse": self.error(nested, x)}
