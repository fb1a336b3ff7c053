"""Models on disk: whole, or a sentence that names the file; and a training killed at any moment goes on.

Run as a program (`python tests/test_checkpoints.py FOLDER kill two train`) this file is the process that the kill
tests start: it imports torch once and forks a child for every run, each a real process that really is killed.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.files import CheckpointError
from sae_core.measure import features
from sae_core.measure.metrics import evaluate
from sae_core.models.sae import SAE
from sae_core.store import catalogue
from sae_core.store.catalogue import Checkpoint
from sae_core.store.checkpoints import load, load_network
from sae_core.store.train_or_load import train_or_load
from sae_core.training.loop import TrainOptions
from sae_core.variants import registry
from sae_core.variants.tied_topk import TiedTopKConfig
from sae_core.variants.topk import TopKConfig

torch.set_num_threads(1)  # models this small only wait for a second thread
D_IN, N = 25, 60
OPTS = TrainOptions(epochs=2, batch_size=16, lr=0.01)


@functools.cache
def images(split: str = "train", n: int = N) -> ImageSet:
    rng = np.random.default_rng(len(split))
    x = (rng.random((n, D_IN)) * (rng.random((n, D_IN)) > 0.5)).astype(np.float32)
    return ImageSet(x, rng.integers(0, 3, n), "made-up", split)


def train(out: Path, variant: str = "topk", opts: TrainOptions = OPTS, **more: Any) -> tuple[Checkpoint, bool]:
    Config: Any = registry()[variant].Config
    known = {"k": 3, "dead_after": 40}
    config = Config(d_in=D_IN, d_sae=12, **{k: v for k, v in known.items() if k in Config.__dataclass_fields__})
    measure = [images(), images("test")]
    return train_or_load(variant, images(), config, opts, out=out, measure=measure, describe=measure[:1], **more)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return train(tmp_path)[0].path


# ---- what a finished model is


@pytest.mark.parametrize("variant", sorted(registry()))
def test_a_trained_model_is_whole(variant: str, tmp_path: Path) -> None:
    checkpoint, cached = train(tmp_path, variant)
    assert not cached
    assert checkpoint.name == f"{variant.replace('_', '-')}-12{'-k3' if 'k' in checkpoint.config else ''}-made-up"
    assert sorted(p.name for p in checkpoint.path.iterdir()) == [
        "cfg.json",
        "features-made-up-train.safetensors",
        "history.jsonl",
        "importance-made-up-train.safetensors",
        "likeness-made-up-train.json",
        "metrics.json",
        "sae_weights.safetensors",
    ]
    assert os.listdir(tmp_path) == [checkpoint.name], "no lock and no partial folder stays"
    sae = load(checkpoint.path)
    assert checkpoint.metrics.keys() == {"made-up/train", "made-up/test"}
    for part in (images(), images("test")):  # the metrics are those of the weights as they were stored
        assert checkpoint.metrics[f"made-up/{part.split}"] == evaluate(sae, part.x)._asdict()
    stats = features.read(checkpoint.path, "made-up", "train")
    assert np.array_equal(stats.count, (sae(torch.tensor(images().x)).acts != 0).sum(0).numpy())
    weights, _ = files.read_tensors(checkpoint.path / "sae_weights.safetensors")
    parameters = dict(sae.named_parameters())
    assert all(w.dtype == (np.float16 if name in parameters else np.float32) for name, w in weights.items())
    assert weights.keys() == sae.state_dict().keys()
    assert checkpoint.training == {
        "options": OPTS.__dict__,
        "data": "made-up",
        "split": "train",
        "n": N,
        "fingerprint": images().fingerprint,
    }


def test_the_history_has_a_line_for_every_log(model: Path) -> None:
    lines = files.read_lines(model / "history.jsonl")
    assert [line["step"] for line in lines] == [4, 8]
    assert set(lines[0]) == {"step", "steps", "epoch", "lr", "losses", "images_per_s", "measured", "dead", "note"}
    assert set(lines[0]["measured"]) == {"made-up/train", "made-up/test"}


def test_cfg_has_the_names_of_saelens(model: Path) -> None:
    cfg = json.loads((model / "cfg.json").read_text())
    ours = cfg.pop("metadata")
    assert cfg == {
        "architecture": "topk",
        "d_in": D_IN,
        "d_sae": 12,
        "k": 3,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
    }
    assert int(ours["sae_lens_version"].split(".")[0]) >= 6
    weights, _ = files.read_tensors(model / "sae_weights.safetensors")
    assert {name: w.shape for name, w in weights.items()} == {
        "W_enc": (D_IN, 12),
        "b_enc": (12,),
        "W_dec": (12, D_IN),
        "b_dec": (D_IN,),
    }


# ---- found again


def test_the_same_plan_is_found_and_another_gets_another_name(tmp_path: Path) -> None:
    first, _ = train(tmp_path)
    weights = (first.path / "sae_weights.safetensors").stat().st_mtime_ns
    again, cached = train(tmp_path)
    assert cached and again == first
    assert (first.path / "sae_weights.safetensors").stat().st_mtime_ns == weights
    names = {first.name}
    for number, opts in enumerate(
        [TrainOptions(**{**OPTS.__dict__, "seed": 1}), TrainOptions(**{**OPTS.__dict__, "lr": 0.02})], 2
    ):
        other, cached = train(tmp_path, opts=opts)
        assert not cached and other.name == f"{first.name}-{other.hash[:6]}"
        names.add(other.name)
        assert len(names) == number and train(tmp_path, opts=opts) == (other, True)
    assert {c.name for c in catalogue.list_checkpoints(tmp_path)[0]} == names


def test_a_model_outlives_an_option_that_came_after_it(tmp_path: Path) -> None:
    made, _ = train(tmp_path)
    cfg = json.loads((made.path / "cfg.json").read_text())
    ours = cfg["metadata"]["sae_core"]
    del ours["config"]["shrink"], ours["options"]["precision"]  # as if both were newer than the model
    (made.path / "cfg.json").write_text(json.dumps(cfg))
    found, cached = train(tmp_path)
    assert cached and found.path == made.path
    ours["config"]["shrink"] = 0.5
    (made.path / "cfg.json").write_text(json.dumps(cfg))
    other, cached = train(tmp_path)
    assert not cached and other.path != made.path


def test_other_images_are_another_plan(tmp_path: Path) -> None:
    first, _ = train(tmp_path)
    changed = images().x.copy()
    changed[0, 0] = 1 - changed[0, 0]
    data = ImageSet(changed, images().labels, "made-up", "train")
    other, cached = train_or_load("topk", data, TopKConfig(d_in=D_IN, d_sae=12, k=3, dead_after=40), OPTS, out=tmp_path)
    assert not cached and other.hash != first.hash and other.metrics == {}


def test_a_name_of_ones_own(tmp_path: Path) -> None:
    named, _ = train(tmp_path, name="mine")
    assert named.path == tmp_path / "mine" and train(tmp_path, name="mine") == (named, True)
    with pytest.raises(CheckpointError, match=r"mine is another model already; choose another --name"):
        train(tmp_path, name="mine", opts=TrainOptions(epochs=1))
    for bad in ("../mine", "a/b", "mine/0", "mine.partial", ""):
        with pytest.raises(CheckpointError, match="cannot name a model"):
            train(tmp_path, name=bad, opts=TrainOptions(epochs=1))
    assert os.listdir(tmp_path) == ["mine"] and not (tmp_path.parent / "mine").exists()
    train(tmp_path, name="second")
    assert sorted(os.listdir(tmp_path)) == ["mine", "second"], "the same plan under a second name is a second model"


def test_a_damaged_model_in_the_way_is_named_and_kept(model: Path, tmp_path: Path) -> None:
    (model / "cfg.json").write_text("{")
    other, cached = train(tmp_path)
    assert not cached and other.name == f"{model.name}-{other.hash[:6]}"
    assert (model / "cfg.json").read_text() == "{"
    found, broken = catalogue.list_checkpoints(tmp_path)
    assert [c.name for c in found] == [other.name] and len(broken) == 1 and str(model / "cfg.json") in broken[0]


def test_an_unfinished_training_of_another_plan_is_left_alone(tmp_path: Path) -> None:
    def stop(log: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, on_log=stop)
    (partial,) = [p for p in tmp_path.iterdir() if p.is_dir()]
    kept = {p.name: p.read_bytes() for p in partial.iterdir()}
    other, _ = train(tmp_path, opts=TrainOptions(epochs=1))
    assert other.name != partial.stem and kept == {p.name: p.read_bytes() for p in partial.iterdir()}
    first, cached = train(tmp_path)
    assert not cached and first.name == partial.stem and not partial.exists()


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model called 'nonsense'"):
        train_or_load("nonsense", images(), out=tmp_path)
    assert not os.listdir(tmp_path)


def test_a_diverged_training_leaves_no_model(tmp_path: Path) -> None:
    def spoil(log: object) -> None:
        raise FloatingPointError("the loss is no longer a number")

    with pytest.raises(FloatingPointError):
        train(tmp_path, on_log=spoil)
    assert catalogue.list_checkpoints(tmp_path) == ([], [])


# ---- load


def test_load_looks_in_the_stores_and_not_in_the_working_directory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path / "empty"))
    for spec in (model.name, f"{model.name}/0"):
        with pytest.raises(CheckpointError, match=f"no model called '{model.name}' in .*empty"):
            load(spec)
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    x = torch.tensor(images().x)
    wanted = load(model)(x).x_hat
    for spec in (model.name, f"{model.name}/0", str(model), f"{model}/0", f"./{model.name}"):
        assert torch.equal(load(spec)(x).x_hat, wanted)
    with pytest.raises(CheckpointError, match=rf"{model.name}: there is no member 1"):
        load(f"{model.name}/1")


def test_a_member_of_an_ensemble_opens_by_its_number(tmp_path: Path) -> None:
    config = TiedTopKConfig(d_in=D_IN, d_sae=12, k=3, members=2)
    checkpoint, _ = train_or_load(
        "tied_topk", images(), config, OPTS, out=tmp_path, measure=[images()], describe=[images()]
    )
    x = torch.tensor(images().x)
    whole = load_network(checkpoint.path)
    assert isinstance(whole, SAE)
    first, second = (load(f"{checkpoint.path}{which}") for which in ("/0", "/1"))
    assert torch.allclose(whole(x).x_hat, torch.stack([first(x).x_hat, second(x).x_hat]), atol=1e-6)
    assert not torch.equal(first.W_enc, second.W_enc)
    assert not first(x).x_hat.requires_grad and not first.training
    assert checkpoint.metrics["made-up/train"] == evaluate(first, images().x)._asdict()
    with pytest.raises(CheckpointError, match="no member 2: this ensemble has 0 to 1"):
        load(f"{checkpoint.path}/2")


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change our part of cfg.json; what SAELens reads goes along, so that the two agree."""

    def apply(folder: Path) -> None:
        cfg = json.loads((folder / "cfg.json").read_text())
        ours = cfg["metadata"]["sae_core"]
        change(ours)
        for key in ("d_in", "d_sae", "k"):
            cfg[key] = ours["config"].get(key)
        (folder / "cfg.json").write_text(json.dumps(cfg))

    return apply


