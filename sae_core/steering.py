"""Pure edits of a code: change some features and see which picture that gives, and what a classifier makes of it.

An edit is a dict {feature: value} or {feature: Edit}; a feature that it does not name keeps its activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sae_core.classifier import Classifier
from sae_core.metrics import batches
from sae_core.sae import SAE, check_input

if TYPE_CHECKING:
    from sae_core.features import FeatureStats
    from sae_core.importance import Importance

ERROR_PRESERVING, PLAIN = "error-preserving", "plain"
MODES = (ERROR_PRESERVING, PLAIN)
SET: Final = "set"
SCALE: Final = "scale"
CLAMP: Final = "clamp"
CANDIDATES = 200
"""features that `change_mind` tries at most"""
STEPS = (0.0, 0.5, 1.0)
"""values that it tries of each, as shares of the way from 0 to either end of the feature's slider"""
SCALES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""strengths of a dose–response curve"""
REACH = 1e6
"""largest value, by size, that a page sets a feature to or scales one by: far beyond any activation, and codes of such
values still have finite pictures"""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Edit:
    """What becomes of one feature's activation a.

    ```
    set:    value                        Edit("set", 3.0), the same as 3.0 by itself
    scale:  value · a                    Edit("scale", 0.5)
    clamp:  min(max(a, low), high)       Edit("clamp", low=0.0, high=2.0)
    ```

    ValueError for another mode, a number that is missing, not finite as float32 or not the mode's, and low > high.
    """

    mode: Literal["set", "scale", "clamp"]
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in (SET, SCALE, CLAMP):
            raise ValueError(f"an edit is one of {SET}, {SCALE}, {CLAMP}, not {self.mode!r}")
        wanted = ("low", "high") if self.mode == CLAMP else ("value",)
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if (number is not None) != (name in wanted):
                raise ValueError(f"{self.mode} takes {' and '.join(wanted)}" + (f", not {name}" * (number is not None)))
            if number is not None:
                if not finite(number):
                    raise ValueError(f"{self.mode} takes a finite number, not {number!r}")
                object.__setattr__(self, name, float(number))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"clamp needs low ≤ high, not {self.low} and {self.high}")

    def __call__(self, a: Tensor) -> Tensor:
        """Activations of any shape → what becomes of them."""
        if self.mode == CLAMP:
            return a.clamp(self.low, self.high)
        assert self.value is not None
        return a * self.value if self.mode == SCALE else torch.full_like(a, self.value)


Edits = Mapping[int, float | Edit]
"""{feature: its new value} or {feature: Edit}"""


class Steered(NamedTuple):
    """Pictures before and after an edit; none of them is clipped."""

    x_hat: Tensor
    """reconstruction from the untouched code [N, 784]"""
    steered: Tensor
    """picture from the edited code [N, 784], as the mode says"""
    acts: Tensor
    """untouched code [N, d_sae]"""
    edited: Tensor
    """edited code [N, d_sae]"""


# ---- edits of a code


def edit_code(acts: Tensor, edits: Edits, solo: Iterable[int] | None = None) -> Tensor:
    """A copy of acts [.., d_sae] in which every edited feature is as its edit says, in every row.

    With `solo`, only these features stay, as they are or as they were edited; all others are 0, edited or not.
    ValueError names a feature that does not exist or a value that is not a finite number.
    """
    d_sae = acts.shape[-1]
    edited = acts.clone()
    for feature, edit in checked(edits, d_sae).items():
        edited[..., feature] = edit(acts[..., feature]) if isinstance(edit, Edit) else edit
    if solo is None:
        return edited
    kept = checked_features(solo, d_sae)
    alone = torch.zeros_like(edited)
    alone[..., kept] = edited[..., kept]
    return alone


def scaled(edits: Edits, acts: Tensor, t: float, solo: Iterable[int] | None = None) -> Tensor:
    """The edit at strength t: acts + t · (edited − acts), for dose–response; [.., d_sae] as acts.

    Exactly the untouched code at t = 0 and the edited one at t = 1; at 2 it went twice as far, which can be below 0.
    ValueError as `edit_code`, and for a t that is not finite.
    """
    if not finite(t):
        raise ValueError(f"the strength must be a finite number, not {t!r}")
    return acts.lerp(edit_code(acts, edits, solo), float(t))


def checked(edits: Edits, d_sae: int) -> dict[int, float | Edit]:
    """The edits as plain numbers (where they set a value) or `Edit`s, when an SAE of d_sae latents can take them.

    Else a ValueError in words.
    """
    found: dict[int, float | Edit] = {}
    for feature, edit in zip(checked_features(edits, d_sae), edits.values(), strict=True):
        if not isinstance(edit, Edit):
            if not finite(edit):
                raise ValueError(f"feature {feature} cannot be set to {edit!r}: it takes a finite number")
            found[feature] = float(edit)
        else:
            found[feature] = edit.value if edit.value is not None and edit.mode == SET else edit
    return found


def check_reach(edits: Edits) -> None:
    """ValueError in words for an edit that sets a feature beyond ±REACH, scales it by more, or clamps it to beyond."""
    for feature, edit in edits.items():
        if isinstance(edit, Edit):  # of a clamp: the value nearest to 0 that it leaves
            number = float(edit(torch.zeros(()))) if edit.mode == CLAMP else float(edit.value or 0)
        else:
            number = edit
        if not abs(number) <= REACH:
            raise ValueError(f"feature {feature} is taken to {number:.3g}, but ±{REACH:,.0f} is as far as it goes")


def checked_features(features: Iterable[int], d_sae: int) -> list[int]:
    """The features as plain numbers in their order, when an SAE of d_sae latents has them; else a ValueError."""
    found = list(features)
    for feature in found:
        if not _whole(feature) or not 0 <= feature < d_sae:
            raise ValueError(f"there is no feature {feature!r}: this SAE has 0 to {d_sae - 1}")
    return [int(feature) for feature in found]


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def finite(value: Any) -> bool:
    """Whether it is a number that stays finite as float32."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and bool(abs(value) <= _LARGEST)


