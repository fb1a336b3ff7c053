"""The chosen model, data set, image and feature: kept in the session, carried from page to page, and in the URL."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from sae_core import store
from sae_core.datasets import (
    DataError,
    ImageSet,
    dataset_info,
    dataset_names,
    default_data_dir,
    download_dataset,
    load_dataset,
)

if TYPE_CHECKING:
    from torch import Tensor

    from sae_core.features import FeatureStats
    from sae_core.sae import SAE

NAME = "SAE Explorer"
ROOT = Path(__file__).parent.parent
ICON = str(ROOT / "ui" / "icon.png")
DEFAULT_MODEL = "topk-1024-k50"
EXAMPLE = 11
"""index of the image with which Draw and Steer open"""
_STYLE = """<style>
/* More of a page above the fold. */
.stMainBlockContainer { padding-top: 3.5rem; }
/* Streamlit's own grey has a contrast of 3.9 on white; this has 7.2, and 10 in the dark theme. */
[data-testid=stCaptionContainer] { color: inherit; opacity: 0.8; }
</style>"""
_KEYS = ("model", "data", "image", "feature")
_MARKDOWN = re.compile(r"([\\`*_~\[\](){}<>#!|$&+]|:(?=\S))")


@dataclass(frozen=True)
class Model:
    """A model a person can choose; its weights are loaded when they are first asked for."""

    name: str
    """as `load` takes it: "NAME", or "NAME/0" for a member of an ensemble"""
    hash: str
    path: Path
    member: int = 0

    @property
    def id(self) -> str:
        """Changes with the weights: the browser keeps models by it."""
        return f"{self.name}@{self.hash}"

    @property
    def sae(self) -> SAE:
        """The SAE on the CPU, shared by everyone on this server: never change it."""
        return _load(self.path, self.hash, self.member)

    @property
    def info(self) -> store.Checkpoint:
        """What the checkpoint says of itself: variant, config, training and metrics."""
        return store.read(self.path)

    @property
    def measured(self) -> list[str]:
        """The data sets whose training split its feature statistics were made on, its own training data first."""
        own = self.info.training["data"]
        found = [n for n in dataset_names() if store.stats_path(self.path, n, "train", self.member).is_file()]
        return sorted(found, key=lambda n: n != own)

    def stats(self, dataset: str, split: str = "train") -> FeatureStats:
        """Feature statistics over a split. CheckpointError when they were not made."""
        return _stats(self.path, self.hash, dataset, split, self.member)


@lru_cache(maxsize=8)
def _load(path: Path, hash: str, member: int) -> SAE:
    import torch

    from sae_core.checkpoints import load

    # One image is a few hundred microseconds of work: more threads only get in each other's way.
    torch.set_num_threads(1)
    return load(path).member(member)


@lru_cache(maxsize=16)
def _stats(path: Path, hash: str, dataset: str, split: str, member: int) -> FeatureStats:
    from sae_core import features

    return features.read(path, dataset, split, member)


def models() -> tuple[dict[str, Model], list[str]]:
    """Every SAE a person can choose, each member of an ensemble for itself, and a sentence for each broken folder."""
    found, broken = store.list_checkpoints()
    several = [(c, i) for c in found if c.is_sae for i in range(c.members)]
    listed = [Model(f"{c.name}/{i}" if c.members > 1 else c.name, c.hash, c.path, i) for c, i in several]
    return {m.name: m for m in listed}, broken


@dataclass(frozen=True, eq=False)
class Picture:
    """The image that a person looks at."""

    x: np.ndarray
    """[784] float32 in [0, 1], in 8-bit levels"""
    ref: str
    """how the URL says it: DATASET-SPLIT-INDEX, or px- and the packed pixels of a drawing or an upload"""
    what: str
    """in words"""
    label: int | None
    """its class, where a data set says it"""

    @property
    def levels(self) -> str:
        """Its 784 8-bit levels as base64: what components are given."""
        return base64.b64encode(np.round(self.x * 255).astype(np.uint8).tobytes()).decode()

    @property
    def batch(self) -> Tensor:
        """A copy of it as a network takes it: [1, 784] float32."""
        import torch

        return torch.from_numpy(np.array(self.x))[None]


@dataclass(frozen=True)
class Choice:
    """What is chosen on this run of a page."""

    model: Model
    data: str
    """name of the data set whose pictures are shown"""
    feature: int | None

    @cached_property
    def picture(self) -> Picture:
        """The chosen image, or an example; loaded when a page first asks, so that the page is painted before it."""
        return _picture(self.data)

    @property
    def statistics(self) -> FeatureStats | None:
        """What is known of the model's features: over the chosen data, else over any other; None where nothing is."""
        for name in [self.data, *(n for n in dataset_names() if n != self.data)]:
            try:
                return self.model.stats(name)
            except store.CheckpointError:
                continue
        return None

    def images(self, split: str = "test") -> ImageSet:
        """The chosen data set's pictures."""
        return load_dataset(self.data, split)


