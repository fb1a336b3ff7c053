"""What each digit uses: its mean code, its key features, what sets it apart, and its images."""

import streamlit as st

from ui.base import shell
from ui.digits import codes, images
from ui.live.model import put_model

choice = shell.setup("Digits")
codes.follow_feature()
st.caption(
    "What each digit uses: the mean code of its images, the features that stand for it, and what it shares with the "
    "other digits. Below that, its images, and those that the model reconstructs worst."
)
with st.container(key="digit-place", width="content"):
    c = codes.choose_digit(choice)
stats = codes.statistics(choice, c)  # here torch is loaded: what stands above is painted first
pictures = None
if stats is not None:
    st.subheader(f"The mean code of a {codes.name(stats, c)}", anchor=False)
    left, right = st.columns([11, 9], gap="medium")
    with left:
        codes.mean_code(stats, c)
        pictures = st.container()
    with right:
        codes.mean_map(stats, c)

with st.container(gap=None):  # what is invisible takes no place
    put_model(choice.model, every_row=True)
    st.html(
        "<style>:has(> .st-key-digit-place) { position: sticky; top: 3.75rem; z-index: 9; }"
        ".st-key-digit-place { background: Canvas; border-radius: 0.5rem; }"
        "@media (max-width: 640px) { .st-key-digit-place button { min-width: 0; padding-inline: 0.7rem; } }</style>"
    )

if stats is not None:
    st.subheader(f"Key features of the {codes.name(stats, c)}", anchor=False)
    lists = codes.ranked(stats)
    codes.key_tiles(choice, stats, c, lists)

    st.subheader("How distinct the digits are", anchor=False)
    codes.distinctness(stats, lists)

    st.subheader("Shared and distinctive features", anchor=False)
    codes.sharing(stats, lists)

images.images(choice, c)

if stats is not None and pictures is not None:
    with pictures:  # last, for the images of a training split take seconds to load
        codes.mean_pictures(choice, stats, c)
