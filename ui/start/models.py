"""The models at hand with their metrics, and why the one that opens was chosen."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from sae_core.measure.readability import FORMULAS as READABLE
from sae_core.measure.readability import Readability
from ui.base import models
from ui.base.state import DEFAULT_MODEL
from ui.base.words import explained, plain


def model_table() -> None:
    """All models at hand with their metrics on the test images of the data they were trained on."""
    from sae_core.measure.metrics import FORMULAS

    rows = []
    for model in models.listed()[0].values():
        c = model.info
        on = f"{c.training['data']}/test"
        m = c.metrics_of(model.member).get(on, {})
        readable = c.readability_of(model.member).get(on, {})
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
                "smooth strokes": readable.get("smooth_dec"),
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
            "smooth strokes": number(format="%.2f", help=READABLE["smooth"]),
            "rare": number(help=FORMULAS["rare"]),
            "dead": number(help=FORMULAS["dead"]),
        },
    )


class _Measured(NamedTuple):
    """A k-sparse model on pixels, as its metrics say it."""

    name: str
    k: int
    d_sae: int
    fvu: float
    readable: Readability


def _measured(model: models.Model) -> _Measured | None:
    """None for another kind of model, or where it was not measured."""
    info, found = model.info, model.readability
    if "k" not in info.config or found is None or found.smooth_dec is None:
        return None
    metrics = info.metrics_of(model.member).get(found.split, {})
    if "fvu" not in metrics:
        return None
    return _Measured(model.name, info.config["k"], info.config["d_sae"], metrics["fvu"], found)


def why_the_default() -> None:
    """Why the model that opens was chosen: what can be read of its features, and what of those of the best code at the
    largest k. Nothing where that was not measured."""
    listed = models.listed()[0]
    with explained():
        found = [m for m in map(_measured, listed.values()) if m is not None]
        own = next((m for m in found if m.name == DEFAULT_MODEL), None)
        if own is None:
            return
        where, n = own.readable.split, own.readable.n
        denser = [m for m in found if m.k > own.k and m.fvu < own.fvu and m.readable.split == where]
        said = [
            f"**{own.name}** opens first because its features can be read: with {own.k} active on an image they are "
            f"strokes and arcs. Their smoothness is {own.readable.smooth_dec:.2f} (1 an even stroke, 0 noise), and "
            f"{own.readable.in_use:,} of {own.d_sae:,} are in use."
        ]
        if denser:
            most = max(denser, key=lambda m: (m.k, -m.fvu))
            said.append(
                f"At k = {most.k} ({plain(most.name)}) a reconstruction is closer (FVU {most.fvu:.3f}, not "
                f"{own.fvu:.3f}), but most features are dots that cannot be named: smoothness "
                f"{most.readable.smooth_dec:.2f}, {most.readable.in_use:,} of {most.d_sae:,} in use."
            )
        st.caption(f"{' '.join(said)} On {where}, n = {n:,}.", help=READABLE["smooth"])