def rewrite(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    """Change the stored weights."""

    def apply(folder: Path) -> None:
        arrays, _ = files.read_tensors(folder / "sae_weights.safetensors")
        change(arrays)
        files.write_tensors(folder / "sae_weights.safetensors", arrays)

    return apply


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(keep * len(whole))])

    return apply


TIED = {"d_in": D_IN, "d_sae": 12, "members": 1}
DAMAGE: list[tuple[str, Callable[[Path], Any]]] = [
    ("cfg.json", lambda p: (p / "cfg.json").unlink()),
    ("cfg.json", cut("cfg.json", 0.5)),
    ("cfg.json", cut("cfg.json", 0)),
    ("cfg.json", edit(lambda ours: ours.update(variant="nonsense"))),
    ("cfg.json", edit(lambda ours: ours.update(variant=["topk"]))),
    ("cfg.json", edit(lambda ours: ours.update(format_version=99))),
    ("cfg.json", edit(lambda ours: ours["config"].update(__class__="os.system"))),
    ("cfg.json", edit(lambda ours: ours["config"].update(d_sae=-1))),
    ("cfg.json", edit(lambda ours: ours["config"].update(d_sae="12"))),
    ("cfg.json", edit(lambda ours: ours["config"].update(d_sae=1e400))),
    ("cfg.json", edit(lambda ours: ours["config"].update(k=13))),
    ("cfg.json", edit(lambda ours: ours["config"].update(aux_weight=float("nan")))),
    ("cfg.json", edit(lambda ours: ours["config"].clear())),
    ("metrics.json", cut("metrics.json", 0.5)),
    ("sae_weights.safetensors", lambda p: (p / "sae_weights.safetensors").unlink()),
    ("sae_weights.safetensors", cut("sae_weights.safetensors", 0.9)),
    ("sae_weights.safetensors", cut("sae_weights.safetensors", 0)),
    # The numbers of a config take no memory before the file has shown that it holds as many weights.
    ("sae_weights.safetensors", edit(lambda ours: ours["config"].update(d_sae=1_000_000, d_in=1_000_000))),
    ("sae_weights.safetensors", edit(lambda ours: ours["config"].update(d_sae=11))),
    ("sae_weights.safetensors", edit(lambda ours: ours.update(variant="tied_topk", config={**TIED, "k": 3}))),
    ("sae_weights.safetensors", rewrite(lambda w: w.pop("b_dec"))),
    ("sae_weights.safetensors", rewrite(lambda w: w.update(more=np.zeros(2, np.float16)))),
    ("sae_weights.safetensors", rewrite(lambda w: w.update(W_enc=w["W_dec"]))),
    ("sae_weights.safetensors", rewrite(lambda w: w["W_enc"].__setitem__((0, 0), np.nan))),
    ("sae_weights.safetensors", rewrite(lambda w: w["b_dec"].__setitem__(3, np.inf))),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=range(len(DAMAGE)))
