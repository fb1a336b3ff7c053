"""First losses and devices: against NumPy, and on what is here."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from sae_core.datasets import ImageSet
from sae_core.documents.ensemble.analysis import analyze_loss, benchmark_devices
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig


def images(n: int, seed: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    x = (rng.random((n, 784)) * (rng.random((n, 784)) > 0.8)).astype(np.float32)
    return ImageSet(x, rng.integers(0, 10, n), "made-up", "train" if seed == 0 else "test")


def test_first_losses_are_those_of_numpy() -> None:
    train, test = images(60, 0), images(40, 1)
    found = analyze_loss(train, test, members=2, seed=3)
    assert found.n == 40
    assert found.mean_image_mse == pytest.approx(((test.x - train.x.mean(0)) ** 2).mean(), rel=1e-5)
    for i in range(2):
        one = build("tied_topk", TiedTopKConfig(members=2), seed=3).member(i).eval()
        x_hat = one(torch.tensor(test.x)).x_hat.detach().numpy()
        assert found.mse[i] == pytest.approx(((x_hat - test.x) ** 2).mean(), rel=1e-5)
        r = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(test.x, x_hat, strict=True)])
        assert found.pearson[i] == pytest.approx(r, abs=1e-5)


@pytest.mark.slow
def test_every_device_here_is_timed() -> None:
    rows = benchmark_devices(images(1000, 0), steps=4, members=2)
    here = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    assert [(r["device"], r["precision"]) for r in rows] == [(d, p) for d in here for p in ("float32", "bfloat16")]
    assert rows[0]["speedup"] == 1
    for r in rows:
        assert r["ms_per_step"] > 0 and r["images_per_s"] == pytest.approx(128_000 / r["ms_per_step"])
        assert r["speedup"] == pytest.approx(rows[0]["ms_per_step"] / r["ms_per_step"])


def test_a_benchmark_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for partners always, and the GPU where there is none."""
    from sae_core import cli
    from sae_core.documents.ensemble import analysis

    row = {"precision": "float32", "ms_per_step": 50.0, "images_per_s": 2560.0, "speedup": 1.0}
    monkeypatch.setattr(cli, "load_dataset", lambda *_: None)
    for devices, missing in ((["cpu", "cpu"], True), (["cpu", "cuda"], False)):
        rows = [{"device": d, "name": d} | row for d in devices]
        monkeypatch.setattr(analysis, "benchmark_devices", lambda *_, rows=rows, **__: rows)
        _, text = cli._benchmark(argparse.Namespace(data_dir=None, steps=1))
        assert "(matching) is left out" in text and ("not measured" in text) is missing
