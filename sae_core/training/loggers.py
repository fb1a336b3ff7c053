"""Logs of a training in Weights & Biases or TensorBoard, where that package is installed and it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sae_core.training.loop import TrainLog

LOGGERS = ("wandb", "tensorboard")


def numbers(log: TrainLog) -> dict[str, float]:
    """What is logged of one `TrainLog`, by name."""
    return {
        **{f"loss/{name}": value for name, value in log.losses.items()},
        "lr": log.lr,
        "epoch": log.epoch,
        "images_per_s": log.images_per_s,
        "dead": log.dead,
    }


@contextmanager
def logger(kind: str, run: str, config: dict[str, Any], folder: Path) -> Iterator[Callable[[TrainLog], None]]:
    """A function that sends each log to `kind`, for one training named `run`; what it writes here goes to `folder`.

    W&B goes online only as it is set up to on this computer (`wandb login`, WANDB_MODE). ValueError says how to install
    a package that is missing.
    """
    if kind == "wandb":
        try:
            import wandb
        except ImportError:
            raise ValueError("Weights & Biases is not installed: pip install wandb") from None
        folder.mkdir(parents=True, exist_ok=True)
        with wandb.init(project="sae", name=run, config=config, dir=str(folder)) as session:
            yield lambda log: session.log(numbers(log), step=log.step)
    elif kind == "tensorboard":
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
        with SummaryWriter(str(folder / run)) as writer:
            writer.add_text("config", str(config))

            def write(log: TrainLog) -> None:
                for name, value in numbers(log).items():
                    writer.add_scalar(name, value, log.step)

            yield write
    else:
        raise ValueError(f"there is no logger {kind!r}; there is {', '.join(LOGGERS)}")
