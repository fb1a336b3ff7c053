"""Pure edits of a code: change some features and see which picture that gives, and what a classifier makes of it.

An edit is a dict {feature: value} or {feature: Edit}; a feature that it does not name keeps its activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sae_core.models.sae import SAE

ERROR_PRESERVING, PLAIN = "error-preserving", "plain"
MODES = (ERROR_PRESERVING, PLAIN)
SET: Final = "set"
SCALE: Final = "scale"
CLAMP: Final = "clamp"
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
    check_mode(mode)
    h = sae.read(x)
    out = sae(h)
    edited = edit_code(out.acts, edits, solo)
    return Steered(sae.picture(out.x_hat), sae.picture(rebuilt(sae, h, out.x_hat, edited, mode)), out.acts, edited)


def rebuilt(sae: SAE, h: Tensor, h_hat: Tensor, edited: Tensor, mode: str) -> Tensor:
    """What an edited code makes of h, whose reconstruction is h_hat: [N, d_in]."""
    changed = sae.decode(edited)
    return h + (changed - h_hat) if mode == ERROR_PRESERVING else changed


def check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"the mode must be one of {', '.join(MODES)}, not {mode!r}")


@dataclass(frozen=True)
class Steering:
    """What a person did to one picture's code."""

    edits: dict[int, float] = field(default_factory=dict)
    """new activations of this picture by feature"""
    rules: dict[int, Edit] = field(default_factory=dict)
    """the edits among them that are no fixed value: a scale, or a clamp from a recipe"""
    added: list[int] = field(default_factory=list)
    """features that have a strip though the picture does not use them, the newest first"""
    mode: str = "error-preserving"
    """one of `sae_core.steering.MODES`"""
    solo: list[int] | None = None
    """the only features that stay; None: all"""
    message: int | None = None
    """number of the browser's message that they are from"""
    push: int | None = None
    """number of Python's last change of them (`set_edits`), which the browser takes over"""

    @property
    def meant(self) -> dict[int, float | Edit]:
        """The edits as they are for any picture: a scale multiplies each one's own activation."""
        return {f: self.rules.get(f, v) for f, v in self.edits.items()}

    @property
    def untouched(self) -> bool:
        """Whether nothing is edited."""
        return not self.edits and self.solo is None

    @property
    def alone(self) -> tuple[int, ...] | None:
        """The only features that stay, as recipes say it."""
        return None if self.solo is None else tuple(self.solo)

    @property
    def said(self) -> str:
        """How much is edited, in words."""
        parts = [f"{len(self.edits)} feature{'s' * (len(self.edits) != 1)} edited"] if self.edits else []
        if self.solo is not None:
            parts.append(f"only {len(self.solo)} feature{'s' * (len(self.solo) != 1)} kept")
        return ", ".join(parts) or "nothing edited"
