"""The parts of the Digits page: a class's mean code, its key features, what it shares, and its images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from sae_core.datasets import DataError, dataset_info, default_data_dir, load_dataset
from ui import state
from ui.components.tiles import Tile, levels, picked, tiles

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sae_core.features import FeatureStats

BARS = 40
"""features in the bars of a mean code"""
KEY = 12
"""key features shown as tiles"""
LISTED = 30
"""key features of each class that are compared"""
PAGE, WORST = 24, 12
"""images on a page: in order, and with their reconstructions"""
RANKINGS = {"lift": "lift over the base rate", "mean": "raw mean", "importance": "importance"}
ORDERS = {"order": "in order", "worst": "worst reconstructed first"}
_CHART = {"displayModeBar": False}


# ---- what is chosen


def _kept(key: str, label: str, options: Sequence[str], names: dict[str, str] | None = None, default: int = 0) -> str:
    """A row of options whose choice outlives the page (a widget's own state does not)."""
    wanted = str(st.session_state.get(f"chosen_{key}"))
    if wanted not in options:
        wanted = options[default]
    st.session_state[f"widget_{key}"] = st.session_state[f"chosen_{key}"] = wanted
    st.segmented_control(
        label,
        options,
        key=f"widget_{key}",
        required=True,
        format_func=lambda o: (names or {}).get(o, o),
        on_change=_keep,
        args=(key,),
        label_visibility="collapsed",
    )
    return wanted


def _keep(key: str) -> None:
    st.session_state[f"chosen_{key}"] = st.session_state[f"widget_{key}"]


def choose_digit(choice: state.Choice) -> int:
    """The class a person looks at; the page keeps this control in sight."""
    names = dataset_info(choice.data).class_names
    return names.index(_kept("digit", "Digit", names))


def statistics(choice: state.Choice, c: int) -> FeatureStats | None:
    """The statistics that a person chooses; None, said in words, where there are none for class c."""
    from ui import details

    stats = details.statistics(choice)
    if stats is not None and c >= len(stats.class_n):
        st.info(f"{stats.dataset} has no class {c}.", icon=":material/info:")
        return None
    return stats


def name(stats: FeatureStats, c: int) -> str:
    """What class c is called."""
    return dataset_info(stats.dataset).class_names[c]


def ranked(stats: FeatureStats) -> list[np.ndarray]:
    """Each class's key features by the ranking that a person chooses."""
    from sae_core.features import FEW, KEY_SHARE, key_features

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Rank by", width="content")
        there = [by for by in RANKINGS if by != "importance" or stats.importance is not None]
        by = _kept("ranking", "Rank by", there, RANKINGS)
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


# ---- the mean code


def mean_code(stats: FeatureStats, c: int) -> None:
    """The largest entries of class c's mean code, as bars."""
    from ui import figures

    means = stats.class_means[:, c].astype(float)
    top = np.argsort(-means, kind="stable")[:BARS]
    n, rates = int(stats.class_n[c]), stats.class_rates[top, c]
    _chart("code-bars", figures.mean_code_bars(top, means[top], rates, name(stats, c), _on(stats), n))


def mean_map(stats: FeatureStats, c: int) -> None:
    """All of class c's mean code, as a map."""
    from ui import figures

    means = stats.class_means[:, c].astype(float)
    _chart("code-map", figures.mean_code_map(means, name(stats, c), _on(stats), int(stats.class_n[c])))


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
        said += f" Pearson between the two pictures, over their 784 pixels: {_pearson(decoded, mean):.3f}."
    with st.container(key="mean-pictures-place", width=300):
        tiles("mean-pictures", choice.model, shown, label=f"Mean of the {what}s", size=120)
    st.caption(said)


@lru_cache(maxsize=64)
def _decoded(model: state.Model, dataset: str, split: str, c: int) -> np.ndarray:
    """The picture [784] of class c's mean code."""
    import torch

    code = torch.from_numpy(model.stats(dataset, split).class_means[:, c].astype(np.float32))
    with torch.no_grad():
        picture: np.ndarray = model.sae.picture(model.sae.decode(code[None]))[0].numpy()
    return picture


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    import torch

    from sae_core.metrics import pearson

    return float(pearson(torch.from_numpy(a)[None], torch.from_numpy(b)[None])[0])


@lru_cache(maxsize=64)
def _mean_image(dataset: str, split: str, c: int, folder: Path) -> np.ndarray:
    """The mean [784] of the images of class c. DataError when they are not here."""
    images = load_dataset(dataset, split, folder)
    return np.asarray(images.x[images.labels == c].mean(0))


# ---- key features


def key_tiles(choice: state.Choice, stats: FeatureStats, c: int, lists: list[np.ndarray]) -> None:
    """Class c's first key features as pictures; a click opens one on the Features page."""
    from ui.components.wall import percent

    by, what = st.session_state["chosen_ranking"], name(stats, c)
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


# ---- all classes together


def distinctness(stats: FeatureStats, lists: list[np.ndarray]) -> None:
    """How often each class activates everyone's key features, and how alike the mean codes are."""
    from sae_core.features import by_first_class
    from ui import figures

    names = dataset_info(stats.dataset).class_names[: len(lists)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Key features of each digit", width="content")
        n = int(_kept("per_digit", "Key features of each digit", ["3", "5", "10"], default=1))
    features, groups = by_first_class(lists, n)
    if len(features):
        rates = stats.class_rates[features]
        _chart("key-rates", figures.key_feature_rates(features, groups, rates, names, _on(stats), stats.n))
        st.caption(
            f"The first {n} of each digit by {_ranking()}, {len(features)} different features; one that is a key "
            "feature of several digits stands where it is first."
        )
    cosines = code_cosine(stats.class_means)
    left, right = st.columns([11, 9], gap="medium", vertical_alignment="center")
    with left:
        _chart("code-cosines", figures.code_cosines(cosines, names, _on(stats), stats.n))
    a, b = np.triu_indices(len(names), 1)
    pairs = cosines[a, b]
    if len(pairs):
        most, least = int(pairs.argmax()), int(pairs.argmin())
        right.markdown(
            f"Most alike are **{names[a[most]]} and {names[b[most]]}** (cosine {pairs[most]:.2f}), least alike "
            f"**{names[a[least]]} and {names[b[least]]}** ({pairs[least]:.2f}). Over all {len(pairs)} pairs the "
            f"mean is {pairs.mean():.2f}.",
            help="Cosine of two mean codes u, v: ⟨u, v⟩ / (‖u‖ ‖v‖). It does not depend on the ranking.",
        )


def code_cosine(means: np.ndarray) -> np.ndarray:
    """The cosine of each two columns of means [d_sae, classes] → [classes, classes]."""
    unit = means.astype(np.float64)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=0), 1e-30)
    return np.asarray(unit.T @ unit)