def test_whatever_is_wrong_names_the_file(name: str, damage: Callable[[Path], Any], model: Path) -> None:
    load(model)
    damage(model)
    with pytest.raises(CheckpointError) as error:
        load(model)
    assert str(model / name) in str(error.value)


# ---- stopped, and two at once


def normal(folder: Path) -> dict[str, Any]:
    """All of a model that must be the same in two runs: every number to its last bit, of the history all but speed."""
    found: dict[str, Any] = {p.name: p.read_bytes() for p in folder.iterdir()}
    for path in folder.glob("*.safetensors"):  # the file's header has no fixed order
        arrays, header = files.read_tensors(path)
        found[path.name] = header, {n: (a.dtype.str, a.shape, a.tobytes()) for n, a in sorted(arrays.items())}
    lines = files.read_lines(folder / "history.jsonl")
    found["history.jsonl"] = [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines]
    return found


def assert_same(found: dict[str, Any], wanted: dict[str, Any], when: str) -> None:
    assert found.keys() == wanted.keys(), (when, sorted(found), sorted(wanted))
    other = [name for name in wanted if found[name] != wanted[name]]
    assert not other, (when, other)


def fork(run: Callable[[], Any]) -> int:
    """Run that in a child of its own; the child's process number."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def wait(pid: int) -> int:
    """0 when that child did its work, −9 when it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_before(touch: int, out: Path, run: Callable[[], Any]) -> Callable[[], None]:
    """`run`, but SIGKILL comes before the file system under `out` is touched for the n-th time."""

    def apply() -> None:
        seen = 0

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in ("open", "os.rename", "os.mkdir", "os.remove") and str(args[0]).startswith(str(out)):
                seen += 1
                if seen == touch:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        run()

    return apply


