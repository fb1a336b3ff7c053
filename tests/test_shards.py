"""Training on a folder of shards: what is in it, in which order it comes, what it takes of memory, what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from sae_core import files
from sae_core.cli import main
from sae_core.datasets import DataError
from sae_core.models import largest
from sae_core.models.alone import ALONE
from sae_core.models.sae import SAE
from sae_core.shards import reading as of_shards
from sae_core.shards.making import make
from sae_core.shards.matrices import header
from sae_core.shards.reading import Activations, Shards, parts
from sae_core.training.loop import Training, TrainOptions
from sae_core.training.stream import RUNS, Stream
from sae_core.variants import build_network, networks
from tests import crew
from tests.conftest import until
from ui.base import models

CPU = torch.device("cpu")
N, D_IN = 997, 64
SAES = [name for name, cls in networks().items() if issubclass(cls, SAE)]


def activations(n: int = N, d_in: int = D_IN) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random((n, 6), np.float32) ** 3 @ rng.standard_normal((6, d_in), np.float32)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """997 rows in six files, of which the last has two."""
    where = tmp_path_factory.mktemp("shards")
    np.save(where / "x.npy", activations())
    return make([where / "x.npy"], where / "acts", 199)


def all_of(shards: Shards) -> Activations:
    return Activations(shards, 0, len(shards), "all")


# ---- what is in a folder


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_folder_holds_the_rows_of_all_its_sources(tmp_path: Path, suffix: str, dtype: type) -> None:
    x: np.ndarray = activations(31, 5).astype(dtype)
    np.save(tmp_path / "a.npy", x[:7])
    np.savez_compressed(tmp_path / "b.npz", acts=x[7:20], labels=np.arange(13))
    safetensors.torch.save_file({"acts": torch.from_numpy(x[20:])}, tmp_path / "c.safetensors", {"what": "three"})
    sources = [tmp_path / name for name in ("a.npy", "b.npz", "c.safetensors")]
    made = make(sources, tmp_path / "out", 10, suffix)
    assert (len(made), made.d_in, made.dtype) == (31, 5, np.dtype(dtype).name)
    assert [(s.matrix.path.name, s.matrix.rows) for s in made.shards] == [
        (f"{i:05d}{suffix}", 10) for i in range(3)
    ] + [(f"00003{suffix}", 1)]
    of_shards.check(made)
    out: np.ndarray = np.empty((23, 5), dtype)
    made.read(8, 31, out)
    assert np.array_equal(out, x[8:])
    index = np.array([30, 9, 10, 0, 30, 19])
    assert np.array_equal(made.rows(index), x[index])
    for shard in made.shards:  # other programs read them
        path = shard.matrix.path
        there = np.load(path) if suffix == ".npy" else safetensors.torch.load_file(path)["activations"].numpy()
        assert there.dtype == dtype and there.shape == (shard.matrix.rows, 5)
    assert not (tmp_path / "out.partial").exists()


def test_float64_and_bfloat16_become_float32(tmp_path: Path) -> None:
    x = activations(9, 4)
    np.save(tmp_path / "double.npy", x.astype(np.float64))
    half = torch.from_numpy(x).bfloat16()
    safetensors.torch.save_file({"x": half}, tmp_path / "brain.safetensors")
    made = make([tmp_path / "double.npy", tmp_path / "brain.safetensors"], tmp_path / "out")
    assert made.dtype == "float32"
    assert np.array_equal(all_of(made)[:], np.concatenate([x, half.float().numpy()]))


def test_a_part_is_held_out(folder: Shards) -> None:
    train, held = parts(folder, 0.05)
    assert (len(train), len(held)) == (947, 50) and (train.split, held.split) == ("shards", "held-out")
    x = activations()
    assert np.array_equal(train[940:2000], x[940:947]) and np.array_equal(held[:], x[947:])
    assert np.array_equal(held.first(3)[:], x[947:950]) and np.array_equal(held.rows(np.array([2, 0])), x[[949, 947]])
    assert len(parts(folder, 1e-9)[1]) == 1, "at least one row is"
    for share in (0.0, 1.0, -1.0, float("nan"), 0.9999999):
        with pytest.raises(DataError):
            parts(folder, share)


# ---- in which order it comes


@pytest.mark.parametrize("buffer", [1, 3, 64, 130, 500, 996])
def test_every_row_comes_once_an_epoch_and_from_everywhere(folder: Shards, buffer: int) -> None:
    stream = Stream(all_of(folder), buffer, 5, CPU)
    epochs = [torch.cat([stream.order(epoch, at, at + 7) for at in range(0, N, 7)]) for epoch in (0, 1)]
    for order in epochs:
        assert sorted(order.tolist()) == list(range(N))
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], Stream(all_of(folder), buffer, 6, CPU).order(0, 0, N)), "the seed matters"
    assert torch.equal(epochs[1][333:400], Stream(all_of(folder), buffer, 5, CPU).order(1, 333, 400)), "from anywhere"
    if buffer >= 64:  # what is in memory together is no one stretch of the data, and no row stays beside its neighbour
        first = epochs[0][: buffer // 2].double()
        assert 0.2 * N < first.std() < 0.4 * N
        assert ((epochs[0][1:] - epochs[0][:-1]).abs() == 1).double().mean() < 0.1


def test_the_rows_are_those_of_the_order_and_each_is_read_once(folder: Shards) -> None:
    x, source = torch.from_numpy(activations()), Counting(folder)
    stream = Stream(source, 2 * RUNS, 5, CPU)
    for epoch in (0, 1):
        for at in range(0, N, 50):
            index = stream.order(epoch, at, at + 50)
            assert torch.equal(stream[index[1::2]], x[index[1::2]])
        assert source.by_runs == (epoch + 1) * N, "by runs, once an epoch"
    assert max(source.lengths) == 2 and source.by_rows < 0.2 * 2 * N, "but for the ends of buffers"
    anywhere = torch.tensor([996, 0, 500, 500])
    assert torch.equal(stream[anywhere], x[anywhere]) and torch.equal(stream[990:2000], x[990:])


class Counting(Activations):
    """Counts how its rows are read."""

    def __init__(self, shards: Shards) -> None:
        super().__init__(shards, 0, len(shards), "all")
        self.__dict__.update(by_runs=0, by_rows=0, lengths=[])

    by_runs: int
    by_rows: int
    lengths: list[int]

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        self.__dict__["by_runs"] += stop - start
        self.lengths.append(stop - start)
        super().read(start, stop, out)

    def rows(self, index: np.ndarray) -> np.ndarray:
        self.__dict__["by_rows"] += len(index)
        return super().rows(index)


def test_mean_and_spread_over_all_rows(folder: Shards) -> None:
    x = torch.from_numpy(activations())
    whole, little = (Stream(all_of(folder), buffer, 5, CPU) for buffer in (N, 10))
    assert torch.equal(whole.mean(0), x.mean(0)) and torch.equal(whole.std(0, correction=0), x.std(0, correction=0))
    assert torch.allclose(little.mean(0), x.mean(0), atol=1e-6)
    assert torch.allclose(little.std(0, correction=0), x.std(0, correction=0), atol=1e-6)
    with pytest.raises(ValueError, match="correction 0"):
        whole.std(0, correction=1)
    with pytest.raises(ValueError, match="dim 0"):
        whole.mean(1)


# ---- training


def trained(variant: str, x: torch.Tensor | Stream, opts: TrainOptions) -> Training:
    Config: Any = networks()[variant].Config
    small = {"d_in": D_IN, "d_sae": 24, "k": 3, "dead_after": 300}
    model = build_network(
        variant, Config(**{k: v for k, v in small.items() if k in Config.__dataclass_fields__}), seed=1
    )
    assert isinstance(model, SAE)
    if opts.revival not in model.revivals:
        pytest.skip(f"{variant} has no revival by {opts.revival}")
    return Training(model, x, opts, log_every=10**9)


@pytest.mark.parametrize("revival", ["none", "aux", "reinit"])
@pytest.mark.parametrize("variant", SAES)
def test_a_buffer_that_holds_all_gives_the_weights_of_a_training_in_memory(
    folder: Shards, variant: str, revival: str
) -> None:
    """To the last bit: also what `start` and `finish` make of all rows, of which each variant may ask another thing."""
    opts = TrainOptions(epochs=2, batch_size=100, lr=0.01, seed=3, revival=revival, revive_every=5)
    x = torch.from_numpy(activations())
    found = []
    for data in (x, Stream(all_of(folder), N, opts.seed, CPU)):
        run = trained(variant, data, opts)
        losses = [log.losses for log in run]
        run.model.round_weights()
        run.model.finish(run.model.read(run.x))
        found.append((losses, run.state()))
    assert found[0][0] == found[1][0]
    for name, t in found[0][1].items():
        assert torch.equal(t, found[1][1][name]), name


@pytest.mark.parametrize("variant", SAES)
def test_a_training_goes_on_where_it_was_bit_for_bit(folder: Shards, variant: str) -> None:
    """In the middle of a buffer and of an epoch; the last batch of an epoch is of 97 rows."""
    opts = TrainOptions(epochs=2, batch_size=100, lr=0.01, seed=3)
    whole = trained(variant, Stream(all_of(folder), 130, opts.seed, CPU), opts)
    begun = trained(variant, Stream(all_of(folder), 130, opts.seed, CPU), opts)
    list(whole)
    begun.log_every = 7
    for log in begun:
        if log.step == 14:
            break
    on = trained(variant, Stream(all_of(folder), 130, opts.seed, CPU), opts)
    on.restore({name: t.clone() for name, t in begun.state().items()})
    assert [log.step for log in on] == [20]
    for name, t in whole.state().items():
        assert torch.equal(t, on.state()[name]), name


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    crew.ended(crew.start(2, "streamed", tmp_path))
    first, second = (files.read_tensors(tmp_path / f"streamed-{rank}.safetensors")[0] for rank in range(2))
    alone = crew.streamed(ALONE)
    assert len(alone) > 40
    for name, t in alone.items():
        if "threshold" not in name:  # which each looks for by itself, in the same rows
            assert np.array_equal(first[name], second[name]), name
        assert np.allclose(first[name].astype(float), t.numpy().astype(float), rtol=0, atol=1e-10), name


@pytest.mark.slow
def test_what_a_kill_left_goes_on_to_the_same_weights(
    folder: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"SHARDS": str(folder.folder)}
    (tmp_path / "killed").mkdir()
    (killed,) = crew.start(1, "train", tmp_path / "killed", SLOWLY="0.2", **env)
    log = tmp_path / "killed" / "log"
    until(lambda: log.exists() and log.read_text().split()[1:] in (["30"], ["40"], ["50"]), 60)
    killed.kill()
    killed.communicate(20)
    assert (tmp_path / "killed" / "topk-48-k6-acts.partial" / "resume.safetensors").exists()
    (tmp_path / "whole").mkdir()
    monkeypatch.setenv("SHARDS", env["SHARDS"])
    for name in ("killed", "whole"):
        crew.train(ALONE, tmp_path / name)
    found = [
        (tmp_path / name / "topk-48-k6-acts" / "sae_weights.safetensors").read_bytes() for name in ("killed", "whole")
    ]
    assert found[0] == found[1]


# ---- memory

LARGE = 192 << 20
MEMORY = """
import re, sys
from pathlib import Path
import torch
from sae_core.cli import main
torch.set_num_threads(1)
def train(data):
    assert main(["train", "batch_topk", "--data", data, "--out", sys.argv[3], "--epochs", "1", "--d-sae", "32", "--k",
                 "2", "--batch-size", "2048", "--buffer", "8192", "--name", Path(data).name, "--device", "cpu"]) == 0
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
small = train(sys.argv[1])
print(small, train(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what a process took at most")
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """192 MiB, trained on, measured on and looked through for a threshold, in less than half of that more than a
    folder of 4 MiB takes. Not by `ru_maxrss`, which begins with the peak of the process that started this one."""
    block = activations(4096, 256).astype(np.float16)
    for name, blocks in (("small", 2), ("large", LARGE // block.nbytes)):
        with open(tmp_path / f"{name}.npy", "wb") as f:
            f.write(header(".npy", blocks * len(block), 256, "float16"))
            for _ in range(blocks):
                f.write(block.tobytes())
        make([tmp_path / f"{name}.npy"], tmp_path / name, 50_000)
    command = [sys.executable, "-c", MEMORY, *(str(tmp_path / name) for name in ("small", "large", "models"))]
    done = subprocess.run(command, cwd=crew.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    small, large = map(float, done.stdout.split()[-2:])
    assert large - small < 96, (small, large)


@pytest.mark.parametrize("n", [1, 2, 5, 39, 40])
def test_the_last_that_stays_is_found_in_one_pass_and_in_two(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    x = torch.cat([torch.tensor([0.5, 0.5, 2, -1, 0, 3e-39, 1e30]), torch.arange(1.0, 35)])  # 39 are positive
    counted: list[int] = []

    def given() -> list[torch.Tensor]:
        counted.append(1)
        return [x[:3], x[3:5], x[5:]]

    want = sorted(v for v in x.tolist() if v > 0)[::-1]
    for kept, passes in ((1 << 24, 1), (0, 2)):
        counted.clear()
        monkeypatch.setattr(largest, "KEPT", kept)
        found = largest.last_and_next(given, n)
        if n < 39:
            assert found is not None and [float(v) for v in found] == want[n - 1 : n + 1] and len(counted) == passes
        else:
            assert found is None


# ---- the commands


def fails(capfd: pytest.CaptureFixture[str], *args: object) -> str:
    capfd.readouterr()
    assert main([*map(str, args), "--json"]) == 1
    out, err = capfd.readouterr()
    lines = [
        line for line in err.replace("\r", "\n").splitlines() if "it/s]" not in line and "?it" not in line and line
    ]
    assert out == "" and len(lines) == 1 and lines[0].startswith("error: "), err
    return lines[0]


def test_the_commands(
    folder: Shards, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*args: object) -> Any:
        capfd.readouterr()
        assert main([*map(str, args), "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    np.save(tmp_path / "x.npy", activations())
    made = said("data", "shard", tmp_path / "x.npy", "--out", tmp_path / "mine", "--rows-per-shard", 400)
    assert (made["n"], made["d_in"], made["dtype"], made["shards"]) == (N, D_IN, "float32", 3)
    assert said("data", "check", tmp_path / "mine") == made
    small = ["--d-sae", 24, "--k", 3, "--epochs", 1, "--out", tmp_path / "models", "--device", "cpu"]
    train = ["train", "topk", "--data", tmp_path / "mine", *small]
    found = said(*train)
    assert found["name"] == "topk-24-k3-mine" and not found["cached"]
    assert set(found["metrics"]) == {"mine/held-out"} and found["metrics"]["mine/held-out"]["n"] == 50
    assert said(*train, "--no-hashes") == {**found, "cached": True}
    assert not said(*train, "--buffer", 64)["cached"], "another order of the data"
    assert not said(*train, "--held-out", 0.1, "--name", "tenth")["cached"]
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path / "models"))
    metrics = found["metrics"]["mine/held-out"]
    assert said("evaluate", found["name"], "--data", tmp_path / "mine") == pytest.approx(metrics)
    for command in (["evaluate", "tenth"], ["features", "tenth"], ["readability", "tenth"]):
        assert "trained on activations [N, 64], of which there are no pictures" in fails(capfd, *command)
    listed, broken = models.listed()
    assert not {"tenth", found["name"]} & set(listed)
    assert any(
        "trained on activations [N, 64]" in sentence and "evaluate tenth --data DIR" in sentence for sentence in broken
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["classifier"], "a classifier learns from pictures and their classes, and .*acts holds activations"),
        (["topk", "--scrambled"], "scrambled images are made of pictures"),
        (["topk", "--shows", "generator"], "an SAE that reads pixels and shows generator needs pictures"),
        (["topk", "--held-out", "2"], "must be between 0 and 1, not 2"),
        (["topk", "--d-in", "32"], "d_in is 32, and .*acts has 64 numbers a row"),
    ],
)
def test_what_needs_pictures_says_so(
    folder: Shards, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    error = fails(capfd, "train", *more, "--data", folder.folder, "--out", tmp_path / "models", "--epochs", 1)
    assert re.search(said, error), error
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").glob("*")), "nothing is written"
