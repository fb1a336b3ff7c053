"""A class's mean code, its key features, and what it shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from sae_core.datasets import DataError, dataset_info, default_data_dir, load_dataset
from sae_core.measure.geometry import cosines
from sae_core.measure.lists import LISTED, compare
from ui.base import chosen, models, state, widgets
from ui.base.cache import shared
from ui.base.url import belongs
from ui.base.widgets import chart, kept
from ui.live.tiles import Tile, levels, picked, tiles

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats


belongs("Digits", "digit", "ranking", "per_digit")
BARS = 40
"""features in the bars of a mean code"""
KEY = 12
"""key features shown as tiles"""
RANKINGS = {"lift": "lift over the base rate", "mean": "raw mean", "importance": "importance"}


def choose_digit(choice: state.Choice) -> int:
    """The class a person looks at; the page keeps this control in sight."""
    names = dataset_info(choice.data).class_names
    return names.index(kept("digit", "Digit", names))


def statistics(choice: state.Choice, c: int) -> FeatureStats | None:
    """The statistics that a person chooses; None, said in words, where there are none for class c."""

    stats = widgets.statistics(choice)
    if stats is not None and c >= len(stats.class_n):
        st.info(f"{stats.dataset} has no class {c}.", icon=":material/info:")
        return None
    return stats


def name(stats: FeatureStats, c: int) -> str:
    """What class c is called."""
    return dataset_info(stats.dataset).class_names[c]


def ranked(stats: FeatureStats) -> list[np.ndarray]:
    """Each class's key features by the ranking that a person chooses."""
    from sae_core.measure.features import FEW
    from sae_core.measure.lists import KEY_SHARE, key_features

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Rank by", width="content")
        there = [by for by in RANKINGS if by != "importance" or stats.importance is not None]
        by = kept("ranking", "Rank by", {by: RANKINGS[by] for by in there})
    if by == "lift":
        st.caption(
            "Lift: share of the digit's images on which the feature is active / share of all images. Ranked are the "
            f"features active on at least {100 * KEY_SHARE:g} % of the digit's images (and at least {FEW} of them): on "
            "fewer, a lift says little."
        )
    elif by == "importance":
        st.caption(
            "Importance: what setting the feature to 0 adds to the mean squared error, as a mean over all of the "
            "digit's images."
        )
    else:
        st.caption(
            "Raw mean: mean activation over all of the digit's images. A feature that nearly every image activates can "
            "lead here and say nothing of the digit."
        )
    return key_features(stats, by)


def mean_code(stats: FeatureStats, c: int) -> None:
    """The largest entries of class c's mean code, as bars."""
    from sae_core.figures import digits as figures

    means = stats.class_means[:, c].astype(float)
    top = np.argsort(-means, kind="stable")[:BARS]
    n, rates = int(stats.class_n[c]), stats.class_rates[top, c]
    chart("code-bars", figures.mean_code_bars(top, means[top], rates, name(stats, c), _on(stats), n))


def mean_map(stats: FeatureStats, c: int) -> None:
    """All of class c's mean code, as a map."""
    from sae_core.figures import digits as figures

    means = stats.class_means[:, c].astype(float)
    chart("code-map", figures.mean_code_map(means, name(stats, c), _on(stats), int(stats.class_n[c])))


def mean_pictures(choice: state.Choice, stats: FeatureStats, c: int) -> None:
    """The picture that the mean code decodes to, and the mean of the images where they are here."""
    decoded = _decoded(choice.model, stats.dataset, stats.split, c)
    n, what = int(stats.class_n[c]), name(stats, c)
    shown = [Tile("decoded mean code", f"What the mean code of the {what}s decodes to", levels=_ink(decoded))]
    said = f"{_on(stats)}, n = {n:,}."
    try:
        mean = _mean_image(stats.dataset, stats.split, c, default_data_dir())
    except DataError:
        shown.append(Tile("mean image", f"The images of {_on(stats)} are not on this computer"))
        said += f" The images of {stats.dataset} are not on this computer, so there is no mean image."
    else:
        shown.append(Tile("mean image", f"The mean of the {n:,} {what}s", levels=_ink(mean)))
        said += f" Pearson between the two pictures, over their {len(mean)} pixels: {_pearson(decoded, mean):.3f}."
    with st.container(key="mean-pictures-place", width=300):
        tiles("mean-pictures", choice.model, shown, label=f"Mean of the {what}s", size=120)
    st.caption(said)


@shared(64)
def _decoded(model: models.Model, dataset: str, split: str, c: int) -> np.ndarray:
    """The picture [784] of class c's mean code."""
    import torch

    code = torch.from_numpy(model.stats(dataset, split).class_means[:, c].astype(np.float32))
    with torch.no_grad():
        picture: np.ndarray = model.sae.picture(model.sae.decode(code[None]))[0].numpy()
    return picture


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    import torch

    from sae_core.measure.metrics import pearson

    return float(pearson(torch.tensor(a)[None], torch.tensor(b)[None])[0])


@shared(64)
def _mean_image(dataset: str, split: str, c: int, folder: Path) -> np.ndarray:
    """The mean [784] of the images of class c. DataError when they are not here."""
    images = load_dataset(dataset, split, folder)
    return np.asarray(images.x[images.labels == c].mean(0))


