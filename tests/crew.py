"""Trainings of a test, by however many processes, each told its rank as torchrun does."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from sae_core import files
from sae_core.datasets import load_dataset
from sae_core.models.alone import ALONE, Alone
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.shards.reading import open_shards, parts
from sae_core.store.train_or_load import Data, help_train, train_or_load
from sae_core.training.loop import Training, TrainLog, TrainOptions
from sae_core.training.ranks import joined
from sae_core.training.stream import Stream
from sae_core.variants import build_network, networks
from sae_core.variants.topk import TopKConfig

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parent.parent
D_IN, D_SAE, N, B = 64, 24, 50, 7
"""50 images in batches of 7: no number of ranks divides one, and the last batch of an epoch is a single image"""
OPTS = TrainOptions(epochs=2, batch_size=B, lr=0.01, warmup=0.1, revive_every=4, seed=5)


def images() -> tuple[Tensor, Tensor]:
    """Pictures of 8×8 in float64, of which only rounding then differs, and their classes."""
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(N, 6, generator=g, dtype=torch.float64) ** 3) @ torch.rand(6, D_IN, generator=g).double()
    return x / x.max(), torch.randint(3, (N,), generator=g)


def cases() -> Iterator[tuple[str, str, dict[str, Any], TrainOptions]]:
    """Every variant by each way of bringing dead latents back that does something there, and what holds an ensemble
    together: (what, variant, config, options)."""
    for variant, cls in networks().items():
        if variant == "generator":
            continue
        if not issubclass(cls, SAE):
            yield variant, variant, {"classes": 4}, replace(OPTS, scrambled=True)
            continue
        revivals = cls(cls.Config()).revivals  # of which "none" is one, and in the others too
        for revival in revivals[1:] or revivals:
            yield f"{variant} {revival}", variant, {}, replace(OPTS, revival=revival)
    for kind, revival in (("matching", "reinit"), ("matching", "aux"), ("row-max", "aux"), ("representation", "none")):
        way = {"members": 3, "match_every": 4, "consistency": kind, "consistency_warmup": 5}
        yield f"ensemble {kind} {revival}", "tied_topk", way, replace(OPTS, revival=revival)


def model(variant: str, more: dict[str, Any], seed: int = 1) -> Network:
    Config: Any = networks()[variant].Config
    small = {"d_in": D_IN, "d_sae": D_SAE, "k": 3, "d_hidden": 10, "dead_after": 21, "rho": 0.05, "kl_weight": 0.1}
    known = {name: value for name, value in small.items() if name in Config.__dataclass_fields__}
    found = build_network(variant, Config(**{**known, **more}), seed=seed).double()
    found.__dict__["_check"] = lambda x: None  # that it is float32
    return found


def training(variant: str, more: dict[str, Any], opts: TrainOptions, ranks: Alone = ALONE, seed: int = 1) -> Training:
    x, labels = images()
    return Training(model(variant, more, seed), x, opts, labels=labels, log_every=10**9, ranks=ranks)


def result(of: Training) -> dict[str, Tensor]:
    return {**of.state(), **dict(of.model.named_buffers())}


def all_cases(ranks: Alone) -> dict[str, Tensor]:
    """What every training ends with, its logged losses, and how many latents were dead or came back."""
    found: dict[str, Tensor] = {}
    for what, variant, more, opts in cases():
        run = training(variant, more, opts, ranks, seed=1 + 7 * ranks.rank)  # the first one's weights count
        logs = list(run)
        found |= {f"{what}|{name}": t for name, t in result(run).items()}
        found |= {f"{what}|log {name}": torch.tensor([log.losses[name] for log in logs]) for name in logs[0].losses}
        found[f"{what}|dead"] = torch.tensor([log.dead for log in logs])
        found[f"{what}|back"] = torch.tensor([int(log.note.split()[0]) if log.note else 0 for log in logs])
    return found


def values(ranks: Alone) -> dict[str, Tensor]:
    """What a model asks of ranks, of numbers that a person can check."""
    found: dict[str, Tensor] = {}
    for kind in (torch.bfloat16, torch.float32, torch.float64):
        mine = ranks.take(torch.tensor([0.5, 2, 2, 0, 3, 0, 0.25], dtype=kind))
        found |= {f"{kind} {n}": ranks.nth_largest(mine, n).double() for n in range(1, 8)}
    one = ranks.take(torch.tensor([4.0]))  # of which there is one, on the first rank
    found["one"], found["images"] = ranks.nth_largest(one, 1), torch.tensor(ranks.images(len(one)))
    broken = ranks.take(torch.tensor([1.0, torch.nan, 2.0]))
    found |= {f"NaN {n}": ranks.nth_largest(broken, n) for n in (1, 2)}
    mine = ranks.take(torch.tensor([1.0, 2, 6])).requires_grad_()
    mean = ranks.mean(mine.mean())
    losses = ranks.weighted({"square": mean.square()})  # d/dx of mean² is 2 mean / 3
    losses["square"].backward()
    assert mine.grad is not None
    found |= {"mean": mean.detach(), "gradient": mine.grad}
    found["least"] = torch.tensor([3.0, 1, 2])[torch.arange(3).roll(ranks.rank)]
    ranks.least(found["least"])
    found["same"] = torch.tensor([[1.0, 2], [3, 4]]).t() + ranks.rank  # which does not lie in a row
    ranks.same([found["same"]])
    found["told"] = torch.tensor(ranks.told(ranks.rank + 10))
    return found


def part(ranks: Alone, folder: Path, steps: int) -> None:
    """Go on with a training from what is in the folder, for so many steps; the first rank keeps it there."""
    run = training("topk", {}, replace(OPTS, revival="aux"), ranks, seed=1 + 7 * ranks.rank)
    there, found = folder / "state.safetensors", None
    if ranks.first and there.exists():
        found = {name: torch.from_numpy(a) for name, a in files.read_tensors(there)[0].items()}
    if (state := ranks.state(found)) is not None:
        run.restore(state)
    run.log_every = steps
    for log in run:
        if log.step % steps == 0 or log.step == log.steps:
            break
    if ranks.first:
        files.write_tensors(there, {name: t.numpy() for name, t in run.state().items()})


def parted() -> dict[str, Tensor]:
    """The same training in one go, by one process."""
    run = training("topk", {}, replace(OPTS, revival="aux"))
    list(run)
    return run.state()


def broken(ranks: Alone, folder: Path) -> None:
    """A training in which one image of the second rank is no number."""
    run = training("topk", {}, OPTS, ranks)
    run.log_every = 3
    run.x = run.x.clone()
    run.x[run._batch(2)[1]] = torch.nan
    try:
        list(run)
    except FloatingPointError as e:
        (folder / f"said-{ranks.rank}").write_text(str(e))


def train(ranks: Alone, folder: Path) -> None:
    """What the command does, kept at every log, and slowly where SLOWLY is set; on a folder of shards where SHARDS is
    one."""
    data: Data = load_dataset("digits", "train")
    if folder_of_shards := os.environ.get("SHARDS"):
        data = parts(open_shards(Path(folder_of_shards)), 0.05)[0]
    config = TopKConfig(d_in=data.d_in, d_sae=48, k=6)
    opts = TrainOptions(epochs=12, batch_size=100, seed=3, buffer=256)

    def told(log: TrainLog) -> None:
        (folder / "log").write_text(f"{ranks.size} {log.step}")
        time.sleep(float(os.environ.get("SLOWLY", 0)))

    if ranks.first:
        train_or_load("topk", data, config, opts, out=folder, on_log=told, save_every_s=0.0, device="cpu", ranks=ranks)
    else:
        help_train("topk", data, config, opts, out=folder, device="cpu", ranks=ranks)


class Rows:
    """The images of `images` as a source of rows."""

    d_in, dtype = D_IN, "float32"

    def __len__(self) -> int:
        return N

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        out[:] = images()[0][start:stop]

    def rows(self, index: np.ndarray) -> np.ndarray:
        return images()[0][index].float().numpy()


class Streamed(Stream):
    """In float64, of which only rounding then differs."""

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        return super().__getitem__(which).double()


def streamed(ranks: Alone) -> dict[str, Tensor]:
    """What trainings end with that have 16 of the 50 rows in memory: batches end in the middle of a buffer."""
    found: dict[str, Tensor] = {}
    for variant, revival in (("topk", "aux"), ("topk", "reinit"), ("batch_topk", "aux"), ("relu_l1", "none")):
        sae, opts = model(variant, {}, seed=1 + 7 * ranks.rank), replace(OPTS, revival=revival)
        run = Training(sae, Streamed(Rows(), 16, opts.seed, torch.device("cpu")), opts, log_every=10**9, ranks=ranks)
        list(run)
        sae.finish(cast("Tensor", run.x))
        found |= {f"{variant} {revival}|{name}": t for name, t in result(run).items()}
    return found


def for_ever(ranks: Alone, folder: Path) -> None:
    """Ask the others all the time until something happens, and say in the folder what it was."""
    (folder / f"here-{ranks.rank}").write_text(str(os.getpid()))
    try:
        while True:
            ranks.add([torch.ones(3)])
            time.sleep(0.01)
    except ConnectionError as e:
        (folder / f"said-{ranks.rank}").write_text(str(e))


def apart(ranks: Alone, folder: Path) -> None:
    """The first rank works for longer than the timeout, and the others wait for it."""
    began = time.monotonic()
    with ranks.apart():
        time.sleep(3 if ranks.first else 0)
    assert 3 <= time.monotonic() - began < 6
    ranks.add([torch.ones(3)])


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


WAYS: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
"""A process that has imported all this is copied for each rank: importing torch takes seconds each time"""
if WAYS.get_start_method() == "forkserver":
    WAYS.set_forkserver_preload(["tests.crew"])


class Rank:
    """One process of a crew, as `subprocess.Popen` of a command would be."""

    def __init__(self, env: dict[str, str], what: tuple[str, ...]) -> None:
        handle, name = tempfile.mkstemp(prefix="rank-")
        os.close(handle)
        self._said = Path(name)
        self._process = WAYS.Process(target=_rank, args=(env, what, name), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float) -> str:
        """What it printed, once it has ended. TimeoutError where it does not in so many seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"it has not ended after {timeout} s")
        said = self._said.read_text()
        self._said.unlink()
        return said


