"""The ensemble of documents 000–002: our time against their program's, and what matching less often costs.

One JSON line. The documents' program needs 2.4 s a step of batch 128 for five members on two quiet cores (0.45 s of it
for the ten assignments), 94 minutes for the 2,345 steps; we do not have it, so its time is given. `--whole` trains all
five epochs with the matching refreshed every 50 steps, `--quality` holds that against every step on 500 steps.

    python benchmarks/bench_ensemble.py --data-dir DIR [--whole] [--quality]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sae_core.datasets import load_dataset
from sae_core.measure.metrics import evaluate
from sae_core.models.matching import mmcs
from sae_core.models.sae import SAE
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig

THEIRS_S_PER_STEP = 2.4


def train(x: torch.Tensor, match_every: int, steps: int, precision: str = "auto") -> tuple[SAE, float]:
    """An ensemble after that many steps, and the seconds they took."""
    sae = build("tied_topk", TiedTopKConfig(members=5, match_every=match_every))
    training = Training(sae, x, TrainOptions(epochs=5, precision=precision), log_every=10)
    began = time.perf_counter()
    for log in training:
        if log.step >= steps:
            break
    seconds = time.perf_counter() - began
    return sae.eval().requires_grad_(False), seconds


def quality(sae: SAE, test: np.ndarray) -> dict[str, float]:
    members = [sae.member(i) for i in range(5)]
    pairs = [mmcs(a.W_dec, b.W_dec) for a, b in combinations(members, 2)]
    return {"pearson": float(np.mean([evaluate(m, test).pearson for m in members])), "mmcs": float(np.mean(pairs))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--quality", action="store_true")
    args = parser.parse_args()
    x = torch.tensor(load_dataset("mnist", "train", args.data_dir).x)
    test = load_dataset("mnist", "test", args.data_dir).x
    result: dict[str, object] = {"threads": torch.get_num_threads()}
    for n in (1, 50):
        steps = 40 if n == 1 else 100
        seconds = train(x, n, steps)[1] / steps
        result[f"steps_per_s_every_{n}"] = round(1 / seconds, 2)
        result[f"times_faster_every_{n}"] = round(THEIRS_S_PER_STEP / seconds, 1)
    result["steps_per_s_every_50_bfloat16"] = round(100 / train(x, 50, 100, "bfloat16")[1], 2)
    if args.whole:
        sae, seconds = train(x, 50, 2345)
        result["whole_s"] = round(seconds, 1)
        result["whole_times_faster"] = round(THEIRS_S_PER_STEP * 2345 / seconds, 1)
        result["whole"] = quality(sae, test)
    if args.quality:
        result["after_500_every_50"] = quality(train(x, 50, 500)[0], test)
        result["after_500_every_1"] = quality(train(x, 1, 500)[0], test)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