@torch.no_grad()
def steer(
    sae: SAE, x: Tensor, edits: Edits, mode: str = ERROR_PRESERVING, solo: Iterable[int] | None = None
) -> Steered:
    """Edit the codes of pictures x [N, 784].

    ```
    error-preserving:  steered = x + (decode(edited) − decode(acts))
    plain:             steered = decode(edited)
    ```

    The bracket matters: with nothing edited it is exactly 0, so the error-preserving picture is x bit by bit,
    and what the SAE cannot reconstruct stays as it was. For an SAE that reads something else than pixels both
    formulas hold for what it reads, and `sae.picture` shows the result. `solo` as in `edit_code`.
    """
    _check_mode(mode)
    h = sae.read(x)
    out = sae(h)
    edited = edit_code(out.acts, edits, solo)
    return Steered(sae.picture(out.x_hat), sae.picture(_rebuilt(sae, h, out.x_hat, edited, mode)), out.acts, edited)


def _rebuilt(sae: SAE, h: Tensor, h_hat: Tensor, edited: Tensor, mode: str) -> Tensor:
    """What an edited code makes of h, whose reconstruction is h_hat: [N, d_in]."""
    changed = sae.decode(edited)
    return h + (changed - h_hat) if mode == ERROR_PRESERVING else changed


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"the mode must be one of {', '.join(MODES)}, not {mode!r}")


# ---- how far a feature goes, and which belong together


def slider_bounds(stats: FeatureStats) -> tuple[np.ndarray, np.ndarray]:
    """How far each feature went on a split: (low [d_sae], at most 0; high [d_sae], at least 0).

    A feature that was never active gets the median of the others' maxima as its high: it can be tried too.
    """
    low, high = np.minimum(stats.minimum, 0.0), np.maximum(stats.maximum, 0.0)
    living = high[high > 0]
    never = (low == 0) & (high == 0)
    return low, np.where(never, np.median(living) if len(living) else 1.0, high)


