"""Draw a digit, or pick one, and watch its sparse code, its terms and its reconstruction while drawing."""

import streamlit as st

from ui.base import shell, state, url
from ui.draw.measures import show_measures
from ui.draw.nearest import show_nearest
from ui.draw.pad import draw, is_empty, take_drawing
from ui.draw.verdict import ask, show_likeness, show_sum, show_verdict
from ui.live.model import put_model
from ui.live.picker import pick_picture, take_step

url.at("Draw")
take_drawing()
take_step()
choice = shell.setup("Draw")
st.caption("Draw, pick, upload or drop a picture. Your browser follows every stroke; Python's own numbers stand below.")
pick_picture(choice, is_empty(), say=False)
with st.container(gap=None):  # what is invisible takes no place
    put_model(choice.model)
    classifier = ask(choice)
    draw(choice, classifier)
state.follow_feature("draw")

st.subheader("Python's numbers", anchor=False)
if is_empty():
    st.info("There is nothing drawn yet. Draw a digit, or pick a picture above.", icon=":material/draw:")
else:
    show_measures(choice)
    show_sum(choice)
    show_likeness(choice)
    if classifier is not None:
        show_verdict(choice, classifier)
    shell.link("pages/3_Steer.py", "Steer this picture", icon=":material/tune:")
    show_nearest(choice)
