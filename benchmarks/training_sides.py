"""One side of bench_train.py, in a process and an environment of its own: a training, a number of steps at a time.

    python benchmarks/training_sides.py NAME X.npy THREADS      NAME: topk, overcomplete, sae_lens:lr=0.001, …

It is driven by JSON lines on stdin, {"do": "make" | "run" | "reconstruct" | "floor", …}, each answered by one on
stdout. Between two of them it waits, and its threads sleep. (OMP_WAIT_POLICY=passive is not needed for that, and slows
the steps themselves down, not of all sides alike.) Every side is fed the same way, with rows of one tensor in an order
drawn anew for each epoch: a torch DataLoader, which collects a batch image by image, would only slow the others down.

Peers are used as their documentation shows, in float32, with the optimiser that they make or that their README takes,
and without logs. What is chosen here where they leave a choice is said at each.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """What all sides have in common, for how many steps the training is planned, and how often it logs."""

    batch: int
    d_sae: int
    k: int
    steps: int
    log_every: int
    """steps between two logs of ours: where it can stop"""


class Side(Protocol):
    """A training that has begun."""

    version: str

    def run(self, steps: int) -> int:
        """Do so many optimiser steps (ours: and on to its next log); how many images they saw."""

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [N, d] → x_hat [N, d] and acts [N, d_sae], as in use."""