def slider_ranges(stats: FeatureStats | None, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From which to which value a slider moves each feature, whose activations are `now` [d_sae]; 0 is always within.

    The split's smallest and largest activation, or `now` where that goes further (about one image in a
    hundred exceeds the training maximum). Without statistics: twice the activation of now, or 1 where that is 0.
    """
    now = np.asarray(now, np.float64)
    if stats is None:
        low, high = np.minimum(0.0, 2 * now), np.maximum(0.0, 2 * now)
    else:
        lows, highs = slider_bounds(stats)
        low, high = np.minimum(lows, now), np.maximum(highs, now)
    return low, np.where(low < high, high, low + 1.0)


def slider_range(stats: FeatureStats | None, feature: int, now: float) -> tuple[float, float]:
    """`slider_ranges` of one feature whose activation is `now`."""
    of_all = np.zeros(feature + 1 if stats is None else len(stats.maximum))
    of_all[feature] = now
    low, high = slider_ranges(stats, of_all)
    return float(low[feature]), float(high[feature])


def used(acts: Tensor) -> list[int]:
    """The features that are active in one code [d_sae], the strongest (by size) first. ValueError for more codes."""
    _check_row(acts)
    order = acts.abs().argsort(descending=True, stable=True)
    return order[acts[order] != 0].tolist()


def top_by_importance(importance: Importance, label: int, n: int = 30) -> list[int]:
    """The n features that matter most for images of class `label`. ValueError for a class that was not measured."""
    if label not in importance.classes:
        raise ValueError(f"importance was measured for classes {list(importance.classes)}, not {label!r}")
    return importance.top(importance.classes.index(label), n).tolist()


def _check_row(acts: Tensor) -> None:
    if acts.ndim != 1:
        raise ValueError(f"one code is [d_sae], not {list(acts.shape)}")


# ---- what the classifier says


def logits_of(sae: SAE, classifier: Classifier, h: Tensor) -> Tensor:
    """What the SAE reads, as it is or edited [N, d_in] → the classifier's logits [N, classes].

    An SAE that reads this classifier's own hidden layer hands h on to its output. Any other h becomes a picture first,
    and the classifier sees that as the screen shows it: clipped to [0, 1].
    """
    reader = sae.reader
    if isinstance(reader, Classifier) and (
        reader is classifier
        or (torch.equal(reader.W_in, classifier.W_in) and torch.equal(reader.b_in, classifier.b_in))
    ):
        return classifier.logits(h)
    return classifier(sae.picture(h).clamp(0, 1))


@torch.no_grad()
def opinion(
    sae: SAE,
    classifier: Classifier,
    x: Tensor,
    edits: Edits,
    mode: str = ERROR_PRESERVING,
    solo: Iterable[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """The classifier's probabilities [N, classes] of pictures x [N, 784] before and after an edit, see `logits_of`.

    "Before" is the same mode with nothing edited: the image itself, or in plain mode its reconstruction.
    """
    _check_mode(mode)
    _check_single(sae)
    h = sae.read(x)
    out = sae(h)
    before, after = (
        logits_of(sae, classifier, _rebuilt(sae, h, out.x_hat, acts, mode)).softmax(-1)
        for acts in (out.acts, edit_code(out.acts, edits, solo))
    )
    return before, after


def _check_single(sae: SAE) -> None:
    if sae.W_enc.ndim != 2:
        raise ValueError("an ensemble has no single code: choose a member")


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
        then = _rebuilt(sae, start.h, start.h_hat, edited, mode)
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
    logits = logits_of(sae, classifier, _rebuilt(sae, start.h, start.h_hat, edited, mode))
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
    _check_mode(mode)
    _check_single(sae)
    if x.ndim != 1:
        raise ValueError(f"one picture is [784], not {list(x.shape)}")
    classes = classifier.config.classes
    if not _whole(target) or not 0 <= target < classes:
        raise ValueError(f"there is no class {target!r}: this classifier has 0 to {classes - 1}")
    h = sae.read(x[None])
    out = sae(h)
    now = _rebuilt(sae, h, out.x_hat, out.acts, mode)
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


# ---- over many images


@dataclass(frozen=True, eq=False)
class ManyResult:
    """What an edit does to a classifier's opinion of n images; C classes."""

    confusion_before: np.ndarray
    """[C, C] images by label (row) and what the classifier says (column), in the same mode with nothing edited"""
    confusion_after: np.ndarray
    """[C, C] the same with the edit"""
    mean_change: np.ndarray
    """[C] mean over the images of what the edit adds to each class's probability"""
    interval: np.ndarray
    """[C, 2] 95 % interval of that mean: ± 1.96 standard errors over the images; NaN for a single image"""
    dose: np.ndarray
    """[scales, C] mean probability of each class at each strength of the edit"""
    scales: tuple[float, ...]
    """the strengths: 0 is the untouched code, 1 the edit"""
    n: int
    """images"""


