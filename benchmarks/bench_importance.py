"""Importance of every latent in closed form against setting each to 0 and decoding again: one JSON line.

    python benchmarks/bench_importance.py [--sae topk-1024-k50] [--n 1000] [--data-dir DIR]

On the first n MNIST test images: closed_ms and loop_ms are the time of each way (closed_ms the median of 5, without
reading the code, which both need), largest_relative_difference is over the latents' mean increases, where the loop
says more than a thousandth of the largest of them (below that float32 decides it: the loop takes two errors apart).
peak_mb: by how much memory grows at most while `importance` runs over the 60,000 training images; null where the
system does not say.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
from sae_core.datasets import load_dataset
from sae_core.measure.importance import ablation, importance
from sae_core.models.sae import SAE
from sae_core.store.checkpoints import load


def loop(sae: SAE, h: Tensor, acts: Tensor) -> np.ndarray:
    """[d_sae] mean increase of the squared error: one latent of all images at a time, so that it fits memory."""
    before = (sae.decode(acts) - h).pow(2).mean(dtype=torch.float64)
    added = np.zeros(acts.shape[1])
    for f in range(acts.shape[1]):
        without = acts.clone()
        without[:, f] = 0
        added[f] = (sae.decode(without) - h).pow(2).mean(dtype=torch.float64) - before
    return added


def memory_mb(field: str) -> float:
    """A field of the process's memory, such as VmHWM: its peak. OSError or StopIteration where there is none."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def peak_mb(sae: SAE, pictures: np.ndarray, labels: np.ndarray) -> float | None:
    """By how many MB memory exceeds, at most, what it is before importance is measured over all pictures."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = memory_mb("VmRSS")
        importance(sae, pictures, labels)
        return round(memory_mb("VmHWM") - before, 1)
    except (OSError, StopIteration):
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sae", default="topk-1024-k50", help="a checkpoint's name or folder")
    parser.add_argument("--n", type=int, default=1000, help="test images")
    parser.add_argument("--data-dir", type=Path, default=None)
    args = parser.parse_args()
    sae = load(args.sae)
    train, test = (load_dataset("mnist", split, args.data_dir) for split in ("train", "test"))
    with torch.no_grad():
        h = sae.read(torch.tensor(test.x[: args.n]))
        acts = sae(h).acts
        times = []
        for _ in range(5):
            start = time.perf_counter()
            closed = ablation(acts, sae.decode(acts) - h, sae.W_dec).mean(0, dtype=torch.float64).numpy()
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        slow = loop(sae, h, acts)
        seconds = time.perf_counter() - start
    clear = np.abs(slow) > 1e-3 * np.abs(slow).max()
    row = {
        "n": len(h),
        "closed_ms": round(1000 * median(times), 2),
        "loop_ms": round(1000 * seconds, 1),
        "ratio": round(seconds / median(times)),
        "largest_relative_difference": float(f"{np.abs(closed[clear] / slow[clear] - 1).max():.2g}"),
        "peak_mb": peak_mb(sae, train.x, train.labels),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
