"""Train what is not there yet; what is made is called `NAME.partial` until all of it is there."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import filelock
import torch

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.device import resolve
from sae_core.files import CheckpointError
from sae_core.measure import describe, features, likeness, readability
from sae_core.measure.metrics import evaluate, evaluate_network, validation_loss, with_scrambled
from sae_core.models.alone import ALONE, Alone
from sae_core.models.configs import PIXELS
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.options import from_dict
from sae_core.shards.reading import Activations
from sae_core.stage import Stage
from sae_core.store import catalogue
from sae_core.store.catalogue import Checkpoint, list_checkpoints, read, read_folder
from sae_core.store.checkpoints import attach, cfg, pin, save
from sae_core.store.plan import Plan
from sae_core.training.loop import Training, TrainLog, TrainOptions
from sae_core.training.stream import Stream
from sae_core.variants import build_network, networks

Data = ImageSet | Activations
"""what a model is trained on, or measured on"""
OnEpoch = Callable[[int, dict[str, Any], Network], None]
RESUME = "resume.safetensors"
SAVE_EVERY_S = 20.0
"""seconds of training that an interruption costs at most"""


def train_or_load(
    variant: str,
    images: Data,
    config: Any = None,
    opts: TrainOptions | None = None,
    *,
    out: Path,
    name: str | None = None,
    device: str = "auto",
    measure: Sequence[Data] = (),
    describe: Sequence[ImageSet] = (),
    on_log: Callable[[TrainLog], None] | None = None,
    on_epoch: OnEpoch | None = None,
    on_stage: Stage | None = None,
    save_every_s: float = SAVE_EVERY_S,
    ranks: Alone = ALONE,
) -> tuple[Checkpoint, bool]:
    """The model under `out` that this plan gives, and whether it was there already.

    If it was begun and interrupted, it goes on where it was. `measure` are the splits for metrics.json and
    for the curve by epoch (of the training split the first CURVE_N), `describe` those for feature statistics.
    `on_log` hears the training, `on_epoch(step, measured, model)` what it gives at the end of each epoch,
    `on_stage(what, done, of)` what comes after. Where several `ranks` train, this is what the first of them calls, and
    the others `help_train`. Raises CheckpointError when the name is taken by another model or another process makes it.
    """
    where, out = resolve(device), out.resolve()
    plan = _plan(variant, images, config, opts, out)
    for checkpoint in list_checkpoints(out)[0]:
        if _gives(plan, checkpoint) and name in (None, checkpoint.name):
            ranks.told("")
            return checkpoint, True
    out.mkdir(parents=True, exist_ok=True)
    folder = out / _free_name(out, plan, name)
    partial = folder.with_name(folder.name + ".partial")
    lock = filelock.FileLock(out / f".{folder.name}.lock")
    try:
        with lock.acquire(timeout=0):
            # Another process may have finished or begun a model of this name since the look before the lock.
            done = folder.exists() and _gives(plan, read(folder))
            if done:
                ranks.told("")
            else:
                _free_name(out, plan, folder.name)
                partial.mkdir(exist_ok=True)
                told = (on_log, on_epoch, on_stage)
                _make(plan, images, partial, where, measure, describe, told, save_every_s, ranks)
                os.rename(partial, folder)
    except filelock.Timeout:
        raise CheckpointError(f"another process is training {folder.name} right now; wait for it") from None
    (out / f".{folder.name}.lock").unlink(missing_ok=True)
    return read(folder), done


def help_train(
    variant: str,
    images: Data,
    config: Any = None,
    opts: TrainOptions | None = None,
    *,
    out: Path,
    device: str = "auto",
    ranks: Alone,
) -> None:
    """What a rank that is not the first does while that one is in `train_or_load`, with the same arguments: it trains
    along, and writes nothing. ValueError where it was given another plan."""
    where, out = resolve(device), out.resolve()
    plan = _plan(variant, images, config, opts, out)
    theirs = ranks.told("")
    if not theirs:
        return  # there is nothing to train
    if theirs != plan.hash:
        raise ValueError(
            f"process {ranks.rank} was given another model, other options or other images to train on than the first"
        )
    for _ in _epochs(_begin(plan, images, out, where, ranks)):
        pass
    ranks.leave()


def _plan(variant: str, images: Data, config: Any, opts: TrainOptions | None, out: Path) -> Plan:
    """What is to be trained; ValueError for a variant that there is not."""
    cls = networks().get(variant)
    if cls is None:
        raise ValueError(f"there is no model called {variant!r}; there is {', '.join(networks())}")
    config = config or from_dict(cls.Config, fitting(cls, images))
    opts = opts or TrainOptions(**cls.recipe_for(len(images)))
    if isinstance(images, Activations):
        where = images.shards.folder
        if why := _wants_pictures(cls, config, opts):
            raise ValueError(f"{why}, and {where} holds activations")
        if config.d_in != images.d_in:
            raise ValueError(f"d_in is {config.d_in}, and {where} has {images.d_in} numbers a row")
    config = pin(config, out)
    return Plan(variant, config, opts, images.name, images.split, len(images), images.fingerprint)


def _wants_pictures(cls: type[Network], config: Any, opts: TrainOptions) -> str:
    """Why a model cannot be trained on activations; empty where it can."""
    if not issubclass(cls, SAE):
        return f"a {cls.variant} learns from pictures and their classes"
    if PIXELS not in (config.reads, config.shows) or config.reads != config.shows:
        return f"an SAE that reads {config.reads} and shows {config.shows} needs pictures"
    return "scrambled images are made of pictures" if opts.scrambled else ""


def _begin(
    plan: Plan, images: Data, near: Path, device: torch.device, ranks: Alone, resume: Path | None = None
) -> Training:
    """The training of a plan, from where it was left: on every rank as the first one finds it."""
    model = build_network(plan.variant, plan.config, seed=plan.options.seed).to(device)
    attach(model, near, device.type)
    if isinstance(images, Activations):
        stream = Stream(images, plan.options.buffer, plan.options.seed, device)
        training = Training(model, stream, plan.options, ranks=ranks)
    else:
        x = torch.tensor(images.x).to(device)
        labels = torch.tensor(images.labels).to(device)
        training = Training(model, x, plan.options, labels=labels, classes=images.n_classes, ranks=ranks)
    found = None
    if resume is not None and resume.exists():
        found = {key: torch.from_numpy(a) for key, a in files.read_tensors(resume)[0].items()}
    if (state := ranks.state(found)) is not None:
        training.restore(state)
    return training


def _epochs(training: Training) -> Iterator[TrainLog]:
    """Its logs; at the end of each epoch the ranks wait for the one that measures."""
    for log in training:
        with training.ranks.apart() if log.step % training.per_epoch == 0 else nullcontext():
            yield log


def fitting(cls: type[Network], images: Data) -> dict[str, int]:
    """The options of a network that follow from the images: its inputs, and a class more for scrambled ones."""
    found = {"d_in": images.d_in} | ({"classes": images.n_classes + 1} if images.n_classes else {})
    return {name: value for name, value in found.items() if name in {f.name for f in fields(cls.Config)}}


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
            try:  # another process may have finished this very model since the look for it
                return _gives(plan, read(out / candidate))
            except CheckpointError:
                return False
        begun = out / f"{candidate}.partial"
        return not (begun / catalogue.CFG).exists() or _gives(plan, read_folder(begun))

    if name is not None:
        if not free(catalogue.check_name(name)):
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
    images: Data,
    partial: Path,
    device: torch.device,
    measure: Sequence[Data],
    describe: Sequence[ImageSet],
    told: tuple[Callable[[TrainLog], None] | None, OnEpoch | None, Stage | None],
    save_every_s: float,
    ranks: Alone,
) -> None:
    """Fill the partial folder, from wherever an earlier process left it."""
    on_log, on_epoch, on_stage = told
    if (partial / catalogue.METRICS).exists() and not (partial / RESUME).exists():
        ranks.told("")
        return  # all was done but the renaming
    for left_by_a_kill in partial.glob(".*.tmp"):
        left_by_a_kill.unlink()
    files.write_json(partial / catalogue.CFG, cfg(plan))
    ranks.told(plan.hash)
    resume, history = partial / RESUME, partial / catalogue.HISTORY
    training = _begin(plan, images, partial.parent, device, ranks, resume)
    model, x = training.model, training.x
    _keep_history(history, training.step)
    saved = time.monotonic()
    for log in _epochs(training):
        line: dict[str, Any] = log._asdict()
        if log.step % training.per_epoch == 0:
            there = _as_it_would_be(model, x)
            line |= _by_epoch(there, images, measure, plan.options)
        files.append_line(history, line)
        if on_log:
            on_log(log)
        if on_epoch and "measured" in line:
            on_epoch(log.step, line["measured"], there)
        if time.monotonic() - saved >= save_every_s or log.step == log.steps:
            files.write_tensors(resume, {key: t.cpu().numpy() for key, t in training.state().items()})
            saved = time.monotonic()
    ranks.leave()
    model.round_weights()
    model.eval().requires_grad_(False)
    model.finish(model.read(x))
    save(model, plan, partial)
    metrics: dict[str, dict[str, float]] = {}
    for done, part in enumerate(measure):
        if on_stage:
            on_stage(f"measuring on {part.name}/{part.split}", done, len(measure))
        metrics |= _measure(model, part, len(part), plan.options, images.n_classes)
    readable: dict[str, Any] = {}
    if isinstance(model, SAE):
        for part in _held_out(images, measure):
            readable |= {place: one.stored() for place, one in read_all(model, part, on_stage).items()}
        describe_all(model, describe, partial, on_stage)
    files.write_json(partial / catalogue.METRICS, metrics | ({catalogue.READABILITY: readable} if readable else {}))
    resume.unlink(missing_ok=True)


def _held_out(images: Data, measure: Sequence[Data]) -> list[ImageSet]:
    """Of the splits that are measured those of the same pictures that were not trained on: a dictionary is the same
    whatever it is looked at with, and one split says how much of it is in use."""
    pictures = [part for part in measure if isinstance(part, ImageSet)]
    return [part for part in pictures if part.name == images.name and part.split != images.split]


def read_all(sae: SAE, part: ImageSet, on_stage: Stage | None = None) -> dict[str, readability.Readability]:
    """How readable each member is on a split, by its place in metrics.json."""
    found = {}
    for i in range(members := getattr(sae.config, "members", 1)):
        what = f"reading the dictionary{f' of member {i}' if members > 1 else ''} on {part.name}/{part.split}"
        tell = (lambda done, n, what=what: on_stage(what, done, n)) if on_stage else None
        one = readability.measure(sae.member(i), part, tell)
        found[catalogue.place_of(one.split, i)] = one
    return found


def describe_all(sae: SAE, parts: Sequence[ImageSet], folder: Path, on_stage: Stage | None = None) -> None:
    """Make and store the feature statistics of a model over some splits, and how its errors and codes are spread over
    the first; those of an ensemble's later members only over the first."""
    members = getattr(sae.config, "members", 1)
    for part in parts:
        for i in range(members if part is parts[0] else 1):
            of = f" of member {i}" if members > 1 else ""
            what = f"describing features{of} on {part.name}/{part.split}"
            tell = (lambda done, n, what=what: on_stage(what, done, n)) if on_stage else None
            stats = describe.describe(sae.member(i), part, tell)
            features.save(stats, folder, i)
            if part is parts[0]:
                likeness.save(likeness.measure(sae.member(i), stats, part), folder, i)