@torch.no_grad()
def apply_to_many(
    sae: SAE,
    classifier: Classifier,
    x: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    edits: Edits,
    mode: str = ERROR_PRESERVING,
    solo: Iterable[int] | None = None,
    scales: Sequence[float] = SCALES,
    batch_size: int = 1000,
) -> ManyResult:
    """The same edit of every picture x [N, 784] of classes labels [N], and what the classifier then says.

    The decoder is linear, so one product serves every strength t, see `scaled`:

    ```
    h_t = h (error-preserving) or h_hat (plain)  +  t · (edited − acts) @ W_dec
    ```

    Memory does not grow with N. ValueError for an ensemble, no image, unequal lengths, a label that is not a class of
    the classifier, a strength that is not finite, and as `edit_code`.
    """
    _check_mode(mode)
    _check_single(sae)
    classes, kept = classifier.config.classes, None if solo is None else list(solo)
    truth = labels.cpu() if isinstance(labels, Tensor) else torch.tensor(labels)  # labels may be read-only
    if len(x) != len(truth) or truth.ndim != 1:
        raise ValueError(f"there are {len(x)} images but labels of shape {list(truth.shape)}")
    if not len(x):
        raise ValueError("there is nothing to measure: no image was given")
    if not bool(((truth >= 0) & (truth < classes)).all()):
        raise ValueError(f"the classifier knows classes 0 to {classes - 1}, the labels go beyond")
    if not all(finite(t) for t in scales):
        raise ValueError(f"strengths must be finite numbers, not {list(scales)}")
    W_dec = sae.W_dec
    strengths = list(dict.fromkeys([0.0, 1.0, *map(float, scales)]))
    confusion = torch.zeros(2, classes * classes, dtype=torch.int64)
    total = torch.zeros(len(strengths), classes, dtype=torch.float64)
    change, squares = torch.zeros(2, classes, dtype=torch.float64)
    for pictures, of in zip(batches(x, W_dec.device, batch_size), truth.split(batch_size), strict=True):
        h = sae.read(pictures)
        check_input(h, sae.config.d_in, "this SAE")
        acts = sae.encode(h)
        delta = edit_code(acts, edits, kept).sub_(acts)
        moved = delta @ W_dec if kept is not None else delta[:, list(edits)] @ W_dec[list(edits)]
        start = h if mode == ERROR_PRESERVING else sae.decode(acts)
        logits = [logits_of(sae, classifier, start + t * moved if t else start).cpu() for t in strengths]
        for i, found in enumerate(logits[:2]):
            confusion[i] += torch.bincount(of * classes + found.argmax(-1), minlength=classes**2)
        p = torch.stack(logits).double().softmax(-1)
        total += p.sum(1)
        change += (p[1] - p[0]).sum(0)
        squares += (p[1] - p[0]).square().sum(0)
    n = len(x)
    mean = change / n
    error = ((squares / n - mean.square()).clamp_min(0) / (n - 1)).sqrt() if n > 1 else torch.full_like(mean, torch.nan)
    before, after = confusion.view(2, classes, classes).numpy()
    return ManyResult(
        confusion_before=before,
        confusion_after=after,
        mean_change=mean.numpy(),
        interval=torch.stack([mean - 1.959964 * error, mean + 1.959964 * error], 1).numpy(),
        dose=(total / n)[[strengths.index(float(t)) for t in scales]].numpy(),
        scales=tuple(map(float, scales)),
        n=n,
    )
