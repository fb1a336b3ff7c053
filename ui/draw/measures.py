"""Python's numbers of the drawing."""

from __future__ import annotations

import streamlit as st

from ui.base import state


def show_measures(choice: state.Choice) -> None:
    """The chosen picture through the chosen model, computed here: how well it is reconstructed, and its code."""
    import torch

    from sae_core.measure.metrics import FORMULAS, mse, pearson

    sae = choice.model.sae
    with torch.no_grad():
        x = sae.read(choice.picture.batch)  # what is measured is what it reads
        out, code = sae(x), sae.sparse_code(x)
    active = code.values[0] != 0
    indices, values = code.indices[0][active].tolist(), code.values[0][active].tolist()
    st.caption(f"{choice.picture.what} through **{choice.model.name}** (one image, n = 1)")
    with st.container(horizontal=True, gap="large"):
        r, error = f"{float(pearson(x, out.x_hat)[0]):.4f}", f"{float(mse(x, out.x_hat)[0]):.5f}"
        if sae.reader is None:
            st.metric("Pearson", r, help=FORMULAS["pearson"], width="content")
            st.metric("MSE per pixel", error, help=FORMULAS["mse"], width="content")
        else:
            units = f"the {x.shape[1]} units of the hidden layer h"
            st.metric("Pearson(h, ĥ)", r, help=f"Correlation between h and ĥ over {units}.", width="content")
            st.metric("MSE per unit", error, help=f"Mean over {units} of (ĥ − h)².", width="content")
        st.metric("L0", f"{len(indices)} of {sae.config.d_sae:,}", help=FORMULAS["l0"], width="content")
        if indices:
            st.metric("Strongest", f"{values[0]:.3f}", f"feature {indices[0]}", delta_color="off", width="content")
    with st.expander("The code as a table"):
        st.dataframe({"feature": indices, "activation": values}, hide_index=True, width=320)
