"""What people's terminals, habits and broken folders of models did, and what is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_core import files, load
from sae_core.cli import main
from sae_core.datasets import load_dataset
from sae_core.files import CheckpointError
from sae_core.store import catalogue
from sae_core.store.checkpoints import load_network
from sae_core.store.train_or_load import train_or_load
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, build_network, networks
from sae_core.variants.batch_topk import BatchTopKConfig
from tests.test_pages import PAGES, open_page

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "checkpoints"
ENSEMBLE = "ensemble-tied-topk-1024-k50"
SMALL = ["train", "topk", "--dataset", "digits", "--d-sae", "32", "--k", "4", "--epochs", "1"]


# ---- the command line


@pytest.mark.case(14)
@pytest.mark.parametrize(("code_page", "variant"), [("cp1252", "topk"), ("cp936", "kl"), ("cp437", "topk")])
def test_help_prints_in_any_code_page(code_page: str, variant: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sae_core", "train", variant, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": code_page},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert b"x_hat" in done.stdout


@pytest.mark.case(18)
def test_an_unfinished_training_is_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(log: Any) -> None:
        raise KeyboardInterrupt

    config = networks()["topk"].Config(d_sae=32, k=4)
    with pytest.raises(KeyboardInterrupt):
        train_or_load(
            "topk", load_dataset("digits", "train"), config, TrainOptions(epochs=2), out=tmp_path, on_log=stop
        )
    left = next(tmp_path.glob("*.partial"))
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert f"an unfinished training lies in {left} (epochs 2" in err and "goes on with it" in err and "remove" in err
    assert left.is_dir(), "it is kept"
    with pytest.raises(CheckpointError, match=r"unfinished training.*goes on where it was, or remove"):
        load(left)
    with pytest.raises(CheckpointError, match=r"there is no folder topk-32-k4\.partial"):
        load("topk-32-k4.partial")
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    with pytest.raises(CheckpointError, match="unfinished training"):
        load(left.name)


@pytest.mark.case(19)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["topk", "--k", "4", "--lr", "1"], "of the variance"),
        (["relu_l1", "--l1-coefficient", "1000"], "latents are dead"),
    ],
)
def test_a_collapse_is_named_each_time(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", *options, "--dataset", "digits", "--d-sae", "64", "--epochs", "5", "--out", str(tmp_path)]
    for word in ("trained", "found"):
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert out.startswith(f"{word} (collapsed) ") and "WARNING: this training collapsed" in err and says in err
    assert main([*command, "--json"]) == 0
    assert says in json.loads(capsys.readouterr().out)["collapsed"]
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    assert main(["list"]) == 0
    assert ", collapsed)" in capsys.readouterr().out.splitlines()[0]


def test_no_bundled_model_collapsed() -> None:
    found, broken = catalogue.list_checkpoints(BUNDLED)
    assert len(found) >= 8 and not broken
    assert {c.name: c.collapsed for c in found if c.collapsed} == {}


def test_every_default_fits_the_embedded_digits() -> None:
    """Half a minute of training is not needed to see it: relu_l1 by MNIST's recipe has 1,020 of 1,024 dead here."""
    images, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    cls = networks()["relu_l1"]
    assert cls.recipe_for(60_000) == cls.recipe and cls.recipe_for(len(images))["batch_size"] < 128
    sae = build("relu_l1", cls.Config(d_sae=256), seed=42)
    for _ in Training(sae, torch.tensor(images.x), TrainOptions(**{**cls.recipe_for(len(images)), "epochs": 4})):
        pass
    from sae_core.measure.metrics import evaluate

    found = evaluate(sae.eval().requires_grad_(False), test.x)
    assert found.fvu < 0.35 and found.dead < 0.5 * 256, found