class Sharing(NamedTuple):
    """What the classes' lists of key features have in common."""

    features: np.ndarray
    """[m] those in any list"""
    lists: np.ndarray
    """[m] in how many lists each is"""
    shared: np.ndarray
    """[classes, classes] features that two lists share; the diagonal is a list's length"""
    own: list[list[int]]
    """each class's features that are in no other list, in the order of its list"""


def compare(lists: Sequence[np.ndarray], top: int = LISTED) -> Sharing:
    """Compare the first `top` of each class's list."""
    first = [order[:top].tolist() for order in lists]
    features, counts = np.unique([f for one in first for f in one], return_counts=True)
    several = set(features[counts > 1].tolist())
    return Sharing(
        features,
        counts,
        np.array([[len(set(p) & set(q)) for q in first] for p in first]),
        [[f for f in one if f not in several] for one in first],
    )


def sharing(stats: FeatureStats, lists: list[np.ndarray]) -> None:
    """How many of the key features belong to one class only, and how many to several."""
    from ui import figures

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
        _chart("lists-per-feature", figures.lists_per_feature(found.lists, len(names), LISTED, _on(stats), stats.n))
    with right:
        _chart("shared-features", figures.shared_key_features(found.shared, names, LISTED, _on(stats), stats.n))
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


# ---- the images


class Quality(NamedTuple):
    """How well a model reconstructs each image of one class."""

    pearson: np.ndarray
    """[n] between what it reads of the image and its reconstruction"""
    mse: np.ndarray
    """[n] mean squared error per pixel, or per unit of the hidden layer that it reads"""


@st.fragment
def images(choice: state.Choice, c: int) -> None:
    """The images of class c: only this part runs when a page is turned or an image taken."""
    info = dataset_info(choice.data)
    what = info.class_names[c]
    st.subheader(f"Images of the {what}", anchor=False)
    with state.explained():
        _ = choice.picture  # says in words what an address asks for and cannot be had
        with st.container(horizontal=True, vertical_alignment="center"):
            split = _kept("images_split", "Split", info.splits, default=_at(info.splits, "test"))
            by = _kept("images_order", "Order", list(ORDERS), ORDERS)
        found = choice.images(split)
        where = np.flatnonzero(found.labels == c)
        quality = None
        if by == "worst":
            quality = _quality(choice.model, choice.data, split, c, default_data_dir())
            order = np.argsort(quality.pearson, kind="stable")
            where, quality = where[order], Quality(quality.pearson[order], quality.mse[order])
        if not len(where):
            st.caption(f"There is no {what} in {choice.data}/{split}.")
            return
        start, stop = _pages(f"{choice.data}-{split}-{c}-{by}", len(where), PAGE if quality is None else WORST)
        on = f"{choice.data}/{split}"
        shown = []
        for j in range(start, stop):
            i = int(where[j])
            said, words = str(i), f"Image {i} of {on}, a {what}"
            if quality is not None:
                said, words = f"{quality.pearson[j]:.3f}", f"{words}: Pearson {quality.pearson[j]:.3f}"
                words += f", MSE {quality.mse[j]:.4f}"
            ref = f"{choice.data}-{split}-{i}"
            chosen = st.session_state.get("chosen_image")
            shown.append(Tile(said, words, levels=levels(found.x[i]), value=ref, chosen=ref == chosen))
        tiles("digit-images", choice.model, shown, _take_image, label=f"Images of the {what}", size=60)
        if quality is not None:
            _reconstructions(choice, found.x[where[start:stop]], shown)
        _taken(choice, shown, quality, f"{on}, n = {len(where):,} {what}s")


