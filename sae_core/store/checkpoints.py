"""Save and load a model.

A model is a folder: `cfg.json` (SAELens' names; ours under `metadata.sae_core`), `sae_weights.safetensors` (float16),
`metrics.json`, `history.jsonl` and feature statistics.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sae_core import files
from sae_core.device import resolve
from sae_core.files import CheckpointError
from sae_core.models.classifier import Classifier, Generator
from sae_core.models.configs import PIXELS
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.options import from_dict
from sae_core.store import catalogue
from sae_core.store.catalogue import Checkpoint, read
from sae_core.store.plan import Plan
from sae_core.variants import build_network, networks


def load(spec: str | Path, device: str = "cpu") -> SAE:
    """A trained SAE, ready for use: "NAME", a path, or "NAME/3" for a member of an ensemble.

    An ensemble without a number is its member 0, which a warning says; `load_network` gives all of it.

    One that reads a classifier's hidden layer comes with that classifier and its image generator. CheckpointError names
    the file that is missing, damaged or does not fit; it never becomes random weights.
    """
    folder, member = catalogue.find(spec)
    sae = load_network(folder, device)
    if not isinstance(sae, SAE):
        raise CheckpointError(f"{folder} holds a {sae.variant}, which has no code: this needs an SAE")
    if member is None:
        if (members := getattr(sae.config, "members", 1)) == 1:
            return sae
        warnings.warn(catalogue.member_said(folder.name, members), stacklevel=2)
    try:
        return sae.member(member or 0).requires_grad_(False)
    except ValueError as e:
        raise CheckpointError(f"{folder}: {e}") from e


def load_classifier(spec: str | Path, device: str = "cpu") -> Classifier:
    """A trained classifier, as `load`."""
    network = load_network(spec, device)
    if not isinstance(network, Classifier):
        raise CheckpointError(f"{spec} is a {network.variant}, not a classifier")
    return network


def load_network(spec: str | Path, device: str = "cpu") -> Network:
    """Any trained model by name or path: an SAE (of an ensemble all members), a classifier or a generator."""
    folder = catalogue.find(spec)[0].resolve()
    checkpoint = read(folder)
    weights = folder / catalogue.WEIGHTS
    arrays, _ = files.read_tensors(weights)
    there = {name: a.shape for name, a in arrays.items()}
    for name, a in arrays.items():
        if a.dtype.kind != "f":
            raise CheckpointError(f"{weights} holds {name} as {a.dtype}, not as floating-point numbers")
    try:
        cls = networks()[checkpoint.variant]
        config = from_dict(cls.Config, checkpoint.config)
        # Before anything is built: the file, not a number in cfg.json, decides how much memory is taken.
        if issubclass(cls, SAE):
            if there.get("W_enc", ())[-2:] != (config.d_in, config.d_sae):
                raise CheckpointError(
                    f"{weights} does not fit its config: W_enc is not [{config.d_in}, {config.d_sae}]"
                )
        else:
            with torch.device("meta"):
                _check_shapes(cls(config), there, weights)
        model = build_network(checkpoint.variant, config)
    except KeyError:
        raise CheckpointError(
            f"{folder / catalogue.CFG} names a model that is not known: {checkpoint.variant!r}"
        ) from None
    except (ValueError, TypeError) as e:
        raise CheckpointError(f"{folder / catalogue.CFG} does not fit: {e}") from e
    _check_shapes(model, there, weights)
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise CheckpointError(f"{weights} has weights that are not numbers (NaN or infinite)")
    model.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    model.to(resolve(device)).eval().requires_grad_(False)
    attach(model, folder.parent, device)
    return model


def _check_shapes(model: Network, there: dict[str, tuple[int, ...]], weights: Path) -> None:
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if wanted != there:
        raise CheckpointError(f"{weights} does not fit its config: it holds {there}, the config asks for {wanted}")


def _part(name: str, near: Path) -> Checkpoint:
    """The classifier or generator called "NAME" or "NAME@HASH": beside the model that asks for it, else by name."""
    base, _, hash = name.partition("@")
    catalogue.check_name(base)
    found = read(near / base) if (near / base).is_dir() else read(base)
    if hash and found.hash != hash:
        raise CheckpointError(
            f"{found.path} is not the one that was trained with: its hash is {found.hash}, not {hash}"
        )
    return found


def attach(model: Network, near: Path, device: str) -> None:
    """Give a model the networks that its config names."""
    reads, shows = getattr(model.config, "reads", PIXELS), getattr(model.config, "shows", PIXELS)
    if reads == PIXELS:
        return
    parts = [None if name == PIXELS else _part(name, near) for name in (reads, shows)]
    if any(part is not None and part.is_sae for part in parts):  # before its own parts are asked for, without end
        raise CheckpointError(f"{reads} is not a classifier, or {shows} not a generator")
    reader, painter = (None if part is None else load_network(part.path, device) for part in parts)
    if not isinstance(reader, Classifier) or not (painter is None or isinstance(painter, Generator)):
        raise CheckpointError(f"{reads} is not a classifier, or {shows} not a generator")
    if isinstance(model, SAE):
        if model.config.d_in != reader.config.d_hidden:
            raise CheckpointError(
                f"{reads} has {reader.config.d_hidden} hidden units, the SAE reads {model.config.d_in}"
            )
        model.attach(reader, painter)
    elif isinstance(model, Generator):
        model.attach(reader)


def pin(config: Any, near: Path) -> Any:
    """The config with its networks named as "NAME@HASH": exactly these are what it is trained with."""
    pinned = {}
    for key in ("reads", "shows"):
        name = getattr(config, key, PIXELS)
        if name != PIXELS:
            found = _part(name, near)
            pinned[key] = f"{found.name}@{found.hash}"
    return replace(config, **pinned)


def save(sae: Network, plan: Plan, folder: Path) -> None:
    """Write cfg.json and the weights into a folder, each aside and then in place.

    Parameters are stored as float16, buffers (a threshold, say) as they are. ValueError when that would
    change the model: `round_weights()` comes before whatever is measured, and so before this.
    """
    arrays = {name: t.detach().cpu().numpy() for name, t in sae.state_dict().items()}
    for name, p in sae.named_parameters():
        if not torch.equal(p.half().float(), p):
            raise ValueError(f"{name} is not rounded to float16 (or not finite): call round_weights() first")
        arrays[name] = arrays[name].astype(np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / catalogue.CFG, cfg(plan, getattr(sae, "passes", 1)))
    files.write_tensors(folder / catalogue.WEIGHTS, arrays)


def cfg(plan: Plan, passes: int = 1) -> dict[str, Any]:
    """What cfg.json says; `passes`, how often the encoder looks, where that is not what the config says."""
    config = asdict(plan.config)
    looks = {} if passes == config.get("passes", 1) else {"passes": passes}
    return {
        "architecture": plan.variant,
        **{key: config[key] for key in ("d_in", "d_sae", "k") if key in config},
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": getattr(networks()[plan.variant], "pre_bias", False),
        "normalize_activations": "none",
        "reshape_activations": "none",
        **({"rescale_acts_by_decoder_norm": False} if "k" in config else {}),
        "metadata": {
            # Below 6, SAELens takes the file for its old format and drops what it does not know.
            "sae_lens_version": "6.0.0",
            "sae_core": {**plan.as_dict(), "hash": plan.hash, **looks},
        },
    }
