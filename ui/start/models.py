"""The models at hand, with their metrics."""

from __future__ import annotations

import streamlit as st

from ui.base import models


def model_table() -> None:
    """All models at hand with their metrics on the test images of the data they were trained on."""
    from sae_core.measure.metrics import FORMULAS

    rows = []
    for model in models.listed()[0].values():
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
                "in use": m.get("in_use"),
                "rare": m.get("rare"),
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
            "in use": number(help=FORMULAS["in_use"]),
            "rare": number(help=FORMULAS["rare"]),
            "dead": number(help=FORMULAS["dead"]),
        },
    )
