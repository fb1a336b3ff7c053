"""Every number of results/ follows from the bundled weights and MNIST, by the formulas here and in `tests/plain.py`.

What is not recomputed is in `TRAINED` and `MAPS`, by name and with its reason; a number that is in none of the tables
fails `test_every_number_has_its_formula`.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig
from tests import plain

ROOT = Path(__file__).parent.parent
ENSEMBLE, RELU, BATCH = "ensemble-tied-topk-1024-k50", "relu-l1-1024", "batch-topk-1024-k50"
RHOS = ("0.1", "0.999")

TRAINED = {
    "ensemble": {
        "consistency": "four trainings of 500 steps whose weights are not kept",
        "revival": "two trainings of one member whose weights are not kept",
    },
    "intro": {
        "decoder_norms_free": "a training with free decoder rows, not kept",
        "rows_dense": "a training without L1, not kept",
        "curve_relu_l1": "two of its three points are trainings that are not kept",
        "curve_batch_topk": "two of its three points are trainings that are not kept",
    },
    "experiment3": {},
}
"""arrays that only a long training can give; of the curves by epoch the history beside the weights is held to them"""
MAPS = ("tsne_", "map_", "honest_map_", "union_map_", "union_honest_map_")
"""t-SNE maps: 1,000 steps from a random start. What is near in them has to be near in the rows they are made of"""
Arrays = dict[str, Any]


@cache
def report(name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "results" / name / "report.json").read_text()))


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    return load_file(ROOT / "results" / name / "arrays.safetensors")


def history(name: str) -> list[dict[str, Any]]:
    """The lines at the ends of epochs."""
    lines = (ROOT / "checkpoints" / name / "history.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "measured" in line]


def close(found: Any, said: Any, what: str, rtol: float = 1e-5, atol: float = 2e-7) -> None:
    """What is kept is float32; the sums behind it differ by up to 2e-6 of it between this way and the program's."""
    found, said = np.asarray(found), np.asarray(said)
    assert found.shape == said.shape, what
    if np.issubdtype(said.dtype, np.integer):
        assert found.tolist() == said.tolist(), what
    else:
        np.testing.assert_allclose(said.astype(float), found.astype(float), rtol, atol, err_msg=what)


def by_digit(each: np.ndarray, labels: torch.Tensor) -> np.ndarray:
    return np.array([each[labels.numpy() == c].mean() for c in range(10)])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


# ---- documents 000 to 002


