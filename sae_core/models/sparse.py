"""A k-sparse training step without most of its dense products: by pairs of image and latent.

Of a dense step's five products only the encoder's is needed, to find out which latents are kept. Decoding is a weighted
sum of k rows for each image, the gradient of an activation one inner product for each pair, and a weight's gradient a
weighted sum of images for each latent: all of them by torch's `embedding_bag`. The gradients are those of the dense
step up to the order of summation, which tests hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding_bag

from sae_core.models.codes import keep_topk

_gradient_of_weights = torch.ops.aten._embedding_bag_per_sample_weights_backward


class Pairs:
    """Which latents the images of a batch [B, d_sae] keep, image by image; their values are in that order."""

    def __init__(self, latent: Tensor, starts: Tensor, d_sae: int) -> None:
        self.latent, self.starts, self.d_sae = latent, starts, d_sae
        """[m] latents; [B] where each image's begin"""
        n = torch.diff(starts, append=starts.new_full((1,), len(latent)))
        self.image = torch.arange(len(starts), device=latent.device).repeat_interleave(n, output_size=len(latent))
        """[m] images"""

    @classmethod
    def of(cls, latents: Tensor, d_sae: int) -> Pairs:
        """Of equally many latents of each image [B, k]."""
        B, k = latents.shape
        return cls(latents.flatten(), torch.arange(0, B * k, k, device=latents.device), d_sae)

    @classmethod
    def where(cls, kept: Tensor) -> Pairs:
        """Of a mask [B, d_sae]."""
        n = kept.sum(-1)
        return cls(kept.nonzero()[:, 1], n.cumsum(0) - n, kept.shape[-1])

    @property
    def flat(self) -> Tensor:
        """[m] their places in a flattened [B, d_sae]."""
        return self.image * self.d_sae + self.latent

    def dense(self, value: Tensor) -> Tensor:
        """value [m] → [B, d_sae], without a gradient."""
        out = value.new_zeros(len(self.starts) * self.d_sae)
        return out.index_copy_(0, self.flat, value.detach()).view(-1, self.d_sae)

    def by_image(self, value: Tensor, rows: Tensor) -> Tensor:
        """The sum over each image's pairs of value [m] · rows[latent]: [B, d], of rows [d_sae, d]."""
        return embedding_bag(self.latent, rows, self.starts, per_sample_weights=value, mode="sum")

    def sums(self, value: Tensor) -> Tensor:
        """The sum of each latent's value [m]: [d_sae]."""
        return torch.bincount(self.latent, value, self.d_sae).to(value.dtype)

    def products(self, by_image: Tensor, rows: Tensor) -> Tensor:
        """by_image[image] · rows[latent] of each pair: [m], of by_image [B, d] and rows [d_sae, d]."""
        return _gradient_of_weights(by_image.contiguous(), rows, self.latent, self.starts, self.image, 0)


class Use(NamedTuple):
    """What the pairs of one pass send to the rows of a weight: value · rows[image] each."""

    pairs: Pairs
    value: Tensor
    """[m]"""
    rows: Tensor
    """[B, d]"""


def by_latent(uses: Sequence[Use]) -> Tensor:
    """The sum over each latent's pairs of value · rows[image], over all uses: [d_sae, d]."""
    d_sae, n = uses[0].pairs.d_sae, len(uses[0].rows)
    latent = torch.cat([use.pairs.latent for use in uses])
    order = latent.to(torch.int16 if d_sae < 2**15 else torch.int32).argsort()  # half the time of int64's
    image = torch.cat([use.pairs.image + i * n for i, use in enumerate(uses)])[order]
    value = torch.cat([use.value for use in uses])[order]
    counts = torch.bincount(latent, minlength=d_sae)
    rows = torch.cat([use.rows for use in uses])
    return embedding_bag(image, rows, counts.cumsum(0) - counts, per_sample_weights=value, mode="sum")


@dataclass(frozen=True)
class Passes:
    """How an encoder looks, by pairs."""

    choose: Callable[[Tensor], Pairs]
    """pre_acts [B, d_sae] → what is kept of them"""
    n: int = 1
    """how often"""
    step: float = 1.0
    relu: bool = True
    dead: Callable[[Tensor], Tensor | None] = lambda active: None
    """told which latents are active (as often as they are): those [n_dead] that are to explain what is left over"""
    aux_k: int = 0
    """how many of them for each image"""


class Autoencoded(NamedTuple):
    """What a training step gets."""

    x_hat: Tensor
    """[B, d_in] the reconstruction, without the decoder's bias"""
    e_hat: Tensor
    """[B, d_in] what the dead latents make of what the last pass saw; empty where none were named"""


