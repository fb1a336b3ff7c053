"""The command line: train | evaluate | list | encode | data. `--json` prints exactly one line on stdout."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sae_core import store
from sae_core.datasets import (
    DataError,
    ImageSet,
    dataset_info,
    dataset_names,
    default_data_dir,
    download_dataset,
    load_dataset,
)
from sae_core.options import add_arguments, from_dict

if TYPE_CHECKING:
    from sae_core.training import TrainLog


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with a sentence on stderr when it could not."""
    args = _parser(argv if argv is not None else sys.argv[1:]).parse_args(argv)
    try:
        result, text = args.run(args)
    except (store.CheckpointError, DataError, ValueError, OSError, FloatingPointError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    print(json.dumps(_plain(result), allow_nan=False) if args.json else text)
    return 0


def _plain(value: Any) -> Any:
    """JSON has no NaN: null instead."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sae_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], tuple[Any, str]], help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "train a model, or find it if it has been trained already")
    if argv and argv[0] == "train":  # only here are the variants needed, and they need torch
        _add_variants(train)
    evaluate = command("evaluate", _evaluate, "measure a model on a split")
    evaluate.add_argument("checkpoint", help="a name from `list`, NAME/0, or a folder")
    evaluate.add_argument("--dataset", choices=dataset_names(), default="mnist")
    evaluate.add_argument("--split", default="test")
    encode = command("encode", _encode, "the sparse code of a picture")
    encode.add_argument("image", type=Path, help="PNG, JPEG, WebP, GIF or BMP of any size; prepared as MNIST's are")
    encode.add_argument("--checkpoint", required=True)
    command("list", _list, "the models at hand")
    data = command("data", _data, "get a data set, or see which are here")
    data.add_argument("action", choices=("get", "list"))
    data.add_argument("name", nargs="?", choices=dataset_names())
    for sub in (evaluate, encode):
        _add_device(sub)
    for sub in (evaluate, data):
        _add_data_dir(sub)
    for sub in (evaluate, encode, data, commands.choices["list"]):
        _add_json(sub)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, default=None, help=f"default: {default_data_dir()} (or SAE_DATA)")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout; the rest goes to stderr")


def _add_variants(parser: argparse.ArgumentParser) -> None:
    """One subcommand a registered SAE, with its own options and the defaults that suit it."""
    from sae_core.sae import registry
    from sae_core.training import TrainOptions

    subs = parser.add_subparsers(dest="variant", required=True, metavar="VARIANT")
    for name, cls in registry().items():
        first = (cls.__doc__ or "").strip().splitlines()[0]
        sub = subs.add_parser(
            name, help=first, description=cls.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_arguments(sub.add_argument_group("the model"), cls.Config)
        add_arguments(sub.add_argument_group("the training"), TrainOptions, cls.recipe)
        sub.add_argument("--dataset", choices=dataset_names(), default="mnist")
        sub.add_argument(
            "--out", type=Path, default=store.stores()[0], help="the folder of models; the model is OUT/NAME"
        )
        sub.add_argument("--name", default=None, help="instead of a name made from the options")
        _add_device(sub)
        _add_data_dir(sub)
        _add_json(sub)


def _chosen(args: argparse.Namespace, cls: type, defaults: dict[str, Any]) -> Any:
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(cls)}
    return from_dict(cls, {**defaults, **{k: v for k, v in given.items() if v is not None}})


def _train(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.checkpoints import train_or_load
    from sae_core.sae import registry
    from sae_core.training import TrainOptions

    cls = registry()[args.variant]
    images = load_dataset(args.dataset, "train", args.data_dir)
    config = _chosen(args, cls.Config, {"d_in": images.x.shape[1]})
    opts = _chosen(args, TrainOptions, cls.recipe)
    embedded = [load_dataset("digits", split) for split in ("train", "test")]
    measure = [images, load_dataset(args.dataset, "test", args.data_dir), embedded[1]]
    describe = [images, embedded[0]]
    with _Progress() as progress:
        checkpoint, cached = train_or_load(
            args.variant,
            images,
            config,
            opts,
            out=args.out,
            name=args.name,
            device=args.device,
            measure=list({(s.name, s.split): s for s in measure}.values()),
            describe=list({(s.name, s.split): s for s in describe}.values()),
            on_log=progress.log,
            on_stage=progress.stage,
        )
    result = {
        "name": checkpoint.name,
        "path": checkpoint.path,
        "cached": cached,
        "hash": checkpoint.hash,
        "metrics": checkpoint.metrics,
    }
    return result, f"{'found' if cached else 'trained'} {checkpoint.path}\n" + _metrics_text(checkpoint.metrics)


class _Progress:
    """A bar for the training, then one for each stage after it; all on stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._what = ""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def log(self, log: TrainLog) -> None:
        self.stage("training", log.step, log.steps)
        assert self._bar is not None
        self._bar.set_postfix({name: f"{v:.5f}" for name, v in log.losses.items()})

    def stage(self, what: str, done: int, of: int) -> None:
        if self._bar is None or what != self._what:
            if self._bar is not None:
                self._bar.close()
            self._bar, self._what = (
                tqdm(total=of, desc=what, initial=0, file=sys.stderr, dynamic_ncols=True),
                what,
            )
        self._bar.n = done
        self._bar.refresh()


def _metrics_text(metrics: dict[str, dict[str, float]]) -> str:
    lines = [
        f"  {split:<12} Pearson {m['pearson']:.4f}  FVU {m['fvu']:.4f}  MSE {m['mse']:.5f}  "
        f"L0 {m['l0']:.1f}  dead {m['dead']}  n = {m['n']}"
        for split, m in metrics.items()
    ]
    return "\n".join(lines)


def _evaluate(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.checkpoints import load
    from sae_core.metrics import evaluate

    sae = load(args.checkpoint, args.device)
    images: ImageSet = load_dataset(args.dataset, args.split, args.data_dir)
    metrics = evaluate(sae, images.x)._asdict()
    return metrics, _metrics_text({f"{images.name}/{images.split}": metrics})


def _encode(args: argparse.Namespace) -> tuple[Any, str]:
    import torch

    from sae_core.checkpoints import load
    from sae_core.metrics import l0, pearson
    from sae_core.preprocess import prepare_upload

    sae = load(args.checkpoint, args.device)
    x = sae.read(torch.from_numpy(prepare_upload(args.image)[None]).to(sae.W_enc.device))
    with torch.no_grad():
        out, code = sae(x), sae.sparse_code(x)
    active = code.values[0] != 0
    result: dict[str, Any] = {
        "indices": code.indices[0][active].tolist(),
        "values": code.values[0][active].tolist(),
        "pearson": float(pearson(x, out.x_hat)[0]),
        "l0": int(l0(out.acts)[0]),
    }
    pairs = "  ".join(f"{i}:{v:.3f}" for i, v in zip(result["indices"], result["values"], strict=True))
    return result, f"{result['l0']} active latents, Pearson {result['pearson']:.4f}\n{pairs}"


def _list(args: argparse.Namespace) -> tuple[Any, str]:
    found, broken = store.list_checkpoints()
    for sentence in broken:
        print(f"left out: {sentence}", file=sys.stderr)
    rows = [
        {
            "name": c.name,
            "path": c.path,
            "variant": c.variant,
            "config": c.config,
            "metrics": c.metrics,
            "hash": c.hash,
        }
        for c in found
    ]
    text = "\n".join(f"{c.name}  ({c.variant})\n{_metrics_text(c.metrics)}" for c in found)
    return rows, text or "no model is here yet: python -m sae_core train topk"


def _data(args: argparse.Namespace) -> tuple[Any, str]:
    names = dataset_names()
    if args.action == "get":
        if args.name is None:
            raise ValueError(f"say which: {', '.join(n for n in names if dataset_info(n).downloadable)}")
        with _Progress() as progress:
            print(download_dataset(args.name, args.data_dir, progress.stage), file=sys.stderr)
    here = {n: dataset_info(n).is_here(Path(args.data_dir or default_data_dir())) for n in names}
    return here, "\n".join(f"{n}: {'here' if ok else 'not here'}" for n, ok in here.items())