@pytest.mark.parametrize(
    ("variant", "revival"), [("relu_l1", "aux"), ("kl", "reinit"), ("kl", "aux"), ("classifier", "reinit")]
)
def test_a_revival_that_would_change_nothing_is_refused(variant: str, revival: str) -> None:
    model = build_network(variant, networks()[variant].Config())
    d_in = model.config.d_in
    with pytest.raises(ValueError, match=f"{variant} cannot bring dead latents back by revival = {revival}"):
        Training(model, torch.rand(4, d_in), TrainOptions(revival=revival), labels=torch.tensor([0, 1, 2, 3]))


@pytest.mark.parametrize("variant", ["topk", "tied_topk", "batch_topk"])
def test_the_auxiliary_loss_reaches_dead_latents_where_it_is_offered(variant: str) -> None:
    """And not in relu_l1, whose dead latents have negative pre-activations: the reason why it is refused there."""
    torch.manual_seed(0)
    x = torch.rand(32, 784)
    for name, reaches in ((variant, True), ("relu_l1", False)):
        config = networks()[name].Config(d_sae=64, dead_after=1, **({"k": 4} if name != "relu_l1" else {}))
        sae = build(name, config, seed=0).train()
        sae.revival = "aux"
        with torch.no_grad():
            sae.b_enc.copy_(torch.linspace(0.1, -0.1, 64) if reaches else torch.full((64,), -100.0))
        sae.losses(x)  # now some are idle
        sae.losses(x)["aux"].backward()
        assert sae.W_enc.grad is not None
        assert bool(sae.W_enc.grad[:, sae.dead].any()) == reaches, name


@pytest.mark.case(21)
def test_batch_topks_curve_ends_where_its_metrics_are(tmp_path: Path) -> None:
    images, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    found, _ = train_or_load(
        "batch_topk",
        images,
        BatchTopKConfig(d_sae=64, k=5),
        TrainOptions(epochs=2, batch_size=64),
        out=tmp_path,
        measure=[images, test],
    )
    lines = [line for line in files.read_lines(found.path / catalogue.HISTORY) if "measured" in line]
    assert len(lines) == 2
    for split in ("digits/train", "digits/test"):
        last = lines[-1]["measured"][split]
        # The weights are rounded to float16 between the two.
        assert last["l0"] == pytest.approx(found.metrics[split]["l0"], abs=0.05)
        assert last["fvu"] == pytest.approx(found.metrics[split]["fvu"], abs=1e-3)
        assert last["l0"] < 6.5, "not the L0 of a threshold of 0"