def models_that_load(out: Path) -> int:
    """How many finished models there are, each of which must load."""
    found, broken = catalogue.list_checkpoints(out)
    assert not broken, broken
    for checkpoint in found:
        load(checkpoint.path)
        assert checkpoint.metrics and features.read(checkpoint.path, checkpoint.training["data"], "train")
    return len(found)


def kill_everywhere(root: Path) -> dict[str, int]:
    """Kill a training before each of its touches of the disk; the same call then ends as if nothing had been."""
    assert wait(fork(lambda: train(root / "whole", save_every_s=0))) == 0
    (wanted,) = [normal(p) for p in (root / "whole").iterdir()]
    killed = finished = resumed = 0
    while True:
        out = root / f"{killed + 1}"
        run = functools.partial(train, out, save_every_s=0)
        status = wait(fork(killed_before(killed + 1, out, run)))
        if status == 0:
            return {"killed": killed, "finished": finished, "resumed": resumed}
        assert status == -signal.SIGKILL
        killed += 1
        finished += models_that_load(out)
        resumed += bool(list(out.glob("*/resume.safetensors")))
        assert wait(fork(run)) == 0, f"going on after kill {killed}"
        assert models_that_load(out) == 1
        (found,) = [normal(p) for p in out.iterdir() if p.is_dir()]
        assert_same(found, wanted, f"after kill {killed}")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.002)


def one_while_another_trains(root: Path) -> dict[str, Any]:
    """The second process of the same plan says that the first is at work, and disturbs nothing."""

    def first() -> None:
        def hold(log: object) -> None:
            (root / "begun").touch()
            wait_for(root / "second")

        train(root / "models", on_log=hold)

    def second() -> None:
        wait_for(root / "begun")
        try:
            train(root / "models")
        except CheckpointError as e:
            (root / "second").write_text(str(e))

    pids = [fork(first), fork(second)]
    assert [wait(pid) for pid in pids] == [0, 0]
    assert models_that_load(root / "models") == 1
    return {"said": (root / "second").read_text(), "left": os.listdir(root / "models")}


