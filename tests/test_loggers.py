"""Logs in other tools, written by those tools themselves where they are installed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from sae_core.training.loggers import logger, numbers
from sae_core.training.loop import TrainLog

LOG = TrainLog(50, 100, 0.5, 1e-3, {"mse": 0.25, "aux": 0.5}, 1000.0, 7, "")


def test_what_is_logged() -> None:
    assert numbers(LOG) == {
        "loss/mse": 0.25,
        "loss/aux": 0.5,
        "lr": 1e-3,
        "epoch": 0.5,
        "images_per_s": 1000.0,
        "dead": 7,
    }


@pytest.mark.parametrize("kind", ["wandb", "tensorboard"])
def test_a_missing_package_is_named(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("wandb", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    with pytest.raises(ValueError, match=f"not installed: pip install {kind}"), logger(kind, "run", {}, tmp_path):
        pass
    with pytest.raises(ValueError, match="no logger 'nonsense'"), logger("nonsense", "run", {}, tmp_path):
        pass


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with logger("tensorboard", "run", {"k": 50}, tmp_path) as write:
        write(LOG)
        write(LOG._replace(step=100, losses={"mse": 0.125}))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/mse")] == [(50, 0.25), (100, 0.125)]
    assert events.Scalars("dead")[0].value == 7


@pytest.mark.slow
def test_wandb_keeps_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with logger("wandb", "run", {"k": 50}, tmp_path) as write:
        write(LOG)
        write(LOG._replace(step=100))  # a step is kept when the next begins
        session = wandb.run
        assert session.config["k"] == 50 and session.name == "run"
        until = time.monotonic() + 20
        while "loss/mse" not in session.summary.keys() and time.monotonic() < until:  # noqa: SIM118
            time.sleep(0.05)
        assert session.summary["loss/mse"] == 0.25 and session.summary["_step"] == 50
    assert list(tmp_path.rglob("*.wandb"))
