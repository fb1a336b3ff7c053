"""Logs of a training in Weights & Biases or TensorBoard, where that package is installed and it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.training.loop import TrainLog

LOGGERS = ("wandb", "tensorboard")
ROWS, EXAMPLES = 64, 10
"""encoder rows, and images beside their reconstructions, that are logged as pictures"""


class Logger(Protocol):
    """What hears of one training; a name is one run, also when the training was interrupted and goes on."""

    def log(self, log: TrainLog) -> None:
        """Numbers of the training itself."""

    def epoch(self, step: int, measured: Mapping[str, Mapping[str, float]], pictures: Mapping[str, np.ndarray]) -> None:
        """The metrics by split at the end of an epoch, and pictures [height, width] uint8 by name."""


def numbers(log: TrainLog) -> dict[str, float]:
    """What is logged of one `TrainLog`, by name."""
    return {
        **{f"loss/{name}": value for name, value in log.losses.items()},
        "lr": log.lr,
        "epoch": log.epoch,
        "images_per_s": log.images_per_s,
        "dead": log.dead,
    }


def metrics(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What is logged of the metrics by split, by name: "mnist/test/fvu"."""
    return {f"{split}/{name}": float(v) for split, found in measured.items() for name, v in found.items()}


@torch.no_grad()
def pictures(model: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """An SAE's first encoder rows, and the first images x [N, d] above their reconstructions; empty for another model.

    Of an ensemble member 0's. Rows: grey is 0, the largest weight of all black or white.
    """
    if not isinstance(model, SAE):
        return {}
    sae = model.member(0)
    try:
        rows = sae.row_pictures()[0][:ROWS]
        given = torch.tensor(x[:EXAMPLES]).to(sae.W_enc.device)
        shown = sae.picture(sae(sae.read(given)).x_hat).cpu().numpy()
    except ValueError:  # it reads a hidden layer, and there is no generator that shows it
        return {}
    most = float(np.abs(rows).max()) or 1.0
    return {
        "encoder rows": _mosaic(0.5 + rows / (2 * most), 8),
        "images and reconstructions": _mosaic(np.concatenate([x[:EXAMPLES], shown]), EXAMPLES),
    }


def _mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Square pictures [n, side²] in [0, 1], clipped, side by side as one of uint8, the first at the top left."""
    side = round(tiles.shape[1] ** 0.5)
    lines = -(-len(tiles) // columns)
    whole = np.zeros((lines * columns, side, side), np.float32)
    whole[: len(tiles)] = np.clip(tiles, 0, 1).reshape(-1, side, side)
    grid = whole.reshape(lines, columns, side, side).transpose(0, 2, 1, 3)
    return np.round(255 * grid.reshape(lines * side, columns * side)).astype(np.uint8)


class _Wandb:
    def __init__(self, session: Any) -> None:
        self._session = session

    def log(self, log: TrainLog) -> None:
        self._session.log(numbers(log), step=log.step)

    def epoch(self, step: int, measured: Mapping[str, Mapping[str, float]], pictures: Mapping[str, np.ndarray]) -> None:
        import wandb

        self._session.log({**metrics(measured), **{k: wandb.Image(v) for k, v in pictures.items()}}, step=step)


class _TensorBoard:
    """The writer begins with the first log: what a run that was killed wrote after that step is dropped by its reader,
    as the training goes on from before it."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder, self._config = folder, config
        self._writer: Any = None

    def _begun(self, step: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None:
            again = self._folder.is_dir()
            self._writer = SummaryWriter(str(self._folder), purge_step=step if again else None)
            if not again:
                self._writer.add_text("config", str(dict(self._config)))
        return self._writer

    def log(self, log: TrainLog) -> None:
        for name, value in numbers(log).items():
            self._begun(log.step).add_scalar(name, value, log.step)

    def epoch(self, step: int, measured: Mapping[str, Mapping[str, float]], pictures: Mapping[str, np.ndarray]) -> None:
        writer = self._begun(step)
        for name, value in metrics(measured).items():
            writer.add_scalar(name, value, step)
        for name, picture in pictures.items():
            writer.add_image(name, picture[None], step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def logger(kind: str, run: str, config: Mapping[str, Any], folder: Path) -> Iterator[Logger]:
    """What logs one training named `run` in `kind`; what it writes here goes to `folder`.

    W&B goes online only as it is set up to on this computer (`wandb login`, WANDB_MODE). ValueError says how to install
    a package that is missing.
    """
    if kind == "wandb":
        try:
            import wandb
        except ImportError:
            raise ValueError("Weights & Biases is not installed: pip install wandb") from None
        folder.mkdir(parents=True, exist_ok=True)
        with wandb.init(
            project="sae", id=run, resume="allow", name=run, config=dict(config), dir=str(folder)
        ) as session:
            yield _Wandb(session)
    elif kind == "tensorboard":
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
        board = _TensorBoard(folder / run, config)
        try:
            yield board
        finally:
            board.close()
    else:
        raise ValueError(f"there is no logger {kind!r}; there is {', '.join(LOGGERS)}")
