"""Each source document's experiment: what was claimed, what its recipe gives here, and what our choice gives."""

import streamlit as st

from ui.base import shell
from ui.experiments import claims, report

shell.setup("Experiments")
st.caption(
    "The documents behind this program make claims. Here each one stands beside what the document’s own recipe gives "
    "when it is run, and beside what we chose instead. Nothing on this page trains unless you ask for it."
)
name = report.choose_document()
found = report.report(name)
if found is not None:
    st.subheader("Claimed, as documented, ours", anchor=False)
    claims.claims(found)
    st.subheader("Figures", anchor=False)
    report.panels(found)
    st.subheader("Contradictions", anchor=False)
    st.caption("Where the document says one thing and its recipe does another. Open one to see both.")
    report.contradictions(found)
