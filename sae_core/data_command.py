"""The commands around data: what is here, getting it, and folders of activations."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from sae_core.arguments import add_data_dir, add_json, place
from sae_core.datasets import data_folder, dataset_info, dataset_names, download_dataset
from sae_core.progress import Bars
from sae_core.shards import reading as of_shards
from sae_core.shards.making import SUFFIXES, make


def add_actions(parser: argparse.ArgumentParser) -> None:
    """get, list, shard and check."""
    actions = parser.add_subparsers(dest="action", required=True)
    get = actions.add_parser("get", help="download a data set, if it is not here and whole")
    get.add_argument("name", nargs="?", choices=dataset_names())
    get.set_defaults(run=_get)
    here = actions.add_parser("list", help="which data sets are here")
    shard = actions.add_parser("shard", help="make a folder of shards from arrays [N, d_in] of floating-point numbers")
    shard.add_argument("files", nargs="+", type=place, metavar="FILE", help=".npy, .npz or .safetensors, in this order")
    shard.add_argument("--out", type=place, required=True, metavar="DIR", help="the folder, which is not there yet")
    shard.add_argument("--rows-per-shard", type=int, default=None, metavar="N", help="default: 256 MiB of them")
    shard.add_argument("--format", choices=[s[1:] for s in SUFFIXES], default="npy", help="of a shard (default: npy)")
    shard.set_defaults(run=_shard)
    check = actions.add_parser("check", help="check a folder of shards: sizes, hashes, and that all numbers are finite")
    check.add_argument("folder", type=place, metavar="DIR")
    check.set_defaults(run=_check)
    for action in (get, here, shard, check):
        add_json(action)
    for action in (get, here):
        add_data_dir(action)


def listed(args: argparse.Namespace) -> tuple[Any, str]:
    folder = data_folder(args.data_dir).absolute()
    here = {n: dataset_info(n).is_here(folder) for n in dataset_names()}
    why = {n: ask(folder) for n in dataset_names() if (ask := dataset_info(n).why_not) and not here[n]}
    return here, "\n".join(
        f"{n}: {'here' if ok else 'not here'}" + (f". {why[n]}" if n in why else "") for n, ok in here.items()
    )


def _get(args: argparse.Namespace) -> tuple[Any, str]:
    if args.name is None:
        raise ValueError(f"say which: {', '.join(n for n in dataset_names() if dataset_info(n).downloadable)}")
    with Bars() as progress:
        print(download_dataset(args.name, args.data_dir, progress.stage), file=sys.stderr)
    return listed(args)


def _shard(args: argparse.Namespace) -> tuple[Any, str]:
    with Bars() as progress:
        found = make(args.files, args.out, args.rows_per_shard, f".{args.format}", progress.stage)
    return _said(found, "wrote")


def _check(args: argparse.Namespace) -> tuple[Any, str]:
    found = of_shards.open_shards(args.folder)
    with Bars() as progress:
        of_shards.check(found, progress.stage)
    return _said(found, "whole:")


def _said(found: of_shards.Shards, word: str) -> tuple[Any, str]:
    size = sum(shard.bytes for shard in found.shards)
    result = {
        "path": found.folder,
        "n": len(found),
        "d_in": found.d_in,
        "dtype": found.dtype,
        "shards": len(found.shards),
        "bytes": size,
        "fingerprint": found.fingerprint,
    }
    said = f"{len(found):,} × {found.d_in:,} {found.dtype} in {len(found.shards):,} shards, {size / 1e6:,.1f} MB"
    return result, f"{word} {found.folder}: {said}"
