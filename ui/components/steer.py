"""The steering strips: a picture's features as toggles and sliders, live; Python gets every release."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from sae_core.datasets import dataset_names
from sae_core.store import CheckpointError
from ui import state
from ui.components import register

_steer = register("steer")
KEY = "steer"
_KEPT = 50
"""pictures whose edits a session remembers"""


@dataclass(frozen=True)
class Steering:
    """What a person did to one picture's code."""

    edits: dict[int, float] = field(default_factory=dict)
    """new activations by feature"""
    added: list[int] = field(default_factory=list)
    """features that have a strip though the picture does not use them, the newest first"""
    mode: str = "error-preserving"
    """one of `sae_core.steering.MODES`"""


def steering(choice: state.Choice) -> Steering:
    """The edits of the chosen picture and model, with what the browser has just sent."""
    _take_edits(choice)
    kept = st.session_state.get("steered", {}).get((choice.model.id, choice.picture.ref), Steering())
    return Steering(kept.edits, kept.added, st.session_state.get("steer_mode", kept.mode))


def _take_edits(choice: state.Choice) -> None:
    """Keep what the browser sent under the picture and model it was made for, which may be another by now."""
    value: Any = state.component_value(KEY, "edits")
    if not value or value.get("seq") == st.session_state.get("steer_seq"):
        return
    st.session_state["steer_seq"] = value.get("seq")
    try:
        place = (str(value["model"]), str(value["ref"]))
        made = _checked(value, choice.model.info.config["d_sae"] if place[0] == choice.model.id else None)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        st.warning(f"The last change could not be read, so those before it stay: {e}", icon=":material/warning:")
        return
    kept: dict[tuple[str, str], Steering] = st.session_state.setdefault("steered", {})
    kept.pop(place, None)
    kept[place] = made
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
    st.session_state["steer_mode"] = made.mode


def _checked(value: dict[str, Any], d_sae: int | None) -> Steering:
    from sae_core.steering import MODES, checked

    edits = {int(f): float(v) for f, v in value["edits"].items()}
    added = [int(f) for f in value["added"]]
    if value["mode"] not in MODES:
        raise ValueError(f"there is no mode {value['mode']!r}")
    if d_sae is not None:
        checked({**dict.fromkeys(added, 0.0), **edits}, d_sae)
    return Steering(edits, added, value["mode"])


def strips(choice: state.Choice, now: Steering) -> None:
    """Mount the strips for the chosen picture and model."""
    low, high, source, note = _bounds(choice)
    data = {
        "id": KEY,
        "seq": st.session_state.get("steer_seq", 0),
        "model": choice.model.id,
        "picture": {"ref": choice.picture.ref, "levels": choice.picture.levels},
        "low": low,
        "high": high,
        "source": source,
        "note": note,
        "feature": choice.feature,
        **asdict(now),
    }
    _steer(key=KEY, data=data, on_edits_change=lambda: None, on_feature_change=lambda: None)


def show_numbers(choice: state.Choice, now: Steering) -> None:
    """What Python makes of the same edits, which is what counts."""
    import torch

    from sae_core.metrics import l0, pearson
    from sae_core.steering import steer

    x = torch.from_numpy(np.array(choice.picture.x))[None]
    result = steer(choice.model.sae, x, now.edits, now.mode)
    before, after = int(l0(result.acts)[0]), int(l0(result.edited)[0])
    what = f"{len(now.edits)} feature{'s' * (len(now.edits) != 1)} edited" if now.edits else "nothing edited"
    st.caption(f"{choice.picture.what} through **{choice.model.name}**: {what}, {now.mode} mode (one image, n = 1)")
    with st.container(horizontal=True, gap="large"):
        for label, number, formula in (
            (
                "L0, edited",
                f"{after}" if after == before else f"{after} (was {before})",
                "Non-zero activations of the edited code, and of the untouched one where that differs.",
            ),
            (
                "Pearson(original, reconstruction)",
                f"{float(pearson(x, result.x_hat)[0]):.4f}",
                "Correlation between the 784 pixels of the original x and of x̂ = decode(untouched code).",
            ),
            (
                "Pearson(original, steered)",
                f"{float(pearson(x, result.steered)[0]):.4f}",
                "Correlation between the 784 pixels of the original and of the steered picture.",
            ),
            (
                "Largest change",
                f"{float((result.steered - x).abs().max()):.4f}",
                "max |steered − original| over the 784 pixels; ink is from 0 to 1; nothing is clipped here.",
            ),
        ):
            st.metric(label, number, help=formula, width="content")


def _bounds(choice: state.Choice) -> tuple[list[float] | None, list[float] | None, str | None, str]:
    """How far each slider goes, where that was measured, and a sentence when that was on other pictures."""
    from sae_core.steering import slider_bounds

    for name in [choice.data, *(n for n in dataset_names() if n != choice.data)]:
        try:
            stats = choice.model.stats(name)
        except CheckpointError:
            continue
        low, high = slider_bounds(stats)
        source = f"{name}/{stats.split}, n = {stats.n:,}"
        note = "" if name == choice.data else f"Sliders go as far as on {source}: {choice.data} was not measured."
        return (_short(low) if low.any() else None), _short(high), source, note
    note = "This model has no feature statistics: each slider goes to twice its feature's activation here."
    return None, None, None, note


def _short(values: np.ndarray) -> list[float]:
    """Four digits are more than a slider needs, and a third of the message."""
    return [float(f"{v:.4g}") for v in values]
