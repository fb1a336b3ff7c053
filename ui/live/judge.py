"""A classifier in the browser: what it says of a picture, within the frame in which the picture changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sae_core import files
from sae_core.models.forms import InferenceForm, Selection
from sae_core.store import catalogue
from ui.base import models
from ui.base.cache import shared
from ui.live.model import mount, pack

if TYPE_CHECKING:
    from sae_core.models.classifier import Classifier


DEFAULT = "classifier-256"


@dataclass(frozen=True)
class Judge:
    """The classifier that a page asks."""

    name: str
    hash: str
    same_layer: bool
    """it is the one whose hidden layer the chosen SAE reads: an edited layer is judged as it is, without a picture"""

    @property
    def id(self) -> str:
        """Under which the browser keeps it."""
        return f"{self.name}@{self.hash}"

    @property
    def network(self) -> Classifier:
        """On the CPU, shared by everyone on this server: never change it."""
        return _load(self.name, self.hash)

    @property
    def names(self) -> list[str]:
        """Of its classes."""
        return [str(c) for c in range(10)] + ["no digit"] * (self.network.config.classes - 10)

    @property
    def said(self) -> str:
        """What it is and how good, in a sentence."""
        for where, m in catalogue.read(self.name).metrics.items():
            if where.startswith("mnist/test"):
                n = int(m["n"]) // (2 if self.network.config.classes > 10 else 1)
                return f"{self.name}: {100 * m['accuracy_digits']:.1f} % right on {where} (n = {n:,})"
        return self.name

    def data(self) -> dict[str, Any]:
        """What a component needs to show its bars."""
        return {"id": self.id, "names": self.names, "sameLayer": self.same_layer, "said": self.said}


def judge(model: models.Model) -> Judge | None:
    """The classifier for a chosen SAE: the one it reads, else the default; None where that is not at hand."""
    reads = str(model.info.config.get("reads", "pixels")).partition("@")[0]
    same = reads != "pixels"
    try:
        found = catalogue.read(reads if same else DEFAULT)
    except files.CheckpointError:
        return None
    return Judge(found.name, found.hash, same)


def put_judge(asked: Judge | None) -> None:
    """Make the classifier known to the page under its id; draws nothing."""
    if asked is not None:
        mount(asked.id, _packed(asked))


@shared(4)
def _load(name: str, hash: str) -> Classifier:
    from sae_core.store.checkpoints import load_classifier

    return load_classifier(name)


@shared(4)
def _packed(asked: Judge) -> bytes:
    """The classifier as a model of the engine that reads its own hidden layer and whose latents are the logits."""
    from sae_core.models.network import to_numpy

    net = asked.network
    W, b = to_numpy(net.W_out), to_numpy(net.b_out)
    nothing = np.zeros_like(W.T)
    form = InferenceForm(W, b, nothing, nothing[0], Selection("all", relu=False), reader=net.layer())
    return pack(form, asked.id, shown=False)
