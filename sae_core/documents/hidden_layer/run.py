"""Document 004: an SAE on the hidden layer of a classifier, and the pictures its features stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sae_core.documents.hidden_layer import units
from sae_core.documents.running import Run, by_epoch
from sae_core.documents.source import SCRAMBLED
from sae_core.measure import geometry
from sae_core.measure.importance import importance_of
from sae_core.measure.lists import overlap, shared_and_distinctive
from sae_core.measure.metrics import accuracy, batches, validation_loss, with_scrambled
from sae_core.measure.spread import effective, gini
from sae_core.models.classifier import Classifier, ClassifierConfig, GeneratorConfig
from sae_core.models.sae import SAE
from sae_core.pictures.scramble import scramble
from sae_core.store.checkpoints import load, load_classifier
from sae_core.variants.kl import KL, KLConfig

CLASSIFIER, GENERATOR = "exp3-classifier", "exp3-generator"
RHOS = (0.1, 0.999)
TOP = 30
"""features of a class's list"""
COUNTS = (1, 2, 3, 5, 10, 20, 30, 50, 98)
"""numbers of features from which images are rebuilt"""
CLAIMED: dict[str, list[float]] = {
    "phase 1": [0.9643, 0.9724, 0.9761, 0.9787, 0.9789, 0.9803, 0.9808, 0.9804, 0.9816, 0.9815],
    "phase 2, ρ = 0.1": [0.0599, 0.0299, 0.0191, 0.0126, 0.0095, 0.0081, 0.0071, 0.0064, 0.0061, 0.0058],
    "phase 2, ρ = 0.999": [0.0770, 0.0349, 0.0127, 0.0050, 0.0041, 0.0044, 0.0052, 0.0057, 0.0059, 0.0061],
    "phase 3": [0.0837, 0.0765, 0.0730, 0.0710, 0.0697, 0.0689, 0.0683, 0.0678, 0.0674, 0.0670],
}
GOOD, BAD = (0, 1, 2, 3, 7, 9), (4, 8)
"""digits that the document says come back from 30 features, and those that do not"""


def model_name(rho: float) -> str:
    """The name of the SAE with that target."""
    return f"exp3-kl-98-rho{rho:g}"


def run(run: Run) -> None:
    """The three phases, and everything the document's figures show, for both targets."""
    one = run.model("classifier", ClassifierConfig(), CLASSIFIER)
    classifier_at = f"{one.name}@{one.hash}"
    three = run.model("generator", GeneratorConfig(reads=classifier_at), GENERATOR)
    twos = {
        rho: run.model(
            "kl",
            KLConfig(reads=classifier_at, shows=f"{three.name}@{three.hash}", rho=rho),
            model_name(rho),
            scrambled=True,
        )
        for rho in RHOS
    }
    where = f"{run.test.name}/{run.test.split}"
    both = {"split": f"{where} + scrambled", "n": 2 * len(run.test)}
    arrays = run.report.arrays
    arrays["accuracy"] = np.array([line["measured"][where]["accuracy"] for line in by_epoch(one)])
    arrays["accuracy_digits"] = np.array([line["measured"][where]["accuracy_digits"] for line in by_epoch(one)])
    arrays["loss_phase3"] = np.array([line["validation"][where] for line in by_epoch(three)])
    run.claim(
        "phase 1: share of right classes, by epoch",
        CLAIMED["phase 1"],
        arrays["accuracy"].tolist(),
        arrays["accuracy_digits"].tolist(),
        note="Documented: digits and scrambled. Ours: digits alone; the eleventh class is the easy half.",
        **both,
    )
    run.claim(
        "phase 3: MSE per pixel of the generated pictures, by epoch",
        CLAIMED["phase 3"],
        arrays["loss_phase3"].tolist(),
        three.metrics[where]["mse_digits"],
        note="Ours: digits alone, after the last epoch.",
        **both,
    )
    x, labels = with_scrambled(run.test.x, run.test.labels, scrambled=SCRAMBLED)
    mixed = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    for rho, checkpoint in twos.items():
        sae = load(checkpoint.path)
        assert isinstance(sae, KL)
        key = f"phase 2, ρ = {rho:g}"
        losses = np.array([line["validation"][where] for line in by_epoch(checkpoint)])
        arrays[f"loss_rho{rho:g}"] = losses
        in_order, shuffled = (validation_loss(sae, x[o], labels[o], 64) for o in (torch.arange(len(x)), mixed))
        run.claim(
            f"{key}: validation loss, by epoch",
            CLAIMED[key],
            losses.tolist(),
            shuffled,
            note=f"Documented: batches in order, all digits, then all scrambled: {in_order:.4f} after the last epoch. "
            "Ours: the same images in mixed batches, as in training. A feature that is silent on one of the two halves "
            "pays up to 1e-4 · ln(ρ / 1e-7) in every pure batch, whatever it does in a mixed one.",
            **both,
        )
        _analyse(run, sae, rho)
    _claim_spread(run)
    units.measure(run, {rho: load(checkpoint.path) for rho, checkpoint in twos.items()}, x, labels, both)


