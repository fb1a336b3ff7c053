"""A classifier in the browser: what it says of a picture, within the frame in which the picture changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sae_core import files
from sae_core.datasets import dataset_info, dataset_names
from sae_core.models.forms import InferenceForm, Selection
from sae_core.store import catalogue
from ui.base import models
from ui.base.cache import shared
from ui.live.model import mount, pack

if TYPE_CHECKING:
    from sae_core.models.classifier import Classifier


DEFAULT, DEFAULT_SIDE = "classifier-256", 28


@dataclass(frozen=True)
class LiveClassifier:
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
        return list(catalogue.read(self.name).class_names)

    @property
    def own(self) -> int:
        """How many of its classes, the first ones, are those of its data set; after them that of scrambled pictures."""
        data = catalogue.read(self.name).training["data"]
        return min(len(self.names), dataset_info(data).n_classes if data in dataset_names() else len(self.names))

    @property
    def said(self) -> str:
        """What it is and how good, in a sentence."""
        about = catalogue.read(self.name)
        for where, m in about.metrics.items():
            if where == f"{about.training['data']}/test":
                n = int(m["n"]) // (2 if about.training["options"].get("scrambled") else 1)
                return f"{self.name}: {100 * m['accuracy_digits']:.1f} % right on {where} (n = {n:,})"
        return self.name

    def data(self) -> dict[str, Any]:
        """What a component needs to show its bars."""
        return {"id": self.id, "names": self.names, "sameLayer": self.same_layer, "said": self.said}


def classifier_for(model: models.Model) -> LiveClassifier | None:
    """The classifier for a chosen SAE: the one it reads, else the default one for its pictures' size; None: none."""
    reads = str(model.info.config.get("reads", "pixels")).partition("@")[0]
    same = reads != "pixels"
    try:
        found = catalogue.read(reads if same else _default(model.side))
    except files.CheckpointError:
        return None
    return LiveClassifier(found.name, found.hash, same)


def _default(side: int) -> str:
    """The name of a classifier of pictures of that side. CheckpointError where there is none."""
    if side == DEFAULT_SIDE:
        return DEFAULT
    for found in catalogue.list_checkpoints()[0]:
        if found.variant == "classifier" and found.side == side:
            return found.name
    raise files.CheckpointError(f"there is no classifier of pictures of {side}×{side}")


def put_classifier(classifier: LiveClassifier | None) -> None:
    """Make the classifier known to the page under its id; draws nothing."""
    if classifier is not None:
        mount(classifier.id, _packed(classifier))


@shared(4)
def _load(name: str, hash: str) -> Classifier:
    from sae_core.store.checkpoints import load_classifier

    return load_classifier(name)


@shared(4)
def _packed(classifier: LiveClassifier) -> bytes:
    """The classifier as a model of the engine that reads its own hidden layer and whose latents are the logits."""
    from sae_core.models.network import to_numpy

    net = classifier.network
    W, b = to_numpy(net.W_out), to_numpy(net.b_out)
    nothing = np.zeros_like(W.T)
    form = InferenceForm(W, b, nothing, nothing[0], Selection("all", relu=False), reader=net.layer())
    return pack(form, classifier.id, shown=False)
