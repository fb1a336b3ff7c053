"""How evenly something is spread over its parts: importance over latents, or a latent's activity over classes."""

from __future__ import annotations

import numpy as np


def gini(shares: np.ndarray) -> np.ndarray:
    """Gini coefficient of each row of shares [..., n] → [...]: 0 where all are equal, (n − 1) / n where one has all.

    ```
    Σ_i (2 i − n − 1) s_i / (n Σ s),     s sorted, the smallest first, i = 1 … n
    ```

    Shares below 0 (a latent that does harm) count as 0. NaN for a row without any.
    """
    sorted_ = np.sort(np.maximum(np.asarray(shares, dtype=np.float64), 0), axis=-1)
    n = sorted_.shape[-1]
    total = sorted_.sum(-1)
    ranked = sorted_ @ (2 * np.arange(1, n + 1) - n - 1)
    return np.divide(ranked, n * total, out=np.full(total.shape, np.nan), where=total > 0)


def effective(shares: np.ndarray) -> np.ndarray:
    """How many equal parts would be as spread as each row of shares [..., n] → [...] in [1, n]: exp of the entropy.

    ```
    exp(−Σ p log p),     p = s / Σ s
    ```

    Shares below 0 count as 0. NaN for a row without any.
    """
    rows = np.maximum(np.asarray(shares, dtype=np.float64), 0)
    total = rows.sum(-1, keepdims=True)
    p = np.divide(rows, total, out=np.full(rows.shape, np.nan), where=total > 0)
    logs = np.log(np.where(p > 0, p, 1))
    return np.exp(-(p * logs).sum(-1))
