"""The parts of the Experiments page: a report's claims, its figures by subject, the contradictions, and another run."""

from __future__ import annotations

import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path

import streamlit as st

from sae_core.datasets import DataError, default_data_dir
from sae_core.documents import report as reports
from sae_core.documents import reproduce
from sae_core.documents.report import Report, read_report
from sae_core.files import CheckpointError
from ui.base import words
from ui.base.cache import shared
from ui.base.widgets import kept

DOCUMENTS = {"ensemble": "Ensemble (000–002)", "intro": "Introduction (003)", "experiment3": "Hidden layer (004)"}
ABOUT = {
    "ensemble": "Five k-sparse autoencoders trained side by side on MNIST, and what their features are.",
    "intro": "What sparsity is for, how an L1 penalty can be cheated, and ReLU + L1 against BatchTopK.",
    "experiment3": "An SAE on a classifier’s hidden layer: which features matter for a digit, and what they look like.",
}
_RUNNING = threading.Lock()


def choose_document() -> str:
    """The experiment a person looks at."""
    name = kept("experiment", "Document", DOCUMENTS)
    st.caption(ABOUT[name])
    return name


def report(name: str) -> Report | None:
    """The bundled report or the quick run of this session, with the ways between the two; None, in words, without."""
    quick = st.session_state.get(f"quick-{name}")
    folder = Path(quick) if quick else reports.BUNDLED / name
    found = None
    try:
        found = _read(folder, (folder / "report.json").stat().st_mtime)
    except (OSError, CheckpointError) as e:
        why = f" ({e})" if isinstance(e, CheckpointError) else ""
        st.info(
            f"There is no report of this experiment here yet{why}: `python -m sae_core reproduce {name}`",
            icon=":material/info:",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if found is not None:
            st.caption(_about(found), width="stretch")
        if quick:
            st.button("Back to the full run", icon=":material/undo:", on_click=_back, args=(name,))
        again = st.button(
            "Run again (quick)",
            icon=":material/replay:",
            help="Trains everything anew on 2,000 images for one epoch, on this computer: to see that it works. "
            f"The full run: python -m sae_core reproduce {name}",
        )
    if found is not None and found.quick:
        st.warning(
            "This is a quick run: 2,000 training images, one epoch, 500 test images. Its numbers show that the "
            "experiment runs, not what the documents’ training gives.",
            icon=":material/timer:",
        )
    place = st.container()
    if again:
        with place:
            _run(name)
    return found


@shared(8)
def _read(folder: Path, changed: float) -> Report:
    return read_report(folder)


def _about(found: Report) -> str:
    trained = sum(found.info.get("trained_in_s", {}).values())
    what = "quick run" if found.quick else "bundled run"
    models = len(found.info.get("models", {}))
    return f"{what}, seed {found.seed}; {models} model{'s' if models > 1 else ''} trained in {trained:.0f} s"


def _back(name: str) -> None:
    st.session_state.pop(f"quick-{name}", None)


@lru_cache(maxsize=1)
def _runs() -> tempfile.TemporaryDirectory[str]:
    """Where quick runs of this server are kept; it goes with the server."""
    return tempfile.TemporaryDirectory(prefix="sae-explorer-", ignore_cleanup_errors=True)


def _run(name: str) -> None:
    """Run the experiment quickly, one at a time, and show its report; what hinders it is said in words."""
    if not _RUNNING.acquire(blocking=False):
        st.info("Another quick run is going on here. Try again when it is done.", icon=":material/hourglass:")
        return
    bar = st.progress(0.0, "starting …")
    told = 0.0

    def tell(what: str, done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > 0.2:  # a message to the browser costs more than a step
            told = time.monotonic()
            bar.progress(min(1.0, done / max(of, 1)), what)

    try:
        folder = Path(_runs().name) / name
        reproduce.reproduce(
            name, quick=True, out=folder, on_stage=tell, on_log=lambda log: tell("training", log.step, log.steps)
        )
    except (DataError, CheckpointError) as e:
        bar.empty()
        st.info(f"The experiments train on MNIST. {e}", icon=":material/info:")
        return
    finally:
        _RUNNING.release()
    st.session_state[f"quick-{name}"] = str(folder)
    st.rerun()


@st.fragment
def panels(found: Report) -> None:
    """The figures of one subject at a time, which a person chooses."""
    from sae_core.documents.source import Source
    from ui.experiments.panels import PANELS  # plotly takes long to import: what stands above is painted first

    there = PANELS[found.name]
    subject = kept(f"subject-{found.name}", "Subject", {name: name for name in there})
    with words.explained():
        there[subject](Source(found, default_data_dir()), f"{found.name}-{subject}")


@st.fragment
def contradictions(found: Report) -> None:
    """Each place where the document contradicts itself, opened by a click."""
    from sae_core.documents import words as written
    from sae_core.documents.source import Source
    from ui.experiments.panels import SWITCHES

    source = Source(found, default_data_dir())
    for entry in written.entries(source):
        box = st.expander(f"{entry.number}. {entry.title}", key=f"contradiction-{entry.number}", on_change="rerun")
        if not box.open:
            continue
        with box, words.explained():
            st.markdown(f"**claimed** {entry.claimed}  \n**as documented** {entry.documented}  \n**ours** {entry.ours}")
            if entry.number in SWITCHES:
                SWITCHES[entry.number](source, f"contradiction-{entry.number}")
    for remark in written.remarks(source):
        st.caption(remark)
