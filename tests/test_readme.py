"""What the README prints of the bundled models is what their files say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sae_core import files

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
MODELS = sorted(p.name for p in (ROOT / "checkpoints").iterdir() if (p / "metrics.json").is_file())
SAES = {
    "pearson": ".3f",
    "fvu": ".3f",
    "l0": ".0f",
    "in_use": ",.0f",
    "rare": ",.0f",
    "dead": ",.0f",
    "smooth_dec": ".2f",
}
NETWORKS = {"accuracy_digits": ".4f", "mse_digits": ".4f"}


def metrics(model: str, split: str) -> list[dict[str, float]]:
    """What metrics.json says of a split, of each member; what it does not say of one is left out."""
    found = files.read_json(ROOT / "checkpoints" / model / "metrics.json")
    readable = found.pop("readability", {})
    merged = {key: {**m, **readable.get(key, {})} for key, m in found.items() if key.partition("#")[0] == split}
    return [{name: value for name, value in m.items() if value is not None} for m in merged.values()]


def cell(values: list[float], form: str) -> str:
    """One number, or the least and the most of several; five decimals where three are all 0."""
    said = [f"{v:.5f}" if 0 < v < 0.0005 else f"{v:{form}}" for v in (min(values), max(values))]
    return said[0] if said[0] == said[1] else "–".join(said)


def row(model: str) -> str:
    """The cells of numbers that the README has to print."""
    measured = metrics(model, "mnist/test")
    columns = SAES if "pearson" in measured[0] else NETWORKS
    cells = [cell([m[key] for m in measured], form) if key in measured[0] else "" for key, form in columns.items()]
    return " | ".join(cells)


@pytest.mark.parametrize("model", MODELS)
def test_the_readme_prints_the_numbers_of_the_test_images(model: str) -> None:
    (printed,) = re.findall(rf"^\| `{re.escape(model)}` \| [^|]+ \| (.*) \|$", README, re.M)
    assert re.sub(" +", " ", printed).strip() == row(model).strip()
    assert all(m["n"] == 10_000 for m in metrics(model, "mnist/test") if "pearson" in m)


def test_what_stands_above_and_below_the_tables() -> None:
    heads = [line for line in README.splitlines() if line.startswith("| model |")]
    assert heads == [
        "| model | what | Pearson | FVU | L0 | in use | rare | dead | smooth |",
        "| model | what | accuracy | MSE per pixel |",
    ]
    assert "measured on MNIST's test images, n = 10,000:" in README
    said = re.findall(r"(\d+) of `([\w-]+)`", README.split("fewer are dead:")[1].split("`evaluate`")[0])
    assert len(said) == 2
    for dead, model in said:
        assert metrics(model, "mnist/train")[0]["dead"] == int(dead)
    (embedded,) = re.findall(r"(0\.\d+) on the embedded digits", README)
    assert embedded == f"{metrics('classifier-256', 'digits/test')[0]['accuracy']:.3f}"
    (scrambled,) = re.findall(r"\((0\.\d+) with as many of those\)", README)
    (both,) = metrics("exp3-classifier", "mnist/test")
    assert (scrambled, both["n"]) == (f"{both['accuracy']:.3f}", 20_000)


def test_what_the_readme_says_of_the_reports() -> None:
    intro, ensemble = (files.read_json(ROOT / "results" / name / "report.json") for name in ("intro", "ensemble"))
    (fewest_most,) = (c["documented"] for c in intro["claims"] if c["what"].endswith("fewest and most"))
    assert f"as many as an image needs ({fewest_most[0]} to {fewest_most[1]})" in README
    counts, _ = files.read_tensors(ROOT / "results" / "intro" / "arrays.safetensors")
    there = np.flatnonzero(counts["l0_of_images"])
    assert fewest_most == [there.min(), there.max()]
    (seconds,) = re.findall(r"trains all five epochs and members in (\d+) s there", README)
    assert int(seconds) == round(ensemble["info"]["trained_in_s"]["ensemble-tied-topk-1024-k50"])
