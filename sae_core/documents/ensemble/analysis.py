"""What the documents ask of a model before and beside its training: the first losses, and how fast a device is."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import torch

from sae_core import device as devices
from sae_core.datasets import ImageSet
from sae_core.measure.metrics import evaluate
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig


class FirstLosses(NamedTuple):
    """Losses before any training."""

    mean_image_mse: float
    """MSE of the training images' mean as the reconstruction of every test image: the documents' "theoretical
    minimum", which is where an SAE starts to know anything"""
    mse: list[float]
    """of each untrained member, per pixel"""
    pearson: list[float]
    """of each untrained member"""
    n: int
    """test images"""


def analyze_loss(train: ImageSet, test: ImageSet, *, members: int = 5, seed: int = 42) -> FirstLosses:
    """Mean-image MSE, and each member's MSE and Pearson before training (documents 000 and 001)."""
    config = TiedTopKConfig(d_in=train.x.shape[1], members=members)
    ensemble = build("tied_topk", config, seed=seed).eval()
    found = [evaluate(ensemble.member(i), test.x) for i in range(members)]
    mean_image = train.x.mean(0, dtype=np.float64)
    error = float(np.square(test.x - mean_image).mean())
    return FirstLosses(error, [m.mse for m in found], [m.pearson for m in found], len(test))


def benchmark_devices(train: ImageSet, *, steps: int = 40, members: int = 5, seed: int = 42) -> list[dict[str, Any]]:
    """Training speed of the documents' ensemble on every device that is here, in float32 and mixed precision.

    One dictionary a run: device, name, precision, threads, ms_per_step, images_per_s, and `speedup` over the first,
    which is the CPU in float32. The first step, in which partners are matched and memory is taken, is not counted.
    """
    found: list[dict[str, Any]] = []
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        for precision in ("float32", "bfloat16"):
            config = TiedTopKConfig(d_in=train.x.shape[1], members=members, match_every=10**6)
            where = devices.resolve(device)
            opts = TrainOptions(epochs=1, precision=precision, seed=seed)
            x = torch.tensor(train.x[: opts.batch_size * steps]).to(where)
            training = Training(build("tied_topk", config, seed=seed).to(where), x, opts, log_every=10**9)
            training.log_every = 1
            next(training)  # the log after the first step
            training.log_every = 10**9
            _wait(where)
            began = time.perf_counter()
            done = next(training).step - 1
            _wait(where)
            ms = 1000 * (time.perf_counter() - began) / done
            found.append(
                {
                    "device": device,
                    "name": torch.cuda.get_device_name() if device == "cuda" else "CPU",
                    "precision": precision,
                    "threads": torch.get_num_threads(),
                    "ms_per_step": ms,
                    "images_per_s": 1000 * opts.batch_size / ms,
                    "speedup": (found[0]["ms_per_step"] if found else ms) / ms,
                }
            )
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
