"""Models on disk: save, load, list, and train what is not there yet.

A model is a folder: `cfg.json` (SAELens' names; ours under `metadata.sae_core`), `sae_weights.safetensors`
(float16), `metrics.json`, `history.jsonl` and feature statistics. While it is made the folder is called
`NAME.partial`; it is renamed once, when all of it is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch

from sae_core import features, store
from sae_core.classifier import Classifier, Generator
from sae_core.datasets import ImageSet
from sae_core.device import resolve
from sae_core.metrics import evaluate, evaluate_network, validation_loss, with_scrambled
from sae_core.options import from_dict
from sae_core.sae import PIXELS, SAE, Network, build_network, networks
from sae_core.store import Checkpoint, CheckpointError, list_checkpoints, read
from sae_core.training import Training, TrainLog, TrainOptions

RESUME = "resume.safetensors"
SAVE_EVERY_S = 20.0
"""seconds of training that an interruption costs at most"""


@dataclass(frozen=True)
class Plan:
    """What is trained, and on what. Two equal plans give the same model."""

    variant: str
    config: Any
    """the variant's own options"""
    options: TrainOptions
    data: str
    """name of the data set"""
    split: str
    n: int
    """training images"""
    fingerprint: str
    """of the training images"""

    @property
    def hash(self) -> str:
        """Twelve hex digits of everything above, by which a model is found again."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def default_name(self) -> str:
        """For example "topk-1024-k50"; the data set is named when it is not MNIST."""
        config = self.config
        k, members = getattr(config, "k", None), getattr(config, "members", 1)
        reads = getattr(config, "reads", PIXELS).partition("@")[0]
        parts = [
            "ensemble" if members > 1 else "",
            self.variant.replace("_", "-"),
            str(getattr(config, "d_sae", config.d_in)),
            f"k{k}" if k else "",
            reads if reads != PIXELS else "",
            self.data if self.data != "mnist" else "",
        ]
        return "-".join(p for p in parts if p)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, the same for the same plan."""
        return {"format_version": store.FORMAT_VERSION, **asdict(self)}


def load(spec: str | Path, device: str = "cpu") -> SAE:
    """A trained SAE, ready for use: "NAME", a path, or "NAME/0" for a member of an ensemble.

    One that reads a classifier's hidden layer comes with that classifier and its image generator. CheckpointError names
    the file that is missing, damaged or does not fit; it never becomes random weights.
    """
    folder, member = store.find(spec)
    sae = load_network(folder, device)
    if not isinstance(sae, SAE):
        raise CheckpointError(f"{folder} holds a {sae.variant}, not an SAE: use load_network for it")
    try:
        return sae if member is None else sae.member(member).requires_grad_(False)
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
    folder = store.find(spec)[0].resolve()
    checkpoint = read(folder)
    weights = folder / store.WEIGHTS
    arrays, _ = store.read_tensors(weights)
    there = {name: a.shape for name, a in arrays.items()}
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
        raise CheckpointError(f"{folder / store.CFG} names a model that is not known: {checkpoint.variant!r}") from None
    except (ValueError, TypeError) as e:
        raise CheckpointError(f"{folder / store.CFG} does not fit: {e}") from e
    _check_shapes(model, there, weights)
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise CheckpointError(f"{weights} has weights that are not numbers (NaN or infinite)")
    model.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    model.to(resolve(device)).eval().requires_grad_(False)
    _attach(model, folder.parent, device)
    return model


def _check_shapes(model: Network, there: dict[str, tuple[int, ...]], weights: Path) -> None:
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if wanted != there:
        raise CheckpointError(f"{weights} does not fit its config: it holds {there}, the config asks for {wanted}")


def _part(name: str, near: Path) -> Checkpoint:
    """The classifier or generator called "NAME" or "NAME@HASH": beside the model that asks for it, else by name."""
    base, _, hash = name.partition("@")
    store.check_name(base)
    found = read(near / base) if (near / base).is_dir() else read(base)
    if hash and found.hash != hash:
        raise CheckpointError(
            f"{found.path} is not the one that was trained with: its hash is {found.hash}, not {hash}"
        )
    return found


def _attach(model: Network, near: Path, device: str) -> None:
    """Give a model the networks that its config names."""
    reads, shows = getattr(model.config, "reads", PIXELS), getattr(model.config, "shows", PIXELS)
    if reads == PIXELS:
        return
    reader = load_network(_part(reads, near).path, device)
    painter = None if shows == PIXELS else load_network(_part(shows, near).path, device)
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


