"""The chosen data set, image and feature: kept in the session, carried from page to page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import streamlit as st

from sae_core import files
from sae_core.datasets import DataError, ImageSet, dataset_names, load_dataset
from sae_core.reference import Picture, find_picture
from ui.base import chosen
from ui.base.models import Model
from ui.base.url import in_session, write_url
from ui.base.words import plain

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats


DEFAULT_MODEL = "strokes-512-k20"
EXAMPLE = 11
"""index of the image with which Draw and Steer open"""


@dataclass(frozen=True)
class Choice:
    """What is chosen on this run of a page."""

    model: Model
    data: str
    """name of the data set whose pictures are shown"""
    feature: int | None

    @cached_property
    def picture(self) -> Picture:
        """The chosen image, or an example; loaded when a page first asks, so that the page is painted before it."""
        return _picture(self.data, self.model.side)

    @property
    def statistics(self) -> FeatureStats | None:
        """What is known of the model's features: over the chosen data, else over any other; None where nothing is."""
        return self._first([self.data, *(n for n in dataset_names() if n != self.data)])

    @property
    def widest(self) -> FeatureStats | None:
        """What is known of the features over the data the model was trained on, whichever is chosen: it says how far
        each can go, where a smaller set, as the digits that stand in for MNIST, does not."""
        return self._first(self.model.measured)

    def _first(self, names: list[str]) -> FeatureStats | None:
        for name in names:
            try:
                return self.model.stats(name)
            except files.CheckpointError:
                continue
        return None

    def images(self, split: str = "test") -> ImageSet:
        """The chosen data set's pictures."""
        return load_dataset(self.data, split)


def choose(**choices: str | int | None) -> None:
    """Set model, data, image or feature for all pages, and write the URL."""
    for key, value in choices.items():
        chosen.put(key, None if value is None else str(value))
    write_url()


def say_of(ref: str | None, said: tuple[str, ...]) -> None:
    """Keep what was found in a picture as it was prepared, until another one is."""
    st.session_state["said_of_picture"] = ref, said


def said_of(ref: str | None) -> tuple[str, ...]:
    """What was found in the picture of that reference as it was prepared in this session."""
    of, said = st.session_state.get("said_of_picture", (None, ()))
    return said if ref is not None and of == ref else ()


def _picture(data: str, side: int) -> Picture:
    """The chosen image; what the URL asks for and cannot be had is said, and the example shown instead."""
    ref = chosen.get("image")
    if ref is not None:
        try:
            found = find_picture(ref)
            if len(found.x) == side**2:
                return found
            raise ValueError(f"it has {len(found.x)} pixels, and this model reads pictures of {side}×{side}.")
        except (ValueError, DataError) as e:
            st.warning(
                f"This address's picture cannot be shown: {plain(e)} Here is an example instead.",
                icon=":material/warning:",
            )
        choose(image=None)
    return find_picture(f"{data}-test-{min(EXAMPLE, len(load_dataset(data, 'test')) - 1)}")


def chosen_feature(model: Model) -> int | None:
    """The feature chosen now: a fragment that runs alone has an older `Choice`."""
    value = chosen.get("feature")
    d_sae = model.info.config["d_sae"]
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,7}", value) or int(value) >= d_sae:
        st.warning(
            f"There is no feature '{plain(value, 20)}': {model.name} has 0 to {d_sae - 1}.", icon=":material/warning:"
        )
        chosen.put("feature", None)
        return None
    return int(value)


def component_value(key: str, name: str) -> Any:
    """What the mounted component `key` last sent as state `name`; None before it did."""
    value = st.session_state.get(key)
    return None if value is None else getattr(value, name, None)


def follow_feature(key: str) -> None:
    """Go to a feature's page when one was opened in the mounted component `key`."""
    value = component_value(key, "feature")
    if value and value != st.session_state.get(f"followed_{key}"):
        choose(feature=int(value["feature"]))
        st.session_state[f"followed_{key}"] = value
        st.switch_page("pages/2_Features.py", query_params=in_session("Features"))
