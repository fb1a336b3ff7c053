"""Numbers on a page: each with its formula on hover, and what it was measured on."""

from __future__ import annotations

import streamlit as st

from ui import state


def model_table() -> None:
    """All models at hand with their metrics on the test images of the data they were trained on."""
    from sae_core.metrics import FORMULAS

    rows = []
    for model in state.models()[0].values():
        c = model.info
        on = f"{c.training['data']}/test"
        m = c.metrics_of(model.member).get(on, {})
        rows.append(
            {
                "model": model.name,
                "kind": c.variant,
                "reads": c.config.get("reads", "pixels").partition("@")[0],
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
            "reads": st.column_config.TextColumn(
                help="Pixels, or the classifier whose hidden layer it reads. Pearson and FVU are over what it reads."
            ),
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
