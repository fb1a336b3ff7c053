"""Every number of every metrics.json follows from the weights: recomputed by the formulas of `tests/plain.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests import plain

ROOT = Path(__file__).parent.parent
MODELS = sorted(p.name for p in (ROOT / "checkpoints").iterdir() if (p / "metrics.json").is_file())
SAES = [name for name in MODELS if "d_sae" in json.loads((ROOT / "checkpoints" / name / "cfg.json").read_text())]
WHOLE = ("dead", "rare", "in_use", "n")
CLOSE = 3e-6
"""of what float32 sums in another order may differ by; five digits of a number are its own"""


def stored(name: str) -> dict[str, dict[str, float]]:
    """Its metrics by split, without what is said of its readability."""
    found = json.loads((ROOT / "checkpoints" / name / "metrics.json").read_text())
    found.pop("readability", None)
    return dict(found)


def readable(name: str) -> dict[str, dict[str, float | None]]:
    return dict(json.loads((ROOT / "checkpoints" / name / "metrics.json").read_text())["readability"])


def compare(found: dict[str, float], said: dict[str, float], where: str) -> None:
    assert list(found) == list(said), where
    for key, value in found.items():
        close = value if key in WHOLE else pytest.approx(value, rel=CLOSE, abs=1e-9)
        assert said[key] == close, f"{where}: {key} is {value}, metrics.json says {said[key]}"


def looked_at(name: str, where: str, folder: Path) -> plain.Pictures:
    """What a model reads of a split: the pixels, or the hidden layer."""
    split = where.partition("/")[2]
    if "exp3" in name:
        return plain.layer_of("digits" if where == "digits/test" else split, folder)
    return plain.digits() if where == "digits/test" else plain.mnist(split, folder)


@pytest.mark.parametrize("name", SAES)
@pytest.mark.slow
def test_an_saes_metrics_are_those_of_its_weights(name: str, mnist_dir: Path) -> None:
    said = stored(name)
    members = 5 if "ensemble" in name else 1
    splits = ("mnist/train", "mnist/test", "digits/test")
    assert list(said) == [f"{s}#{i}" if i else s for s in splits for i in range(members)]
    for key, metrics in said.items():
        where, _, member = key.partition("#")
        if where == "mnist/test":
            found = plain.tested(name, int(member or 0), mnist_dir)
        else:
            found = plain.measured(plain.model(name, int(member or 0)), looked_at(name, where, mnist_dir))
        compare(found.metrics, metrics, f"{name}, {key}")
        if where == "mnist/train":
            tail = f"-member{member}" if member else ""
            stats = load_file(ROOT / f"checkpoints/{name}/features-mnist-train{tail}.safetensors")
            # What pages show of each feature. Two latents of one image may be equal but for rounding: one image.
            assert np.abs(stats["count"] - found.count).max() <= 1, f"{name}, {key}"


@pytest.mark.parametrize("name", SAES)
@pytest.mark.slow
def test_how_readable_an_sae_is_follows_from_its_weights(name: str, mnist_dir: Path) -> None:
    said = readable(name)
    assert list(said) == [f"mnist/test#{i}" if i else "mnist/test" for i in range(5 if "ensemble" in name else 1)]
    for member, (where, kept) in enumerate(said.items()):
        found, own = plain.tested(name, member, mnist_dir), plain.model(name, member)
        used = found.count >= 30
        rows = {"enc": own.W_enc.T.numpy()[used], "dec": own.W_dec.numpy()[used]}
        wanted: dict[str, float | None] = {key: found.metrics[key] for key in ("in_use", "rare", "dead")}
        wanted |= {f"smooth_{w}": None if "exp3" in name else plain.smoothness(r).mean() for w, r in rows.items()}
        wanted |= {f"local_{w}": None if "exp3" in name else plain.locality(r).mean() for w, r in rows.items()}
        wanted["purity"] = (found.by_class[used].max(1) / found.count[used]).mean()
        wanted["purity_chance"] = 0.1135  # 1,135 of MNIST's test images are ones
        wanted["n"] = 10_000
        assert list(kept) == list(wanted), where
        one_image = 1 / (30 * used.sum())  # of a rare tie between two latents: what that may change of the purity
        for key, value in wanted.items():
            by = one_image if key == "purity" else None
            close = value if value is None or key in WHOLE else pytest.approx(value, rel=CLOSE, abs=by)
            assert kept[key] == close, f"{where}: {key} is {value}, metrics.json says {kept[key]}"


@pytest.mark.parametrize("name", [n for n in MODELS if n not in SAES])
def test_a_networks_metrics_are_those_of_its_weights(name: str, mnist_dir: Path) -> None:
    said, own = stored(name), plain.config(name)
    scrambled = bool(own["options"]["scrambled"])  # type: ignore[index]
    for where in said:
        pictures = plain.digits() if where == "digits/test" else plain.mnist(where.partition("/")[2], mnist_dir)
        x, labels = plain.with_scrambled(pictures) if scrambled else (pictures.x, pictures.labels)
        values = torch.cat([_of_each(name, *part) for part in plain.parts(x, labels)]).double()
        digits, what = values[labels != plain.SCRAMBLED], "mse" if "generator" in name else "accuracy"
        compare({what: float(values.mean()), f"{what}_digits": float(digits.mean()), "n": len(x)}, said[where], where)


def _of_each(name: str, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if "generator" in name:
        return (plain.picture(plain.hidden(x)) - x).square().mean(1)
    return (plain.logits(name, x).argmax(1) == labels).float()


def test_what_is_measured_is_within_its_bounds() -> None:
    """Without MNIST too: what metrics.json says fits together."""
    for name in SAES:
        d_sae = json.loads((ROOT / f"checkpoints/{name}/cfg.json").read_text())["d_sae"]
        for where, m in stored(name).items():
            assert m["dead"] + m["rare"] + m["in_use"] == d_sae, (name, where)
            assert all(isinstance(m[key], int) for key in WHOLE), (name, where)
            assert 0 < m["fvu"] < 0.4 and 0.85 < m["pearson"] < 1, (name, where)
        for where, r in readable(name).items():
            assert [r[key] for key in WHOLE] == [stored(name)[where][key] for key in WHOLE], (name, where)


@pytest.mark.case(21)
@pytest.mark.parametrize("name", SAES)
def test_a_bundled_models_curve_ends_where_its_metrics_are(name: str) -> None:
    """But for rounding the weights to float16, which comes between the two."""
    lines = (ROOT / "checkpoints" / name / "history.jsonl").read_text().splitlines()
    last = [line["measured"] for line in map(json.loads, lines) if "measured" in line][-1]
    for where in (w for w in last if w.startswith("mnist/test")):
        for key, by in (("l0", 0.05), ("fvu", 1e-3), ("pearson", 1e-3)):
            assert last[where][key] == pytest.approx(stored(name)[where][key], abs=by), (where, key)