def _pieces(run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    """The training images, then a scrambled copy of each, in batches."""
    labels = torch.tensor(run.train.labels)
    generator = torch.Generator().manual_seed(run.report.seed)
    for part, label in zip(batches(run.train.x, "cpu"), labels.split(1000), strict=True):
        yield part, label
    for part in batches(run.train.x, "cpu"):
        yield scramble(part, generator), torch.full((len(part),), SCRAMBLED)


@torch.no_grad()
def _analyse(run: Run, sae: KL, rho: float) -> None:
    """Importance, geometry and pictures of one SAE: the document's figures 1 to 3."""
    n_all = 2 * len(run.train)
    where = {"split": f"{run.train.name}/{run.train.split} + scrambled", "n": n_all}
    found = importance_of(
        sae,
        _pieces(run),
        list(range(SCRAMBLED + 1)),
        dataset=run.train.name,
        split=run.train.split,
        progress=lambda done: run.on_stage(f"importance, ρ = {rho:g}", done, n_all),
    )
    assert found.notebook is not None
    W_dec, b_dec = sae.W_dec.numpy(), sae.b_dec.numpy()
    hidden = geometry.alone(found.mean_acts[-1], W_dec, b_dec)
    pictures, bias_picture = _paint(sae, hidden), _paint(sae, b_dec[None])[0]
    classes = [*range(SCRAMBLED + 1), -1]
    result: dict[str, np.ndarray] = {
        "increase": found.increase,
        "share": found.share,
        "notebook": found.notebook,
        "mean_acts": found.mean_acts,
        "n": found.n,
        "alone_hidden": hidden,
        "alone_pictures": pictures,
    }
    for reading in ("notebook", "closed"):
        by_notebook = reading == "notebook"
        tops = np.stack([found.top(row, TOP, by_notebook) for row in classes])
        union = np.array(list(dict.fromkeys(tops[:, :3].ravel().tolist())))
        result |= {f"tops_{reading}": tops, f"union_{reading}": union, f"overlap_{reading}": overlap(list(tops[:-1]))}
    for space, rows in (("hidden", hidden), ("picture", pictures)):
        run.on_stage(f"maps of the {space} rows, ρ = {rho:g}", 0, 1)
        result |= {f"map_{space}": geometry.documented_map(rows), f"honest_map_{space}": geometry.honest_map(rows)}
        union = result["union_notebook"]
        result |= {
            f"union_map_{space}": geometry.documented_map(rows[union]),
            f"union_honest_map_{space}": geometry.honest_map(rows[union]),
        }
    union = result["union_notebook"]
    of_union = geometry.correlations(hidden[union], pictures[union], b_dec, bias_picture)
    of_all = geometry.correlations(hidden, pictures, b_dec, bias_picture)
    result |= {"correlations_union": np.array(of_union), "correlations_all": np.array(of_all)}
    shared = shared_and_distinctive(found, TOP)
    result |= {"lists": shared.lists, "shared": shared.shared}
    run.report.info[f"distinctive_rho{rho:g}"] = [d.tolist() for d in shared.distinctive]
    classifier = load_classifier(sae_reads(sae, run))
    verdict = _verdicts(sae, classifier, found.mean_acts, result["tops_notebook"], result["tops_closed"])
    result["verdicts"] = verdict
    result["kept_accuracy"] = _from_few(run, sae, classifier, found)
    result["counts"] = np.array(COUNTS)
    run.report.arrays |= {f"rho{rho:g}/{name}": array for name, array in result.items()}
    _claim(run, rho, of_union, of_all, verdict, result, where)


def sae_reads(sae: SAE, run: Run) -> Any:
    """Where the classifier is whose hidden layer that SAE reads."""
    return run.models / sae.config.reads.partition("@")[0]


@torch.no_grad()
def _paint(sae: SAE, hidden: np.ndarray) -> np.ndarray:
    return sae.picture(torch.from_numpy(hidden.astype(np.float32))).numpy()


@torch.no_grad()
def _verdicts(
    sae: SAE, classifier: Classifier, mean_acts: np.ndarray, documented: np.ndarray, ours: np.ndarray
) -> np.ndarray:
    """What the classifier says of each class's picture from its top features alone: probabilities [3, 11, 11].

    First the document's way (its lists, averaged over all images), then our lists averaged over all images, then our
    lists averaged over the class's own.
    """
    W_dec, b_dec = sae.W_dec.numpy(), sae.b_dec.numpy()
    rows = []
    for tops, own in ((documented, False), (ours, False), (ours, True)):
        h = [geometry.from_only(tops[c], mean_acts[c if own else -1], W_dec, b_dec) for c in range(SCRAMBLED + 1)]
        rows.append(classifier.probabilities(torch.from_numpy(_paint(sae, np.stack(h)))).numpy())
    return np.stack(rows)


@torch.no_grad()
def _from_few(run: Run, sae: SAE, classifier: Classifier, found: Any) -> np.ndarray:
    """Accuracy by class of test images rebuilt from only their class's top n features: [2, counts, 11].

    Judged on the rebuilt hidden layer itself, then on the picture that the generator makes of it.
    """
    x, labels = with_scrambled(run.test.x, run.test.labels, scrambled=SCRAMBLED)
    order = torch.from_numpy(np.stack([found.order(row) for row in range(SCRAMBLED + 1)]))
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order).contiguous())
    right = torch.zeros(2, len(COUNTS), SCRAMBLED + 1)
    for part, label in zip(batches(x, "cpu"), labels.split(1000), strict=True):
        acts = sae(sae.read(part)).acts
        for j, count in enumerate(COUNTS):
            h = sae.decode(torch.where(rank[label] < count, acts, 0.0))
            for i, logits in enumerate((classifier.logits(h), classifier(sae.picture(h)))):
                right[i, j] += torch.bincount(label[accuracy(logits, label)], minlength=SCRAMBLED + 1)
    return (right / torch.bincount(labels, minlength=SCRAMBLED + 1)).numpy()


