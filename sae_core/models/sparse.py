"""A k-sparse training step without most of its dense products: by pairs of image and latent.

Of a dense step's five products only the encoder's is needed, to find out which latents are kept. Decoding is a weighted
sum of k rows for each image, the gradient of an activation one inner product for each pair, and a weight's gradient a
weighted sum of images for each latent: all of them by torch's `embedding_bag`. The gradients are those of the dense
step up to the order of summation, which tests hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding_bag

from sae_core.models.codes import keep_topk

_gradient_of_weights = torch.ops.aten._embedding_bag_per_sample_weights_backward


class Pairs:
    """Which latents the images of a batch [B, d_sae] keep, image by image; their values are in that order."""

    def __init__(self, latent: Tensor, starts: Tensor, d_sae: int, image: Tensor | None = None) -> None:
        self.latent, self.starts, self.d_sae = latent, starts, d_sae
        """[m] latents; [B] where each image's begin"""
        self.image = self._images() if image is None else image
        """[m] images"""

    @classmethod
    def of(cls, latents: Tensor, d_sae: int) -> Pairs:
        """Of equally many latents of each image [B, k]."""
        B, k = latents.shape
        image = torch.arange(B, device=latents.device)
        return cls(latents.flatten(), k * image, d_sae, image.repeat_interleave(k))

    @classmethod
    def where(cls, kept: Tensor) -> Pairs:
        """Of a mask [B, d_sae]."""
        n = kept.sum(-1)
        return cls(kept.nonzero()[:, 1], n.cumsum(0) - n, kept.shape[-1])

    def _images(self) -> Tensor:
        n = torch.diff(self.starts, append=self.starts.new_full((1,), len(self.latent)))
        image = torch.arange(len(self.starts), device=self.starts.device)
        return image.repeat_interleave(n, output_size=len(self.latent))

    @cached_property
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

    def active(self, value: Tensor) -> Tensor:
        """The latents of which some value [m] is not 0, each once."""
        return torch.bincount(self.latent, value != 0, self.d_sae).nonzero()[:, 0]

    def products(self, by_image: Tensor, rows: Tensor) -> Tensor:
        """by_image[image] · rows[latent] of each pair: [m], of by_image [B, d] and rows [d_sae, d]."""
        return _gradient_of_weights(by_image.contiguous(), rows, self.latent, self.starts, self.image, 0)


class ByLatent:
    """The pairs of one pass or several, latent by latent: sorted once for all the sums over them."""

    def __init__(self, passes: Sequence[Pairs]) -> None:
        d_sae, B = passes[0].d_sae, len(passes[0].starts)
        latent = _joined([pairs.latent for pairs in passes])
        self._order = latent.to(torch.int16 if d_sae < 2**15 else torch.int32).argsort()  # half the time of int64's
        self._row = _joined([pairs.image + t * B if t else pairs.image for t, pairs in enumerate(passes)])[self._order]
        counts = torch.bincount(latent, minlength=d_sae)
        self._starts = counts.cumsum(0) - counts

    def sums(self, values: Sequence[Tensor], rows: Tensor) -> Tensor:
        """The sum over each latent's pairs of value · rows[image]: [d_sae, d], of each pass's values [m] and rows
        [B, d], the rows of all passes below each other."""
        value = _joined(values)[self._order]
        return embedding_bag(self._row, rows, self._starts, per_sample_weights=value, mode="sum")


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


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
    """told which latents are active: those [n_dead] that are to explain what is left over"""
    aux_k: int = 0
    """how many of them for each image"""


class Autoencoded(NamedTuple):
    """What a training step gets."""

    x_hat: Tensor
    """[B, d_in] the reconstruction"""
    e_hat: Tensor
    """[B, d_in] what the dead latents make of what the last pass saw; empty where none were named"""


