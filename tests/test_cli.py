"""The command line that other tools rely on: one line of JSON on stdout, one sentence on stderr and 1 for an error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sae_core import load, load_dataset, prepare_upload
from sae_core.cli import main
from sae_core.measure.metrics import Metrics, evaluate, pearson

ROOT = Path(__file__).resolve().parent.parent
torch.set_num_threads(1)  # models this small only wait for a second thread
TRAIN = ["train", "topk", "--dataset", "digits", "--d-sae", "32", "--k", "4", "--epochs", "2", "--seed", "7"]


class Cli:
    """Calls commands in a folder of models and reads what they print."""

    def __init__(self, capfd: pytest.CaptureFixture[str], models: Path) -> None:
        self.capfd, self.models = capfd, models

    def __call__(self, *args: object) -> Any:
        """What a command that succeeds prints with --json: exactly one line."""
        assert main([*map(str, args), "--json"]) == 0
        out = self.capfd.readouterr().out
        assert out.endswith("\n") and out.count("\n") == 1
        return json.loads(out)

    def fails(self, *args: object) -> str:
        """The one sentence of a command that cannot do what was asked."""
        self.capfd.readouterr()
        assert main([*map(str, args), "--json"]) == 1
        out, err = self.capfd.readouterr()
        assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
        return err


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small model, trained by the command."""
    folder = tmp_path_factory.mktemp("models")
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], models: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(models))
    return Cli(capfd, models)


NAME = "topk-32-k4-digits"


def test_train(cli: Cli, tmp_path: Path) -> None:
    found = cli(*TRAIN, "--out", tmp_path, "--device", "cpu", "--lr", "0.01")
    assert set(found) == {"name", "path", "cached", "hash", "metrics", "collapsed"}
    assert (found["name"], found["path"], found["cached"]) == (NAME, str(tmp_path / NAME), False)
    assert set(found["metrics"]) == {"digits/train", "digits/test"}
    assert set(found["metrics"]["digits/test"]) == set(Metrics._fields)
    again = cli(*TRAIN, "--out", tmp_path, "--device", "cpu", "--lr", "0.01")
    assert again == {**found, "cached": True}
    other = cli(*TRAIN, "--out", tmp_path, "--lr", "0.02", "--name", "mine")
    assert (other["name"], other["cached"]) == ("mine", False) and other["hash"] != found["hash"]
    cfg = json.loads((tmp_path / "mine" / "cfg.json").read_text())["metadata"]["sae_core"]
    assert cfg["options"]["lr"] == 0.02 and cfg["options"]["seed"] == 7 and cfg["options"]["batch_size"] == 256
    assert cfg["config"]["d_sae"] == 32 and cfg["config"]["k"] == 4


def test_train_shows_its_progress_on_stderr(cli: Cli, tmp_path: Path) -> None:
    assert main([*TRAIN, "--out", str(tmp_path)]) == 0
    out, err = cli.capfd.readouterr()
    assert "training: 100%" in err and "measuring" in err and "describing features" in err
    assert out.startswith(f"trained {tmp_path / NAME}\n") and "Pearson" in out and "%|" not in out


def test_evaluate(cli: Cli) -> None:
    for spec in (NAME, cli.models / NAME, f"{NAME}/0"):
        found = cli("evaluate", spec, "--dataset", "digits", "--split", "test")
        assert list(found) == ["pearson", "fvu", "mse", "l0", "dead", "rare", "in_use", "n"]
        assert found == evaluate(load(NAME), load_dataset("digits", "test").x)._asdict()
    assert found["n"] == 360 and 0 < found["l0"] <= 4
    stored = json.loads((cli.models / NAME / "metrics.json").read_text())
    assert stored["digits/test"] == found


def test_evaluate_on_mnist(cli: Cli, mnist_dir: Path) -> None:
    found = cli("evaluate", NAME, "--dataset", "mnist", "--data-dir", mnist_dir, "--split", "test")
    assert found["n"] == 10_000 and 0.3 < found["pearson"] < 0.95
    assert cli("data", "list", "--data-dir", mnist_dir) == {"digits": True, "mnist": True}


def test_encode_of_a_saved_picture_is_the_sparse_code(cli: Cli, tmp_path: Path) -> None:
    x = load_dataset("digits", "test").x[3]
    path = tmp_path / "digit.png"
    Image.fromarray(np.round(255 * x).astype(np.uint8).reshape(28, 28)).save(path)
    found = cli("encode", path, "--checkpoint", NAME)
    assert list(found) == ["indices", "values", "pearson", "l0"]
    sae, prepared = load(NAME), torch.from_numpy(prepare_upload(path)[None])
    assert torch.allclose(prepared[0], torch.tensor(x), atol=1e-6), "a picture of a data set passes through unchanged"
    code = sae.sparse_code(prepared)
    assert found["indices"] == code.indices[0].tolist() and found["values"] == code.values[0].tolist()
    assert found["l0"] == len(found["indices"]) == 4
    assert found["pearson"] == pearson(prepared, sae(prepared).x_hat).item()