def _pin(config: Any, near: Path) -> Any:
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
    store.write_json(folder / store.CFG, _cfg(plan))
    store.write_tensors(folder / store.WEIGHTS, arrays)


def _cfg(plan: Plan) -> dict[str, Any]:
    config = asdict(plan.config)
    return {
        "architecture": plan.variant,
        **{key: config[key] for key in ("d_in", "d_sae", "k") if key in config},
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        **({"rescale_acts_by_decoder_norm": False} if "k" in config else {}),
        "metadata": {
            # Below 6, SAELens takes the file for its old format and drops what it does not know.
            "sae_lens_version": "6.0.0",
            "sae_core": {**plan.as_dict(), "hash": plan.hash},
        },
    }


# ---- train_or_load

Stage = Callable[[str, int, int], None]


def train_or_load(
    variant: str,
    images: ImageSet,
    config: Any = None,
    opts: TrainOptions | None = None,
    *,
    out: Path,
    name: str | None = None,
    device: str = "auto",
    measure: Sequence[ImageSet] = (),
    describe: Sequence[ImageSet] = (),
    on_log: Callable[[TrainLog], None] | None = None,
    on_stage: Stage | None = None,
    save_every_s: float = SAVE_EVERY_S,
) -> tuple[Checkpoint, bool]:
    """The model under `out` that this plan gives, and whether it was there already.

    If it was begun and interrupted, it goes on where it was. `measure` are the splits for metrics.json and
    for the curve by epoch (of the training split the first CURVE_N), `describe` those for feature statistics.
    `on_log` hears the training, `on_stage(what, done, of)` what comes after. Raises CheckpointError when the
    name is taken by another model or another process makes it.
    """
    cls = networks().get(variant)
    if cls is None:
        raise ValueError(f"there is no model called {variant!r}; there is {', '.join(networks())}")
    where = resolve(device)
    config = config or cls.Config(d_in=images.x.shape[1])
    opts = opts or TrainOptions(**cls.recipe)
    out = out.resolve()
    config = _pin(config, out)
    plan = Plan(variant, config, opts, images.name, images.split, len(images), images.fingerprint)
    for checkpoint in list_checkpoints(out)[0]:
        if _gives(plan, checkpoint) and name in (None, checkpoint.name):
            return checkpoint, True
    out.mkdir(parents=True, exist_ok=True)
    folder = out / _free_name(out, plan, name)
    partial = folder.with_name(folder.name + ".partial")
    lock = filelock.FileLock(out / f".{folder.name}.lock")
    try:
        with lock.acquire(timeout=0):
            # Another process may have finished or begun a model of this name since the look before the lock.
            done = folder.exists() and _gives(plan, read(folder))
            if not done:
                _free_name(out, plan, folder.name)
                partial.mkdir(exist_ok=True)
                _make(plan, images, partial, where, measure, describe, on_log, on_stage, save_every_s)
                os.rename(partial, folder)
    except filelock.Timeout:
        raise CheckpointError(f"another process is training {folder.name} right now; wait for it") from None
    (out / f".{folder.name}.lock").unlink(missing_ok=True)
    return read(folder), done


def _gives(plan: Plan, checkpoint: Checkpoint) -> bool:
    """Whether a model was made by that plan. Options that it was made without, because they are newer than it, count
    with their variant's defaults: models outlive a new option whose default changes nothing."""
    made = checkpoint.training
    try:
        cls = networks()[checkpoint.variant]
        config = from_dict(cls.Config, checkpoint.config)
        opts = from_dict(TrainOptions, {**cls.recipe, **made["options"]})
    except (KeyError, ValueError, TypeError):
        return False
    then = Plan(checkpoint.variant, config, opts, made["data"], made["split"], made["n"], made["fingerprint"])
    return then == plan


def _free_name(out: Path, plan: Plan, name: str | None) -> str:
    """A name that no other plan's model or unfinished model has."""

    def free(candidate: str) -> bool:
        if (out / candidate).exists():
            return False
        begun = out / f"{candidate}.partial"
        return not (begun / store.CFG).exists() or _gives(plan, read(begun))

    if name is not None:
        if not free(store.check_name(name)):
            raise CheckpointError(
                f"{out / name} is another model already; choose another --name, or move that folder away"
            )
        return name
    candidates = [plan.default_name, f"{plan.default_name}-{plan.hash[:6]}"]
    for candidate in candidates:
        if free(candidate):
            return candidate
    raise CheckpointError(f"{out / candidates[-1]} exists but does not hold this model; move it away")


