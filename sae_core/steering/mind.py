"""Few edits after which a classifier says something else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sae_core.models.classifier import Classifier
from sae_core.models.sae import SAE
from sae_core.steering.asking import check_single, logits_of
from sae_core.steering.edits import ERROR_PRESERVING, _whole, check_mode, checked_features, finite, rebuilt
from sae_core.steering.sliders import slider_ranges, used

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats


CANDIDATES = 200
"""features that `change_mind` tries at most"""
STEPS = (0.0, 0.5, 1.0)
"""values that it tries of each, as shares of the way from 0 to either end of the feature's slider"""


class MindStep(NamedTuple):
    """One edit on the way to another opinion."""

    feature: int
    was: float
    """its activation on the image"""
    value: float
    """what it was set to"""
    probability: float
    """of the target, after this step"""
    margin: float
    """logit of the target − the largest other logit, after this step; above 0 the classifier says the target"""


@dataclass(frozen=True, eq=False)
class MindChange:
    """Edits that make a classifier say something else, or as near to it as they came."""

    edits: dict[int, float]
    """new activations by feature, in the order in which they were found"""
    probabilities_before: np.ndarray
    """[classes] of the image in the same mode with nothing edited"""
    probabilities_after: np.ndarray
    """[classes] with all edits"""
    path: tuple[MindStep, ...]
    """one step for each edit"""
    success: bool
    """whether the target is what the classifier then says"""


@torch.no_grad()
def change_mind(
    sae: SAE,
    classifier: Classifier,
    x: Tensor,
    target: int,
    *,
    mode: str = ERROR_PRESERVING,
    candidates: Iterable[int] | None = None,
    steps: Sequence[float] = STEPS,
    max_edits: int = 10,
    stats: FeatureStats | None = None,
) -> MindChange:
    """Few single-feature edits after which the classifier takes the picture x [784] for class `target`.

    Greedy: each step tries every candidate that is not yet edited at every value (`steps` of the way from 0 to either
    end of its slider, see `slider_ranges`), and takes what raises the target's margin, its logit − the largest other
    logit, the most. It ends when the margin is above 0, after `max_edits`, or when nothing raises it: few edits, not
    provably the fewest. A single edit is one row more:

    ```
    h(f → v) = h_now + (v − a_f) · W_dec[f]
    ```

    so a step is one pass of the classifier over all of them (`logits_of`) and one decoding, of the edit it takes.
    `candidates`: by default `likely`. ValueError for an ensemble, a wrong shape, a class that the classifier does not
    have, or a candidate that does not exist.
    """
    start = _start(sae, classifier, x, target, mode)
    features, values = _tried(sae, classifier, start, target, candidates, steps, stats)
    W_dec, now, logits, edited = sae.W_dec, start.now, start.logits, start.acts.clone()
    edits: dict[int, float] = {}
    path: list[MindStep] = []
    while len(edits) < max_edits and len(features) and not bool(_margin(logits, target) > 0):
        delta = values - start.acts[0, features]
        tried = logits_of(sae, classifier, now + delta[:, None] * W_dec[features])
        best = int(_margin(tried, target).argmax())
        feature, value = int(features[best]), float(values[best])
        edited[0, feature] = value
        then = rebuilt(sae, start.h, start.h_hat, edited, mode)
        found = logits_of(sae, classifier, then)
        margin = float(_margin(found, target))
        if not margin > float(_margin(logits, target)):
            break
        now, logits, edits[feature] = then, found, value
        probability = float(found.softmax(-1)[0, target])
        path.append(MindStep(feature, float(start.acts[0, feature]), value, probability, margin))
        others = features != feature
        features, values = features[others], values[others]
    return MindChange(
        edits=edits,
        probabilities_before=start.logits.softmax(-1)[0].cpu().numpy(),
        probabilities_after=logits.softmax(-1)[0].cpu().numpy(),
        path=tuple(path),
        success=bool(_margin(logits, target) > 0),
    )


@torch.no_grad()
def random_edits(
    sae: SAE,
    classifier: Classifier,
    x: Tensor,
    target: int,
    n: int,
    generator: torch.Generator,
    *,
    mode: str = ERROR_PRESERVING,
    candidates: Iterable[int] | None = None,
    steps: Sequence[float] = STEPS,
    stats: FeatureStats | None = None,
    trials: int = 100,
) -> float:
    """The control of `change_mind`: how often n random edits of the same kind make the classifier say `target`.

    Each of `trials` draws n different candidates, and for each one of the values that `change_mind` would try; the
    share of trials in which the target then has the largest logit. ValueError as there, and for more edits than
    candidates.
    """
    start = _start(sae, classifier, x, target, mode)
    features, values = _tried(sae, classifier, start, target, candidates, steps, stats)
    order = features.argsort(stable=True)  # the values of one feature side by side
    each, count = features[order].unique_consecutive(return_counts=True)
    if not 0 <= n <= len(each) or trials < 1:
        raise ValueError(f"{trials} trials of {n} edits are not possible: there are {len(each)} candidates")
    first = count.cumsum(0) - count
    drawn = torch.rand(trials, len(each), generator=generator).argsort(1)[:, :n].to(each.device)
    which = (torch.rand(trials, n, generator=generator).to(each.device) * count[drawn]).long()
    edited = start.acts.repeat(trials, 1)
    edited.scatter_(1, each[drawn], values[order][first[drawn] + which])
    logits = logits_of(sae, classifier, rebuilt(sae, start.h, start.h_hat, edited, mode))
    return float((_margin(logits, target) > 0).float().mean())


