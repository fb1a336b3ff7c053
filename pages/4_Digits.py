"""What each digit uses: its mean code, its key features, what sets it apart, and its images."""

import streamlit as st

from ui import digits, state
from ui.components.model import put_model

choice = state.setup("Digits")
digits.follow_feature()
st.caption(
    "What each digit uses: the mean code of its images, the features that stand for it, and what it shares with the "
    "other digits. Below that, its images, and those that the model reconstructs worst."
)
with st.container(key="digit-place", width="content"):
    c = digits.choose_digit(choice)
stats = digits.statistics(choice, c)  # here torch is loaded: what stands above is painted first

pictures = None
if stats is not None:
    st.subheader(f"The mean code of a {digits.name(stats, c)}", anchor=False)
    left, right = st.columns([11, 9], gap="medium")
    with left:
        digits.mean_code(stats, c)
        pictures = st.container()
    with right:
        digits.mean_map(stats, c)

with st.container(gap=None):  # what is invisible takes no place
    put_model(choice.model, every_row=True)
    st.html(
        "<style>:has(> .st-key-digit-place) { position: sticky; top: 3.75rem; z-index: 9; }"
        ".st-key-digit-place { background: Canvas; border-radius: 0.5rem; }"
        "@media (max-width: 640px) { .st-key-digit-place button { min-width: 0; padding-inline: 0.7rem; } }</style>"
    )

if stats is not None:
    st.subheader(f"Key features of the {digits.name(stats, c)}", anchor=False)
    lists = digits.ranked(stats)
    digits.key_tiles(choice, stats, c, lists)

    st.subheader("How distinct the digits are", anchor=False)
    digits.distinctness(stats, lists)

    st.subheader("Shared and distinctive features", anchor=False)
    digits.sharing(stats, lists)

digits.images(choice, c)

if stats is not None and pictures is not None:
    with pictures:  # last, for the images of a training split take seconds to load
        digits.mean_pictures(choice, stats, c)
