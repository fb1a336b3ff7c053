"""Whether a person can read a dictionary: how many latents are in use, whether their rows are strokes or noise, and of
how many classes they are. Importing it needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.measure.features import class_shares
from sae_core.measure.usage import RARE, usage
from sae_core.pictures.sides import side_of

if TYPE_CHECKING:
    from sae_core.models.sae import SAE

WINDOW = 10 / 28
"""side of the window that locality looks through, over that of the picture: 10×10 pixels of 28×28"""


class Readability(NamedTuple):
    """How readable a dictionary is, by n images of one split. Means are over the latents that are in use there.

    What is asked of rows as pictures is None where they are none (the SAE reads a hidden layer, or what it reads is no
    square), or where no latent is in use.
    """

    in_use: int
    """latents that 0.3 % of the images or more activate"""
    rare: int
    """latents that fewer activate, but at least one"""
    dead: int
    """latents that none activates"""
    smooth_enc: float | None
    """see `smoothness`: the mean of the encoder's rows W_enc[:, f], in [−1, 1]"""
    smooth_dec: float | None
    """of the decoder's rows W_dec[f]"""
    local_enc: float | None
    """see `geometry.locality`: the mean share, in [0, 1], of an encoder row's energy in its best window"""
    local_dec: float | None
    """of a decoder row's"""
    purity: float | None
    """mean over latents of: of the images on which it is active, the share of its most frequent class, in [0, 1]"""
    purity_chance: float
    """what a latent has that is active whatever the class is: the share of the largest class among the n images"""
    split: str
    """"DATASET/SPLIT" """
    n: int
    """images"""

    @property
    def share(self) -> float:
        """Of all latents those in use."""
        return self.in_use / (self.in_use + self.rare + self.dead)

    @property
    def why_none(self) -> str:
        """Why nothing is said of rows as pictures, in words; empty where it is."""
        if self.smooth_dec is not None:
            return ""
        return "no feature is in use" if not self.in_use else "what it reads are no pictures, so its rows are none"

    def text(self) -> str:
        """All of it for people: a line each."""
        d_sae, percent = self.in_use + self.rare + self.dead, 100 * self.share
        lines = [
            f"{self.split}, n = {self.n:,}; means over the features in use",
            f"  in use  {self.in_use:,} of {d_sae:,} ({percent:.1f} %), rare {self.rare:,}, dead {self.dead:,}",
        ]
        rows = (
            ("smooth", self.smooth_enc, self.smooth_dec, "1: an even stroke, 0: noise, -1: a checkerboard"),
            ("local", self.local_enc, self.local_dec, f"{WINDOW**2:.2f}: spread evenly, 1: all within one window"),
        )
        for word, enc, dec, scale in rows:
            if enc is not None and dec is not None:
                lines.append(f"  {word:<7} encoder {enc:.3f}  decoder {dec:.3f}  ({scale})")
        if self.why_none:
            lines.append(f"  smooth, local  not measured: {self.why_none}")
        if self.purity is not None:
            lines.append(
                f"  purity  {self.purity:.3f}  (1: each of one class only; by chance {self.purity_chance:.3f})"
            )
        return "\n".join(lines)

    @classmethod
    def of(cls, split: str, kept: dict[str, Any], file: Path) -> Readability:
        """What `stored` gave, as a model's metrics.json has it. CheckpointError names the file where it is damaged."""
        try:
            found = cls(split=split, **kept)
            counts = (found.in_use, found.rare, found.dead, found.n)
            if all(isinstance(count, int) and count >= 0 for count in counts) and any(counts[:3]):
                return found
        except TypeError:
            pass
        raise files.CheckpointError(
            f"{file} does not say how readable the model is on {split} as this version writes it; "
            f"`python -m sae_core readability {file.parent} --save` measures it anew"
        )

    def stored(self) -> dict[str, Any]:
        """As metrics.json has it, under the name of its split."""
        return {name: value for name, value in self._asdict().items() if name != "split"}


