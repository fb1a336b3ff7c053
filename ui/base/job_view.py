"""A job on a page: how far it is, which follows by itself, how it can be stopped, and how it ended."""

from __future__ import annotations

import time

import streamlit as st

from ui.base.jobs import Job
from ui.base.words import plain

EVERY = 0.5
"""seconds between two looks at a job that is going on"""


def follow(job: Job) -> None:
    """Show a job that is going on, or that ended without a result; when it ends, the page runs anew."""
    going_on = job.state() == "running"
    # Streamlit runs such a fragment as long as the page is shown that had it last: only where something can change.
    st.fragment(_show, run_every=EVERY if going_on else None)(job, going_on)


def when(job: Job) -> str:
    """When it was asked for, in words that stand behind a noun: "of 14:03", "of 25 November, 14:03"."""
    asked, today = time.localtime(job.config.asked), time.localtime()
    day = "" if asked[:3] == today[:3] else f"{asked.tm_mday} {time.strftime('%B', asked)}, "
    return f"of {day}{time.strftime('%H:%M', asked)}"


def _show(job: Job, going_on: bool) -> None:
    state = job.state()
    if going_on and state != "running":
        st.rerun()
    if state == "running":
        progress = job.progress()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.progress(progress.share, plain(progress.what or "starting …"))
            st.button("Stop", icon=":material/stop_circle:", on_click=job.stop, key=f"stop-{job.id}")
    elif state != "done":
        _ended(job, state)


def _ended(job: Job, state: str) -> None:
    title = plain(job.config.title[:1].upper() + job.config.title[1:])
    if state == "failed":
        said = f"{title} failed. {plain(job.progress().error)}"
    elif state == "stopped":
        said = f"{title} was stopped."
    else:
        said = f"{title} ended without a word: its process is gone, killed or crashed."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(said, icon=":material/info:")
        if st.button("Close", icon=":material/close:", key=f"close-{job.id}"):
            job.remove()
            st.rerun()
    words = job.last_words() if state == "gone" else ""
    if words:
        st.caption("The last that it said:")
        st.code(words, language=None)
