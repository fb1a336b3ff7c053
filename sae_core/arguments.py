"""What several commands take and print."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sae_core.datasets import dataset_names, default_data_dir


def place(text: str) -> Path:
    """A file or folder as it was typed: of `--out=~/x` no shell makes the home folder."""
    return Path(text).expanduser()


def one_of_many() -> bool:
    """Whether this process is one of several that torchrun started."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def helps() -> bool:
    """Whether it is, and not the first of them: then it writes and prints nothing."""
    return one_of_many() and os.environ["RANK"] != "0"


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def add_data(parser: argparse.ArgumentParser) -> None:
    """A data set by its name, or a folder of shards and how that is taken."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dataset", choices=dataset_names(), default="mnist")
    which.add_argument(
        "--data",
        type=place,
        metavar="DIR",
        default=None,
        help="activations instead of pictures: a folder of shards, which `data shard` makes",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="SHARE",
        default=0.05,
        help="of that folder's rows, the last ones: never trained on, and what is measured on (default: 0.05)",
    )
    parser.add_argument(
        "--no-hashes",
        action="store_true",
        help="do not read that folder once more to check its hashes, and that its numbers are finite",
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=place, default=None, help=f"default: {default_data_dir()} (or SAE_DATA)")


def add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        type=place,
        metavar="FILE",
        default=None,
        help='write there how far it is, for another program: a line of JSON at a time, {"what", "done", "of"} and a '
        'training\'s numbers; the last line says {"ended": "done"}, or "failed" with the "error"',
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout; the rest goes to stderr")


def metrics_text(metrics: dict[str, dict[str, float]]) -> str:
    digits = {
        "pearson": "Pearson {:.4f}",
        "fvu": "FVU {:.4f}",
        "mse": "MSE {:.5f}",
        "l0": "L0 {:.1f}",
        "dead": "dead {:,}",
        "rare": "rare {:,}",
        "in_use": "in use {:,}",
    }
    digits |= {"accuracy": "accuracy {:.4f}", "accuracy_digits": "on digits alone {:.4f}"}
    digits |= {"mse_digits": "on digits alone {:.5f}", "n": "n = {:,}"}
    return "\n".join(
        f"  {split:<14} " + "  ".join(digits.get(name, name + " {}").format(value) for name, value in m.items())
        for split, m in metrics.items()
    )