FORMULAS = {
    "in_use": f"Active on {RARE} of this split's images or more.",
    "smooth": "How alike neighbouring pixels are in what a feature adds to the picture: the correlation of all pairs "
    "of pixels beside each other, and of all below each other, the mean of both; then the mean over the features in "
    "use. 1: one even stroke, 0: noise, −1: a checkerboard. Not measured where a model reads a hidden layer: what its "
    "features add there is no picture.",
    "purity": "Of the images on which a feature is active, the share of its most frequent class; the mean over the "
    "features in use. By chance: the share of the largest class among all images.",
}
"""What a person reads on hover."""


def smoothness(rows: np.ndarray) -> np.ndarray:
    """Lag-1 autocorrelation of each row as a picture: rows [d_sae, side²] → [d_sae] in [−1, 1].

    ```
    ½ (Pearson of all pairs (p[i, j], p[i, j + 1])  +  Pearson of all pairs (p[i, j], p[i + 1, j])),   p [side, side]
    ```

    A gradient has 1, a checkerboard −1, independent pixels about 0. A direction in which one pixel of all pairs is the
    same number counts as 0, and so has a constant row 0: there is nothing to be seen in it. ValueError for rows that
    are no square pictures of 2×2 pixels or more.
    """
    import torch

    from sae_core.measure.metrics import pearson

    side = _side(rows.shape[-1])
    if rows.ndim != 2 or not side:
        raise ValueError(f"rows {list(rows.shape)} are no square pictures of 2×2 pixels or more")
    picture = torch.from_numpy(np.ascontiguousarray(rows)).view(-1, side, side)
    across = pearson(picture[:, :, :-1].flatten(1), picture[:, :, 1:].flatten(1))
    down = pearson(picture[:, :-1].flatten(1), picture[:, 1:].flatten(1))
    return np.asarray((across + down) / 2)


def _side(pixels: int) -> int:
    """Of the square pictures that so many numbers are; 0 where they are none, or have no neighbours."""
    try:
        side = side_of(pixels)
    except ValueError:
        return 0
    return side if side > 1 else 0


def counts(sae: SAE, images: ImageSet, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """How many images of each class activate each latent: [d_sae, classes]. ValueError for an ensemble."""
    import torch

    from sae_core.measure.metrics import batches

    if sae.W_enc.ndim != 2:
        raise ValueError("an ensemble has no single code: choose a member")
    classes, d_sae, start = int(images.labels.max()) + 1, sae.config.d_sae, 0
    found = np.zeros(d_sae * classes, dtype=np.int64)
    with torch.no_grad():
        for batch in batches(images.x, sae.W_enc.device):
            image, latent = (sae.encode(sae.read(batch)) != 0).nonzero(as_tuple=True)
            of_class = images.labels[start + image.cpu().numpy()]
            found += np.bincount(latent.cpu().numpy() * classes + of_class, minlength=len(found))
            start += len(batch)
            if progress:
                progress(start, len(images))
    return found.reshape(d_sae, classes)


def measure(sae: SAE, images: ImageSet, progress: Callable[[int, int], None] | None = None) -> Readability:
    """Measure the dictionary of `sae`, in use or not by what the images activate. ValueError for an ensemble."""
    active = counts(sae, images, progress)
    form, n = sae.inference_form(), len(images)
    dead, rare, used = usage(active.sum(1), n)
    pictures = form.reader is None and _side(form.D.shape[1]) > 0 and used.any()
    smooth_enc, smooth_dec, local_enc, local_dec = _of_rows(form.W.T[used], form.D[used]) if pictures else [None] * 4
    return Readability(
        in_use=int(used.sum()),
        rare=int(rare.sum()),
        dead=int(dead.sum()),
        smooth_enc=smooth_enc,
        smooth_dec=smooth_dec,
        local_enc=local_enc,
        local_dec=local_dec,
        purity=float(class_shares(active[used]).max(1).mean()) if used.any() else None,
        purity_chance=float(np.bincount(images.labels).max() / n),
        split=f"{images.name}/{images.split}",
        n=n,
    )


def _of_rows(encoder: np.ndarray, decoder: np.ndarray) -> list[float]:
    """Smoothness and locality, each of encoder and decoder, as means over the rows [m, side²]."""
    from sae_core.measure.geometry import locality

    window = max(1, round(WINDOW * _side(decoder.shape[1])))
    of = (smoothness(encoder), smoothness(decoder), locality(encoder, window), locality(decoder, window))
    return [float(each.mean()) for each in of]