def _make(
    plan: Plan,
    images: ImageSet,
    partial: Path,
    device: torch.device,
    measure: Sequence[ImageSet],
    describe: Sequence[ImageSet],
    on_log: Callable[[TrainLog], None] | None,
    on_stage: Stage | None,
    save_every_s: float,
) -> None:
    """Fill the partial folder, from wherever an earlier process left it."""
    if (partial / store.METRICS).exists() and not (partial / RESUME).exists():
        return  # all was done but the renaming
    for left_by_a_kill in partial.glob(".*.tmp"):
        left_by_a_kill.unlink()
    store.write_json(partial / store.CFG, _cfg(plan))
    model = build_network(plan.variant, plan.config, seed=plan.options.seed).to(device)
    _attach(model, partial.parent, device.type)
    x = torch.tensor(images.x).to(device)
    training = Training(model, x, plan.options, labels=torch.tensor(images.labels).to(device))
    resume, history = partial / RESUME, partial / store.HISTORY
    if resume.exists():
        arrays, _ = store.read_tensors(resume)
        training.restore({key: torch.from_numpy(a) for key, a in arrays.items()})
    _keep_history(history, training.step)
    saved = time.monotonic()
    for log in training:
        line: dict[str, Any] = log._asdict()
        if log.step % training.per_epoch == 0:
            line |= _by_epoch(model, images, measure, plan.options)
        store.append_line(history, line)
        if on_log:
            on_log(log)
        if time.monotonic() - saved >= save_every_s or log.step == log.steps:
            store.write_tensors(resume, {key: t.cpu().numpy() for key, t in training.state().items()})
            saved = time.monotonic()
    model.round_weights()
    model.eval().requires_grad_(False)
    model.finish(model.read(x))
    save(model, plan, partial)
    metrics: dict[str, dict[str, float]] = {}
    for done, part in enumerate(measure):
        if on_stage:
            on_stage(f"measuring on {part.name}/{part.split}", done, len(measure))
        metrics |= _measure(model, part, len(part), plan.options)
    if isinstance(model, SAE):
        describe_all(model, describe, partial, on_stage)
    store.write_json(partial / store.METRICS, metrics)
    resume.unlink(missing_ok=True)


def describe_all(sae: SAE, parts: Sequence[ImageSet], folder: Path, on_stage: Stage | None = None) -> None:
    """Make and store the feature statistics of a model over some splits; those of an ensemble's later members only over
    the first."""
    members = getattr(sae.config, "members", 1)
    for part in parts:
        for i in range(members if part is parts[0] else 1):
            of = f" of member {i}" if members > 1 else ""
            what = f"describing features{of} on {part.name}/{part.split}"
            tell = (lambda done, n, what=what: on_stage(what, done, n)) if on_stage else None
            features.save(features.describe(sae.member(i), part, tell), folder, i)


CURVE_N = 10_000
"""images of the training split on which the curve by epoch is measured"""


def _by_epoch(model: Network, images: ImageSet, measure: Sequence[ImageSet], opts: TrainOptions) -> dict[str, Any]:
    """What the history keeps at the end of an epoch, by "DATASET/SPLIT"."""
    model.eval()
    measured: dict[str, Any] = {}
    validation = {}
    for part in measure:
        measured |= _measure(model, part, CURVE_N if part is images else len(part), opts)
        if opts.scrambled and part is not images:
            x, labels = with_scrambled(part.x, part.labels)
            validation[f"{part.name}/{part.split}"] = validation_loss(model, x, labels, opts.batch_size)
    model.train()
    return {"measured": measured, **({"validation": validation} if validation else {})}


def _measure(model: Network, part: ImageSet, n: int, opts: TrainOptions) -> dict[str, dict[str, float]]:
    """The metrics on the first n images of a split; "DATASET/SPLIT#1" and so on for an ensemble's later members."""
    where = f"{part.name}/{part.split}"
    if isinstance(model, SAE):
        members = range(getattr(model.config, "members", 1))
        return {f"{where}#{i}" if i else where: evaluate(model.member(i), part.x[:n])._asdict() for i in members}
    x, labels = torch.tensor(part.x[:n]), torch.tensor(part.labels[:n])
    if opts.scrambled:
        x, labels = with_scrambled(x, labels)
    return {where: evaluate_network(model, x, labels)._asdict()}


def _keep_history(path: Path, step: int) -> None:
    """Drop the lines after the step from which the training goes on: they will be written again."""
    kept = [line for line in store.read_lines(path) if line["step"] <= step]

    def write(aside: Path) -> None:
        aside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    store.write_aside(path, write)
