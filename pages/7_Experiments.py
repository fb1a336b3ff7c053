"""Each source document's experiment: what was claimed, what its recipe gives here, and what our choice gives."""

import streamlit as st

from ui import experiments, state

state.setup("Experiments")
st.caption(
    "The documents behind this program make claims. Here each one stands beside what the document’s own recipe gives "
    "when it is run, and beside what we chose instead. Nothing on this page trains unless you ask for it."
)
name = experiments.choose_document()
report = experiments.report(name)
if report is not None:
    st.subheader("Claimed, as documented, ours", anchor=False)
    experiments.claims(report)
    st.subheader("Figures", anchor=False)
    experiments.panels(report)
    st.subheader("Contradictions", anchor=False)
    st.caption("Where the document says one thing and its recipe does another. Open one to see both.")
    experiments.contradictions(report)
