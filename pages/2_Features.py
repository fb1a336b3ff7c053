"""The dictionary as a wall of pictures, and one feature in depth."""

import streamlit as st

from ui.base import shell, state, widgets
from ui.features import details, landscape, readable
from ui.features.wall import opened, point_wall, wall
from ui.live.model import put_model

WALL = "feature-wall"
# Of wall and detail, side by side, what is not being scrolled stays in sight: the wall while a person reads on; under a
# finger, where the page scrolls and not the wall, the detail.
IN_SIGHT = """
@media (min-width: 641px) { :has(> .st-key-wall-place) { position: sticky; top: 4.5rem; } }
@media (min-width: 641px) and (pointer: coarse) {
  :has(> .st-key-wall-place) { position: static; }
  :has(> .st-key-detail-place) { position: sticky; top: 4.5rem; max-height: calc(100vh - 5rem); overflow: hidden auto; }
}
"""
choice = shell.setup("Features")


def open_from_wall() -> None:
    state.choose(feature=opened(WALL))


@st.fragment
def explore() -> None:
    """The wall and the open feature: only this part runs when a feature is opened."""
    details.take_step(choice.model)
    left, right = st.columns([11, 9], gap="medium")
    with left, st.container(key="wall-place"):
        wall(WALL, choice.model, stats.dataset if stats else None, on_open=open_from_wall)
    with right, st.container(key="detail-place"):
        feature = state.chosen_feature(choice.model)
        if feature is None:
            details.nothing_open(stats)
        else:
            details.feature(choice, feature, stats)
        point_wall(WALL, feature)


readable.sentence(choice.model)
stats = widgets.statistics(choice)
with st.container(gap=None):  # what is invisible here takes no place
    put_model(choice.model, every_row=True)
    st.html(f"<style>{IN_SIGHT}</style>")
explore()
landscape.landscape(choice, stats)
details.table(choice, stats)
