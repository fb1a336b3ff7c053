"""Training by several processes: what is equal to one process's, and how it ends when one of them does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sae_core import files
from sae_core.arguments import helps
from sae_core.cli import main
from sae_core.models.alone import ALONE, Alone
from sae_core.training import loop
from sae_core.training.ranks import joined
from tests import crew
from tests.conftest import until

CASES = [what for what, *_ in crew.cases()]
TIMEOUT = {"SAE_RANKS_TIMEOUT": "3"}


@pytest.fixture(scope="module")
def by(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[dict[str, Tensor]]]:
    """What each of so many ranks has at the end of every training."""
    folder = tmp_path_factory.mktemp("ranks")

    @cache
    def run(size: int) -> list[dict[str, Tensor]]:
        if size == 1:
            return [crew.all_cases(ALONE)]
        crew.ended(crew.start(size, "equal", folder))
        found = [files.read_tensors(folder / f"{size}-{rank}.safetensors")[0] for rank in range(size)]
        return [{name: torch.from_numpy(a) for name, a in of.items()} for of in found]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("what", CASES)
def test_ranks_give_what_one_process_gives(by: Callable[[int], list[dict[str, Tensor]]], what: str, size: int) -> None:
    """Weights, Adam's memory, idle counters, partners and losses, with batches that no number of ranks divides."""
    alone = {name: t for name, t in by(1)[0].items() if name.startswith(f"{what}|")}
    assert len(alone) > 8
    if what.endswith("aux"):
        assert float(alone[f"{what}|log aux"].min()) > 0, "dead latents were there"
    if what.endswith("reinit"):
        assert int(alone[f"{what}|back"].min()) > 0, "some were started anew"
    # What goes over the input three times makes more of a difference in the last bit.
    bound = 1e-8 if what.startswith("iterated") else 1e-10
    first = {name: t for name, t in by(size)[0].items() if name in alone}
    for rank in by(size):
        for name, t in alone.items():
            assert torch.equal(rank[name], first[name]), f"{name}: the ranks are in step to the bit"
            assert torch.allclose(rank[name].double(), t.double(), rtol=0, atol=bound), name


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_what_a_model_asks_of_ranks_by_hand(by: Callable[[int], list[dict[str, Tensor]]], size: int) -> None:
    for rank, found in enumerate(by(size)):
        found = {name.removeprefix("values|"): t for name, t in found.items()}
        for kind in ("bfloat16", "float32", "float64"):
            largest = [float(found[f"torch.{kind} {n}"]) for n in range(1, 8)]
            assert largest == [3, 2, 2, 0.5, 0.25, 0, 0], "of 0.5, 2, 2, 0, 3, 0, 0.25"
        assert float(found["one"]) == 4 and int(found["images"]) == 1
        assert torch.isnan(found["NaN 1"]) and float(found["NaN 2"]) == 2
        assert float(found["mean"]) == pytest.approx(3) and found["gradient"].tolist() == pytest.approx(
            [2.0] * len(range(3)[rank::size])
        )
        assert found["least"].tolist() == ([2, 1, 1] if size == 2 else [1, 1, 1])
        assert found["same"].tolist() == [[1, 3], [2, 4]] and int(found["told"]) == 10


def test_alone_everything_is_as_it_is() -> None:
    found = crew.values(ALONE)
    assert [float(found[f"torch.float32 {n}"]) for n in range(1, 8)] == [3, 2, 2, 0.5, 0.25, 0, 0]
    assert torch.isnan(found["NaN 1"]) and float(found["NaN 2"]) == 2
    assert float(found["mean"]) == 3 and found["gradient"].tolist() == [2, 2, 2]
    assert found["least"].tolist() == [3, 1, 2] and int(found["told"]) == 10
    assert ALONE.first and ALONE.state({"a": torch.ones(1)}) is not None
    with joined("cpu") as ranks:
        assert ranks is ALONE, "nobody started this process as one of many"