def _as_it_would_be(model: Network, x: torch.Tensor) -> Network:
    """A copy of the model in training as it would be if that ended here: with a threshold set, say. Its weights are not
    rounded yet."""
    there = copy.copy(model)
    there.__dict__ = {**model.__dict__}  # its parameters are the model's own; what `finish` sets is copied
    there.ranks = ALONE  # one rank looks, and asks nothing of the others
    there._buffers = {name: None if b is None else b.clone() for name, b in model._buffers.items()}
    there.eval()
    with torch.no_grad():
        there.finish(there.read(x))
    return there


CURVE_N = 10_000
"""images of the training split on which the curve by epoch is measured"""


def _by_epoch(model: Network, images: Data, measure: Sequence[Data], opts: TrainOptions) -> dict[str, Any]:
    """What the history keeps at the end of an epoch, by "DATASET/SPLIT"."""
    measured: dict[str, Any] = {}
    classes = images.n_classes  # those of the training, whatever the part
    validation = {}
    for part in measure:
        measured |= _measure(model, part, CURVE_N if part is images else len(part), opts, classes)
        if opts.scrambled and part is not images and isinstance(part, ImageSet):
            x, labels = with_scrambled(part.x, part.labels, scrambled=classes)
            validation[f"{part.name}/{part.split}"] = validation_loss(model, x, labels, opts.batch_size)
    return {"measured": measured, **({"validation": validation} if validation else {})}


def _measure(model: Network, part: Data, n: int, opts: TrainOptions, classes: int) -> dict[str, dict[str, float]]:
    """The metrics on the first n images of a split; "DATASET/SPLIT#1" and so on for an ensemble's later members."""
    where = f"{part.name}/{part.split}"
    if isinstance(model, SAE):
        members = range(getattr(model.config, "members", 1))
        return {f"{where}#{i}" if i else where: evaluate(model.member(i), part.first(n))._asdict() for i in members}
    assert isinstance(part, ImageSet)  # a plan for anything else was refused
    x, labels = torch.tensor(part.x[:n]), torch.tensor(part.labels[:n])
    if opts.scrambled:
        x, labels = with_scrambled(x, labels, scrambled=classes)
    return {where: evaluate_network(model, x, labels, scrambled=classes)._asdict()}


def _keep_history(path: Path, step: int) -> None:
    """Drop the lines after the step from which the training goes on: they will be written again."""
    kept = [line for line in files.read_lines(path) if line["step"] <= step]

    def write(aside: Path) -> None:
        aside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    files.write_aside(path, write)
