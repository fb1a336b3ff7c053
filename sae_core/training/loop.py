"""Training: an iterator of logs, and nothing else. What is measured or kept is its caller's business."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from sae_core import device as devices
from sae_core import options
from sae_core.models.alone import ALONE, Alone
from sae_core.models.network import Network
from sae_core.options import option
from sae_core.pictures.scramble import scramble
from sae_core.training.replay import Replay
from sae_core.training.stream import Stream

REVIVAL = ("none", "reinit", "aux")
_LOOKED_AT = 4096
"""training images among which re-initialised latents find a badly reconstructed one"""


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained. The seed fixes its initial weights and the order of the data."""

    epochs: int = option(5, "passes over the training images", low=1, high=10_000)
    batch_size: int = option(128, "images a step", low=1, high=1_000_000)
    lr: float = option(1e-3, "Adam's learning rate at its height", low=1e-8, high=1.0)
    beta2: float = option(
        0.999,
        "how slowly Adam forgets the size of a gradient: a smaller one lets rare latents learn",
        low=0.0,
        high=0.99999,
    )
    warmup: float = option(0.0, "share of the steps over which lr rises from 0", low=0.0, high=1.0)
    decay_from: float = option(
        1.0, "share of the steps after which lr falls linearly to 0; 1 for never", low=0.0, high=1.0
    )
    seed: int = option(42, "fixes initial weights and data order", low=0, high=2**31 - 1)
    scrambled: bool = option(
        False, "an eleventh class: a copy of each image with its 4×4 blocks in random order, drawn anew at every access"
    )
    revival: str = option("none", "how dead latents come back: started anew, or by an auxiliary loss", choices=REVIVAL)
    revive_every: int = option(300, "steps between two times that dead latents are started anew", low=1)
    buffer: int = option(
        65_536, "rows of a folder of shards (`--data`) that are in memory and shuffled together", low=1, high=10**9
    )
    precision: str = option("auto", "auto: TF32 products on CUDA, float32 on a CPU", choices=devices.PRECISIONS)

    def __post_init__(self) -> None:
        options.check(self)

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of that step (from 0): linear warm-up, level, linear decay."""
        rate = 1.0
        if self.warmup > 0:
            rate = min(rate, (step + 1) / (self.warmup * steps))
        if self.decay_from < 1:
            rate = min(rate, (steps - step) / ((1 - self.decay_from) * steps))
        return self.lr * rate


class TrainLog(NamedTuple):
    """What happened since the log before."""

    step: int
    """optimiser steps done"""
    steps: int
    """optimiser steps in all"""
    epoch: float
    """passes over the data done"""
    lr: float
    """learning rate of the last step"""
    losses: dict[str, float]
    """each named loss, the mean over the steps since the log before"""
    images_per_s: float
    """training images a second since the log before"""
    dead: int
    """latents that were not active on the last `dead_after` training images, as far as the model counts them"""
    note: str
    """what happened to dead latents, in words: "14 revived at step 900"; empty when nothing did"""


class Training(Iterator[TrainLog]):
    """Train `model` in place on pictures x [N, 784], which lie whole on its device, or on a `Stream` of activations
    [N, d_in], of which a part does; iterate to go on.

    `labels` [N] are for a network that learns them, `classes` of them (None: as many as there are); scrambled images
    are the class after those. A log comes every `log_every` steps and at the end of each epoch.
    `state()` between two logs is all that is needed to go on from there in another process: build the same model, make
    the same Training, then `restore(state)`. Where `ranks` train together, each does all this, with the same images.
    ValueError for wrong shapes, FloatingPointError when the loss is no longer a number.
    """

    def __init__(
        self,
        model: Network,
        x: Tensor | Stream,
        opts: TrainOptions,
        *,
        labels: Tensor | None = None,
        classes: int | None = None,
        log_every: int = 50,
        ranks: Alone = ALONE,
    ) -> None:
        if len(x) == 0:
            raise ValueError("there is nothing to train on: no image was given")
        self._stream = x if isinstance(x, Stream) else None
        if self._stream is not None and opts.scrambled:
            raise ValueError("scrambled images are made of pictures, and these are activations")
        x = cast("Tensor", x)  # a stream answers what is asked of it here, and in a variant's `start` and `finish`
        read = model.read(x)
        model._check(read if self._stream is None else read[:1])
        self.model, self.x, self.labels, self.opts, self.log_every = model, x, labels, opts, log_every
        self.ranks = model.ranks = ranks
        self.classes = 0 if labels is None else classes or int(labels.max()) + 1
        if self.classes + opts.scrambled > getattr(model.config, "classes", math.inf):
            also = " and that of scrambled images" if opts.scrambled else ""
            raise ValueError(f"there are {self.classes} classes{also}, but the model has {model.config.classes}")
        self.accesses = len(x) * (2 if opts.scrambled else 1)
        self.per_epoch = -(-self.accesses // opts.batch_size)
        self.steps = self.per_epoch * opts.epochs
        self.step = 0
        self._epoch, self._order = -1, torch.empty(0)
        if opts.revival not in model.revivals:
            raise ValueError(
                f"{model.variant} cannot bring dead latents back by revival = {opts.revival}: it would change "
                f"nothing there; it can by {' or '.join(model.revivals)}"
            )
        model.revival = opts.revival
        model.start(read)
        model.train()
        self._dead = model.dead
        fused, cuda = x.device.type in ("cpu", "cuda"), x.device.type == "cuda"
        self._rows = {name: _contiguous(p) for name, p in model.named_parameters()}
        by_decay: dict[float, list[Tensor]] = {}
        for name, rows in self._rows.items():
            by_decay.setdefault(model.decays.get(name, 0.0), []).append(rows)
        groups = [{"params": rows, "weight_decay": decay} for decay, rows in by_decay.items()]
        lr = torch.tensor(opts.lr, device=x.device) if cuda else opts.lr  # on the device: what is replayed reads it
        self.optimizer = torch.optim.Adam(groups, lr=lr, betas=(0.9, opts.beta2), fused=fused, capturable=cuda)
        self._replay = self._recorded()
        self._keep_in_step()

    def __next__(self) -> TrainLog:
        if self.step >= self.steps:
            self.model.eval()
            self.model.ranks = ALONE
            raise StopIteration
        began, first = time.perf_counter(), self.step
        images = 0
        sums: dict[str, Tensor] = {}
        started_anew = 0
        while self.step < self.steps:
            index = self._batch(self.step)
            losses = self._update(index)
            for name, loss in losses.items():
                sums[name] = sums.get(name, torch.zeros_like(loss)) + loss
            images += len(index)
            started_anew += self._revive()
            if self.step % self.log_every == 0 or self.step % self.per_epoch == 0:
                break
        self.ranks.add(sums.values())
        self._keep_in_step()
        means = {name: float(total) / (self.step - first) for name, total in sums.items()}
        if not all(abs(v) < float("inf") for v in means.values()):
            raise FloatingPointError(
                f"the loss is no longer a number at step {self.step}: {means}; try a smaller learning rate"
            )
        return TrainLog(
            step=self.step,
            steps=self.steps,
            epoch=self.step / self.per_epoch,
            lr=self.opts.lr_at(self.step - 1, self.steps),
            losses=means,
            images_per_s=images / (time.perf_counter() - began),
            dead=int(self.model.dead.sum()),
            note=self._note(started_anew),
        )

    def _batch(self, step: int) -> Tensor:
        """Indices of that step's images. Each epoch's order follows from seed and epoch alone, so that a
        training that goes on in another process sees the images it would have seen."""
        epoch, at = divmod(step, self.per_epoch)
        if self._stream is not None:
            return self._stream.order(epoch, at * self.opts.batch_size, (at + 1) * self.opts.batch_size)
        if self._epoch != epoch:
            generator = torch.Generator().manual_seed(self.opts.seed + 1_000_003 * epoch)
            order = torch.randperm(self.accesses, generator=generator)  # the CPU's: the same for every device
            self._order, self._epoch = order.to(self.x.device), epoch
        return self._order[at * self.opts.batch_size : (at + 1) * self.opts.batch_size]

    @torch.no_grad()
    def _pictures(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pictures of a batch and their classes: an index from N on is the scrambled copy of image index − N."""
        n = len(self.x)
        index = index if self.opts.scrambled else self.ranks.take(index)
        index, late = index % n, index >= n
        x = self.x[index]
        labels = None if self.labels is None else self.labels[index]
        if self.opts.scrambled:
            x = torch.where(late[:, None], scramble(x, self._generator(self.step)), x)
            labels = None if labels is None else self.ranks.take(torch.where(late, self.classes, labels))
            x = self.ranks.take(x)  # now, as one process draws for the whole batch at once
        return x, labels

    def _generator(self, step: int) -> torch.Generator:
        """Random numbers of one step, which follow from seed and step alone."""
        return torch.Generator().manual_seed((self.opts.seed * 1_000_003 + step) % 2**63)

    def _update(self, index: Tensor) -> dict[str, Tensor]:
        lr = self.opts.lr_at(self.step, self.steps)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        losses = self._learn(index) if self._replay is None else self._replay(index)
        self.step += 1
        self.model.after_step(self.step, lr)
        return losses

    def _recorded(self) -> Replay | None:
        """Where a step can be recorded: on one GPU, if neither the model nor the images need the CPU for it. What the
        ranks ask each other is no part of what a GPU can replay."""
        here = self.x.device.type == "cuda" and self.ranks.size == 1
        can = here and self.model.replayable and not self.opts.scrambled and self._stream is None
        return Replay(self._learn) if can else None

    def _learn(self, index: Tensor) -> dict[str, Tensor]:
        """Losses and gradients of a batch, and what the optimiser makes of them."""
        self.model.zero_grad(set_to_none=True)
        x, labels = self._pictures(index)
        with torch.no_grad():
            x = self.model.read(x)
        with devices.autocast(x.device, self.opts.precision):
            losses = self.model.losses(x) if labels is None else self.model.labelled_losses(x, labels)
        losses = self.ranks.weighted(losses)
        torch.stack(list(losses.values())).sum().backward()
        for name, p in self.model.named_parameters():
            self._rows[name].grad = p.grad if p is self._rows[name] or p.grad is None else p.grad.mT
        self.ranks.add(rows.grad for rows in self._rows.values() if rows.grad is not None)
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _revive(self) -> int:
        """Start dead latents anew where that was chosen and is due; in the last tenth they could not settle."""
        opts = self.opts
        if opts.revival != "reinit" or self.step % opts.revive_every or self.step > 0.9 * self.steps:
            return 0
        generator = self._generator(self.step)
        index = torch.randint(len(self.x), (min(_LOOKED_AT, len(self.x)),), generator=generator)
        revived = self.model.revive(self.model.read(self.x[index.to(self.x.device)]), generator)
        for name, p in self.model.named_parameters():
            if name in ("W_enc", "W_dec") or p.shape == revived.shape:
                for key, moment in self._moments(name, p).items():  # Adam's memory is of what the latent was before
                    if key != "step":
                        (moment.transpose(-1, -2) if name == "W_enc" else moment)[revived] = 0
        return int(revived.sum())

    def _note(self, started_anew: int) -> str:
        """What happened to dead latents since the log before."""
        before, self._dead = self._dead, self.model.dead
        if self.opts.revival == "none":
            return ""
        if started_anew:
            return f"{started_anew} re-initialised at step {self.step}"
        revived = int((before & ~self._dead).sum()) if before.shape == self._dead.shape else 0
        return f"{revived} revived at step {self.step}" if revived else ""

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on, by name: float32 weights, buffers, Adam's moments, the step."""
        found = {"step": torch.tensor(self.step)}
        for name, p in self._tensors().items():
            found[f"model.{name}"] = p.detach()
        for name, p in self.model.named_parameters():
            for key, value in self._moments(name, p).items():
                found[f"adam.{name}.{key}"] = value
        return found

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state()`. ValueError when it is incomplete or belongs to another model."""
        mine = self._tensors()
        theirs = {name.removeprefix("model."): t for name, t in state.items() if name.startswith("model.")}
        if {n: t.shape for n, t in mine.items()} != {n: t.shape for n, t in theirs.items()}:
            raise ValueError("the saved training is of a model with other parameters")
        step, moments = int(state.get("step", 0)), ("step", "exp_avg", "exp_avg_sq")
        needed = {f"adam.{name}.{key}" for name, _ in self.model.named_parameters() for key in moments if step}
        if "step" not in state or needed - set(state):
            raise ValueError("the saved training is incomplete")
        for name, t in theirs.items():
            mine[name].copy_(t)
        for name, p in self.model.named_parameters():
            # Adam's step count of a fused optimiser lives on the device too.
            rows = self._rows[name]
            self.optimizer.state[rows] = {
                key: (t if t.ndim < 2 or rows is p else t.mT).to(p.device, copy=True).contiguous()
                for key in moments
                if step and (t := state[f"adam.{name}.{key}"]) is not None
            }
        self.step = step
        self._replay = self._recorded()  # what was recorded knows the tensors of before

    def _keep_in_step(self) -> None:
        """Weights and buffers as the first rank has them: processors of two kinds may round in two ways."""
        self.ranks.same([*self._rows.values(), *self.model.buffers()])

    def _moments(self, name: str, p: Tensor) -> dict[str, Tensor]:
        """Adam's memory of a weight, in the weight's shape."""
        rows = self._rows[name]
        found = self.optimizer.state.get(rows, {})
        return {key: t if rows is p or t.ndim < 2 else t.mT for key, t in found.items()}

    def _tensors(self) -> dict[str, Tensor]:
        return {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}


def _contiguous(p: nn.Parameter) -> Tensor:
    """A weight as the optimiser walks through it: itself or, where it is kept transposed, the same memory untransposed.

    A fused optimiser would copy one that is not contiguous at every step, and its gradient and moments with it.
    """
    if p.is_contiguous() or p.ndim < 2 or not p.mT.is_contiguous():
        return p
    return p.detach().mT.requires_grad_()