@pytest.mark.slow
def test_a_training_goes_on_by_another_number_of_ranks(tmp_path: Path) -> None:
    for size in (2, 1, 3):  # 5, 10 and the last 6 of 16 steps; an epoch has 8
        crew.ended(crew.start(size, "part", tmp_path, 5 if size == 2 else 10 if size == 1 else 100))
    found = files.read_tensors(tmp_path / "state.safetensors")[0]
    assert int(found["step"]) == 16
    for name, t in crew.parted().items():
        assert torch.allclose(torch.from_numpy(found[name]).double(), t.double(), rtol=0, atol=1e-10), name


def test_a_rank_waits_for_one_that_works_longer_than_the_timeout(tmp_path: Path) -> None:
    assert crew.ended(crew.start(2, "apart", tmp_path, SAE_RANKS_TIMEOUT="1")) == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signalled", "within", "because"),
    [(signal.SIGKILL, 2.0, "closed|reset|refused"), (signal.SIGSTOP, 6.0, "[Tt]imed out")],
)
def test_the_others_end_in_words_when_one_is_gone_or_silent(
    tmp_path: Path, signalled: signal.Signals, within: float, because: str
) -> None:
    """A process that dies closes its connections; one that is silent is waited for as long as was said: 3 seconds."""
    started = crew.start(3, "for_ever", tmp_path, **TIMEOUT)
    until(lambda: len(list(tmp_path.glob("here-*"))) == 3, 60)
    time.sleep(0.5)
    os.kill(started[1].pid, signalled)
    began = time.monotonic()
    until(lambda: len(list(tmp_path.glob("said-*"))) == 2, 30)
    took = time.monotonic() - began
    started[1].kill()
    assert crew.ended(started) == [0, -9, 0]
    for rank in (0, 2):
        said = (tmp_path / f"said-{rank}").read_text()
        assert said.startswith(f"rank {rank} of 3 has lost the others (")
        assert "the same command goes on where it was" in said
    assert took < within + 2, f"it took {took:.1f} s"
    assert any(re.search(because, (tmp_path / f"said-{rank}").read_text()) for rank in (0, 2))


TRAIN = ["-m", "sae_core", "train", "topk", "--dataset", "digits", "--d-sae", "48", "--k", "6", "--batch-size", "100"]


