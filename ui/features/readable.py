"""What can be read of a model's features, in a sentence."""

from __future__ import annotations

import streamlit as st

from sae_core.measure.readability import FORMULAS
from ui.base import models
from ui.base.words import explained, percent, plain


def sentence(model: models.Model) -> None:
    """How many features are in use, whether they are strokes or noise, and of how many classes; with split and n."""
    with explained():
        found = model.readability
        if found is None:
            st.caption(
                "How readable these features are was not measured; `python -m sae_core readability "
                f"{plain(model.info.name)} --save` does it."
            )
            return
        d_sae = found.in_use + found.rare + found.dead
        said = [f"**{found.in_use:,} of {d_sae:,}** features are in use"]
        if found.smooth_dec is not None:
            said.append(
                f"their smoothness (noise 0, an even stroke 1) is **{found.smooth_dec:.2f}** in what they add to a "
                f"picture and **{found.smooth_enc:.2f}** in what they look for"
            )
        elif found.in_use:
            said.append(f"their smoothness is not measured: {found.why_none}")
        if found.purity is not None:
            chance = percent(found.purity_chance)
            said.append(
                f"of the images that activate one, **{percent(found.purity)}** are of one class (chance {chance})"
            )
        st.markdown(
            "; ".join(said) + f". :small[:gray[On {found.split}, n = {found.n:,}]]",
            help=f"In use: {FORMULAS['in_use']}\n\nSmoothness: {FORMULAS['smooth']}\n\nClass: {FORMULAS['purity']}",
        )
