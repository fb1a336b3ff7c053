"""Switch features of an image off, turn them up, add others, and see what the picture becomes."""

import streamlit as st

from ui import state
from ui.components.model import put_model
from ui.components.steer import KEY, show_numbers, steering, strips
from ui.picker import pick_picture

choice = state.setup("Steer")
st.caption(
    "Each strip is one feature this picture uses, the strongest first: switch it off, or drag it up or down, "
    "and watch the picture change. All of it is computed in your browser while you drag; when you let go, "
    "Python computes it again and prints its numbers below."
)
pick_picture(choice)
now = steering(choice)
put_model(choice.model)
strips(choice, now)
state.follow_feature(KEY)

st.subheader("Python's numbers", anchor=False)
show_numbers(choice, now)
state.link("pages/1_Draw.py", "Draw another picture", icon=":material/draw:")