def _claim(
    run: Run,
    rho: float,
    of_union: geometry.Correlations,
    of_all: geometry.Correlations,
    verdict: np.ndarray,
    result: dict[str, np.ndarray],
    where: dict[str, Any],
) -> None:
    tail = f", ρ = {rho:g}"
    claimed = 0.655 if rho == RHOS[-1] else None
    run.claim(
        f"correlation of hidden and image geometry{tail}: as documented, off the diagonal, without the shared bias",
        claimed,
        of_union.documented,
        [of_union.off_diagonal, of_union.bias_free],
        note=f"The union of the top 3 of each class, {len(result['union_notebook'])} features. All 98 features: "
        + ", ".join(f"{v:.3f}" for v in of_all),
        **where,
    )
    back = [[c for c in range(10) if int(v[c].argmax()) == c] for v in verdict]
    run.claim(
        f"digits whose class picture from {TOP} features the classifier reads{tail}",
        "good: 0 1 2 3 7 9; bad: 4 8" if claimed else None,
        " ".join(map(str, back[0])) or "none",
        " ".join(map(str, back[2])) or "none",
        note=f"Documented: its lists, averaged over all images ({len(back[0])} of 10). Ours: averaged over the class's "
        f"own ({len(back[2])} of 10); our lists over all images: {' '.join(map(str, back[1])) or 'none'}.",
        **where,
    )
    at = COUNTS.index(TOP)
    run.claim(
        f"share of digits read right after all but their class's top {TOP} features are taken away, by digit{tail}",
        None,
        result["kept_accuracy"][1, at, :10].tolist(),
        result["kept_accuracy"][0, at, :10].tolist(),
        split=f"{run.test.name}/{run.test.split}",
        n=len(run.test),
        note="Documented: from the picture that the generator makes. Ours: from the hidden layer itself. Features are "
        "chosen knowing the class.",
    )
    overlaps = result["overlap_closed"]
    off = overlaps[~np.eye(len(overlaps), dtype=bool)]
    run.claim(
        f"share of features that two classes' top-{TOP} lists have in common{tail}",
        None,
        float(result["overlap_notebook"][~np.eye(len(overlaps), dtype=bool)].mean()),
        float(off.mean()),
        note="Documented: by the notebook's importance. Ours: without its constant. The document says no number; the "
        "lists it prints (ρ = 0.999) have 50.1 % in common.",
        **where,
    )
    constant = np.abs(result["notebook"] - 1 / 98).mean(), np.abs(result["share"] - 1 / 98).mean()
    run.claim(
        f"mean distance of an importance share from 1/98{tail}",
        None,
        float(constant[0]),
        float(constant[1]),
        note="Documented: with the notebook's constant, which flattens shares toward 1/98. Ours: reconstruction alone.",
        **where,
    )


def _claim_spread(run: Run) -> None:
    """The document's main conclusion: is a digit's importance with fewer features at the lower target?"""
    arrays = run.report.arrays
    readings = {name: [arrays[f"rho{rho:g}/{name}"] for rho in RHOS] for name in ("notebook", "share")}
    of_digits = {name: [float(gini(rows[:10]).mean()) for rows in found] for name, found in readings.items()}
    sizes = {name: [float(effective(rows[:10]).mean()) for rows in found] for name, found in readings.items()}
    of_all = [float(gini(rows[-1])) for rows in readings["notebook"]]
    run.claim(
        "how few features carry a digit: Gini coefficient of its importance shares at ρ = 0.1 and at ρ = 0.999",
        "few at 0.1, many at 0.999",
        of_digits["notebook"],
        of_digits["share"],
        split=f"{run.train.name}/{run.train.split} + scrambled",
        n=2 * len(run.train),
        note="0: all features alike; 1: one has all; mean over the digits. Documented: by the notebook's formula, in "
        f"features that count alike (exp of the entropy) {_pair(sizes['notebook'])} of 98"
        f"{': the reverse' if of_digits['notebook'][0] < of_digits['notebook'][1] else ''}; over all images together "
        f"its Gini is {of_all[0]:.2f} and {of_all[1]:.2f}. Ours: reconstruction alone, {_pair(sizes['share'])} of 98.",
    )


def _pair(values: list[float]) -> str:
    return " and ".join(f"{v:.0f}" for v in values)
