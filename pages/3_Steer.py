"""Switch features of an image off, turn them up, add others, and see what it becomes and what it is taken for."""

import streamlit as st

from ui.base import shell, state, url
from ui.live.classifier import classifier_for, put_classifier
from ui.live.model import put_model
from ui.live.picker import pick_picture, take_step
from ui.steer import panels as steering_panels
from ui.steer import recipes as recipe_panel
from ui.steer.strips import KEY, show_numbers, steering, strips

url.at("Steer")
recipe_panel.take_recipe()
take_step()
choice = shell.setup("Steer")
recipe_panel.after_recipe(choice)
st.caption(
    "Each strip is one feature this picture uses, the strongest first: switch it off, or drag it up or down, "
    "and watch the picture change, and what a classifier takes it for. All of it is computed in your browser while you "
    "drag; when you let go, Python computes it again and prints its numbers below."
)
pick_picture(choice)
now = steering(choice)
classifier = classifier_for(choice.model)
with st.container(gap=None):  # what is invisible takes no place
    put_model(choice.model)
    put_classifier(classifier)
strips(choice, now, classifier)
state.follow_feature(KEY)

st.subheader("Python's numbers", anchor=False)
show_numbers(choice, now)
steering_panels.opinion(choice, now, classifier)
steering_panels.change_mind(choice, classifier)
steering_panels.over_many(choice, now, classifier)
recipe_panel.panel(choice, now)
shell.link("pages/1_Draw.py", "Draw another picture", icon=":material/draw:")
