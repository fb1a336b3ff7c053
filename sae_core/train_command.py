"""The command that trains a model, or finds it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_core import files
from sae_core.arguments import add_data, add_data_dir, add_device, add_json, add_progress, metrics_text, place
from sae_core.datasets import ImageSet, load_dataset
from sae_core.options import add_arguments, from_dict
from sae_core.progress import Bars
from sae_core.shards.reading import Activations, check, open_shards, parts
from sae_core.store import catalogue

if TYPE_CHECKING:
    from sae_core.models.alone import Alone
    from sae_core.models.network import Network
    from sae_core.training.loggers import Logger
    from sae_core.training.loop import TrainLog, TrainOptions


def add_variants(parser: argparse.ArgumentParser) -> None:
    """One subcommand a registered model, with its own options and the defaults that suit it."""
    from sae_core.training.loggers import LOGGERS
    from sae_core.training.loop import TrainOptions
    from sae_core.variants import networks

    subs = parser.add_subparsers(dest="variant", required=True, metavar="VARIANT")
    for name, cls in networks().items():
        first = (cls.__doc__ or "").strip().splitlines()[0]
        sub = subs.add_parser(
            name, help=first, description=cls.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_arguments(sub.add_argument_group("the model"), cls.Config)
        add_arguments(sub.add_argument_group("the training"), TrainOptions, cls.recipe)
        add_data(sub)
        sub.add_argument(
            "--out", type=place, default=catalogue.stores()[0], help="the folder of models; the model is OUT/NAME"
        )
        sub.add_argument("--name", default=None, help="instead of a name made from the options")
        sub.add_argument("--log-to", choices=LOGGERS, default=None, help="log there too, where it is installed")
        add_progress(sub)
        add_device(sub)
        add_data_dir(sub)
        add_json(sub)


def _chosen(args: argparse.Namespace, cls: type, defaults: dict[str, Any]) -> Any:
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(cls)}
    return from_dict(cls, {**defaults, **{k: v for k, v in given.items() if v is not None}})


def train(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.models.configs import PIXELS
    from sae_core.store.train_or_load import fitting, help_train
    from sae_core.training.loop import TrainOptions
    from sae_core.training.ranks import joined
    from sae_core.variants import networks

    with joined(args.device) as ranks:
        cls = networks()[args.variant]
        held: Activations | None = None
        images: ImageSet | Activations
        with ranks.apart():
            if args.data is not None:
                with Bars(args.progress) as progress:
                    images, held = shards_of(args, progress)
            else:
                images = load_dataset(args.dataset, "train", args.data_dir)
        reads = getattr(args, "reads", None) or PIXELS
        from_images = fitting(cls, images)
        if reads != PIXELS and args.variant != "generator":
            from_images["d_in"] = catalogue.read(reads).config["d_hidden"]
        config = _chosen(args, cls.Config, from_images)
        opts = _chosen(args, TrainOptions, cls.recipe_for(len(images)))
        if not ranks.first:
            help_train(args.variant, images, config, opts, out=args.out, device=args.device, ranks=ranks)
            return None, ""
        if ranks.size > 1:
            print(f"{ranks.size} processes train together", file=sys.stderr)
        return _train(args, images, held, config, opts, ranks)


def shards_of(args: argparse.Namespace, progress: Bars) -> tuple[Activations, Activations]:
    """What of the folder of shards is trained on, and what is measured on. Sizes are always checked; hashes by the
    first process of each machine."""
    shards = open_shards(args.data)
    found = parts(shards, args.held_out)
    if not args.no_hashes and os.environ.get("LOCAL_RANK", "0") == "0":
        check(shards, progress.stage)
    return found


def _train(
    args: argparse.Namespace,
    images: ImageSet | Activations,
    held: Activations | None,
    config: Any,
    opts: TrainOptions,
    ranks: Alone,
) -> tuple[Any, str]:
    """What is said of the model that this gives, trained or found."""
    from sae_core.store.plan import Plan
    from sae_core.store.train_or_load import train_or_load
    from sae_core.training.loggers import logger, pictures

    measure: Sequence[ImageSet | Activations]
    if isinstance(images, ImageSet):
        measure, describe = _measured(images, args.data_dir)
        shown = measure[1].x
    else:
        measure, describe, shown = [held] if held else [], [], None
    begun = _unfinished(args.out, args.variant)
    with Bars(args.progress) as progress, ExitStack() as stack:
        heard: list[Callable[[TrainLog], None]] = [progress.log]
        log: Logger | None = None
        if args.log_to:
            settings = {**dataclasses.asdict(config), **dataclasses.asdict(opts), "data": images.name}
            plan = Plan(args.variant, config, opts, images.name, images.split, len(images), images.fingerprint)
            run = f"{args.name or plan.default_name}-{plan.hash[:6]}"
            log = stack.enter_context(logger(args.log_to, run, settings, Path("logs")))
            heard.append(log.log)

        def tell_all(line: TrainLog) -> None:
            for hear in heard:
                hear(line)

        def at_epoch(step: int, measured: dict[str, Any], model: Network) -> None:
            if log is not None:
                log.epoch(step, measured, {} if shown is None else pictures(model, shown))

        checkpoint, cached = train_or_load(
            args.variant,
            images,
            config,
            opts,
            out=args.out,
            name=args.name,
            device=args.device,
            measure=measure,
            describe=describe,
            on_log=tell_all,
            on_epoch=at_epoch,
            on_stage=progress.stage,
            ranks=ranks,
        )
    for sentence in begun:
        print(sentence, file=sys.stderr)
    if checkpoint.collapsed:
        print(f"WARNING: {checkpoint.collapsed}. Other options may do: a smaller lr or penalty.", file=sys.stderr)
    result = {
        "name": checkpoint.name,
        "path": checkpoint.path,
        "collapsed": checkpoint.collapsed or None,
        "cached": cached,
        "hash": checkpoint.hash,
        "metrics": checkpoint.metrics,
    }
    word = ("found" if cached else "trained") + (" (collapsed)" if checkpoint.collapsed else "")
    return result, f"{word} {checkpoint.path}\n" + metrics_text(checkpoint.metrics)


def _unfinished(out: Path, variant: str) -> list[str]:
    """A sentence for each unfinished training of that variant under `out`, as it was before this one."""
    found = []
    for folder in sorted(out.glob("*.partial")) if out.is_dir() else []:
        try:
            of = catalogue.read_folder(folder)
        except files.CheckpointError:
            continue
        if of.variant == variant:
            options = ", ".join(f"{k} {v}" for k, v in of.training["options"].items() if k in ("epochs", "lr", "seed"))
            found.append(
                f"an unfinished training lies in {folder} ({options}): the command that began it goes on with it; if "
                "it is not wanted, remove that folder"
            )
    return found


def _measured(images: ImageSet, data_dir: Path | None) -> tuple[list[ImageSet], list[ImageSet]]:
    """What a model trained on `images` is measured on, and what its features are described over."""
    embedded = [load_dataset("digits", split) for split in ("train", "test")]
    measure, describe = [images, load_dataset(images.name, "test", data_dir)], [images]
    if embedded[0].side == images.side:
        measure, describe = [*measure, embedded[1]], [*describe, embedded[0]]
    return [list({(s.name, s.split): s for s in sets}.values()) for sets in (measure, describe)]  # type: ignore[return-value]
