"""How many edits change the classifier's mind, against as many random ones, and edits of many images: one JSON line.

    python benchmarks/bench_mind.py [--sae topk-1024-k50] [--n 100] [--data-dir DIR]

n of MNIST's test images, each towards a random class that is not its own, by error-preserving edits whose sliders end
where the SAE's statistics over the training split do. success_rate: the classifier then says the class; median_edits:
of those, how many it took (0 where it was mistaken before). random_success_rate: the mean share of 100 trials with as
many random edits each, 10 where `change_mind` failed. seconds_per_image: of `change_mind` alone. many_1000_ms: one
feature scaled on the first 1000 test images at five strengths, the median of 5.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from sae_core.datasets import load_dataset
from sae_core.measure import features
from sae_core.steering.edits import Edit
from sae_core.steering.many import apply_to_many
from sae_core.steering.mind import change_mind, random_edits
from sae_core.store import catalogue
from sae_core.store.checkpoints import load, load_classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sae", default="topk-1024-k50", help="a checkpoint's name or folder")
    parser.add_argument("--classifier", default="classifier-256", help="the same, of the classifier")
    parser.add_argument("--n", type=int, default=100, help="test images")
    parser.add_argument("--data-dir", type=Path, default=None)
    args = parser.parse_args()
    sae, classifier = load(args.sae), load_classifier(args.classifier)
    folder, member = catalogue.find(args.sae)
    stats = features.read(folder, "mnist", "train", member or 0)
    test = load_dataset("mnist", "test", args.data_dir)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    success, edits, at_random, seconds = [], [], [], []
    for i in rng.choice(len(test), args.n, replace=False):
        x, target = torch.tensor(test.x[i]), int((test.labels[i] + rng.integers(1, 10)) % 10)
        start = time.perf_counter()
        found = change_mind(sae, classifier, x, target, stats=stats)
        seconds.append(time.perf_counter() - start)
        success.append(found.success)
        n = len(found.edits) if found.success else 10
        at_random.append(random_edits(sae, classifier, x, target, n, generator, stats=stats))
        edits += [n] if found.success else []
    often = int(np.argmax(stats.count))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        apply_to_many(sae, classifier, test.x[:1000], test.labels[:1000], {often: Edit("scale", 0.0)})
        times.append(time.perf_counter() - start)
    row = {
        "sae": args.sae,
        "n": args.n,
        "threads": torch.get_num_threads(),
        "success_rate": round(mean(success), 4),
        "median_edits": median(edits) if edits else None,
        "random_success_rate": round(mean(at_random), 4),
        "seconds_per_image": round(mean(seconds), 4),
        "many_1000_ms": round(1000 * median(times), 1),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