class Batches:
    """Batches without end, the images in a new order in each epoch; its last batch is as small as it has to be."""

    def __init__(self, x: Tensor, size: int) -> None:
        self.seen = 0
        self._all = self._forever(x, size)

    def _forever(self, x: Tensor, size: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(42)
        while True:
            for index in torch.randperm(len(x), generator=generator).split(size):
                self.seen += len(index)
                yield x[index]

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return next(self._all)


class Ours:
    """`Training`, iterated, by the recipe of its variant; every field of its options and config can be chosen."""

    def __init__(self, x: Tensor, shape: Shape, options: dict[str, Any], variant: str) -> None:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        from sae_core.training.loop import Training, TrainOptions
        from sae_core.variants import build, networks

        if variant not in networks():
            raise ValueError(f"there is no side {variant!r}; there is {', '.join([*networks(), *PEERS])}")
        cls = networks()[variant]
        fields = cls.Config.__dataclass_fields__
        if "k" not in fields:
            raise ValueError(f"{variant} has no k: it cannot be held against SAEs that keep k latents")
        self.version = _our_version()
        per_epoch = -(-len(x) // shape.batch)
        config = {name: value for name, value in options.items() if name in fields}
        more = {name: value for name, value in options.items() if name not in fields}
        planned = {"batch_size": shape.batch, "epochs": max(1, -(-shape.steps // per_epoch))}
        model = build(variant, cls.Config(**{"d_in": x.shape[1], "d_sae": shape.d_sae, "k": shape.k, **config}))
        opts = TrainOptions(**{**cls.recipe_for(len(x)), **planned, **more})
        self.training = Training(model, x, opts, log_every=shape.log_every)
        self.x, self.batch, self.per_epoch, self.finished = x, shape.batch, per_epoch, False

    def _images(self, step: int) -> int:
        epochs, rest = divmod(step, self.per_epoch)
        return epochs * len(self.x) + rest * self.batch

    def run(self, steps: int) -> int:
        first = self.training.step
        while self.training.step < first + steps:
            next(self.training)
        return self._images(self.training.step) - self._images(first)

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        model = self.training.model.eval()
        if not self.finished:
            model.round_weights()
            model.finish(self.x)
            self.finished = True
        return model(x)


def _our_version() -> str:
    """That of pyproject.toml beside this file: the library need not be installed."""
    import tomllib

    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text("utf-8")
    return str(tomllib.loads(text)["project"]["version"])


class Overcomplete:
    """`train_sae` on as many batches as are asked for, silent; loss and optimiser as in its README.

    `aux=true` takes its `top_k_auxiliary_loss` instead of the README's squared error.
    """

    version = ""

    def __init__(self, x: Tensor, shape: Shape, options: dict[str, Any]) -> None:
        from overcomplete.sae import TopKSAE, train_sae
        from overcomplete.sae.losses import top_k_auxiliary_loss

        def mse(x: Tensor, x_hat: Tensor, pre_codes: Tensor, codes: Tensor, dictionary: Tensor) -> Tensor:
            return (x - x_hat).square().mean()

        more = {"aux": False, "lr": 5e-4, **options}
        torch.manual_seed(42)
        self.version = version("overcomplete")
        self.sae = TopKSAE(x.shape[1], nb_concepts=shape.d_sae, top_k=shape.k)
        optimizer = torch.optim.Adam(self.sae.parameters(), lr=more["lr"])
        self.batches = Batches(x, shape.batch)
        criterion: Callable[..., Tensor] = top_k_auxiliary_loss if more["aux"] else mse

        def train(steps: int) -> None:
            some = itertools.islice(self.batches, steps)
            train_sae(self.sae, some, criterion, optimizer, nb_epochs=1, monitoring=0)

        self.train = train

    def run(self, steps: int) -> int:
        before = self.batches.seen
        self.train(steps)
        return self.batches.seen - before

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sae.eval()
        _, codes, x_hat = self.sae(x)
        self.sae.train()
        return x_hat, codes


class SAELens:
    """What `SAETrainer.fit` does at each step, by its public `step`, without its progress bar.

    Options are fields of `TopKTrainingSAEConfig` or of `SAETrainerConfig`. Its sparse activations, meant to be faster,
    do not run on a CPU with its other defaults, but they do with
    `use_sparse_activations=true:rescale_acts_by_decoder_norm=false`.
    """

    version = ""

    def __init__(self, x: Tensor, shape: Shape, options: dict[str, Any]) -> None:
        from sae_lens.config import LoggingConfig, SAETrainerConfig
        from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.training.sae_trainer import SAETrainer

        fields = TopKTrainingSAEConfig.__dataclass_fields__
        config = {name: value for name, value in options.items() if name in fields}
        more = {name: value for name, value in options.items() if name not in fields}
        torch.manual_seed(42)
        self.version = version("sae-lens")
        sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(**{"d_in": x.shape[1], "d_sae": shape.d_sae, "k": shape.k, **config})
        )
        planned = SAETrainerConfig(
            total_training_samples=shape.steps * shape.batch,
            train_batch_size_samples=shape.batch,
            logger=LoggingConfig(log_to_wandb=False),
            **{"lr_end": 3e-5, **more},
        )
        self.batches = Batches(x, shape.batch)
        self.trainer: Any = SAETrainer(planned, sae, self.batches)
        if sae.cfg.normalize_activations == "expected_average_only_in":
            self.trainer.activation_scaler.estimate_scaling_factor(
                x.shape[1], Batches(x, shape.batch), max(1, len(x) // shape.batch)
            )

    def run(self, steps: int) -> int:
        before = self.batches.seen
        for _ in range(steps):
            self.trainer.maybe_reset_sparsity()
            self.trainer.step(next(self.batches))
            self.trainer.n_training_steps += 1
        return self.batches.seen - before

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        sae, scaler = self.trainer.sae.eval(), self.trainer.activation_scaler
        acts = sae.encode(scaler.scale(x))
        return scaler.unscale(sae.decode(acts)), acts.to_dense()


class DictionaryLearning:
    """`TopKTrainer.update`, step by step, as `trainSAE` calls it.

    Its warm-up of 1,000 steps is at most a tenth of the training here, as it would be all of a short one. Options are
    arguments of `TopKTrainer`, and `normalize_activations` of `trainSAE`, which is done before anything is timed.
    """

    version = ""

    def __init__(self, x: Tensor, shape: Shape, options: dict[str, Any]) -> None:
        from dictionary_learning.trainers.top_k import TopKTrainer

        more = {"normalize_activations": False, "warmup_steps": min(1000, shape.steps // 10), **options}
        self.norm = float(x.pow(2).sum(1).mean().sqrt()) if more.pop("normalize_activations") else 1.0
        self.version = version("dictionary-learning")
        self.trainer: Any = TopKTrainer(
            steps=max(shape.steps, 1),
            activation_dim=x.shape[1],
            dict_size=shape.d_sae,
            k=shape.k,
            layer=0,
            lm_name="mnist",
            device="cpu",
            seed=42,
            **more,
        )
        self.batches = Batches(x / self.norm, shape.batch)
        self.step = 0

    def run(self, steps: int) -> int:
        before = self.batches.seen
        for _ in range(steps):
            self.trainer.update(self.step, next(self.batches))
            self.step += 1
        return self.batches.seen - before

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x_hat, acts = self.trainer.ae(x / self.norm, output_features=True)
        return x_hat * self.norm, acts


PEERS: dict[str, Callable[[Tensor, Shape, dict[str, Any]], Side]] = {
    "overcomplete": Overcomplete,
    "sae_lens": SAELens,
    "dictionary_learning": DictionaryLearning,
}


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """ "topk:revival=none:lr=0.01" → "topk" and what was chosen."""
    name, *chosen = spec.split(":")
    found = {}
    for part in chosen:
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} in {spec!r} is no OPTION=VALUE")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value  # a word
    return name, found


def make(spec: str, x: Tensor, shape: Shape) -> Side:
    """The side of that name, with a new model."""
    name, options = parse(spec)
    return PEERS[name](x, shape, options) if name in PEERS else Ours(x, shape, options, name)


def seconds(action: Callable[[], object], least: float = 0.3) -> float:
    """The least time that an action takes, of several in `least` seconds."""
    action()
    found: list[float] = []
    end = time.perf_counter() + least
    while not found or time.perf_counter() < end:
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found)


def floor(batch: int, d_in: int, d_sae: int) -> dict[str, float]:
    """What a step with a dense encoder cannot do without, at the rates that this machine reaches at this size.

    The encoder's product, 2 · batch · d_in · d_sae operations, and Adam's traffic for untied weights: it reads weight,
    gradient and two moments and writes three of them, seven times four bytes a weight. The copy that is timed goes over
    as much memory as Adam, since a small model lies in the processor's cache.
    """
    weights = 2 * d_in * d_sae + d_in + d_sae
    x, W, out = torch.rand(batch, d_in), torch.rand(d_in, d_sae), torch.empty(batch, d_sae)
    flop, traffic = 2.0 * batch * d_in * d_sae, 28.0 * weights
    flops = flop / seconds(lambda: torch.mm(x, W, out=out))
    a, b = torch.rand(2 * weights), torch.rand(2 * weights)
    rate = 16.0 * weights / seconds(lambda: a.copy_(b))
    least = flop / flops + traffic / rate
    return {
        "gflop": flop / 1e9,
        "gflop_per_s": flops / 1e9,
        "mb": traffic / 1e6,
        "gb_per_s": rate / 1e9,
        "ms": 1e3 * least,
        "images_per_s": batch / least,
    }


class Worker:
    """Answers what it is asked, for one side."""

    def __init__(self, spec: str, x: Tensor) -> None:
        self.spec, self.x = spec, x
        self.side: Side | None = None

    def make(self, **shape: int) -> dict[str, Any]:
        self.side = None  # its memory first
        self.side = make(self.spec, self.x, Shape(**shape))
        return {"version": self.side.version}

    def run(self, steps: int) -> dict[str, Any]:
        assert self.side is not None
        began = time.perf_counter()
        images = self.side.run(steps)
        return {"images": images, "seconds": time.perf_counter() - began}

    @torch.no_grad()
    def reconstruct(self, x: str, to: str) -> dict[str, Any]:
        """Reconstruct the images of a file into another; the mean number of active latents."""
        assert self.side is not None
        given, active, x_hat = torch.from_numpy(np.load(x)), 0, []
        for part in given.split(1000):
            found, acts = self.side.reconstruct(part)
            x_hat.append(found)
            active += int((acts != 0).sum())
        np.save(to, torch.cat(x_hat).numpy())
        return {"l0": active / len(given)}

    def floor(self, batch: int, d_sae: int) -> dict[str, float]:
        return floor(batch, self.x.shape[1], d_sae)


def main() -> None:
    spec, images, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")  # what a library prints does not come between them
    os.dup2(2, 1)
    torch.set_num_threads(int(threads))
    worker = Worker(spec, torch.from_numpy(np.load(images, mmap_mode="c")))
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(worker, asked.pop("do"))(**asked)), file=answers, flush=True)


if __name__ == "__main__":
    main()
