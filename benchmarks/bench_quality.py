"""What limits quality at each k: one dictionary trained in several ways, and three codes of the same images in it.

Everything is chosen and measured without the test images: trained on the first 50,000 training images, measured on the
last 10,000 (the pursuit on the first 1,000 of them). A row is kept as soon as it is there, so that the command goes on
where it was; at the end the figure is drawn. About 40 minutes on one core.

    python benchmarks/bench_quality.py --data-dir DIR [--out docs/quality.json] [--only figure]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sae_core import files
from sae_core.datasets import load_dataset
from sae_core.figures import style
from sae_core.measure import limits
from sae_core.measure.metrics import evaluate
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build
from sae_core.variants.iterated_topk import IteratedTopK, IteratedTopKConfig

KS = (10, 20, 50)
BASE: dict[str, int] = {"d_sae": 1024, "passes": 3, "epochs": 5}
WAYS: dict[str, dict[str, int]] = {
    "base": {},
    "one pass": {"passes": 1},
    "six passes": {"passes": 6},
    "four times as long": {"epochs": 20},
    "four times the latents": {"d_sae": 4096},
}
TRAINED, PURSUED = 50_000, 1000


def row(x: torch.Tensor, held: torch.Tensor, k: int, way: str) -> dict[str, Any]:
    """One training, and what is left of the variance."""
    how = BASE | WAYS[way]
    config = IteratedTopKConfig(d_sae=how["d_sae"], k=k, passes=how["passes"])
    sae = build("iterated_topk", config, seed=42)
    began = time.perf_counter()
    for _ in Training(sae, x, TrainOptions(**{**IteratedTopK.recipe, "epochs": how["epochs"]})):
        pass
    seconds = time.perf_counter() - began
    sae.eval().requires_grad_(False)
    found = evaluate(sae, held)
    ratios: dict[str, float] = {}
    if way == "base":
        of = limits.measure(sae, held[:PURSUED])
        ratios = {"refit": of.fvu_refit / of.fvu, "omp": of.fvu_omp / of.fvu}
    counts = {"in_use": found.in_use, "rare": found.rare, "dead": found.dead}
    return {"k": k, "way": way, **how, "fvu": found.fvu, **ratios, **counts, "seconds": round(seconds)}


def figure(rows: list[dict[str, Any]]) -> go.Figure:
    """Of each k: what is left by the base's code, and what each change leaves of that."""
    ks = sorted({r["k"] for r in rows})
    at = {(r["k"], r["way"]): r for r in rows}
    base = {k: at[k, "base"] for k in ks}
    changes = [
        ("values refitted", [base[k]["refit"] for k in ks]),
        ("OMP, same dictionary", [base[k]["omp"] for k in ks]),
    ]
    changes += [(way, [at[k, way]["fvu"] / base[k]["fvu"] for k in ks]) for way in WAYS if way != "base"]
    names = [f"k = {k}<br>FVU {base[k]['fvu']:.3f}" for k in ks]
    colours = [*style.COLOURS, style.GREY]
    made = go.Figure(
        [
            go.Bar(x=names, y=[100 * (v - 1) for v in values], name=name, marker_color=colours[i])
            for i, (name, values) in enumerate(changes)
        ]
    )
    subtitle = (
        f"change of the FVU of iterated_topk with {BASE['d_sae']:,} latents, {BASE['passes']} passes and "
        f"{BASE['epochs']} epochs, in %; trained on {TRAINED:,} training images of MNIST, measured on the other 10,000 "
        f"(refitting and OMP on 1,000 of them); seed 42, n = 10,000"
    )
    made.update_layout(style.styled("What limits quality", subtitle, 380, barmode="group", showlegend=True))
    made.update_layout(legend={"orientation": "h", "y": -0.18}, paper_bgcolor="white", plot_bgcolor="white")
    made.update_yaxes(style.axis_of("FVU against the base, %"))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "quality.json")
    parser.add_argument("--k", type=int, nargs="*", default=KS, help="of which k (default: 10 20 50)")
    parser.add_argument("--only", choices=("figure",), default=None, help="draw the figure of what is there")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = files.read_json(args.out) if args.out.is_file() else []
    if args.only is None:
        x = torch.tensor(load_dataset("mnist", "train", args.data_dir).x)
        for k in args.k:
            for way in WAYS:
                if not any((r["k"], r["way"]) == (k, way) for r in rows):
                    rows.append(row(x[:TRAINED], x[TRAINED:], k, way))
                    print(json.dumps(rows[-1]), flush=True)
                    files.write_json(args.out, rows)
    from sae_core.documents.export import write_pngs

    print(*write_pngs({"quality": figure(rows)}, args.out.parent), sep="\n")


if __name__ == "__main__":
    main()