def _pages(key: str, n: int, size: int) -> tuple[int, int]:
    """Which of n images are shown, as a range, with buttons that turn the page; each list keeps its own place."""
    pages = -(-n // size)
    at = min(st.session_state.get(f"page-{key}", 0), pages - 1)

    def turn(by: int) -> None:
        st.session_state[f"page-{key}"] = (at + by) % pages

    start, stop = at * size, min(n, (at + 1) * size)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("←", key="images-before", help="The images before", on_click=turn, args=(-1,))
        st.caption(f"{start + 1:,} to {stop:,} of {n:,}", width="content")
        st.button("→", key="images-after", help="The next images", on_click=turn, args=(1,))
    return start, stop


def _taken(choice: state.Choice, shown: list[Tile], quality: Quality | None, on: str) -> None:
    """What is below the images: the ways on from the one that was taken, or what the numbers are."""
    taken = next((t for t in shown if t.chosen), None)
    if taken is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(taken.label, width="stretch")
            state.link("pages/1_Draw.py", "Draw", icon=":material/draw:", help="See its code")
            state.link("pages/3_Steer.py", "Steer", icon=":material/tune:", help="Change it")
        return
    go_on = "Click one to take it to Draw or Steer."
    if quality is None:
        st.caption(f"{on}. Below each: its number in the split. {go_on}")
        return
    over = "image and reconstruction, over the 784 pixels"
    if choice.model.sae.reader is not None:
        over = f"h and ĥ, over the {choice.model.sae.config.d_in} units of the hidden layer that the model reads"
    st.caption(
        f"{on}. Below each image: Pearson between {over}; of all of them the mean is {quality.pearson.mean():.4f}, the "
        f"worst {quality.pearson.min():.4f}. {go_on}"
    )


def _reconstructions(choice: state.Choice, x: np.ndarray, shown: list[Tile]) -> None:
    """The model's pictures of x [n, 784], in the order of the tiles above."""
    import torch

    sae = choice.model.sae
    with torch.no_grad():
        pictures = sae.picture(sae(sae.read(torch.from_numpy(x))).x_hat).numpy()
    st.caption("Their reconstructions, in the same order")
    made = [Tile("", f"Reconstruction of: {t.label}", levels=_ink(p)) for t, p in zip(shown, pictures, strict=True)]
    tiles("digit-reconstructions", choice.model, made, label="Reconstructions", size=60)


@lru_cache(maxsize=32)
def _quality(model: state.Model, data: str, split: str, c: int, folder: Path) -> Quality:
    """How well each image of class c is reconstructed, in the split's order; tells its progress after a second."""
    import torch

    from sae_core.metrics import batches, mse, pearson

    images, sae = load_dataset(data, split, folder), model.sae
    x = images.x[images.labels == c]
    began, bar, done = time.monotonic(), None, 0
    found: list[tuple[np.ndarray, np.ndarray]] = []
    with torch.no_grad():
        for batch in batches(x, "cpu", 250):
            read = sae.read(batch)
            x_hat = sae(read).x_hat
            found.append((pearson(read, x_hat).numpy(), mse(read, x_hat).numpy()))
            done += len(batch)
            if time.monotonic() - began > 1:
                bar = bar or st.progress(0.0)
                bar.progress(done / len(x), f"Reconstructing {done:,} of {len(x):,} images")
    if bar is not None:
        bar.empty()
    r, error = (np.concatenate(part) for part in zip(*found, strict=True)) if found else (np.zeros(0), np.zeros(0))
    return Quality(r, error)


def _take_image() -> None:
    value = picked("digit-images")
    if value is not None:
        state.choose(image=value)


# ---- small things


def _ink(picture: np.ndarray) -> str:
    return levels(picture.clip(0, 1))


def _at(options: Sequence[str], wanted: str) -> int:
    return options.index(wanted) if wanted in options else 0


def _ranking() -> str:
    return RANKINGS[st.session_state["chosen_ranking"]]


def _on(stats: FeatureStats) -> str:
    return f"{stats.dataset}/{stats.split}"


def _chart(key: str, figure: go.Figure) -> None:
    st.plotly_chart(figure, key=key, config=_CHART)
