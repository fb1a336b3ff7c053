"""Training by one and by two processes, and with very many latents: images a second, time a step, memory.

    python benchmarks/bench_ranks.py [--json] [--rounds 3] [--steps 20] [--wide-steps 4] [--wide 16384,131072]

**Ranks**: `topk`, d_in 784, k = 50: one process with as many threads as there are cores, one with a single thread, and
two by gloo with half of the cores each, in turns on this machine; of each round the fastest step, and the median of the
rounds. A batch is the whole one, which two ranks share. What they send, the gradients of both matrices, does not depend
on the batch, so a small and a large one are timed. Run it on a quiet machine: threads that wait for each other lose
most to what else runs.

**Wide**: some steps with very many latents in one process: the fastest, and the most memory that the process had, less
what it had before. What would take more than 60 % of the free memory is left out, and said. The rows are random: how
long a step takes does not depend on what is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sae_core.models.alone import Alone
from sae_core.training.loop import Training, TrainOptions
from sae_core.training.ranks import joined
from sae_core.variants import build
from sae_core.variants.topk import TopKConfig

D_IN, K = 784, 50
RANKS = [(1_024, 256), (1_024, 4_096), (16_384, 256), (16_384, 4_096)]
"""(d_sae, batch)"""
SHARE = 0.6
"""of the free memory that is used at most"""


def prepared(d_sae: int, batch: int, ranks: Alone) -> Training:
    """A training that logs at each step, and is never done."""
    x = torch.rand(2 * batch, D_IN, generator=torch.Generator().manual_seed(0))
    opts = TrainOptions(epochs=10_000, batch_size=batch, lr=1e-3, revival="none")
    return Training(build("topk", TopKConfig(d_in=D_IN, d_sae=d_sae, k=K)), x, opts, log_every=1, ranks=ranks)


def timed(training: Training, steps: int) -> list[float]:
    """Seconds of each step."""
    found = []
    for _ in range(steps):
        began = time.perf_counter()
        next(training)
        found.append(time.perf_counter() - began)
    return found


def memory(what: str) -> float:
    """MiB that this process has ("VmRSS") or had at most ("VmHWM"); NaN where the system does not say so."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def free() -> float:
    """MiB that are free on this machine; NaN where the system does not say so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable"))


def asked(of: list[str], ranks: int, threads: int) -> dict[str, Any]:
    """What the first of so many processes of this program says."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
    started = [
        subprocess.Popen(
            [sys.executable, __file__, *of],
            env={**env, "MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        said = [process.communicate(timeout=1800)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    if any(process.returncode for process in started):
        raise SystemExit(f"{of} by {ranks} ended with {[process.returncode for process in started]}")
    return dict(json.loads(said[0]))


def one(d_sae: int, batch: int, steps: int) -> None:
    """What is asked of one process: what a step takes it, alone or as one of several."""
    before = memory("VmRSS")
    with joined("cpu") as ranks:
        training = prepared(d_sae, batch, ranks)
        timed(training, 1)  # the first makes Adam's memory
        seconds = min(timed(training, steps))
        if ranks.first:
            print(json.dumps({"seconds": seconds, "mib": round(memory("VmHWM") - before)}), flush=True)
    os._exit(0)  # as the command does: the ranks' threads may still hold a tensor


def needed(d_sae: int, batch: int) -> float:
    """MiB that a training takes at most: weights, gradients and Adam's two moments of both matrices, as much again
    while gradients are made, and a batch's pre-activations three times."""
    return 4 * (16 * D_IN * d_sae + 3 * batch * d_sae) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON, and nothing else, on stdout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="timed steps a round")
    parser.add_argument("--wide-steps", type=int, default=4)
    parser.add_argument("--wide", default="16384,131072", help="numbers of latents, empty for none")
    parser.add_argument("--one", nargs=3, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return one(*args.one)
    cores = os.cpu_count() or 1
    rows: list[dict[str, Any]] = []
    ways = {"1": (1, cores), "1_one_thread": (1, 1), "2": (2, max(1, cores // 2))}
    for d_sae, batch in RANKS:
        found: dict[str, list[float]] = {way: [] for way in ways}
        steps = args.steps if d_sae * batch < 5e6 else max(2, args.steps // 5)
        for _ in range(args.rounds):
            for way, (ranks, threads) in ways.items():
                said = asked(["--one", str(d_sae), str(batch), str(steps)], ranks, threads)
                found[way].append(batch / said["seconds"])
        rate = {way: statistics.median(found[way]) for way in ways}
        row: dict[str, Any] = {
            "d_sae": d_sae,
            "batch": batch,
            **{f"images_per_s_{way}": round(rate[way]) for way in ways},
        }
        row |= {
            "ratio": round(rate["2"] / rate["1"], 2),
            "ratio_one_thread": round(rate["2"] / rate["1_one_thread"], 2),
        }
        rows.append(row | {"mb_summed_per_step": round(8 * D_IN * d_sae / 1e6, 1)})
        print(f"{rows[-1]}", file=sys.stderr)
    wide: list[dict[str, Any]] = []
    for d_sae in map(int, filter(None, args.wide.split(","))):
        batch, there = 256, free()
        if needed(d_sae, batch) > SHARE * there:
            print(
                f"{d_sae:,} latents would take {needed(d_sae, batch):,.0f} MiB of {there:,.0f}: left out",
                file=sys.stderr,
            )
            continue
        step = asked(["--one", str(d_sae), str(batch), str(args.wide_steps)], 1, cores)
        wide.append({"d_sae": d_sae, "batch": batch, "s_per_step": round(step["seconds"], 3), "mib": step["mib"]})
        print(f"{wide[-1]}", file=sys.stderr)
    if args.json:
        print(json.dumps({"cores": cores, "ranks": rows, "wide": wide}))


if __name__ == "__main__":
    main()
