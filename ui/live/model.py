"""A model's weights in the browser, sent once and kept there for every component of the page.

A model of more than MOST latents is sent in parts: the browser asks for the rows that a picture needs, Python finds out
which latents it activates, and sends those.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from sae_core.files import CheckpointError
from ui.base import models
from ui.base.cache import shared
from ui.live import link
from ui.live.component import component, put_scripts

if TYPE_CHECKING:
    from sae_core.models.forms import InferenceForm, Layer


_model = component("live/model")
MOST = 4096
"""latents of a model that is sent as a whole"""
ASKED = 2048
"""features of a model in parts that may be asked for at once, besides those of a picture"""


def pack(form: InferenceForm, model_id: str, shown: bool = True, **more: Any) -> bytes:
    """An inference form as the engine reads it: length, JSON header, matrices as float16, biases as float32.

    The matrices are W, D and, where there are such layers, the reader's and the painter's, and the biases come in
    the same order, then the thresholds of a selection by threshold. The matrices of stored models are float16 numbers
    already, so nothing is lost. `more` goes into the header.

    CheckpointError for a form that is to be shown, reads a hidden layer and has nothing that makes a picture of it.
    """
    if shown and form.reader is not None and form.painter is None:
        raise CheckpointError("it reads a hidden layer, and no image generator was named that makes a picture of it")
    layers = {"reader": form.reader, "painter": form.painter}
    header = {
        "id": model_id,
        "d_in": form.W.shape[0],
        "d_sae": form.W.shape[1],
        "select": form.select.by,
        "k": form.select.k,
        "relu": form.select.relu,
        "passes": form.passes,
        "step": form.step,
        "pursuit": form.pursuit,
        **{name: _described(layer) for name, layer in layers.items()},
        **more,
    }
    text = json.dumps(header).encode()
    there = [layer for layer in layers.values() if layer is not None]
    parts = [m.astype("<f2") for m in (form.W, form.D, *(layer.W for layer in there))]
    parts += [v.astype("<f4") for v in (form.b, form.c, *(layer.b for layer in there))]
    if form.select.thresholds is not None:
        parts.append(np.asarray(form.select.thresholds, "<f4"))
    return np.uint32(len(text)).tobytes() + text + b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


def _described(layer: Layer | None) -> dict[str, int | str] | None:
    if layer is None:
        return None
    return {"n_in": layer.W.shape[0], "n_out": layer.W.shape[1], "squash": layer.squash}


@shared(8)
def _form(model: models.Model) -> InferenceForm:
    return model.sae.inference_form()


@shared(8)
def _packed(model: models.Model) -> bytes:
    return pack(_form(model), model.id)


def put_model(model: models.Model, every_row: bool = False) -> None:
    """Make that model known to the page under `model.id`, and our components' scripts; draws nothing.

    A model of more than MOST latents goes in parts, unless the page shows `every_row`, as the wall does. Stops the page
    with an explanation when the model cannot be shown.
    """
    put_scripts()
    d_sae = model.info.config["d_sae"]
    said = None
    if d_sae > MOST and every_row:
        said = st.empty()
        said.caption(f"Sending all {d_sae:,} features to your browser …")
    try:
        if d_sae > MOST and not every_row:
            part(model, [])  # what is wrong with the model is said of the page, not within the fragment
            _in_parts(model)
        else:
            mount(model.id, _packed(model))
    except CheckpointError as e:
        why = str(e).rstrip(".")
        st.info(f"{model.name} cannot be shown here: {why}. Choose another model.", icon=":material/info:")
        st.stop()
    if said is not None:
        said.empty()


def mount(model_id: str, data: bytes) -> None:
    """Put packed bytes into the page; draws nothing."""
    _model(key=f"model-{model_id}", data=data, height=1)


@st.fragment
def _in_parts(model: models.Model) -> None:
    """Answer what the browser asks of a model that is too large to send; only this runs again for it."""
    key = f"part-{model.id}"

    def find(want: link.Message) -> None:
        st.session_state[f"{key}-rows"] = _wanted(model, want)

    if problem := link.take(key, want=find):
        st.warning(f"The browser asked for something that cannot be read: {problem}", icon=":material/warning:")
    data = part(model, st.session_state.get(f"{key}-rows", []), link.answer(key))
    _model(key=key, data=data, height=1, on_want_change=lambda: None)


def part(model: models.Model, features: list[int], answer: dict[str, Any] | None = None) -> bytes:
    """The columns of W and rows of D of these features, packed; `answer`: what the link is to hear with them."""
    d_sae = model.info.config["d_sae"]
    return pack(_form(model).only(features), model.id, d_sae=d_sae, features=features, answer=answer)


def _wanted(model: models.Model, want: dict[str, Any]) -> list[int]:
    """The features that a picture {"x": base64 of its float32 pixels} activates, in any pass of the encoder, and
    {"features": those asked for}."""
    import torch

    x = np.frombuffer(base64.b64decode(want["x"], validate=True), np.float32)
    features, d_sae = [int(f) for f in want["features"][:ASKED]], model.info.config["d_sae"]
    if x.shape != (model.side**2,) or not np.isfinite(x).all():
        raise ValueError(f"a picture has {model.side**2} finite numbers")
    if features and not 0 <= min(features) <= max(features) < d_sae:
        raise ValueError(f"{model.name} has the features 0 to {d_sae - 1}")
    sae = model.sae
    with torch.no_grad():
        active = [torch.nonzero(acts[0])[:, 0].tolist() for acts in sae.codes(sae.read(torch.tensor(x)[None]))]
    return sorted({*features, *(f for some in active for f in some)})