def _rank(env: dict[str, str], what: tuple[str, ...], said: str) -> None:
    handle = os.open(said, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(env)
    os.chdir(ROOT)
    try:
        main(what[0], Path(what[1]), *what[2:])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # as the command does


def start(size: int, *what: object, **env: str) -> list[Rank]:
    """So many ranks that do `main`, without torchrun, which takes seconds more."""
    where = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1"}
    of = tuple(str(w) for w in what)
    return [Rank({**where, "RANK": str(rank), "LOCAL_RANK": str(rank), **env}, of) for rank in range(size)]


def ended(started: list[Rank], seconds: float = 120) -> list[int | None]:
    """Their exit codes; none is left running."""
    try:
        said = [process.communicate(seconds) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, text in zip(started, said, strict=True):
        assert process.returncode in (0, -9), text
    return [process.returncode for process in started]


def main(what: str, folder: Path, *more: str) -> None:
    with joined("cpu") as ranks:
        if what == "equal":
            found = {**all_cases(ranks), **{f"values|{name}": t for name, t in values(ranks).items()}}
            kept = {name: t.contiguous().numpy() for name, t in found.items()}
            files.write_tensors(folder / f"{ranks.size}-{ranks.rank}.safetensors", kept)
        elif what == "streamed":
            kept = {name: t.contiguous().numpy() for name, t in streamed(ranks).items()}
            files.write_tensors(folder / f"streamed-{ranks.rank}.safetensors", kept)
        elif what == "part":
            part(ranks, folder, int(more[0]))
        elif what == "for_ever":
            for_ever(ranks, folder)
            os._exit(0)  # without leaving: nobody is there
        elif what == "train":
            train(ranks, folder)
        elif what == "broken":
            broken(ranks, folder)
        elif what == "apart":
            apart(ranks, folder)
