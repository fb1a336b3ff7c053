"""Logs in other tools, written by those tools themselves where they are installed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sae_core.models.classifier import ClassifierConfig
from sae_core.training.loggers import logger, numbers, pictures
from sae_core.training.loop import TrainLog
from sae_core.variants import build, build_network
from sae_core.variants.topk import TopKConfig

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

    with logger("tensorboard", "run", {"k": 50}, tmp_path) as run:
        run.log(LOG)
        run.log(LOG._replace(step=100, losses={"mse": 0.125}))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/mse")] == [(50, 0.25), (100, 0.125)]
    assert events.Scalars("dead")[0].value == 7


@pytest.mark.case(17)
def test_a_training_that_goes_on_is_one_line(tmp_path: Path) -> None:
    """Killed after step 150 and gone on from 100: each step once, in its order, with the values of the second run."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps, value in (((50, 100, 150), 1.0), ((150, 200), 2.0)):
        with logger("tensorboard", "run", {}, tmp_path) as run:
            for step in steps:
                run.log(LOG._replace(step=step, losses={"mse": value}))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/mse")] == [(50, 1), (100, 1), (150, 2), (200, 2)]


def test_an_epoch_has_its_metrics_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sae, x = build("topk", TopKConfig(d_sae=64, k=4), seed=0).eval(), np.zeros((12, 784), np.float32)
    x[0, 0] = x[3, 1] = 1
    shown = pictures(sae, x)
    assert shown["encoder rows"].shape == (8 * 28, 8 * 28)
    both = shown["images and reconstructions"]
    assert both.shape == (2 * 28, 10 * 28) and both.dtype == np.uint8
    assert both[0, 0] == both[0, 3 * 28 + 1] == 255 and both[:28].sum() == 2 * 255
    row = sae.row_pictures()[0]
    most = np.abs(row).max()
    wanted = np.round(255 * (0.5 + row[9] / (2 * most))).reshape(28, 28)
    np.testing.assert_array_equal(shown["encoder rows"][28:56, 28:56], wanted)
    with logger("tensorboard", "run", {}, tmp_path) as run:
        run.epoch(100, {"mnist/test": {"fvu": 0.5, "dead": 3}}, shown)
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("mnist/test/fvu")] == [(100, 0.5)]
    assert [(e.step, e.height, e.width) for e in events.Images("encoder rows")] == [(100, 224, 224)]


def test_a_network_that_is_no_sae_has_no_pictures() -> None:
    assert pictures(build_network("classifier", ClassifierConfig()), np.zeros((2, 784), np.float32)) == {}


@pytest.mark.slow
def test_wandb_keeps_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with logger("wandb", "run", {"k": 50}, tmp_path) as run:
        run.log(LOG)
        run.log(LOG._replace(step=100))  # a step is kept when the next begins
        session = wandb.run
        assert session.config["k"] == 50 and session.name == "run"
        until = time.monotonic() + 20
        while "loss/mse" not in session.summary.keys() and time.monotonic() < until:  # noqa: SIM118
            time.sleep(0.05)
        assert session.summary["loss/mse"] == 0.25 and session.summary["_step"] == 50
        assert session.id == "run", "a training that goes on is the same run"
        run.epoch(100, {"mnist/test": {"fvu": 0.5}}, {"rows": np.zeros((4, 4), np.uint8)})
        run.log(LOG._replace(step=150))
        until = time.monotonic() + 20
        while "mnist/test/fvu" not in session.summary.keys() and time.monotonic() < until:  # noqa: SIM118
            time.sleep(0.05)
        assert session.summary["mnist/test/fvu"] == 0.5 and session.summary["rows"]["_type"] == "image-file"
    assert list(tmp_path.rglob("*.wandb"))
