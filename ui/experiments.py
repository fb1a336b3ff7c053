"""The parts of the Experiments page: a report's claims, its figures by subject, the contradictions, and another run."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from sae_core import reproduce
from sae_core.datasets import DataError, default_data_dir
from sae_core.reproduce import Claim, Report, read_report
from sae_core.store import CheckpointError
from ui import state

DOCUMENTS = {"ensemble": "Ensemble (000–002)", "intro": "Introduction (003)", "experiment3": "Hidden layer (004)"}
ABOUT = {
    "ensemble": "Five k-sparse autoencoders trained side by side on MNIST, and what their features are.",
    "intro": "What sparsity is for, how an L1 penalty can be cheated, and ReLU + L1 against BatchTopK.",
    "experiment3": "An SAE on a classifier’s hidden layer: which features matter for a digit, and what they look like.",
}
_RUNNING = threading.Lock()


# ---- what is chosen


def kept(key: str, label: str, options: Mapping[str, str], default: str | None = None) -> str:
    """A row of options whose choice outlives page and section (a widget's own state does not)."""
    wanted = st.session_state.get(f"chosen_{key}")
    if wanted not in options:
        wanted = default or next(iter(options))
    st.session_state[f"widget_{key}"] = st.session_state[f"chosen_{key}"] = wanted
    st.segmented_control(
        label,
        list(options),
        key=f"widget_{key}",
        required=True,
        format_func=lambda o: options[o],
        on_change=_keep,
        args=(key,),
        label_visibility="collapsed",
    )
    return str(wanted)


def _keep(key: str) -> None:
    st.session_state[f"chosen_{key}"] = st.session_state[f"widget_{key}"]


def choose_document() -> str:
    """The experiment a person looks at."""
    name = kept("experiment", "Document", DOCUMENTS)
    st.caption(ABOUT[name])
    return name


# ---- the report, and another run


def report(name: str) -> Report | None:
    """The bundled report or the quick run of this session, with the ways between the two; None, in words, without."""
    quick = st.session_state.get(f"quick-{name}")
    folder = Path(quick) if quick else reproduce.BUNDLED / name
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


@lru_cache(maxsize=8)
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


# ---- claims

_STYLE = """<style>
.claims { width: 100%; border-collapse: collapse; font-size: 0.875rem; }
.claims tr { display: grid; grid-template-columns: 5fr 3fr 3fr 3fr; gap: 0 1rem; padding: 0.5rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.claims :is(td, th) { border: 0; padding: 0; text-align: left; font-weight: 400; overflow-wrap: anywhere; }
.claims thead th, .claims .what { font-weight: 600; }
.claims .where, .claims .note, .claims summary::marker { opacity: 0.65; }
.claims :is(.where, .note) { font-size: 0.8125rem; font-weight: 400; }
.claims .note { grid-column: 1 / -1; margin-top: 0.25rem; }
.claims details > div { font-size: 0.8125rem; }
.claims summary { cursor: pointer; }
@media (max-width: 640px) {
  .claims tr { grid-template-columns: 1fr 1fr 1fr; gap: 0 0.5rem; }
  .claims th:first-child { grid-column: 1 / -1; margin-bottom: 0.25rem; }
  .claims thead th:first-child { display: none; }
}
</style>"""


def claims(found: Report) -> None:
    """Every claim beside what the recipe and what our choice give, as a table that a narrow screen can show."""
    rows = "".join(_claim(c) for c in found.claims)
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("claim", "claimed", "as documented", "ours"))
    st.html(f'{_STYLE}<table class="claims"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>')


def _claim(c: Claim) -> str:
    by_epoch = "by epoch" in c.what
    cells = "".join(f"<td>{_value(v, by_epoch)}</td>" for v in (c.claimed, c.documented, c.ours))
    where = f'<div class="where">{escape(c.split)}, n = {c.n:,}</div>'
    note = f'<td class="note">{escape(c.note)}</td>' if c.note else ""
    return f'<tr><th scope="row"><span class="what">{escape(c.what)}</span>{where}</th>{cells}{note}</tr>'


def _value(value: Any, by_epoch: bool) -> str:
    from ui.contradictions import compact

    short = escape(compact(value, by_epoch))
    if not isinstance(value, list) or len(value) < 4:
        return short
    return f"<details><summary>{short}</summary><div>{escape(reproduce.show(value))}</div></details>"


# ---- figures and contradictions


@st.fragment
def panels(found: Report) -> None:
    """The figures of one subject at a time, which a person chooses."""
    from ui.experiment_panels import PANELS  # plotly takes long to import: what stands above is painted first
    from ui.report import Source

    there = PANELS[found.name]
    subject = kept(f"subject-{found.name}", "Subject", {name: name for name in there})
    with state.explained():
        there[subject](Source(found, default_data_dir()), f"{found.name}-{subject}")


@st.fragment
def contradictions(found: Report) -> None:
    """Each place where the document contradicts itself, opened by a click."""
    from ui import contradictions as words
    from ui.experiment_panels import SWITCHES
    from ui.report import Source

    source = Source(found, default_data_dir())
    for entry in words.entries(source):
        box = st.expander(f"{entry.number}. {entry.title}", key=f"contradiction-{entry.number}", on_change="rerun")
        if not box.open:
            continue
        with box, state.explained():
            st.markdown(f"**claimed** {entry.claimed}  \n**as documented** {entry.documented}  \n**ours** {entry.ours}")
            if entry.number in SWITCHES:
                SWITCHES[entry.number](source, f"contradiction-{entry.number}")
    for remark in words.remarks(source):
        st.caption(remark)