class _Autoencode(Function):
    """All passes as one function: each weight's gradient is one sum then, however many passes it comes from."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        bias: Tensor | None,
        W_enc: Tensor,
        b_enc: Tensor,
        W_dec: Tensor | None,
        scale: Tensor | None,
        how: Passes,
    ) -> tuple[Tensor, Tensor]:
        rows = W_enc if W_dec is None else W_dec
        B, d = x.shape
        ctx.seen = seen = x.new_empty(how.n * B, d)  # of all passes below each other
        ctx.looked, ctx.how = list[tuple[Pairs, Tensor]](), how
        first = seen[:B].copy_(x) if bias is None else torch.sub(x, bias, out=seen[:B])
        x_hat = x
        for t in range(how.n):
            now = seen[t * B : (t + 1) * B]
            if t:
                torch.sub(first, x_hat, out=now)
            pre_acts = torch.addmm(b_enc, now, W_enc.t(), alpha=how.step).to(x.dtype)  # autocast may give less
            if t:
                before, z = ctx.looked[-1]
                pre_acts.view(-1).index_add_(0, before.flat, z)
            pairs = how.choose(pre_acts)
            value = pre_acts.view(-1)[pairs.flat]
            value = value.relu_() if how.relu else value
            ctx.looked.append((pairs, value))
            x_hat = pairs.by_image(value if scale is None else value * scale[pairs.latent], rows)
        ctx.dead = dead = how.dead(pairs.active(value))
        e_hat = x.new_zeros(0)
        if dead is not None:
            ctx.of_dead = keep_topk(pre_acts[:, dead], min(how.aux_k, len(dead))).relu_()
            e_hat = ((ctx.of_dead if scale is None else ctx.of_dead * scale[dead]) @ rows[dead]).to(x.dtype)
        ctx.save_for_backward(W_enc, W_dec, scale)
        return (x_hat if bias is None else x_hat.add_(bias)), e_hat

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (W_enc, W_dec, scale), how, seen = ctx.saved_tensors, ctx.how, ctx.seen
        rows = W_enc if W_dec is None else W_dec
        g_e, dead = grads[1], ctx.dead
        B = len(grads[0])
        sent = torch.empty_like(seen) if how.n > 1 else grads[0].contiguous()  # to the rows that write, pass by pass
        if how.n > 1:
            sent[-B:] = grads[0]
        wants_x, wants_bias = ctx.needs_input_grad[:2]
        for_x, for_b = torch.zeros_like(grads[0]) if wants_x else None, W_enc.new_zeros(len(W_enc))
        for_scale = None if scale is None else torch.zeros_like(scale)
        read, written = list[Tensor](), list[Tensor]()
        of_dead = None  # the gradient of the dead latents' pre_acts
        if dead is not None:
            kept, of_rows = ctx.of_dead, g_e @ rows[dead].t()
            shown = kept
            if scale is not None and for_scale is not None:
                for_scale[dead] = (kept * of_rows).sum(0)
                shown, of_rows = kept * scale[dead], of_rows * scale[dead]
            of_dead = of_rows * (kept > 0)
        for_z = None  # the gradient of this pass's code by way of the next one's pre_acts
        for t, (pairs, value) in reversed(list(enumerate(ctx.looked))):
            for_value = pairs.products(sent[t * B : (t + 1) * B], rows)
            if scale is not None and for_scale is not None:
                at = scale[pairs.latent]
                for_scale += pairs.sums(for_value * value)
                written.append(value * at)
                for_value *= at
            else:
                written.append(value)
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
            read.append(scaled)
            if t > 0 or wants_x:
                for_seen = pairs.by_image(scaled, W_enc)
                if last and of_dead is not None:
                    for_seen += how.step * (of_dead @ W_enc[dead])
                if for_x is not None:
                    for_x += for_seen
                if t > 0:
                    torch.neg(for_seen, out=sent[(t - 1) * B : t * B])
        grouped = ByLatent([pairs for pairs, _ in ctx.looked])
        for_W_enc, for_W_dec = grouped.sums(read[::-1], seen), grouped.sums(written[::-1], sent)
        if of_dead is not None:
            for_b[dead] += of_dead.sum(0)
            for_W_enc.index_add_(0, dead, how.step * (of_dead.t() @ seen[-B:]))
            for_W_dec.index_add_(0, dead, shown.t() @ g_e)
        # Summed over the images, what each pass asks of its input is what each latent asks of its row.
        for_bias = grads[0].sum(0) - how.step * (for_b @ W_enc) if wants_bias else None
        if W_dec is None:
            return for_x, for_bias, for_W_enc.add_(for_W_dec), for_b, None, for_scale, None
        return for_x, for_bias, for_W_enc, for_b, for_W_dec, for_scale, None


def autoencode(
    x: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    W_dec: Tensor | None,
    how: Passes,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
) -> Autoencoded:
    """x [B, d_in] read by the rows of W_enc [d_sae, d_in], with b_enc [d_sae], and written by those of W_dec.

    W_dec None: the encoder's rows write too, times scale [d_sae] where that is given. bias [d_in]: subtracted from
    what is read, and added to what is written.
    """
    return Autoencoded(*_Autoencode.apply(x, bias, W_enc, b_enc, W_dec, scale, how))