def two_at_once(root: Path, attempts: int = 8) -> dict[str, Any]:
    """Two processes that start the same plan together: whoever is first, there is one model, and both know."""

    def run(out: Path, at: float) -> None:
        time.sleep(max(0, at - time.time()))
        try:
            train(out, save_every_s=0)
        except CheckpointError as e:
            assert "another process is training" in str(e), e

    for attempt in range(attempts):
        out = root / f"{attempt}"
        start = time.time() + 0.02
        lag = 0.02 * attempt  # the second also comes while the first is at work, at its end, and after it
        pids = [fork(functools.partial(run, out, start)), fork(functools.partial(run, out, start + lag))]
        assert [wait(pid) for pid in pids] == [0, 0]
        assert models_that_load(out) == 1
        assert [p.name for p in out.iterdir() if p.is_dir()] == ["topk-12-k3-made-up"]
    return {"attempts": attempts}


ARGS = ["train", "topk", "--dataset", "digits", "--d-sae", "48", "--k", "6", "--epochs", "20", "--json"]


def kill_the_command(root: Path) -> dict[str, Any]:
    """`python -m sae_core train` on the embedded digits, killed at several moments of one training."""
    import runpy

    from sae_core.datasets import load_dataset

    for split in ("train", "test"):
        load_dataset("digits", split)
    defaults = train_or_load.__kwdefaults__
    assert defaults is not None
    defaults["save_every_s"] = 0  # it would be over before the usual 20 s

    def command(out: Path) -> None:
        sys.argv = ["sae_core", *ARGS, "--out", str(out)]
        try:
            runpy.run_module("sae_core", run_name="__main__", alter_sys=True)
        except SystemExit as e:
            assert e.code == 0

    assert wait(fork(lambda: command(root / "whole"))) == 0
    (wanted,) = [normal(p) for p in (root / "whole").iterdir()]
    out, at = root / "killed", []
    for _ in range(4):
        assert wait(fork(killed_before(30, out, lambda: command(out)))) == -signal.SIGKILL
        history = out / "topk-48-k6-digits.partial" / "history.jsonl"
        at.append(len(files.read_lines(history)))
        assert models_that_load(out) == 0
        try:
            load(history.parent)
        except CheckpointError:
            continue
        raise AssertionError("an unfinished model must not load")
    assert wait(fork(lambda: command(out))) == 0
    (found,) = [normal(p) for p in out.iterdir() if p.is_dir()]
    assert_same(found, wanted, "after four kills")
    return {"at": at, "lines": len(wanted["history.jsonl"])}


PROGRAMS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "kill": kill_everywhere,
    "busy": one_while_another_trains,
    "two": two_at_once,
    "train": kill_the_command,
}


def run_programs(root: Path, names: list[str]) -> dict[str, Any]:
    """What each program found, or the words of its failure."""
    found: dict[str, Any] = {}
    for name in names:
        (root / name).mkdir()
        try:
            found[name] = PROGRAMS[name](root / name)
        except Exception:
            found[name] = {"failed": traceback.format_exc()}
    return found


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """PROGRAMS, run in a new process in which no thread runs that a fork would lose."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("programs")), *PROGRAMS],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, result in found.items():
        assert "failed" not in result, (name, result, done.stderr[-3000:])
    return found


@pytest.mark.slow
def test_killed_before_any_touch_of_the_disk_it_goes_on(programs: dict[str, Any]) -> None:
    result = programs["kill"]
    assert result["killed"] > 30 and result["resumed"] > 10
    assert 1 <= result["finished"] < 5, "killed after the renaming, the model is there and loads"


@pytest.mark.slow
def test_one_process_says_that_another_is_training(programs: dict[str, Any]) -> None:
    assert "another process is training topk-12-k3-made-up right now" in programs["busy"]["said"]
    assert programs["busy"]["left"] == ["topk-12-k3-made-up"]


@pytest.mark.slow
def test_two_processes_at_once_make_one_model(programs: dict[str, Any]) -> None:
    assert programs["two"]["attempts"] > 0


@pytest.mark.parametrize("named", [False, True])
def test_a_model_that_another_process_finished_after_the_look_for_it_is_that_model(
    model: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setattr("sae_core.store.train_or_load.list_checkpoints", lambda out: ([], []))
    found, there = train(model.parent, name=model.name if named else None)
    assert (found.path, there) == (model, True)
    assert [path.name for path in model.parent.iterdir() if path.is_dir()] == [model.name]


@pytest.mark.slow
def test_the_train_command_killed_during_training_ends_with_the_same_bits(programs: dict[str, Any]) -> None:
    result = programs["train"]
    assert 0 < result["at"][0] < result["at"][1] < result["at"][2] < result["at"][3] < result["lines"]


if __name__ == "__main__":
    import torch._dynamo  # which the first optimiser imports: here once, and not in every child

    print(json.dumps(run_programs(Path(sys.argv[1]).resolve(), sys.argv[2:])))
