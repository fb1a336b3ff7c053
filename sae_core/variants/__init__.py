"""The SAEs: one short file each, found by itself, and the names by which every model is built.

What is registered: `networks()`; a new one with its initial weights: `build(name)`.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

import torch

from sae_core.models.configs import SAEConfig
from sae_core.models.network import Network
from sae_core.models.registry import ENSEMBLES, NETWORKS
from sae_core.models.sae import SAE


@cache
def _import_all() -> None:
    from sae_core.models import classifier  # noqa: F401  (registers itself, as the files here do)

    for found in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{found.name}")


def networks() -> dict[str, type[Network]]:
    """Everything that can be trained, by name: the SAEs, and the networks around them."""
    _import_all()
    return dict(sorted(NETWORKS.items()))


def registry() -> dict[str, type[SAE]]:
    """Every registered SAE by name: one file each under `variants/`."""
    return {name: cls for name, cls in networks().items() if issubclass(cls, SAE)}


def build_network(variant: str, config: Any = None, *, seed: int = 42) -> Network:
    """A new model with its initial weights, which the seed alone decides (the CPU draws for every device)."""
    known = networks()
    if variant not in known:
        raise ValueError(f"there is no model called {variant!r}; there is {', '.join(known)}")
    cls = known[variant]
    config = config if config is not None else cls.Config()
    if getattr(config, "members", 1) > 1:
        cls = ENSEMBLES[variant]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config)


def build(variant: str, config: SAEConfig | None = None, *, seed: int = 42) -> SAE:
    """A new SAE with its initial weights, as `build_network`."""
    if variant not in registry():
        raise ValueError(f"there is no SAE called {variant!r}; there is {', '.join(registry())}")
    sae = build_network(variant, config, seed=seed)
    assert isinstance(sae, SAE)
    return sae
