"""What stands around every page: its settings, its title, the choices in the sidebar, the links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import streamlit as st

from sae_core import files
from sae_core.datasets import DataError, dataset_info, dataset_names, default_data_dir, download_dataset
from sae_core.store.catalogue import member_said
from ui.base import chosen, models, url
from ui.base.state import DEFAULT_MODEL, Choice, chosen_feature
from ui.base.words import plain

NAME = "SAE Explorer"
ICON = str(Path(__file__).with_name("icon.png"))
_STYLE = """<style>
/* More of a page above the fold. */
.stMainBlockContainer { padding-top: 3.5rem; }
/* Streamlit's own grey has a contrast of 3.9 on white; this has 7.2, and 10 in the dark theme. */
[data-testid=stCaptionContainer] { color: inherit; opacity: 0.8; }
/* What brings our components' scripts takes no place, and no gap. */
.st-key-scripts { display: none; }
</style>"""


def setup(title: str) -> Choice:
    """The first call of every page: its settings, its h1, the choices in the sidebar, the URL.

    Stops the page with an explanation when there is no model at all.
    """
    st.set_page_config(page_title=f"{title} · {NAME}", page_icon=ICON, layout="wide")
    st.html(_STYLE)
    url.at(title)
    url.take_url()
    st.title(title, anchor=False)
    navigation = st.sidebar.container()
    found, broken = models.listed()
    ensemble = _member_0(found)
    asked = url.in_session()
    with st.sidebar:
        if found:
            model = found[_select("model", "Model", list(found), DEFAULT_MODEL)]
        here = [n for n in dataset_names() if dataset_info(n).is_here(default_data_dir())]
        fitting = [n for n in here if not found or dataset_info(n).side == model.side]
        data = _select("data", "Pictures from", fitting, "mnist") if fitting else ""
        _offer_downloads(here)
        for sentence in broken:
            st.warning(f"A model was left out. {plain(sentence)}", icon=":material/warning:")
        if found and (why := model.info.collapsed):
            st.warning(f"Not a good model: {why}.", icon=":material/warning:")
    if not found:
        with navigation:
            _navigation()
        st.info("There is no model here yet. Train one: `python -m sae_core train topk`")
        st.stop()
    if not fitting:
        with navigation:
            _navigation()
        st.info(
            f"{model.name} reads pictures of {model.side}×{model.side}, and no data set here has such. Choose another."
        )
        st.stop()
    for key, wanted, shown in (("model", "model", model.name), ("data", "data set", data)):
        if key == "data" and asked.get(key) in set(here) - set(fitting):
            st.warning(
                f"{model.name} reads pictures of {model.side}×{model.side}, and those of {asked[key]} have another "
                f"size; this is {data}.",
                icon=":material/warning:",
            )
        elif asked.get(key, shown) != shown:
            st.warning(
                f"There is no {wanted} '{plain(asked[key], 60)}' here; this is {shown}.", icon=":material/warning:"
            )
    if ensemble:
        st.info(ensemble, icon=":material/info:")
    choice = Choice(model, data, chosen_feature(model))
    url.write_url()
    with navigation:
        _navigation()
    return choice


def _member_0(found: dict[str, models.Model]) -> str:
    """Where the name of an ensemble is asked for, its member 0 is chosen: what is said of that, else nothing."""
    name = str(chosen.get("model"))
    if name in found or f"{name}/0" not in found:
        return ""
    chosen.put("model", f"{name}/0")
    return member_said(name, found[f"{name}/0"].info.members) + "."


def link(page: str, label: str, **options: Any) -> None:
    """A link to a page of ours that takes the choices with it, so that Back leads to them in one step."""
    st.page_link(page, label=label, query_params=url.in_session(_title(page)) or None, **options)


def _navigation() -> None:
    """Links to every page, in place of Streamlit's own, which would drop the choices."""
    for page in ["app.py", *sorted(f"pages/{p.name}" for p in (files.home() / "pages").glob("*.py"))]:
        link(page, _title(page))
    st.divider()


def _title(page: str) -> str:
    """What a page is called, by its file."""
    return "Start" if page == "app.py" else re.sub(r"^\d+_", "", Path(page).stem).replace("_", " ")


def _select(key: str, label: str, options: list[str], default: str) -> str:
    """A select box whose choice outlives the page."""
    return str(st.selectbox(label, **chosen.by_widget(key, options, default)))


@st.cache_data(ttl=10, show_spinner=False)  # the same for everyone, and asked in each run
def _why_not(name: str, folder: Path) -> str:
    """Why a data set is not found in a folder, in a sentence."""
    ask = dataset_info(name).why_not
    return ask(folder) if ask else ""


def _offer_downloads(here: list[str]) -> None:
    for name in dataset_names():
        info = dataset_info(name)
        if name not in here and info.downloadable:
            title = name.upper()
            why = plain(_why_not(name, default_data_dir().absolute()))
            st.caption(f"{title} is not found; the embedded digits stand in for it. {why}")
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
                    chosen.put("data", name)
                    st.rerun()
