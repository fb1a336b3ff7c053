"""The names that people import for models on disk; where each is written: `sae_core.store`."""

from sae_core.store.catalogue import list_checkpoints, read
from sae_core.store.checkpoints import load, load_classifier, load_network, save
from sae_core.store.plan import Plan
from sae_core.store.train_or_load import describe_all, train_or_load

__all__ = [
    "Plan",
    "describe_all",
    "list_checkpoints",
    "load",
    "load_classifier",
    "load_network",
    "read",
    "save",
    "train_or_load",
]
