"""The command line: see `python -m sae_core --help`. `--json` prints exactly one line on stdout."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from sae_core import data_command, files, train_command
from sae_core.arguments import (
    add_data,
    add_data_dir,
    add_device,
    add_json,
    add_progress,
    helps,
    metrics_text,
    one_of_many,
    place,
)
from sae_core.datasets import DataError, ImageSet, dataset_names, load_dataset
from sae_core.measure import features
from sae_core.progress import Bars, ProgressFile, plain
from sae_core.store import catalogue


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with a sentence on stderr when it could not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console or a file in a code page without our letters still prints
            stream.reconfigure(errors="replace")
    args = _parser(argv if argv is not None else sys.argv[1:]).parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *of, **more: print(f"note: {message}", file=sys.stderr)
            code = _run(args)
    finally:
        sys.stdout.flush()
    if one_of_many():  # the ranks' threads may still hold a tensor, and would ask for an interpreter that is no more
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(args: argparse.Namespace) -> int:
    told = None
    try:
        asked = None if helps() else getattr(args, "progress", None)
        told = args.progress = ProgressFile(asked) if asked else None
        result, text = args.run(args)
        if told:
            told.end("done")
    except (files.CheckpointError, DataError, ValueError, OSError, FloatingPointError) as e:
        print(f"error: {e}", file=sys.stderr)
        if told:
            told.end("failed", str(e))
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        if told:
            told.end("stopped")
        return 130
    except Exception as e:
        if told:
            told.end("failed", f"{type(e).__name__}: {e}")
        raise
    if not helps():
        print(json.dumps(plain(result), allow_nan=False) if args.json else text)
    return 0


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sae_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], tuple[Any, str]], help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    train = command("train", train_command.train, "train a model, or find it if it has been trained already")
    if argv and argv[0] == "train":  # only here are the variants needed, and they need torch
        train_command.add_variants(train)
    evaluate = command("evaluate", _evaluate, "measure a model on a split")
    evaluate.add_argument("checkpoint", help="a name from `list`, NAME/0, or a folder")
    add_data(evaluate)
    evaluate.add_argument("--split", default="test", help="of the data set (default: test)")
    encode = command("encode", _encode, "the sparse code of a picture")
    encode.add_argument("image", type=place, help="PNG, JPEG, WebP, GIF or BMP of any size; prepared as MNIST's are")
    encode.add_argument("--checkpoint", required=True)
    features = command("features", _features, "make a model's feature statistics anew")
    features.add_argument("checkpoint", help="a name from `list`, or a folder")
    features.add_argument("--dataset", choices=dataset_names(), default="mnist")
    features.add_argument("--split", default="train")
    readable = command("readability", _readability, "how many features are in use, and whether they are strokes")
    readable.add_argument("checkpoint", help="a name from `list`, NAME/0, or a folder")
    readable.add_argument("--dataset", choices=dataset_names(), default=None, help="default: what it was trained on")
    readable.add_argument("--split", default="test")
    readable.add_argument("--save", action="store_true", help="write it into the model's metrics.json")
    limiting = command("limits", _limits, "what limits a reconstruction: its code's values, its choice, its dictionary")
    limiting.add_argument("checkpoint", help="a name from `list`, NAME/0, or a folder")
    limiting.add_argument("--dataset", choices=dataset_names(), default="mnist")
    limiting.add_argument("--split", default="test")
    limiting.add_argument("--images", type=int, default=1000, help="the first of the split (default: 1000)")
    command("list", _list, "the models at hand")
    first = command("analyze-loss", _analyze_loss, "the mean image's MSE, and each member's before any training")
    first.add_argument("--members", type=int, default=5, help="of the ensemble (default: 5)")
    first.add_argument("--seed", type=int, default=42, help="of its first weights (default: 42)")
    benchmark = command("benchmark", _benchmark, "how fast the documents' ensemble trains on every device that is here")
    benchmark.add_argument("what", choices=("devices",))
    benchmark.add_argument("--steps", type=int, default=40, help="steps that are timed (default: 40)")
    reproduce = command("reproduce", _reproduce, "an experiment of the source documents: claimed, as documented, ours")
    reproduce.add_argument("name", choices=("ensemble", "intro", "experiment3"))
    reproduce.add_argument("--quick", action="store_true", help="a bounded run on few images, to see that it works")
    reproduce.add_argument("--out", type=place, default=None, help="folder of the report (default: results/NAME)")
    reproduce.add_argument("--seed", type=int, default=42, help="of the models it trains (default: 42)")
    reproduce.add_argument("--no-figures", action="store_true", help="leave only the numbers, no figure's file")
    add_progress(reproduce)
    dashboard = command("dashboard", _dashboard, "the dashboard in your browser; Ctrl-C stops it")
    dashboard.add_argument("--port", type=int, default=8501)
    dashboard.add_argument("streamlit", nargs="*", help="further options for streamlit, after --")
    dashboard.set_defaults(json=False)
    data_command.add_actions(command("data", data_command.listed, "data sets that are here, and folders of shards"))
    for sub in (evaluate, encode, features, readable, limiting, reproduce):
        add_device(sub)
    for sub in (evaluate, features, readable, limiting, first, benchmark, reproduce):
        add_data_dir(sub)
    listed = commands.choices["list"]
    for sub in (evaluate, encode, features, readable, limiting, first, benchmark, reproduce, listed):
        add_json(sub)
    return parser


def _evaluate(args: argparse.Namespace) -> tuple[Any, str]:
    import torch

    from sae_core.measure.metrics import evaluate, evaluate_network, with_scrambled
    from sae_core.store.checkpoints import load, load_network

    checkpoint = catalogue.read(args.checkpoint)
    if args.data is not None:
        return _evaluate_on_shards(args)
    if checkpoint.no_pictures:
        raise ValueError(f"{checkpoint.no_pictures}: measure it with --data DIR")
    images: ImageSet = load_dataset(args.dataset, args.split, args.data_dir)
    if checkpoint.is_sae:
        metrics = evaluate(load(args.checkpoint, args.device), images.x)._asdict()
    else:
        x, labels = torch.tensor(images.x), torch.tensor(images.labels)
        if checkpoint.training["options"].get("scrambled"):
            x, labels = with_scrambled(x, labels, scrambled=images.n_classes)
        network = load_network(args.checkpoint, args.device)
        metrics = evaluate_network(network, x, labels, scrambled=images.n_classes)._asdict()
    return metrics, metrics_text({f"{images.name}/{images.split}": metrics})


def _evaluate_on_shards(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.measure.metrics import evaluate
    from sae_core.store.checkpoints import load

    with Bars() as progress:
        rows = train_command.shards_of(args, progress)[1]
    sae = load(args.checkpoint, args.device)
    metrics = evaluate(sae, rows)._asdict()
    return metrics, metrics_text({f"{rows.name}/{rows.split}": metrics})


def _features(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.models.sae import SAE
    from sae_core.store.checkpoints import load_network
    from sae_core.store.train_or_load import describe_all

    folder, _ = catalogue.find(args.checkpoint)
    if why := catalogue.read(args.checkpoint).no_pictures:
        raise ValueError(why)
    sae = load_network(folder, args.device)
    if not isinstance(sae, SAE):
        raise ValueError(f"a {sae.variant} has no features")
    images = load_dataset(args.dataset, args.split, args.data_dir)
    with Bars() as progress:
        describe_all(sae, [images], folder, progress.stage)
    path = features.stats_path(folder, images.name, images.split)
    return {"path": path, "n": len(images)}, f"wrote {path}"


def _readability(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.models.sae import SAE
    from sae_core.store.checkpoints import load_network
    from sae_core.store.train_or_load import read_all

    folder, member = catalogue.find(args.checkpoint)
    sae = load_network(folder, args.device)
    if not isinstance(sae, SAE):
        raise ValueError(f"a {sae.variant} has no features")
    sae.member(member or 0)  # before anything is measured: ValueError where there is none
    checkpoint = catalogue.read(folder)
    if checkpoint.no_pictures:
        raise ValueError(checkpoint.no_pictures)
    images = load_dataset(args.dataset or checkpoint.training["data"], args.split, args.data_dir)
    with Bars() as progress:
        found = read_all(sae, images, progress.stage)
    one = found[catalogue.place_of(f"{images.name}/{images.split}", member or 0)]
    if member is None and checkpoint.members > 1:
        print(catalogue.member_said(folder.name, checkpoint.members), file=sys.stderr)
    if args.save:
        path = catalogue.add_readability(folder, {place: of.stored() for place, of in found.items()})
        print(f"wrote {path}", file=sys.stderr)
    return one._asdict(), one.text()


def _limits(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.measure import limits
    from sae_core.store.checkpoints import load

    if args.images < 1:
        raise ValueError(f"at least one image is wanted, not {args.images}")
    images = load_dataset(args.dataset, args.split, args.data_dir)
    with Bars() as progress:
        found = limits.measure(load(args.checkpoint, args.device), images.x[: args.images], progress.stage)
    of = f"the first {found.n:,} of {images.name}/{images.split}, {found.l0:.1f} latents an image"
    text = [
        f"fraction of variance unexplained, {of}",
        f"  {found.fvu:.4f}  by the encoder's code",
        f"  {found.fvu_refit:.4f}  the same latents with their best values",
        f"  {found.fvu_omp:.4f}  as many latents, chosen by orthogonal matching pursuit",
    ]
    return {**found._asdict(), "split": f"{images.name}/{images.split}"}, "\n".join(text)


def _analyze_loss(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.documents.ensemble.analysis import analyze_loss

    sets = [load_dataset("mnist", split, args.data_dir) for split in ("train", "test")]
    found = analyze_loss(*sets, members=args.members, seed=args.seed)
    text = [f"the mean of the training images as reconstruction: MSE {found.mean_image_mse:.4f}"]
    text += [
        f"member {i} before training: MSE {mse:.4f}, Pearson {pearson:.4f}"
        for i, (mse, pearson) in enumerate(zip(found.mse, found.pearson, strict=True))
    ]
    return found._asdict(), "\n".join([*text, f"on mnist/test, n = {found.n:,}"])


def _benchmark(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.documents.ensemble.analysis import benchmark_devices

    rows = benchmark_devices(load_dataset("mnist", "train", args.data_dir), steps=args.steps)
    text = [
        f"{r['name']:<24} {r['precision']:<9} {r['ms_per_step']:8.2f} ms a step  {r['images_per_s']:10,.0f} images/s  "
        f"{r['speedup']:6.2f} times the first"
        for r in rows
    ]
    if len({r["device"] for r in rows}) == 1:
        text.append("no GPU is here, or PyTorch does not see it: not measured")
    text.append("the documents' ensemble of five, batches of 128; looking for partners (matching) is left out")
    return rows, "\n".join(text)


def _reproduce(args: argparse.Namespace) -> tuple[Any, str]:
    from sae_core.documents.export import write_figures
    from sae_core.documents.reproduce import reproduce

    with Bars(args.progress) as progress:
        report = reproduce(
            args.name,
            quick=args.quick,
            data_dir=args.data_dir,
            out=args.out,
            seed=args.seed,
            device=args.device,
            on_log=progress.log,
            on_stage=progress.stage,
        )
        for sentence in [] if args.no_figures else write_figures(report, progress.stage, args.data_dir):
            progress.say(sentence)
    return report.as_dict(), report.text()


def _dashboard(args: argparse.Namespace) -> tuple[Any, str]:
    if importlib.util.find_spec("streamlit") is None:
        raise ValueError("Streamlit is not installed: pip install 'sae-explorer[dashboard]'")
    print(f"The dashboard: http://127.0.0.1:{args.port}   (Ctrl-C stops it)", file=sys.stderr)
    # Streamlit takes the settings beside app.py, whatever the working directory.
    command = [sys.executable, "-m", "streamlit", "run", str(files.home() / "app.py"), "--server.port", str(args.port)]
    command += args.streamlit
    if os.name == "posix":  # Ctrl-C and a service manager then reach the server itself
        os.execv(sys.executable, command)
    done = subprocess.run(command)
    if done.returncode:
        raise OSError(f"the dashboard ended with exit code {done.returncode}")
    return None, "the dashboard has ended"


def _encode(args: argparse.Namespace) -> tuple[Any, str]:
    import torch

    from sae_core.measure.metrics import l0, pearson
    from sae_core.pictures.upload import prepare_upload
    from sae_core.store.checkpoints import load

    sae = load(args.checkpoint, args.device)
    x = sae.read(
        torch.from_numpy(prepare_upload(args.image, catalogue.read(args.checkpoint).side)[None]).to(sae.W_enc.device)
    )
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
    found, broken = catalogue.list_checkpoints()
    for sentence in broken:
        print(f"left out: {sentence}", file=sys.stderr)
    rows = [
        {
            "name": c.name,
            "variant": c.variant,
            "d_in": c.config["d_in"],
            "d_sae": c.config.get("d_sae"),  # of a classifier or generator, which have no latents, null
            "k": c.config.get("k"),
            "bundled": c.bundled,
            "passes": c.passes,
            "members": c.members,
            "metrics": c.metrics | ({catalogue.READABILITY: c.readability} if c.readability else {}),
            "config": c.config,
            "path": c.path,
            "hash": c.hash,
        }
        for c in found
    ]
    text = "\n".join(
        f"{c.name}  ({c.variant}{', collapsed' if c.collapsed else ''})\n{metrics_text(c.metrics)}" for c in found
    )
    return rows, text or "no model is here yet: python -m sae_core train topk"
