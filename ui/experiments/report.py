"""The parts of the Experiments page: a report's claims, its figures by subject, the contradictions, and another run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from sae_core.datasets import DataError, dataset_info, default_data_dir, load_dataset
from sae_core.documents import report as reports
from sae_core.documents.report import Report, read_report
from sae_core.files import CheckpointError
from ui.base import job_view, words
from ui.base.cache import shared
from ui.base.jobs import Busy, Job, Jobs
from ui.base.url import belongs
from ui.base.widgets import kept, reached, several

DOCUMENTS = {"ensemble": "Ensemble (000–002)", "intro": "Introduction (003)", "experiment3": "Hidden layer (004)"}
belongs("Experiments", "experiment", "open-*", "subject-*", "contradiction-*", *(f"{name}-*" for name in DOCUMENTS))
ABOUT = {
    "ensemble": "Five k-sparse autoencoders trained side by side on MNIST, and what their features are.",
    "intro": "What sparsity is for, how an L1 penalty can be cheated, and ReLU + L1 against BatchTopK.",
    "experiment3": "An SAE on a classifier’s hidden layer: which features matter for a digit, and what they look like.",
}


def choose_document() -> str:
    """The experiment a person looks at."""
    name = kept("experiment", "Document", DOCUMENTS)
    st.caption(ABOUT[name])
    return name


def report(name: str) -> Report | None:
    """The bundled report or a quick run that this session looks at, with the ways between; None, in words, without."""
    job = _latest(name)
    quick = st.session_state.get(f"quick-{name}")
    if quick and not Path(quick).is_dir():  # only the newest runs are kept
        _back(name)
        quick = None
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
        elif job is not None and job.state() == "done":
            label = f"Show the quick run {job_view.when(job)}"
            st.button(label, icon=":material/timer:", on_click=_look_at, args=(name, job))
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
    if again:
        job = _run(name) or job
    if job is not None:
        job_view.follow(job)
    return found


def _latest(name: str) -> Job | None:
    """The newest quick run of that experiment; when this session started it and it is done, its report is shown."""
    job = Jobs().latest(f"reproduce-{name}")
    if job is not None and st.session_state.get(f"started-{name}") == job.id and job.state() == "done":
        _look_at(name, job)
    return job


@shared(8)
def _read(folder: Path, changed: float) -> Report:
    return read_report(folder)


def _about(found: Report) -> str:
    trained = sum(found.info.get("trained_in_s", {}).values())
    what = "quick run" if found.quick else "bundled run"
    models = len(found.info.get("models", {}))
    return f"{what}, seed {found.seed}; {models} model{'s' if models > 1 else ''} trained in {trained:.0f} s"


def _look_at(name: str, job: Job) -> None:
    st.session_state[f"quick-{name}"] = str(job.out)
    st.session_state.pop(f"started-{name}", None)


def _back(name: str) -> None:
    st.session_state.pop(f"quick-{name}", None)


def _run(name: str) -> Job | None:
    """Start a quick run of the experiment, in a process of its own; what hinders it is said in words."""
    try:
        if not dataset_info("mnist").is_here(default_data_dir()):
            load_dataset("mnist", "train")  # says which file is missing
        what = ["reproduce", name, "--quick", "--no-figures"]  # the page draws its own
        job = Jobs().start(f"reproduce-{name}", f"the quick run of “{DOCUMENTS[name]}”", what)
    except DataError as e:
        st.info(f"The experiments train on MNIST. {e}", icon=":material/info:")
    except Busy as e:
        st.info(str(e), icon=":material/hourglass:")
    except OSError as e:
        st.info(f"It cannot be started here: {words.plain(e)}", icon=":material/info:")
    else:
        st.session_state[f"started-{name}"] = job.id
        return job
    return None


@st.fragment
def panels(found: Report) -> None:
    """The figures of one subject at a time, which a person chooses."""
    from sae_core.documents.source import Source
    from ui.experiments.panels import PANELS  # plotly takes long to import: what stands above is painted first

    there = PANELS[found.name]
    subject = kept(f"subject-{found.name}", "Subject", {name: name for name in there})
    with words.explained():
        there[subject](Source(found, default_data_dir()), f"{found.name}-{subject.lower().replace(' ', '-')}")


def _open(name: str, numbers: Sequence[str]) -> None:
    reached(f"open-{name}", ",".join(n for n in numbers if st.session_state[f"contradiction-{n}"]))


@st.fragment
def contradictions(found: Report) -> None:
    """Each place where the document contradicts itself, opened by a click."""
    from sae_core.documents import words as written
    from sae_core.documents.source import Source
    from ui.experiments.panels import SWITCHES

    source = Source(found, default_data_dir())
    entries = written.entries(source)
    numbers = [str(entry.number) for entry in entries]
    opened = several(f"open-{found.name}", "contradiction", numbers)
    for entry, number in zip(entries, numbers, strict=True):
        box = st.expander(
            f"{number}. {entry.title}",
            expanded=number in opened,
            key=f"contradiction-{number}",
            on_change=_open,
            args=(found.name, numbers),
        )
        if not box.open:
            continue
        with box, words.explained():
            st.markdown(f"**claimed** {entry.claimed}  \n**as documented** {entry.documented}  \n**ours** {entry.ours}")
            if entry.number in SWITCHES:
                SWITCHES[entry.number](source, f"contradiction-{entry.number}")
    for remark in written.remarks(source):
        st.caption(remark)