def setup(title: str) -> Choice:
    """The first call of every page: its settings, its h1, the choices in the sidebar, the URL.

    Stops the page with an explanation when there is no model at all.
    """
    st.set_page_config(page_title=f"{title} · {NAME}", page_icon=ICON, layout="wide")
    st.html(_STYLE)
    _take_url()
    st.title(title, anchor=False)
    navigation = st.sidebar.container()
    found, broken = models()
    asked = _chosen()
    with st.sidebar:
        if found:
            model = found[_select("model", "Model", list(found), DEFAULT_MODEL)]
        here = [n for n in dataset_names() if dataset_info(n).is_here(default_data_dir())]
        data = _select("data", "Pictures from", here, "mnist")
        _offer_downloads(here)
        for sentence in broken:
            st.warning(f"A model was left out. {plain(sentence)}", icon=":material/warning:")
    if not found:
        with navigation:
            _navigation()
        st.info("There is no model here yet. Train one: `python -m sae_core train topk`")
        st.stop()
    for key, wanted, shown in (("model", "model", model.name), ("data", "data set", data)):
        if asked.get(key, shown) != shown:
            st.warning(
                f"There is no {wanted} '{plain(asked[key], 60)}' here; this is {shown}.", icon=":material/warning:"
            )
    choice = Choice(model, data, chosen_feature(model))
    _write_url()
    with navigation:
        _navigation()
    return choice


def choose(**chosen: str | int | None) -> None:
    """Set model, data, image or feature for all pages, and write the URL."""
    for key, value in chosen.items():
        st.session_state[f"chosen_{key}"] = None if value is None else str(value)
    _write_url()


def drawn(x: np.ndarray, what: str) -> Picture:
    """A picture [784] that a person made, with the reference that brings it back from a URL."""
    levels = np.round(x * 255).astype(np.uint8).tobytes()
    packed = base64.urlsafe_b64encode(zlib.compress(levels, 9)).decode().rstrip("=")
    return Picture(x.astype(np.float32), f"px-{packed}", what, None)


def link(page: str, label: str, **options: Any) -> None:
    """A link to a page of ours that takes the choices with it, so that Back leads to them in one step."""
    st.page_link(page, label=label, query_params=_chosen() or None, **options)


def plain(text: object, most: int = 300) -> str:
    """What came from outside (an address, a file, the browser), to stand in a sentence as it is, cut to `most`.

    Streamlit reads every sentence as Markdown, in which an image makes the browser ask any host for it.
    """
    whole = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", whole[:most]) + "…" * (len(whole) > most)


@contextmanager
def explained() -> Iterator[None]:
    """Say in words, in place, what of a panel could not be shown; the rest of the page goes on."""
    try:
        yield
    except (store.CheckpointError, DataError) as e:
        st.info(str(e), icon=":material/info:")


# ---- the parts of setup


def _navigation() -> None:
    """Links to every page, in place of Streamlit's own, which would drop the choices."""
    for page in ["app.py", *sorted(f"pages/{p.name}" for p in (ROOT / "pages").glob("*.py"))]:
        name = re.sub(r"^\d+_", "", Path(page).stem).replace("_", " ")
        link(page, "Start" if page == "app.py" else name)
    st.divider()


def _in_url() -> dict[str, str]:
    return {k: st.query_params[k] for k in _KEYS if k in st.query_params}


def _chosen() -> dict[str, str]:
    return {k: v for k in _KEYS if (v := st.session_state.get(f"chosen_{k}")) is not None}


def _take_url() -> None:
    """The URL wins where somebody came with it: a deep link, or a step back or forward in the browser's history.

    Any other message brings the URL along as the browser knew it when it was sent, by a link as it was drawn: what was
    chosen since is newer.
    """
    there, written = _in_url(), st.session_state.get("written_url")
    if there and there != written and (written is None or _by_history()):
        for key in _KEYS:
            st.session_state[f"chosen_{key}"] = there.get(key)


def _by_history() -> bool:
    context = get_script_run_ctx()
    # Where Streamlit does not say, a step back must work; a choice made while the page is slow could then be undone.
    return bool(getattr(context, "is_history_navigation", True))