def test_list(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli("list")}
    mine = rows[NAME]
    assert mine["path"] == str(cli.models / NAME) and mine["variant"] == "topk" and mine["config"]["k"] == 4
    assert mine["metrics"]["digits/test"]["n"] == 360 and len(mine["hash"]) == 12
    assert mine["metrics"] == json.loads((cli.models / NAME / "metrics.json").read_text()), "readability among them"
    said = {key: mine[key] for key in ("d_in", "d_sae", "k", "bundled", "passes")}
    assert said == {"d_in": 784, "d_sae": 32, "k": 4, "bundled": False, "passes": 1}
    bundled = ROOT / "checkpoints"
    assert {name for name, row in rows.items() if row["bundled"]} == {p.parent.name for p in bundled.glob("*/cfg.json")}
    for name, row in rows.items():
        if row["bundled"]:
            assert row["metrics"] == json.loads((bundled / name / "metrics.json").read_text())
    wanted = {
        "iterated-topk-1024-k10": ("iterated_topk", 784, 1024, 10, 3, 1),
        "ensemble-tied-topk-1024-k50": ("tied_topk", 784, 1024, 50, 1, 5),
        "relu-l1-1024": ("relu_l1", 784, 1024, None, 1, 1),
        "exp3-kl-98-rho0.1": ("kl", 49, 98, None, 1, 1),
        "exp3-classifier": ("classifier", 784, None, None, 1, 1),
        "exp3-generator": ("generator", 784, None, None, 1, 1),
    }
    keys = ("variant", "d_in", "d_sae", "k", "passes", "members")
    assert {name: tuple(rows[name][key] for key in keys) for name in wanted} == wanted


