"""What several commands take and print."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sae_core.datasets import default_data_dir


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
