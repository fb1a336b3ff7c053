"""Start page: what a sparse autoencoder is, one digit taken apart, the models at hand."""

import streamlit as st

from ui.base import shell
from ui.live.model import put_model
from ui.start.apart import apart
from ui.start.models import model_table, why_the_default

choice = shell.setup("What a sparse autoencoder sees")

st.markdown(
    "A **sparse autoencoder** (SAE) learns a dictionary of small pictures, its **features**, such that every image is "
    "close to a sum of just a few of them. Which few an image uses, and how strongly, is its **sparse code**: some "
    f"dozen numbers that stand for {choice.model.side**2} pixels. Each feature is a picture you can look at, so you "
    "can see what the network saw, and change it."
)
# The page is painted first; the model (and torch) is loaded after that, into this place.
stage = st.container()
with stage:
    loading = st.empty()
    loading.caption("Loading the model …")

PAGES = {
    "1_Draw": (":material/draw:", "Draw a digit and watch its code and reconstruction while you draw."),
    "2_Features": (":material/grid_view:", "All features as one wall of pictures, and each one in depth."),
    "3_Steer": (":material/tune:", "Switch features off, turn them up, and see what the picture becomes."),
    "4_Digits": (":material/filter_9:", "What each digit uses, and how digits differ in it."),
    "7_Experiments": (":material/science:", "The source documents: claimed, as documented, ours."),
}
for column, (page, (icon, text)) in zip(st.columns(len(PAGES)), PAGES.items(), strict=True):
    with column.container(border=True, height="stretch"):
        shell.link(f"pages/{page}.py", f"**{page[2:]}**", icon=icon)
        st.write(text)

st.subheader("Models at hand", anchor=False)
why_the_default()
model_table()

with stage:
    try:
        put_model(choice.model)
    finally:
        loading.empty()
    apart(choice)