def test_list_knows_passes_that_follow_from_another_option(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pursuit looks once for each of its k picks."""
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    options = ("--dataset", "digits", "--d-sae", 16, "--k", 4, "--epochs", 1, "--out", tmp_path, "--name", "mine")
    cli("train", "matching_pursuit", *options)
    (mine,) = [row for row in cli("list") if row["name"] == "mine"]
    assert (mine["passes"], mine["k"]) == (4, 4)


def test_list_leaves_out_what_it_cannot_read_and_says_so(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cfg.json").write_text("{}")
    assert main(["list", "--json"]) == 0
    out, err = cli.capfd.readouterr()
    assert "broken" not in {row["name"] for row in json.loads(out)} and out.count("\n") == 1
    assert err.count("\n") == 1 and str(tmp_path / "broken" / "cfg.json") in err


def test_data(cli: Cli, tmp_path: Path) -> None:
    assert cli("data", "list", "--data-dir", tmp_path) == {"digits": True, "mnist": False}
    assert cli("data", "get", "digits", "--data-dir", tmp_path)["digits"] is True
    assert "say which" in cli.fails("data", "get", "--data-dir", tmp_path)
    assert not os.listdir(tmp_path)


def test_errors_are_one_sentence(cli: Cli, tmp_path: Path) -> None:
    digits = ("--dataset", "digits")
    assert "no model called 'nobody'" in cli.fails("evaluate", "nobody", *digits)
    assert "no split 'dev'" in cli.fails("evaluate", NAME, *digits, "--split", "dev")
    assert str(tmp_path) in cli.fails("evaluate", NAME, "--data-dir", tmp_path), "says where MNIST is not"
    assert str(tmp_path) in cli.fails("train", "topk", "--data-dir", tmp_path, "--out", tmp_path)
    assert "k must be at most d_sae = 32, not 33" in cli.fails(*TRAIN, "--k", "33", "--out", tmp_path)
    assert "cannot name a model" in cli.fails(*TRAIN, "--name", "../x", "--out", tmp_path)
    assert "epochs must be at least 1" in cli.fails(*TRAIN, "--epochs", "0", "--out", tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    assert "readable picture" in cli.fails("encode", tmp_path / "text.png", "--checkpoint", NAME)
    assert "none.png" in cli.fails("encode", tmp_path / "none.png", "--checkpoint", NAME)
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    assert "nothing" in cli.fails("encode", tmp_path / "blank.png", "--checkpoint", NAME)
    if not torch.cuda.is_available():
        assert "no CUDA device" in cli.fails("evaluate", NAME, *digits, "--device", "cuda")
    (tmp_path / "file").touch()
    assert "file" in cli.fails(*TRAIN, "--out", tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["blank.png", "file", "text.png"]


def test_the_module_runs_as_a_program_and_lists_without_torch(models: Path) -> None:
    script = (
        "import runpy, sys; sys.argv = ['sae_core', 'list', '--json']\n"
        "try: runpy.run_module('sae_core', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as e: sys.exit(e.code or ('torch' in sys.modules and 'torch was imported'))"
    )
    for command in (["-m", "sae_core", "list", "--json"], ["-c", script]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "SAE_CHECKPOINTS": str(models)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert NAME in {row["name"] for row in json.loads(done.stdout)}


@pytest.mark.parametrize("variant", ["topk", "tied_topk"])
def test_help_names_every_option(variant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", variant, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for flag in ("--d-sae", "--k", "--epochs", "--seed", "--device", "--out", "--data-dir", "--json", "--lr"):
        assert flag in text
    assert "x_hat" in text, "the help of a variant is its equation"


# ---- what the documents ask for


@pytest.mark.slow
def test_the_first_losses(cli: Cli, mnist_dir: Path) -> None:
    found = cli("analyze-loss", "--data-dir", mnist_dir, "--members", 2)
    assert found["mean_image_mse"] == pytest.approx(0.0673, abs=2e-4)
    assert len(found["mse"]) == len(found["pearson"]) == 2 and found["n"] == 10_000
    assert all(0.4 < r < 0.6 for r in found["pearson"]), "it does not start at 0.94"
    assert "data get mnist" in cli.fails("analyze-loss", "--data-dir", cli.models)


@pytest.mark.slow
def test_devices_are_compared(cli: Cli, mnist_dir: Path) -> None:
    rows = cli("benchmark", "devices", "--steps", 2, "--data-dir", mnist_dir)
    assert [r["precision"] for r in rows[:2]] == ["float32", "bfloat16"] and rows[0]["device"] == "cpu"


def test_statistics_are_made_anew(cli: Cli) -> None:
    path = cli.models / "topk-32-k4-digits" / "features-digits-train.safetensors"
    before = path.read_bytes()
    path.write_bytes(b"damaged")
    assert cli("features", "topk-32-k4-digits", "--dataset", "digits") == {"path": str(path), "n": 1437}
    assert path.read_bytes() == before


@pytest.mark.slow
def test_an_experiment_is_reproduced(cli: Cli, mnist_dir: Path, tmp_path: Path) -> None:
    found = cli("reproduce", "intro", "--quick", "--data-dir", mnist_dir, "--out", tmp_path / "out")
    assert found["name"] == "intro" and found["claims"] and found["quick"] is True
    assert (tmp_path / "out" / "report.json").is_file()
    pages = list((tmp_path / "out" / "figures").glob("*.html"))
    assert pages and all("plotly" in p.read_text(encoding="utf-8")[:10_000_000] for p in pages)
    shutil.rmtree(tmp_path / "out" / "figures")
    cli("reproduce", "intro", "--quick", "--data-dir", mnist_dir, "--out", tmp_path / "out", "--no-figures")
    assert not (tmp_path / "out" / "figures").exists()


def test_the_home_folder_may_be_typed_as_a_tilde(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    name = cli(*TRAIN, "--out=~/models")["name"]
    assert (tmp_path / "models" / name).is_dir()
    assert cli("evaluate", f"~/models/{name}", "--dataset", "digits")["n"] == 360


def test_a_training_is_logged_elsewhere_when_it_is_asked_for(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    err = cli.fails(*TRAIN, "--seed", 8, "--log-to", "wandb", "--out", tmp_path)
    assert "pip install wandb" in err
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    cli(*TRAIN, "--seed", 8, "--log-to", "tensorboard", "--out", tmp_path)
    cli(*TRAIN, "--seed", 9, "--log-to", "tensorboard", "--out", tmp_path)
    logs = [path.parent for path in (tmp_path / "logs").rglob("events.out.tfevents*")]
    assert len(set(logs)) == len(logs) == 2, "a folder each plan"


def test_a_classifier_is_trained_measured_and_read(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    common = ("--dataset", "digits", "--epochs", 2, "--out", tmp_path, "--scrambled")
    cli("train", "classifier", "--name", "c", *common)
    cli("train", "generator", "--name", "g", "--reads", "c", *common)
    found = cli("train", "topk", "--reads", "c", "--shows", "g", "--d-sae", 64, "--k", 5, *common)
    assert found["name"] == "topk-64-k5-c-digits"
    assert cli("evaluate", "c", "--dataset", "digits")["n"] == 720, "the scrambled among them"
    assert cli("evaluate", found["name"], "--dataset", "digits")["n"] == 360
    sae = load(tmp_path / found["name"])
    assert sae.config.d_in == 49 and sae.reader is not None and sae.painter is not None
    assert "has no features" in cli.fails("features", "c", "--dataset", "digits")
    assert "no model called 'nobody'" in cli.fails("train", "generator", "--reads", "nobody", *common)