class _Autoencode(Function):
    """All passes as one function: each weight's gradient is one sum then, however many passes it comes from."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor | None, scale: Tensor | None, how: Passes
    ) -> tuple[Tensor, Tensor]:
        rows = W_enc if W_dec is None else W_dec
        seen, ctx.looked, ctx.how = x, list[tuple[Pairs, Tensor, Tensor]](), how
        for _ in range(how.n):
            pre_acts = torch.addmm(b_enc, seen, W_enc.t(), alpha=how.step).to(x.dtype)  # autocast may give less
            if ctx.looked:
                before, z, _ = ctx.looked[-1]
                pre_acts.view(-1)[before.flat] += z
            pairs = how.choose(pre_acts)
            value = pre_acts.view(-1)[pairs.flat]
            value = value.relu_() if how.relu else value
            ctx.looked.append((pairs, value, seen))
            x_hat = pairs.by_image(value if scale is None else value * scale[pairs.latent], rows)
            seen = x - x_hat
        ctx.dead = dead = how.dead(pairs.latent[value != 0])
        e_hat = x.new_zeros(0)
        if dead is not None:
            ctx.of_dead = keep_topk(pre_acts[:, dead], min(how.aux_k, len(dead))).relu_()
            e_hat = ((ctx.of_dead if scale is None else ctx.of_dead * scale[dead]) @ rows[dead]).to(x.dtype)
        ctx.save_for_backward(W_enc, W_dec, scale)
        return x_hat, e_hat

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (W_enc, W_dec, scale), how = ctx.saved_tensors, ctx.how
        rows = W_enc if W_dec is None else W_dec
        g, g_e, dead = grads[0].contiguous(), grads[1], ctx.dead
        for_x, for_b = torch.zeros_like(g), W_enc.new_zeros(len(W_enc))
        for_scale = None if scale is None else torch.zeros_like(scale)
        read, written = list[Use](), list[Use]()
        of_dead = None  # the gradient of the dead latents' pre_acts
        if dead is not None:
            kept, of_rows = ctx.of_dead, g_e @ rows[dead].t()
            sent = kept
            if scale is not None and for_scale is not None:
                for_scale[dead] = (kept * of_rows).sum(0)
                sent, of_rows = kept * scale[dead], of_rows * scale[dead]
            of_dead = of_rows * (kept > 0)
        for_z = None  # the gradient of this pass's code by way of the next one's pre_acts
        for t, (pairs, value, seen) in reversed(list(enumerate(ctx.looked))):
            for_value = pairs.products(g, rows)
            if scale is not None and for_scale is not None:
                at = scale[pairs.latent]
                for_scale += pairs.sums(for_value * value)
                written.append(Use(pairs, value * at, g))
                for_value *= at
            else:
                written.append(Use(pairs, value, g))
            if for_z is not None:
                for_value += for_z.view(-1)[pairs.flat]
            if how.relu:
                for_value *= value > 0
            for_b += pairs.sums(for_value)
            last = t == how.n - 1
            if t > 0:
                for_z = pairs.dense(for_value)
                if last and of_dead is not None:
                    for_z[:, dead] += of_dead
            scaled = for_value if how.step == 1 else how.step * for_value
            read.append(Use(pairs, scaled, seen))
            for_seen = pairs.by_image(scaled, W_enc)
            if last and of_dead is not None:
                for_seen += how.step * (of_dead @ W_enc[dead])
            for_x += for_seen
            g = -for_seen
        for_W_enc = by_latent([*read, *written] if W_dec is None else read)
        for_W_dec = None if W_dec is None else by_latent(written)
        if of_dead is not None:
            for_b[dead] += of_dead.sum(0)
            for_W_enc.index_add_(0, dead, how.step * (of_dead.t() @ ctx.looked[-1][2]))
            (for_W_enc if for_W_dec is None else for_W_dec).index_add_(0, dead, sent.t() @ g_e)
        return for_x, for_W_enc, for_b, for_W_dec, for_scale, None


def autoencode(
    x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor | None, how: Passes, scale: Tensor | None = None
) -> Autoencoded:
    """x [B, d_in] read by the rows of W_enc [d_sae, d_in], with b_enc [d_sae], and written by those of W_dec.

    W_dec None: the encoder's rows write too, times scale [d_sae] where that is given.
    """
    return Autoencoded(*_Autoencode.apply(x, W_enc, b_enc, W_dec, scale, how))
