"""The names under which models are known."""

from __future__ import annotations

from typing import TypeVar

from sae_core.models.network import Network

NETWORKS: dict[str, type[Network]] = {}
"""by variant; filled as files are imported: `sae_core.variants.networks()` gives all"""
ENSEMBLES: dict[str, type[Network]] = {}
"""by the variant of their members, what is built instead where the config asks for more than one"""
S = TypeVar("S", bound=type[Network])


def register(cls: S) -> S:
    """Make a model known to the command line, the training form and the tests that run over all."""
    if cls.variant in NETWORKS:
        raise ValueError(f"there are two models called {cls.variant}")
    NETWORKS[cls.variant] = cls
    return cls


def register_ensemble(cls: S) -> S:
    """Make known what several models of a variant, trained side by side, are built as."""
    ENSEMBLES[cls.variant] = cls
    return cls
