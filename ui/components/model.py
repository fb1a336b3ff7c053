"""A model's weights in the browser, sent once and kept there for every component of the page."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from sae_core.store import CheckpointError
from ui import state
from ui.components import register

if TYPE_CHECKING:
    from sae_core.sae import InferenceForm, Layer

_model = register("model")


def pack(form: InferenceForm, model_id: str, shown: bool = True) -> bytes:
    """An inference form as the engine reads it: length, JSON header, matrices as float16, biases as float32.

    The matrices are W, D and, where there are such layers, the reader's and the painter's, and the biases come in
    the same order. Those of stored models are float16 numbers already, so nothing is lost.

    CheckpointError for a form that is to be shown, reads a hidden layer and has nothing that makes a picture of it.
    """
    if shown and form.reader is not None and form.painter is None:
        raise CheckpointError("it reads a hidden layer, and no image generator was named that makes a picture of it")
    layers = {"reader": form.reader, "painter": form.painter}
    header = {
        "id": model_id,
        "d_in": form.W.shape[0],
        "d_sae": form.W.shape[1],
        "select": form.select,
        "k": form.k,
        "threshold": form.threshold,
        "relu": form.relu,
        **{name: _described(layer) for name, layer in layers.items()},
    }
    text = json.dumps(header).encode()
    there = [layer for layer in layers.values() if layer is not None]
    parts = [m.astype("<f2") for m in (form.W, form.D, *(layer.W for layer in there))]
    parts += [v.astype("<f4") for v in (form.b, form.c, *(layer.b for layer in there))]
    return np.uint32(len(text)).tobytes() + text + b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


def _described(layer: Layer | None) -> dict[str, int | str] | None:
    if layer is None:
        return None
    return {"n_in": layer.W.shape[0], "n_out": layer.W.shape[1], "squash": layer.squash}


@lru_cache(maxsize=8)
def _packed(model: state.Model) -> bytes:
    return pack(model.sae.inference_form(), model.id)


def put_model(model: state.Model) -> None:
    """Make that model known to the page under `model.id`; draws nothing.

    Stops the page with an explanation when the model cannot be shown.
    """
    try:
        data = _packed(model)
    except CheckpointError as e:
        why = str(e).rstrip(".")
        st.info(f"{model.name} cannot be shown here: {why}. Choose another model.", icon=":material/info:")
        st.stop()
    mount(model.id, data)


def mount(model_id: str, data: bytes) -> None:
    """Put packed bytes into the page; draws nothing."""
    _model(key=f"model-{model_id}", data=data, height=1)
