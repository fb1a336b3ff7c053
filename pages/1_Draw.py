"""Draw a digit, or pick one, and watch its sparse code and reconstruction while drawing."""

import streamlit as st

from ui import state
from ui.components.draw import draw, is_empty, take_drawing
from ui.components.model import put_model
from ui.measures import show_measures
from ui.picker import pick_picture

take_drawing()
choice = state.setup("Draw")
st.caption(
    "Draw in the black square, or pick or upload a picture. All of it is computed in your browser while the pointer "
    "moves; when you let go, Python computes it again and prints its numbers below."
)
pick_picture(choice)
put_model(choice.model)
draw(choice)
state.follow_feature("draw")

st.subheader("Python's numbers", anchor=False)
if is_empty():
    st.info("There is nothing drawn yet. Draw a digit, or pick a picture above.", icon=":material/draw:")
else:
    show_measures(choice)
    state.link("pages/3_Steer.py", "Steer this picture", icon=":material/tune:")