def torchrun(out: Path, *more: str, processes: int = 2, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += [*TRAIN, "--out", str(out), "--device", "cpu", "--json", *more]
    where = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.Popen(
        command, cwd=crew.ROOT, env=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def workers(of: subprocess.Popen[str]) -> dict[int, int]:
    """The process of each rank under a torchrun."""
    found: dict[int, int] = {}
    for task in Path(f"/proc/{of.pid}/task").glob("*/children"):
        for pid in task.read_text().split():
            env = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            found |= {int(e.removeprefix(b"RANK=")): int(pid) for e in env if e.startswith(b"RANK=")}
    return found


@pytest.mark.slow
def test_the_command_by_torchrun_writes_one_model_that_the_command_alone_finds(tmp_path: Path) -> None:
    """How many processes trained is no part of what was trained."""
    short = ["--epochs", "2"]
    progress = tmp_path / "progress.jsonl"
    run = torchrun(tmp_path / "models", *short, "--progress", str(progress))
    said, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    result = json.loads(said)  # one line, of the first rank
    assert not result["cached"] and "2 processes train together" in errors
    assert [p.name for p in (tmp_path / "models").iterdir()] == [result["name"]]
    lines = files.read_lines(progress)
    assert lines[-1]["ended"] == "done" and sum("ended" in line for line in lines) == 1
    steps = [line["step"] for line in files.read_lines(tmp_path / "models" / result["name"] / "history.jsonl")]
    assert steps == [15, 30], "1,437 images in batches of 100"
    assert main([*TRAIN[2:], *short, "--out", str(tmp_path / "models"), "--device", "cpu"]) == 0
    assert [p.name for p in (tmp_path / "models").iterdir()] == [result["name"]]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="which process is which rank is read from /proc")
def test_a_killed_rank_ends_torchrun(tmp_path: Path) -> None:
    run = torchrun(tmp_path, "--epochs", "2000")
    resume = tmp_path / "topk-48-k6-digits.partial" / "history.jsonl"
    try:
        until(lambda: resume.exists() and len(files.read_lines(resume)) > 3, 60)
        pids = workers(run)
        assert sorted(pids) == [0, 1]
        os.kill(pids[1], signal.SIGKILL)
        began = time.monotonic()
        run.communicate(timeout=60)
    finally:
        run.kill()
    assert time.monotonic() - began < 20 and run.returncode != 0
    assert not Path(f"/proc/{pids[0]}").exists(), "none is left"
    assert (tmp_path / "topk-48-k6-digits.partial").is_dir() and not (tmp_path / "topk-48-k6-digits").exists()


@pytest.mark.slow
def test_what_a_kill_left_goes_on_by_one_and_then_by_three(tmp_path: Path) -> None:
    """To the model that one process makes in one go: float32 and rounded to float16, so equal up to rounding."""
    for size, until_step in ((2, 45), (1, 90)):
        started = crew.start(size, "train", tmp_path, SLOWLY="0.2", **TIMEOUT)

        def far(size: int = size, step: int = until_step) -> bool:
            log = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
            return len(log) == 2 and log[0] == str(size) and int(log[1]) >= step

        until(far, 60)
        started[-1].kill()
        said = [process.communicate(20) for process in started]
        assert all(process.returncode for process in started)
        assert size == 1 or "has lost the others" in said[0]
    assert (tmp_path / "topk-48-k6-digits.partial" / "resume.safetensors").exists()
    crew.ended(crew.start(3, "train", tmp_path))
    made = (tmp_path / "topk-48-k6-digits" / "cfg.json").stat().st_mtime_ns
    crew.ended(crew.start(2, "train", tmp_path))
    assert (tmp_path / "topk-48-k6-digits" / "cfg.json").stat().st_mtime_ns == made, "two find what is there"
    steps = [line["step"] for line in files.read_lines(tmp_path / "topk-48-k6-digits" / "history.jsonl")]
    assert steps == sorted({*range(50, 181, 50), *range(15, 181, 15)}), "each once"
    crew.train(ALONE, tmp_path / "alone")
    found, alone = (
        files.read_tensors(folder / "topk-48-k6-digits" / "sae_weights.safetensors")[0]
        for folder in (tmp_path, tmp_path / "alone")
    )
    for name, a in alone.items():
        assert abs(found[name].astype(float) - a.astype(float)).max() < 2e-3, name


HOSTS = """
unshare -n sleep 600 & other=$!
sleep 0.3
ip link set lo up && ip link add here type veth peer name there netns $other || exit 9
ip addr add 10.9.0.1/24 dev here && ip link set here up
nsenter -t $other -n sh -c 'ip link set lo up; ip addr add 10.9.0.2/24 dev there; ip link set there up'
run() { echo "$PYTHON -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d
  --rdzv-endpoint 10.9.0.1:29400 --rdzv-id x --rdzv-conf is_host=$1 --local-addr $2 $TRAIN --out $OUT/$3"; }
GLOO_SOCKET_IFNAME=there nsenter -t $other -n $(run 0 10.9.0.2 b) > $OUT/b.log 2>&1 & second=$!
GLOO_SOCKET_IFNAME=here $(run 1 10.9.0.1 a) > $OUT/a.log 2>&1 & first=$!
if [ -n "$CUT" ]; then
  until grep -qs "it/s" $OUT/a.log $OUT/b.log; do sleep 0.2; done
  sleep 1; ip link set here down
  for tenth in $(seq 150); do
    grep -qs "has lost the others" $OUT/a.log && grep -qs "has lost the others" $OUT/b.log && break; sleep 0.1
  done
else
  wait $first && wait $second; done=$?
fi
kill $other $first $second 2> /dev/null
exit $done
"""
"""Two network namespaces with a cable between them, a torchrun in each; where CUT is set it is cut"""


def two_hosts(out: Path, cut: str, epochs: int) -> str:
    """What both said; skipped in words where such namespaces cannot be made."""
    trial = ["unshare", "-rn", "sh", "-c", "ip link add here type veth peer name there"]
    if sys.platform != "linux" or not (shutil.which("unshare") and shutil.which("ip") and shutil.which("nsenter")):
        pytest.skip("two hosts are made of Linux's network namespaces by unshare, ip and nsenter")
    if subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("this user may not make network namespaces here")
    train = [*TRAIN, "--device", "cpu", "--epochs", str(epochs)]
    env = {"PYTHON": sys.executable, "TRAIN": " ".join(train), "OUT": str(out), "CUT": cut, "OMP_NUM_THREADS": "1"}
    command = ["unshare", "-rn", "--kill-child", "--fork", "--pid", "--mount-proc", "bash", "-c", HOSTS]
    done = subprocess.run(command, cwd=crew.ROOT, env={**os.environ, **TIMEOUT, **env}, timeout=120)
    said = "\n".join((out / f"{host}.log").read_text() for host in "ab")
    assert cut or done.returncode == 0, said
    return said


@pytest.mark.slow
def test_two_hosts_train_one_model(tmp_path: Path) -> None:
    said = two_hosts(tmp_path, "", 2)
    found = [p for host in "ab" if (tmp_path / host).exists() for p in (tmp_path / host).iterdir()]
    assert [p.name for p in found] == ["topk-48-k6-digits"], said
    assert said.count("2 processes train together") == 1


@pytest.mark.slow
def test_both_hosts_end_when_the_cable_is_cut(tmp_path: Path) -> None:
    said = two_hosts(tmp_path, "cut", 5000)
    assert {m[1] for m in re.finditer(r"^error: rank (\d) of 2 has lost the others", said, re.M)} == {"0", "1"}, said


@pytest.mark.slow
def test_a_rank_with_another_plan_is_told(tmp_path: Path) -> None:
    """As on a second machine where somebody typed something else."""
    command = [sys.executable, *TRAIN, "--epochs", "1", "--out", str(tmp_path), "--device", "cpu"]
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": crew.free_port(), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*command, "--lr", f"0.00{1 + rank}"],
            cwd=crew.ROOT,
            env={**os.environ, **where, **TIMEOUT, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [1, 1]
    assert "error: process 1 was given another model, other options or other images" in said[1][1]
    assert "error: rank 0 of 2 has lost the others" in said[0][1] and not said[0][0] and not said[1][0]


@pytest.mark.slow
def test_a_number_that_is_none_on_one_rank_ends_all_in_words(tmp_path: Path) -> None:
    crew.ended(crew.start(2, "broken", tmp_path, **TIMEOUT))
    for rank in range(2):
        assert (tmp_path / f"said-{rank}").read_text().startswith("the loss is no longer a number at step 3")


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert helps()
    monkeypatch.setenv("SAE_RANKS_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="SAE_RANKS_TIMEOUT must be seconds, not 'soon'"), joined("cpu"):
        pass
    monkeypatch.setenv("SAE_RANKS_TIMEOUT", "1")
    with pytest.raises(ConnectionError, match="rank 1 of 2 has lost the others"), joined("cpu"):
        pass


class Here:
    """Training data that says it is on a GPU, which this machine need not have."""

    device = torch.device("cuda")


@pytest.mark.parametrize(
    ("what", "recorded"),
    [("alone", True), ("two ranks", False), ("a model that asks", False), ("scrambled", False), ("a stream", False)],
)
def test_a_step_is_recorded_only_where_nothing_but_its_gpu_takes_part(
    monkeypatch: pytest.MonkeyPatch, what: str, recorded: bool
) -> None:
    """What ranks ask each other cannot be replayed by a GPU: it would be asked once, while it is recorded."""
    monkeypatch.setattr(loop, "Replay", lambda step: ("recorded", step))
    run = crew.training("classifier", {"classes": 4}, replace(crew.OPTS, scrambled=what == "scrambled"))
    assert run._recorded() is None, "not on a CPU"
    monkeypatch.setattr(run, "x", Here())
    if what == "two ranks":
        run.ranks = Alone()
        monkeypatch.setattr(run.ranks, "size", 2)
    elif what == "a model that asks":
        monkeypatch.setattr(run.model, "replayable", False)
    elif what == "a stream":
        monkeypatch.setattr(run, "_stream", object())
    assert (run._recorded() == ("recorded", run._learn)) is recorded