def likely(
    sae: SAE,
    classifier: Classifier,
    acts: Tensor,
    now: Tensor,
    target: int,
    stats: FeatureStats | None = None,
    most: int = CANDIDATES,
) -> list[int]:
    """At most `most` features worth trying to get an image of code acts [d_sae] taken for class `target`.

    First those active on it, the strongest first and at most half of all; then those of the class, by how much more
    active they are on its images than on the other classes' (`class_means`). Without statistics of that class: by
    what they add to its margin on now [1, d_in], to first order and at most from end to end of their sliders.
    """
    active = used(acts)
    if stats is not None and target < stats.class_means.shape[1] > 1 and stats.class_n[target]:
        means = np.asarray(stats.class_means, np.float64)
        more = means[:, target] - np.delete(means, target, 1).mean(1)
    else:
        with torch.enable_grad():
            h = now.detach().clone().requires_grad_(True)
            slope = torch.autograd.grad(_margin(logits_of(sae, classifier, h), target).sum(), h)[0]
        per_unit, code = (sae.W_dec.detach() @ slope[0]).cpu().double().numpy(), acts.cpu().double().numpy()
        low, high = slider_ranges(stats, code)
        more = np.maximum(per_unit * (high - code), per_unit * (low - code))
    order = [*active[: most // 2], *np.argsort(-more, kind="stable").tolist()]
    return list(dict.fromkeys(order))[:most]


class _Start(NamedTuple):
    """One image before its edits."""

    h: Tensor
    """what the SAE reads of it [1, d_in]"""
    h_hat: Tensor
    """its reconstruction [1, d_in]"""
    acts: Tensor
    """its code [1, d_sae]"""
    now: Tensor
    """what the mode makes of it with nothing edited [1, d_in]"""
    logits: Tensor
    """[1, classes]"""


def _start(sae: SAE, classifier: Classifier, x: Tensor, target: int, mode: str) -> _Start:
    check_mode(mode)
    check_single(sae)
    if x.ndim != 1:
        raise ValueError(f"one picture is [{classifier.config.d_in}], not {list(x.shape)}")
    classes = classifier.config.classes
    if not _whole(target) or not 0 <= target < classes:
        raise ValueError(f"there is no class {target!r}: this classifier has 0 to {classes - 1}")
    h = sae.read(x[None])
    out = sae(h)
    now = rebuilt(sae, h, out.x_hat, out.acts, mode)
    return _Start(h, out.x_hat, out.acts, now, logits_of(sae, classifier, now))


def _tried(
    sae: SAE,
    classifier: Classifier,
    start: _Start,
    target: int,
    candidates: Iterable[int] | None,
    steps: Sequence[float],
    stats: FeatureStats | None,
) -> tuple[Tensor, Tensor]:
    """Every edit that is tried, as features [M] int64 and their values [M]: `steps` towards both ends of the slider.

    Without those that would change nothing.
    """
    if not all(finite(s) and 0 <= s <= 1 for s in steps):
        raise ValueError(f"steps are shares of a slider, from 0 to 1, not {list(steps)}")
    acts = start.acts[0]
    if candidates is None:
        candidates = likely(sae, classifier, acts, start.now, target, stats)
    found = list(dict.fromkeys(checked_features(candidates, len(acts))))
    code = acts.cpu().numpy()
    low, high = (np.asarray(end[found], np.float32) for end in slider_ranges(stats, code))
    pairs = {(f, float(np.float32(s) * end[i])) for i, f in enumerate(found) for s in steps for end in (low, high)}
    kept = sorted((f, v) for f, v in pairs if v != code[f])
    features = torch.tensor([f for f, _ in kept], dtype=torch.int64, device=acts.device)
    return features, torch.tensor([v for _, v in kept], dtype=torch.float32, device=acts.device)


def _margin(logits: Tensor, target: int) -> Tensor:
    """Logit of the target − the largest other logit: [N, classes] → [N]."""
    others = logits.clone()
    others[:, target] = -torch.inf
    return logits[:, target] - others.amax(-1)