def key_tiles(choice: state.Choice, stats: FeatureStats, c: int, lists: list[np.ndarray]) -> None:
    """Class c's first key features as pictures; a click opens one on the Features page."""
    from ui.base.words import percent

    by, what = chosen.get("ranking"), name(stats, c)
    shown = []
    for f in lists[c][:KEY].tolist():
        number = f"mean {stats.class_means[f, c]:.2f}"
        if by == "lift":
            number = f"lift {stats.lift[f, c]:.1f}"
        elif stats.importance is not None and by == "importance":
            number = f"+{stats.importance[f, c]:.2g} MSE"
        own, all_ = percent(stats.class_rates[f, c]), percent(stats.frequency[f])
        shown.append(
            Tile(
                f"#{f}\n{number}\n{own} of {what}s\n{all_} of all",
                f"Feature {f}, {number}: active on {own} of the {what}s and on {all_} of all images. Click to open it.",
                rows="decoder",
                feature=f,
                value=f,
            )
        )
    if not shown:
        st.caption(f"No feature is active on enough {what}s.")
        return
    tiles("key-features", choice.model, shown, _open_feature, label=f"Key features of the {what}", size=116)
    through = "" if choice.model.sae.reader is None else ", taken to the pixels through the image generator"
    common = int((stats.frequency[lists[c][:KEY]] > 0.5).sum())
    st.caption(
        f"Decoder rows{through}: orange adds ink, blue takes it away. Below each: on which share of the {what}s, and "
        f"of all images, it is active ({_on(stats)}, n = {int(stats.class_n[c]):,} of {stats.n:,}). "
        f"{common} of these {len(shown)} are active on more than half of all images. Click one to open it."
    )


def _open_feature() -> None:
    value = picked("key-features")
    if value is not None:
        state.choose(feature=value)
        st.session_state["open_key_feature"] = True


def follow_feature() -> None:
    """Go to the Features page when a key feature was just clicked; after `setup`, which writes the URL."""
    if st.session_state.pop("open_key_feature", False):
        st.switch_page("pages/2_Features.py", query_params=st.query_params.to_dict())


def distinctness(stats: FeatureStats, lists: list[np.ndarray]) -> None:
    """How often each class activates everyone's key features, and how alike the mean codes are."""
    from sae_core.figures import digits as figures
    from sae_core.measure.lists import by_first_class

    names = dataset_info(stats.dataset).class_names[: len(lists)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Key features of each digit", width="content")
        n = int(kept("per_digit", "Key features of each digit", ["3", "5", "10"], "5"))
    features, groups = by_first_class(lists, n)
    if len(features):
        rates = stats.class_rates[features]
        chart("key-rates", figures.key_feature_rates(features, groups, rates, names, _on(stats), stats.n))
        st.caption(
            f"The first {n} of each digit by {_ranking()}, {len(features)} different features; one that is a key "
            "feature of several digits stands where it is first."
        )
    alike = cosines(stats.class_means.T)
    left, right = st.columns([11, 9], gap="medium", vertical_alignment="center")
    with left:
        chart("code-cosines", figures.code_cosines(alike, names, _on(stats), stats.n))
    a, b = np.triu_indices(len(names), 1)
    pairs = alike[a, b]
    if len(pairs):
        most, least = int(pairs.argmax()), int(pairs.argmin())
        right.markdown(
            f"Most alike are **{names[a[most]]} and {names[b[most]]}** (cosine {pairs[most]:.2f}), least alike "
            f"**{names[a[least]]} and {names[b[least]]}** ({pairs[least]:.2f}). Over all {len(pairs)} pairs the "
            f"mean is {pairs.mean():.2f}.",
            help="Cosine of two mean codes u, v: ⟨u, v⟩ / (‖u‖ ‖v‖). It does not depend on the ranking.",
        )


def sharing(stats: FeatureStats, lists: list[np.ndarray]) -> None:
    """How many of the key features belong to one class only, and how many to several."""
    from sae_core.figures import digits as figures

    names = dataset_info(stats.dataset).class_names[: len(lists)]
    found = compare(lists)
    if not len(found.features):
        st.caption("No digit has key features to compare.")
        return
    a, b = np.triu_indices(len(names), 1)
    one, many = int((found.lists == 1).sum()), int((found.lists >= 5).sum())
    st.markdown(
        f"The first {LISTED} key features of each digit by {_ranking()} are **{len(found.features)}** different "
        f"features: **{one}** are in one digit's list only, **{len(found.features) - one}** in several, {many} in "
        f"five or more. Two digits share **{found.shared[a, b].mean():.1f}** of {LISTED} on average, "
        f"{found.shared[a, b].max()} at most."
    )
    left, right = st.columns([9, 11], gap="medium")
    with left:
        chart("lists-per-feature", figures.lists_per_feature(found.lists, len(names), LISTED, _on(stats), stats.n))
    with right:
        chart("shared-features", figures.shared_key_features(found.shared, names, LISTED, _on(stats), stats.n))
    st.caption(f"Distinctive features: only in that digit's list, in its order. {_on(stats)}, n = {stats.n:,}.")
    number = st.column_config.NumberColumn
    st.dataframe(
        {
            "digit": list(names),
            "distinctive": [len(one) for one in found.own],
            "of": [min(LISTED, len(order)) for order in lists],
            "features": [", ".join(f"#{f}" for f in one) for one in found.own],
        },
        hide_index=True,
        key="distinctive-features",
        column_config={
            "digit": st.column_config.TextColumn(width="small"),
            "distinctive": number(width="small", help="features that are in no other digit's list"),
            "of": number(width="small", help=f"length of its list: {LISTED}, or fewer where fewer are ranked"),
            "features": st.column_config.TextColumn(width="large"),
        },
    )


def _ink(picture: np.ndarray) -> str:
    return levels(picture.clip(0, 1))


def _ranking() -> str:
    return RANKINGS[chosen.get("ranking")]


def _on(stats: FeatureStats) -> str:
    return f"{stats.dataset}/{stats.split}"
