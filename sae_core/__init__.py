"""Sparse autoencoders on small pictures: train, keep, measure, take apart.

>>> from sae_core import load
>>> sae = load("topk-1024-k50")
>>> out = sae(x)  # x [N, 784] float32 in [0, 1] → out.x_hat [N, 784], out.acts [N, d_sae]

The names below are imported on first use, so that what needs no torch (listing models, reading a data set)
starts without it.
"""

from importlib import import_module
from typing import Any

_WHERE = {
    "SAE": "models.sae",
    "SAEConfig": "models.configs",
    "SAEOutput": "models.codes",
    "SparseCode": "models.codes",
    "InferenceForm": "models.forms",
    "build": "variants",
    "registry": "variants",
    "Training": "training.loop",
    "TrainOptions": "training.loop",
    "load": "store.checkpoints",
    "load_network": "store.checkpoints",
    "load_classifier": "store.checkpoints",
    "save": "store.checkpoints",
    "list_checkpoints": "store.catalogue",
    "train_or_load": "store.train_or_load",
    "CheckpointError": "files",
    "evaluate": "measure.metrics",
    "load_dataset": "datasets",
    "prepare": "pictures.prepare",
    "prepare_upload": "pictures.upload",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'sae_core' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.{_WHERE[name]}"), name)
