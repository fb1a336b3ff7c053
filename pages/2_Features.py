"""The dictionary as a wall of pictures, and one feature in depth."""

import streamlit as st

from ui.base import shell, state, widgets
from ui.features import details, landscape
from ui.features.wall import opened, point_wall, wall
from ui.live.model import put_model

WALL = "feature-wall"
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
    with right:
        feature = state.chosen_feature(choice.model)
        if feature is None:
            details.nothing_open(stats)
        else:
            details.feature(choice, feature, stats)
        point_wall(WALL, feature)


stats = widgets.statistics(choice)
with st.container(gap=None):  # what is invisible here takes no place
    put_model(choice.model, every_row=True)
    # Beside its detail the wall stays in sight while a person reads on.
    st.html(
        "<style>@media (min-width: 641px) { :has(> .st-key-wall-place) { position: sticky; top: 4.5rem; } }</style>"
    )
explore()
landscape.landscape(choice, stats)
details.table(choice, stats)
