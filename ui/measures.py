"""Numbers on a page: each with its formula on hover, and what it was measured on."""

from __future__ import annotations

import numpy as np
import streamlit as st

from sae_core.store import list_checkpoints
from ui import state


def model_table() -> None:
    """All models at hand with their metrics on the test images of the data they were trained on."""
    from sae_core.metrics import FORMULAS

    rows = []
    for c in list_checkpoints()[0]:
        on = f"{c.training['data']}/test"
        m = c.metrics.get(on, {})
        rows.append(
            {
                "model": c.name,
                "kind": c.variant,
                "latents": c.config["d_sae"],
                "Pearson": m.get("pearson"),
                "FVU": m.get("fvu"),
                "L0": m.get("l0"),
                "dead": m.get("dead"),
                "measured on": f"{on}, n = {int(m['n']):,}" if m else "not measured",
                "trained on": f"{c.training['data']}/{c.training['split']}, n = {c.training['n']:,}, "
                f"{c.training['options']['epochs']} epochs",
            }
        )
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Pearson": number(format="%.4f", help=FORMULAS["pearson"]),
            "FVU": number(format="%.4f", help=FORMULAS["fvu"]),
            "L0": number(format="%.1f", help=FORMULAS["l0"]),
            "dead": number(help=FORMULAS["dead"]),
        },
    )


def show_measures(choice: state.Choice) -> None:
    """The chosen picture through the chosen model, computed here: how well it is reconstructed, and its code."""
    import torch

    from sae_core.metrics import FORMULAS, mse, pearson

    sae = choice.model.sae
    with torch.no_grad():
        x = sae.read(torch.from_numpy(np.array(choice.picture.x))[None])
        out, code = sae(x), sae.sparse_code(x)
    active = code.values[0] != 0
    indices, values = code.indices[0][active].tolist(), code.values[0][active].tolist()
    st.caption(f"{choice.picture.what} through **{choice.model.name}** (one image, n = 1)")
    with st.container(horizontal=True, gap="large"):
        st.metric("Pearson", f"{float(pearson(x, out.x_hat)[0]):.4f}", help=FORMULAS["pearson"], width="content")
        st.metric("MSE per pixel", f"{float(mse(x, out.x_hat)[0]):.5f}", help=FORMULAS["mse"], width="content")
        st.metric("L0", f"{len(indices)} of {sae.config.d_sae:,}", help=FORMULAS["l0"], width="content")
        if indices:
            st.metric("Strongest", f"{values[0]:.3f}", f"feature {indices[0]}", delta_color="off", width="content")
    with st.expander("The code as a table"):
        st.dataframe({"feature": indices, "activation": values}, hide_index=True, width=320)