def mmcs(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """By matching (one to one, of the largest sum), and by each row's best partner, both ways."""
    cosine = plain.cosines(a, b)
    rows, columns = linear_sum_assignment(cosine, maximize=True)
    return float(cosine[rows, columns].mean()), float(cosine.max(1).mean() + cosine.max(0).mean()) / 2


@cache
def ensemble(folder: Path) -> Arrays:
    test, train = plain.mnist("test", folder), plain.mnist("train", folder)
    members = [plain.model(ENSEMBLE, i) for i in range(5)]
    fresh = build("tied_topk", TiedTopKConfig(members=5), seed=42)
    W, b = fresh.W_enc.detach(), fresh.b_enc.detach()
    untrained = [plain.Model("tied_topk", W[i], b[i], (W[i] / W[i].norm(dim=0)).T.half().float().contiguous(),
                             torch.zeros(784)) for i in range(5)]  # fmt: skip
    first = [plain.measured(m, test).metrics for m in untrained]
    pairs = list(combinations(range(5), 2))
    acts = members[0].code(test.x[:1000]).double().numpy()
    rows = members[0].W_enc.T.numpy()
    cosine = plain.cosines(rows, rows)
    np.fill_diagonal(cosine, -np.inf)
    one_hot = torch.nn.functional.one_hot(train.labels, 10).float()
    rates = torch.zeros(1024, 10, dtype=torch.float64)
    sums = torch.zeros(1024, 10, dtype=torch.float64)
    for x, classes in plain.parts(train.x, one_hot):
        code = members[0].code(x)
        rates += (code != 0).float().T @ classes
        sums += code.T @ classes
    class_n = one_hot.sum(0).double()
    lines = history(ENSEMBLE)
    keys = [f"#{i}" if i else "" for i in range(5)]
    ranks = {"norm": np.linalg.norm(rows, axis=1), "variance": rows.var(1), "largest": np.abs(rows).max(1)}
    active = (acts != 0).sum(0)
    tails = ["", *(f"-member{i}" for i in range(1, 5))]  # tests/test_numbers.py holds these to the weights
    stats = [load_file(ROOT / f"checkpoints/{ENSEMBLE}/features-mnist-train{t}.safetensors") for t in tails]
    return {
        "ever_active": np.stack([s["count"] > 0 for s in stats]),
        "initial_mse": [m["mse"] for m in first],
        "initial_pearson": [m["pearson"] for m in first],
        "pairs": pairs,
        "mmcs_before": np.transpose([mmcs(untrained[i].W_dec.numpy(), untrained[j].W_dec.numpy()) for i, j in pairs]),
        "mmcs_after": np.transpose([mmcs(members[i].W_dec.numpy(), members[j].W_dec.numpy()) for i, j in pairs]),
        "use_frequency": active / 1000,
        "use_mean_active": acts.sum(0) / np.maximum(active, 1),
        "use_mean_all": acts.mean(0),
        "pearson_by_digit": by_digit(plain.tested(ENSEMBLE, 0, folder).pearson, test.labels),
        "locality": plain.locality(rows),
        "nearest_cosine": cosine.max(1),
        "frequency": (rates.sum(1) / len(train.x)).numpy(),
        "class_rates": (rates / class_n).numpy(),
        "class_means": (sums / class_n).numpy(),
        **{f"pearson_{s}": [[line["measured"][f"mnist/{s}{k}"]["pearson"] for k in keys] for line in lines]
           for s in ("test", "train")},
        **{f"tsne_{by}_features": np.argsort(-rank.astype(float), kind="stable")[:500] for by, rank in ranks.items()},
    }  # fmt: skip


# ---- document 003


@cache
def intro(folder: Path) -> Arrays:
    test = plain.mnist("test", folder)
    l0 = plain.tested(BATCH, 0, folder).l0
    relu = plain.model(RELU)
    lengths = relu.W_dec.norm(dim=1).numpy()
    longest = np.argsort(-np.linalg.norm(relu.W_dec.numpy(), axis=1), kind="stable")[:100]
    return {
        "decoder_norms_held": lengths,
        "l0_of_images": np.bincount(l0),
        "l0_by_digit": by_digit(l0, test.labels),
        "rows_sparse": relu.W_dec.numpy()[longest],
    }


# ---- document 004


def penalty(m: np.ndarray, rho: float) -> np.ndarray:
    """1e-4 · KL(ρ ‖ m), m clamped to [1e-7, 1 − 1e-7]"""
    m = np.clip(m, 1e-7, 1 - 1e-7)
    return 1e-4 * (rho * np.log(rho / m) + (1 - rho) * np.log((1 - rho) / (1 - m)))


@cache
def training_layer(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden layer of the training images, then of a scrambled copy of each in batches of 1,000 from seed 42."""
    train, generator = plain.mnist("train", folder), torch.Generator().manual_seed(42)
    mixed = [plain.hidden(plain.scramble(part, generator)) for part in train.x.split(1000)]
    labels = torch.cat([train.labels, torch.full_like(train.labels, plain.SCRAMBLED)])
    return torch.cat([plain.hidden(train.x), *mixed]), labels


def correlations(a: np.ndarray, b: np.ndarray, bias: np.ndarray, bias_picture: np.ndarray) -> list[float]:
    """Of the cosine distances of rows and of their pictures: whole matrices; each pair once; less what all share."""

    def apart(rows: np.ndarray) -> np.ndarray:
        found = 1 - plain.cosines(rows, rows)
        np.fill_diagonal(found, 0)
        return found

    upper = np.triu_indices(len(a), 1)
    found = [(apart(a).ravel(), apart(b).ravel()), (apart(a)[upper], apart(b)[upper])]
    found.append((apart(a - bias)[upper], apart(b - bias_picture)[upper]))
    return [float(np.corrcoef(p, q)[0, 1]) for p, q in found]


def painted(h: np.ndarray) -> np.ndarray:
    return np.asarray(plain.picture(torch.tensor(h, dtype=torch.float32)).numpy())


@cache
def layer_analysis(rho: str, folder: Path) -> Arrays:
    name, target = f"exp3-kl-98-rho{rho}", float(rho)
    sae = plain.model(name)
    h, labels = training_layer(folder)
    one_hot = torch.nn.functional.one_hot(labels, 11).double()
    sums, acted = (torch.zeros(11, 98, dtype=torch.float64) for _ in range(2))
    single = torch.zeros(11, dtype=torch.float64)
    for x, classes in plain.parts(h, one_hot):
        a = sae.code(x).double()
        e = sae.decode(a.float()).double() - x
        # ‖e − a_f d_f‖² − ‖e‖² over the 49 inputs
        without = a**2 * sae.W_dec.double().square().sum(1) - 2 * a * (e @ sae.W_dec.double().T)
        sums += classes.T @ (without / 49)
        acted += classes.T @ a
        single += classes.T @ torch.tensor(penalty(a.mean(1).numpy(), target))
    n = one_hot.sum(0)
    increase = torch.cat([sums / n[:, None], sums.sum(0)[None] / len(h)]).numpy()
    means = torch.cat([acted / n[:, None], acted.sum(0)[None] / len(h)]).numpy()
    p = penalty(means, target)
    # MSE without f + Σ penalty with m_f = 0, less the baseline; the MSE itself is in both
    baseline = np.concatenate([(single / n).numpy(), p[-1:].sum(1)])
    raised = increase + p.sum(1)[:, None] - p + penalty(np.zeros(1), target) - baseline[:, None]
    found: Arrays = {
        "increase": increase,
        "mean_acts": means,
        "share": increase / increase.sum(1, keepdims=True),
        "notebook": raised / raised.sum(1, keepdims=True),
        "n": [*n.long().tolist(), len(h)],
        "counts": [1, 2, 3, 5, 10, 20, 30, 50, 98],
    }
    W, b = sae.W_dec.double().numpy(), sae.b_dec.double().numpy()
    found["alone_hidden"] = b + means[-1][:, None] * W
    found["alone_pictures"] = painted(found["alone_hidden"])
    for reading, by in (("closed", increase), ("notebook", found["notebook"])):
        tops = np.argsort(-by, axis=1, kind="stable")[:, :30]
        first3: dict[int, None] = dict.fromkeys(tops[:, :3].ravel().tolist())
        both = [[len(set(p) & set(q)) / 30 for q in tops[:11].tolist()] for p in tops[:11].tolist()]
        found |= {f"tops_{reading}": tops, f"union_{reading}": list(first3), f"overlap_{reading}": both}
    lists = np.bincount(found["tops_closed"][:11].ravel(), minlength=98)
    order = np.argsort(-lists, kind="stable")
    found |= {"lists": lists, "shared": [f for f in order.tolist() if lists[f] >= 5.5]}
    space = found["alone_hidden"], found["alone_pictures"]
    some = found["union_notebook"]
    shared = b, painted(b[None])[0]
    found["correlations_all"] = correlations(*space, *shared)
    found["correlations_union"] = correlations(space[0][some], space[1][some], *shared)
    found["verdicts"] = [
        _verdict(found[tops], means, W, b, own)
        for tops, own in (("tops_notebook", False), ("tops_closed", False), ("tops_closed", True))
    ]
    found["kept_accuracy"] = _kept(sae, increase, folder)
    found["distinctive"] = [[f for f in top if lists[f] == 1] for top in found["tops_closed"][:11].tolist()]
    return found  # fmt: skip


def _verdict(tops: np.ndarray, means: np.ndarray, W: np.ndarray, b: np.ndarray, own: bool) -> np.ndarray:
    """What the classifier says of each class's picture from its top features: averaged over its own images, or all."""
    h = [b + means[c if own else -1][tops[c]] @ W[tops[c]] for c in range(11)]
    pictures = plain.picture(torch.tensor(np.stack(h), dtype=torch.float32))
    return np.asarray(plain.logits("exp3-classifier", pictures).softmax(1).numpy())


def _kept(sae: plain.Model, increase: np.ndarray, folder: Path) -> np.ndarray:
    """Share of test images read right from their class's first features, in the hidden layer and as a picture."""
    x, labels = plain.with_scrambled(plain.mnist("test", folder))
    place = torch.tensor(np.argsort(np.argsort(-increase[:11], axis=1, kind="stable"), axis=1))
    w, right = plain.weights("exp3-classifier"), np.zeros((2, 9, 11))
    for part, label in plain.parts(x, labels):
        acts = sae.code(plain.hidden(part))
        for j, count in enumerate((1, 2, 3, 5, 10, 20, 30, 50, 98)):
            h = sae.decode(acts * (place[label] < count))
            for i, logits in enumerate(
                (h @ w["W_out"] + w["b_out"], plain.logits("exp3-classifier", plain.picture(h)))
            ):
                right[i, j] += np.bincount(label[logits.argmax(1) == label], minlength=11)
    return right / np.bincount(labels, minlength=11)


@cache
def units(folder: Path) -> Arrays:
    """What the 49 neurons and the 98 features respond to on the test images and a scrambled copy of each."""
    x, labels = plain.with_scrambled(plain.mnist("test", folder))
    h = plain.hidden(x)
    found: Arrays = {}
    kinds = {"neurons": h} | {f"rho{rho}": plain.model(f"exp3-kl-98-rho{rho}").code(h) for rho in RHOS}
    for kind, acts in kinds.items():
        top = float(acts.max())
        values = acts.numpy()
        edges = np.linspace(0, top, 41)
        counts = [np.histogram(column[column != 0], edges)[0] for column in values.T]
        found |= {
            f"units/{kind}/classes": np.stack([values[labels.numpy() == c].mean(0) for c in range(11)], 1),
            f"units/{kind}/top": [top],
            f"units/{kind}/histogram": np.concatenate([(values == 0).sum(0)[:, None], np.stack(counts)], 1) / len(x),
        }
    return found


@cache
def experiment3(folder: Path) -> Arrays:
    lines = {name: history(f"exp3-{name}") for name in ("classifier", "generator", *(f"kl-98-rho{r}" for r in RHOS))}
    found: Arrays = {
        key: [line["measured"]["mnist/test"][key] for line in lines["classifier"]]
        for key in ("accuracy", "accuracy_digits")
    }
    found["loss_phase3"] = [line["validation"]["mnist/test"] for line in lines["generator"]]
    for rho in RHOS:
        found[f"loss_rho{rho}"] = [line["validation"]["mnist/test"] for line in lines[f"kl-98-rho{rho}"]]
        of = {k: v for k, v in layer_analysis(rho, folder).items() if k != "distinctive"}
        found |= {f"rho{rho}/{key}": value for key, value in of.items()}
    return found | units(folder)


FOUND = {"ensemble": ensemble, "intro": intro, "experiment3": experiment3}


COUNTED = {
    "histogram": 1e-4,
    "frequency": 4e-5,
    "class_rates": 2e-4,
    "class_means": 1e-4,
    "correlations": 4e-5,
}
"""What a processor that sums in another order may find otherwise: a value on the edge of a histogram's bin falls into
the next one (one image of 20,000), the last two of an image's largest activations change places (two images of 60,000,
one of a class of 5,421), two features of nearly the same mean change ranks"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_the_arrays_of_a_report_are_those_of_the_weights(name: str, mnist_dir: Path) -> None:
    for key, value in FOUND[name](mnist_dir).items():
        half = arrays(name)[key].dtype == np.float16
        loose = next((by for what, by in COUNTED.items() if what in key), 2e-7)
        # float16 rounds by up to 2⁻¹¹ of a number.
        close(value, arrays(name)[key], f"{name}: {key}", 1.2 * 2**-11 if half else 1e-5, loose)


@pytest.mark.parametrize("name", FOUND)
def test_every_number_has_its_formula(name: str, mnist_dir: Path) -> None:
    left = set(arrays(name)) - set(FOUND[name](mnist_dir)) - set(TRAINED[name])
    assert {key for key in left if not key.rpartition("/")[2].startswith(MAPS)} == set()


@pytest.mark.slow
def test_the_numbers_of_the_claims_are_those_of_the_weights(mnist_dir: Path) -> None:
    """Those that are no array: from the metrics, which tests/test_numbers.py holds to the weights, and from arrays."""
    said = {name: {c["what"]: c for c in report(name)["claims"]} for name in FOUND}
    metrics = [json.loads((ROOT / f"checkpoints/{n}/metrics.json").read_text()) for n in (ENSEMBLE, RELU, BATCH)]
    of = [metrics[0][f"mnist/test#{i}" if i else "mnist/test"] for i in range(5)]
    first = said["ensemble"]["MSE per pixel of the mean image, called the “theoretical minimum”"]
    test, train = (plain.mnist(split, mnist_dir).x for split in ("test", "train"))
    mean = train.double().mean(0)
    close((test.double() - mean).square().mean(), first["documented"], "mean image")
    close(np.mean([m["mse"] for m in of]), first["ours"], "mse of members")
    close([m["pearson"] for m in of], said["ensemble"]["Pearson after training"]["documented"], "pearson")
    e = ensemble(mnist_dir)
    close(np.mean(e["pearson_test"][0]), said["ensemble"]["Pearson at the start (“~0.94”)"]["documented"], "one epoch")
    close(np.mean(e["initial_pearson"]), said["ensemble"]["Pearson at the start (“~0.94”)"]["ours"], "untrained")
    for j, how in enumerate(("matching", "row-max")):
        claim = said["ensemble"][f"MMCS between members, {how}, mean of the 10 pairs"]
        close([e["mmcs_after"][j].mean(), e["mmcs_before"][j].mean()], [claim["documented"], claim["ours"]], how)
    alive, used = e["ever_active"][0], e["use_frequency"] > 0
    local = said["ensemble"]["features are local: share of a row's energy in its best 10×10 window, median"]
    close([np.median(e["locality"]), np.median(e["locality"][used])], [local["documented"], local["ours"]], "local")
    rank = next(c for what, c in said["ensemble"].items() if what.startswith("strength correlates"))
    close(spearman(e["use_frequency"][used], e["use_mean_all"][used]), rank["documented"], "over all")
    close(spearman(e["use_frequency"][used], e["use_mean_active"][used]), rank["ours"], "when active")
    digits = next(c for what, c in said["ensemble"].items() if what.startswith("equal quality"))
    close(e["pearson_by_digit"], digits["documented"], "by digit")
    close(np.ptp(e["pearson_by_digit"]), digits["ours"], "best and worst digit")
    gap = next(c for what, c in said["ensemble"].items() if what.startswith("no overfitting"))
    last = np.asarray(e["pearson_train"][-1]) - np.asarray(e["pearson_test"][-1])
    close(last.mean(), gap["documented"], "overfitting")
    assert alive.sum() == 439
    fair = next(c for what, c in said["intro"].items() if what.startswith("FVU of ReLU + L1"))
    close([m["mnist/test"]["fvu"] for m in metrics[1:]], [fair["documented"], fair["ours"]], "fvu")
    found = experiment3(mnist_dir)
    for rho in RHOS:
        off = ~np.eye(11, dtype=bool)
        overlap = said["experiment3"][f"share of features that two classes' top-30 lists have in common, ρ = {rho}"]
        for reading, key in (("notebook", "documented"), ("closed", "ours")):
            close(np.asarray(found[f"rho{rho}/overlap_{reading}"])[off].mean(), overlap[key], f"overlap, {rho}")
        r = next(
            c
            for what, c in said["experiment3"].items()
            if what.startswith(f"correlation of hidden and image geometry, ρ = {rho}:")
        )
        close(found[f"rho{rho}/correlations_union"], [r["documented"], *r["ours"]], f"geometry, {rho}")
        away = said["experiment3"][f"mean distance of an importance share from 1/98, ρ = {rho}"]
        for array, key in (("notebook", "documented"), ("share", "ours")):
            close(np.abs(found[f"rho{rho}/{array}"] - 1 / 98).mean(), away[key], f"from 1/98, {rho}")