def _write_url() -> None:
    chosen = _chosen()
    st.session_state["written_url"] = chosen
    if _in_url() != chosen:
        st.query_params.from_dict({k: v for k, v in st.query_params.items() if k not in _KEYS} | chosen)


def _select(key: str, label: str, options: list[str], default: str) -> str:
    """A select box whose choice outlives the page (a widget's own state does not)."""
    wanted = st.session_state.get(f"chosen_{key}")
    if wanted not in options:
        wanted = default if default in options else options[0]
    # Set on every run: on the run after a page switch the old page's widget still answers to this key, but the
    # new one would start at its first option.
    st.session_state[f"widget_{key}"] = st.session_state[f"chosen_{key}"] = wanted
    return st.selectbox(label, options, key=f"widget_{key}", on_change=_take_select, args=(key,))


def _take_select(key: str) -> None:
    st.session_state[f"chosen_{key}"] = st.session_state[f"widget_{key}"]


def _offer_downloads(here: list[str]) -> None:
    for name in dataset_names():
        info = dataset_info(name)
        if name not in here and info.downloadable:
            title = name.upper()
            st.caption(f"{title} is not on this computer; the embedded digits stand in for it.")
            if st.button(f"Get {title}", key=f"get_{name}", help=info.description):
                bar = st.progress(0.0, f"Getting {title} …")

                def tell(file: str, done: int, of: int, bar: Any = bar) -> None:
                    bar.progress(min(1.0, done / max(of, 1)), f"Getting {file}")

                try:
                    download_dataset(name, progress=tell)
                except DataError as e:
                    bar.empty()
                    st.error(str(e))
                else:
                    st.session_state["chosen_data"] = name
                    st.rerun()


def _picture(data: str) -> Picture:
    """The chosen image; what the URL asks for and cannot be had is said, and the example shown instead."""
    ref = st.session_state.get("chosen_image")
    if ref is not None:
        try:
            return find_picture(ref)
        except (ValueError, DataError) as e:
            st.warning(
                f"This address's picture cannot be shown: {plain(e)} Here is an example instead.",
                icon=":material/warning:",
            )
        choose(image=None)
    return find_picture(f"{data}-test-{EXAMPLE}")


@lru_cache(maxsize=64)
def find_picture(ref: str) -> Picture:
    """The picture of a reference. ValueError or DataError in words for one that means nothing here."""
    if ref.startswith("px-"):
        try:
            packed = base64.urlsafe_b64decode(ref[3:] + "=" * (-len(ref[3:]) % 4))
            levels = zlib.decompressobj().decompress(packed, 785)
        except (binascii.Error, zlib.error, ValueError):
            raise ValueError("it is damaged.") from None
        if len(levels) != 784:
            raise ValueError("it is not a 28×28 picture.")
        return Picture(np.frombuffer(levels, np.uint8).astype(np.float32) / 255, ref, "your picture", None)
    match = re.fullmatch(r"([a-z0-9_]+)-([a-z]+)-(\d{1,7})", ref)
    if not match or match[1] not in dataset_names():
        raise ValueError("it names no image.")
    name, split, index = match[1], match[2], int(match[3])
    images = load_dataset(name, split)
    if index >= len(images):
        raise ValueError(f"{name}/{split} has {len(images)} images, so there is no number {index}.")
    label = int(images.labels[index])
    return Picture(images.x[index], ref, f"{name}/{split} image {index}, a {label}", label)


def chosen_feature(model: Model) -> int | None:
    """The feature chosen now: a fragment that runs alone has an older `Choice`."""
    value = st.session_state.get("chosen_feature")
    d_sae = model.info.config["d_sae"]
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,7}", value) or int(value) >= d_sae:
        st.warning(
            f"There is no feature '{plain(value, 20)}': {model.name} has 0 to {d_sae - 1}.", icon=":material/warning:"
        )
        st.session_state["chosen_feature"] = None
        return None
    return int(value)


def component_value(key: str, name: str) -> Any:
    """What the mounted component `key` last sent as state `name`; None before it did."""
    value = st.session_state.get(key)
    return None if value is None else getattr(value, name, None)


def follow_feature(key: str) -> None:
    """Go to a feature's page when one was opened in the mounted component `key`."""
    value = component_value(key, "feature")
    if value and value != st.session_state.get(f"followed_{key}"):
        choose(feature=int(value["feature"]))
        st.session_state[f"followed_{key}"] = value
        st.switch_page("pages/2_Features.py", query_params=_chosen())
