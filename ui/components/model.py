"""A model's weights in the browser, sent once and kept there for every component of the page."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ui import state
from ui.components import register

if TYPE_CHECKING:
    from sae_core.sae import InferenceForm

_model = register("model")


def pack(form: InferenceForm, model_id: str) -> bytes:
    """An inference form as the engine reads it: length, JSON header, W and D as float16, b and c as float32.

    W and D of a stored model are float16 numbers already, so nothing is lost.
    """
    header = {
        "id": model_id,
        "d_in": form.W.shape[0],
        "d_sae": form.W.shape[1],
        "select": form.select,
        "k": form.k,
        "threshold": form.threshold,
        "relu": form.relu,
    }
    text = json.dumps(header).encode()
    parts = [form.W.astype("<f2"), form.D.astype("<f2"), form.b.astype("<f4"), form.c.astype("<f4")]
    return np.uint32(len(text)).tobytes() + text + b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


@lru_cache(maxsize=8)
def _packed(model: state.Model) -> bytes:
    return pack(model.sae.inference_form(), model.id)


def put_model(model: state.Model) -> None:
    """Make that model known to the page under `model.id`; draws nothing."""
    _model(key=f"model-{model.id}", data=_packed(model), height=1)
