"""The steering strips: a picture's features as toggles and sliders, live; Python gets every release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from sae_core import files
from sae_core.datasets import dataset_info
from sae_core.files import CheckpointError
from sae_core.steering.edits import Steering
from ui.base import models, state, words
from ui.base.cache import shared
from ui.live import link
from ui.live.component import component

if TYPE_CHECKING:
    from sae_core.steering.edits import Edit
    from ui.live.classifier import LiveClassifier


_steer = component("steer/strips")
KEY = "steer"
_KEPT = 50
"""pictures whose edits a session remembers"""
_LISTED = 100
"""features in the list of a class"""


def steering(choice: state.Choice) -> Steering:
    """The edits of the chosen picture and model, with what the browser has just sent."""
    _take_edits(choice)
    kept: Steering = st.session_state.get("steered", {}).get((choice.model.id, choice.picture.ref), Steering())
    return replace(kept, mode=st.session_state.get("steer_mode", kept.mode))


def set_edits(
    model_id: str,
    ref: str,
    edits: Mapping[int, float],
    mode: str,
    solo: list[int] | None = None,
    rules: Mapping[int, Edit] | None = None,
) -> None:
    """Make these the edits of a picture, in the browser too, where Undo brings back those before."""
    with link.push(KEY) as made:
        _keep((model_id, ref), Steering(dict(edits), dict(rules or {}), [], mode, solo, push=made))


def _keep(place: tuple[str, str], made: Steering) -> None:
    kept: dict[tuple[str, str], Steering] = st.session_state.setdefault("steered", {})
    kept.pop(place, None)
    kept[place] = made
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
    st.session_state["steer_mode"] = made.mode


def _take_edits(choice: state.Choice) -> None:
    """Keep what the browser sent under the picture and model it was made for, which may be another by now."""

    def keep(message: link.Message) -> None:
        place = (str(message["model"]), str(message["ref"]))
        made = _checked(message, _latents(choice, place[0]))
        before: Steering = st.session_state.get("steered", {}).get(place, Steering())
        _keep(place, replace(made, message=message["seq"], push=before.push))

    if problem := link.take(KEY, edits=keep):
        st.warning(
            f"The last change could not be read, so those before it stay: {words.plain(problem)}",
            icon=":material/warning:",
        )


def _latents(choice: state.Choice, model_id: str) -> int:
    """How many the model of that id has. ValueError when it is not here, or not with these weights."""
    several = [choice.model] if choice.model.id == model_id else models.listed()[0].values()
    for model in several:
        if model.id == model_id:
            return int(model.info.config["d_sae"])
    raise ValueError("its model is not here")


def _checked(value: dict[str, Any], d_sae: int) -> Steering:
    from sae_core.steering.edits import MODES, Edit, check_reach, checked

    given = {int(f): v for f, v in value["edits"].items()}
    rules = {int(f): Edit(**rule) for f, rule in value.get("rules", {}).items()}
    added = [int(f) for f in value["added"]]
    solo = None if value.get("solo") is None else list(dict.fromkeys(int(f) for f in value["solo"]))
    if value["mode"] not in MODES:
        raise ValueError(f"there is no mode {value['mode']!r}")
    if not rules.keys() <= given.keys():
        raise ValueError("there is a rule for a feature that is not edited")
    checked(dict.fromkeys([*added, *(solo or [])], 0.0), d_sae)
    edits = {f: v for f, v in checked(given, d_sae).items() if isinstance(v, float)}
    check_reach(edits)
    check_reach(rules)
    return Steering(edits, rules, added, value["mode"], solo)


def strips(choice: state.Choice, now: Steering, classifier: LiveClassifier | None) -> None:
    """Mount the strips for the chosen picture and model, with what the classifier says."""
    from sae_core.steering.edits import REACH

    low, high, source, note = _bounds(choice)
    data = {
        "id": KEY,
        **link.answer(KEY),
        "model": choice.model.id,
        "picture": {"ref": choice.picture.ref, "levels": choice.picture.levels},
        "low": low,
        "high": high,
        "source": source,
        "note": note,
        "reach": REACH,
        "feature": choice.feature,
        "classifier": None if classifier is None else classifier.data(),
        "groups": _groups(choice),
        **asdict(now),
    }
    _steer(key=KEY, data=data, on_edits_change=lambda: None, on_feature_change=lambda: None)


def show_numbers(choice: state.Choice, now: Steering) -> None:
    """What Python makes of the same edits, which is what counts."""
    from sae_core.measure.metrics import l0, pearson
    from sae_core.steering.edits import PLAIN, steer

    sae = choice.model.sae
    x = choice.picture.batch
    result = steer(sae, x, now.meant, now.mode, now.solo)
    untouched, called = x, "original"
    if sae.reader is not None:  # it keeps less than the original: what the edits changed is told from what it keeps
        untouched, called = (result.x_hat if now.mode == PLAIN else sae.picture(sae.read(x))), "the same unedited"
    before, after = int(l0(result.acts)[0]), int(l0(result.edited)[0])
    st.caption(f"{choice.picture.what} through **{choice.model.name}**: {now.said}, {now.mode} mode (one image, n = 1)")
    with st.container(horizontal=True, gap="medium"):
        for label, number, formula in (
            (
                "L0, edited",
                f"{after}" if after == before else f"{after} (was {before})",
                "Non-zero activations of the edited code, and of the untouched one where that differs.",
            ),
            (
                "Pearson(original, reconstruction)",
                f"{float(pearson(x, result.x_hat)[0]):.4f}",
                "Correlation between the pixels of the original and of the picture of decode(untouched code).",
            ),
            (
                "Pearson(original, steered)",
                f"{float(pearson(x, result.steered)[0]):.4f}",
                "Correlation between the pixels of the original and of the steered picture.",
            ),
            (
                "Largest change",
                f"{float((result.steered - untouched).abs().max()):.4f}",
                f"max |steered − {called}| over all pixels; ink is from 0 to 1; nothing is clipped here.",
            ),
        ):
            st.metric(label, number, help=formula, width="content")


def _bounds(choice: state.Choice) -> tuple[list[float] | None, list[float] | None, str | None, str]:
    """How far each slider goes, where that was measured, and a sentence when that was on other pictures."""
    from sae_core.steering.sliders import slider_bounds

    stats = choice.widest
    if stats is None:
        note = "This model has no feature statistics: each slider goes to twice its feature's activation here."
        return None, None, None, note
    low, high = slider_bounds(stats)
    source, name = f"{stats.dataset}/{stats.split}, n = {stats.n:,}", choice.data
    note = f"Shown are {name}; sliders go as far as on {source}, or to twice the activation here."
    note = "" if name == stats.dataset else note
    return (_short(low) if low.any() else None), _short(high), source, note


def _groups(choice: state.Choice) -> dict[str, Any] | None:
    """The features that stand for each class, the first first: {"names": .., "lists": .., "how": ..}."""
    increase = _importance(choice.model)
    if increase is not None:
        lists = np.argsort(-increase, axis=1, kind="stable")[:, :_LISTED].tolist()
        names = [*dataset_info("mnist").class_names, dataset_info("mnist").scrambled]
        how = "importance: what switching it off adds to the squared error of h; experiment 3, mnist/train"
        return {"names": names, "lists": lists, "how": how}
    stats = choice.statistics
    if stats is None:
        return None
    return _key_features(choice.model, stats.dataset, stats.split)


_HOW = {
    "importance": "importance: what switching it off adds to the mean squared error of the class's images",
    "lift": "lift: share of the class's images on which it is active / share of all",
}


@shared(16)
def _key_features(model: models.Model, dataset: str, split: str) -> dict[str, Any]:
    from sae_core.measure.lists import key_features

    stats = model.stats(dataset, split)
    by = "lift" if stats.importance is None else "importance"
    lists = [order[:_LISTED].tolist() for order in key_features(stats, by)]
    how = f"{_HOW[by]}; {dataset}/{split}, n = {stats.n:,}"
    return {"names": list(dataset_info(dataset).class_names[: len(lists)]), "lists": lists, "how": how}


@shared(8)
def _importance(model: models.Model) -> np.ndarray | None:
    """What ablating each feature adds to each class's error [classes, d_sae], where bundled experiment 3 has it."""
    from sae_core.documents.report import BUNDLED, read_report
    from sae_core.documents.source import NAMES

    if model.path.parent != files.home() / "checkpoints" or not model.name.startswith("exp3-kl-98-rho"):
        return None
    try:
        report = read_report(BUNDLED / "experiment3")
        found: np.ndarray = report.arrays[f"{model.name.rpartition('-')[2]}/increase"][: len(NAMES)]
    except (CheckpointError, KeyError):
        return None
    return found if found.shape == (len(NAMES), model.info.config["d_sae"]) else None


def _short(values: np.ndarray) -> list[float]:
    """Four digits are more than a slider needs, and a third of the message."""
    return [float(f"{v:.4g}") for v in values]
