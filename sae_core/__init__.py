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
    "SAE": "sae",
    "SAEConfig": "sae",
    "SAEOutput": "sae",
    "SparseCode": "sae",
    "InferenceForm": "sae",
    "build": "sae",
    "registry": "sae",
    "Training": "training",
    "TrainOptions": "training",
    "load": "checkpoints",
    "load_network": "checkpoints",
    "load_classifier": "checkpoints",
    "save": "checkpoints",
    "list_checkpoints": "store",
    "train_or_load": "checkpoints",
    "CheckpointError": "store",
    "evaluate": "metrics",
    "load_dataset": "datasets",
    "prepare": "preprocess",
    "prepare_upload": "preprocess",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'sae_core' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.{_WHERE[name]}"), name)