@pytest.mark.case(22)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_file_that_cannot_be_written_is_named(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.json"
    files.write_json(path, {"old": 1})

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_text", fail)
    monkeypatch.setattr("builtins.open", fail)
    for write in (lambda: files.write_json(path, {"new": 2}), lambda: files.append_line(path, {})):
        with pytest.raises(type(error), match=r"metrics\.json could not be written \(.*what was there before is kept"):
            write()
    monkeypatch.undo()
    assert files.read_json(path) == {"old": 1}


def test_an_ensembles_name_means_its_member_0_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = f"{ENSEMBLE} is an ensemble of 5; this is its member 0"
    x = torch.rand(2, 784)
    with pytest.warns(UserWarning, match=said):
        found = load(ENSEMBLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(found(x).x_hat, load(f"{ENSEMBLE}/0")(x).x_hat)
    assert main(["evaluate", ENSEMBLE, "--dataset", "digits", "--json"]) == 0
    out, err = capsys.readouterr()
    assert said in err and "Warning" not in err
    assert main(["evaluate", f"{ENSEMBLE}/0", "--dataset", "digits", "--json"]) == 0
    assert capsys.readouterr().out == out
    at = open_page("pages/3_Steer.py", model=ENSEMBLE)
    assert at.session_state["chosen_model"] == f"{ENSEMBLE}/0" and not at.warning
    assert any(said in i.value for i in at.info)


def test_a_classifier_has_no_code_and_says_so_at_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("L", (28, 28), 255).save(tmp_path / "x.png")
    assert main(["encode", str(tmp_path / "x.png"), "--checkpoint", "exp3-classifier"]) == 1
    err = capsys.readouterr().err
    assert "holds a classifier, which has no code: this needs an SAE" in err and "load_network" not in err


# ---- broken models


def _config(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "cfg.json"
        found = json.loads(path.read_text())
        change(found["metadata"]["sae_core"])
        path.write_text(json.dumps(found))

    return damage


def _weights_as_int(folder: Path) -> None:
    path = folder / catalogue.WEIGHTS
    arrays, _ = files.read_tensors(path)
    files.write_tensors(path, {name: a.astype(np.int32) for name, a in arrays.items()})


def _fifo(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def _nan(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"mnist/test": {"fvu": NaN}}')


def _saelens(folder: Path) -> None:
    (folder / "cfg.json").write_text(json.dumps({"architecture": "topk", "d_in": 784, "d_sae": 1024, "k": 50}))


BROKEN: list[tuple[int, str, Callable[[Path], None], str]] = [
    (23, "members", _config(lambda c: c["config"].update(members="many")), "members is 'many'"),
    (24, "options", _config(lambda c: c.update(options=7)), "options is 7"),
    (25, "hash", _config(lambda c: c.update(hash=["x"])), "hash is"),
    (26, "itself", _config(lambda c: c["config"].update(reads="broken")), "reads names the model itself"),
    (27, "fifo-cfg", _fifo("cfg.json"), "not an ordinary file"),
    (27, "fifo-weights", _fifo(catalogue.WEIGHTS), "not an ordinary file"),
    (28, "int32", _weights_as_int, "not as floating-point numbers"),
    (28, "nan", _nan, "not numbers"),
    (28, "variant", _config(lambda c: c.update(variant=["topk"])), "variant is"),
    (29, "saelens", _saelens, "of another program (SAELens"),
]


@pytest.fixture
def damaged(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a good small model and a broken copy of it."""
    main([*SMALL, "--out", str(tmp_path), "--name", "good"])
    shutil.copytree(tmp_path / "good", tmp_path / "broken")
    request.param(tmp_path / "broken")
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("damaged", "says"),
    [pytest.param(damage, says, marks=pytest.mark.case(n), id=f"{n}-{name}") for n, name, damage, says in BROKEN],
    indirect=["damaged"],
)
def test_a_broken_model_is_left_out_in_a_sentence(damaged: Path, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError) as e:
        load_network(damaged / "broken")
    assert says in str(e.value) and "broken" in str(e.value)
    capsys.readouterr()
    assert main(["evaluate", "broken", "--dataset", "digits"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    for page in ("app.py", "pages/3_Steer.py"):
        at = open_page(page, model="good", data="digits")
        assert not at.exception, at.exception
        assert at.session_state["chosen_model"] == "good"
        assert sum("left out" in w.value for w in at.warning) <= 1
    at = open_page("pages/3_Steer.py", model="broken", data="digits")
    assert not at.exception, at.exception
    assert at.warning or at.error or at.info, "in words"


def test_every_page_stands_beside_a_broken_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main([*SMALL, "--out", str(tmp_path), "--name", "good"])
    for number, name, damage, _ in BROKEN:
        shutil.copytree(tmp_path / "good", folder := tmp_path / f"broken-{number}-{name}")
        damage(folder)
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    for page in PAGES:
        at = open_page(page, model="good", data="digits")
        assert not at.exception, (page, at.exception)
        assert at.session_state["chosen_model"] == "good"


@pytest.mark.case(26)
def test_two_models_that_read_each_other_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    main([*SMALL, "--out", str(tmp_path), "--name", "one"])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name, other in (("one", "two"), ("two", "one")):
        _config(lambda c, other=other: c["config"].update(reads=other))(tmp_path / name)  # type: ignore[misc]
    with pytest.raises(CheckpointError, match="is not a classifier"):
        load_network(tmp_path / "one")
    with pytest.raises(CheckpointError, match="is an SAE, not a classifier"):
        _ = catalogue.read(tmp_path / "one").side
