"""Our training against other libraries', each by its own training step, on MNIST's pixels: images a second, and FVU.

The others (benchmarks/peers.txt) are installed by the first run into an environment of their own, `.bench-venv` in this
repository (or --peers-env), with the release of PyTorch that runs here. Each side is a process of its own
(training_sides.py says how each is used). They take turns, round by round, and sleep in between, so that what else the
machine does meets all of them. A row is the median over the rounds. Models start anew for each size, and all sides do
the same number of steps, of which the middle side does a round in about a second and a half.

`--quality` then trains each once more for one epoch, and for the time that the fastest peer needs for that (ours for
the whole epochs that fit, since its learning rate follows them). FVU is of the last 10,000 training images, which
nobody trained on, with each side's code as in use. MNIST is needed for the speed too: with random
pixels other latents would die, which changes what a step costs.

    python benchmarks/bench_train.py --data-dir DIR [--quality] [--json] [--ours topk,topk:revival=none] [--peers none]

A side can be given options: NAME:OPTION=VALUE. ours: fields of its config and of TrainOptions. ratio: images a second
over those of the fastest peer of that size. floor: what the dense encoder's product and Adam's traffic take at the
rates measured here, and nothing else. --json: the rows as a list, the only line on stdout; the table goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sae_core.datasets import DataError, load_dataset
from sae_core.measure.metrics import RunningMetrics

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).with_name("peers.txt")
SIDES = Path(__file__).with_name("training_sides.py")
HELD_OUT = 10_000
ROUND_S = 1.5
LOGGED = 50
"""steps between two logs of ours, between which it does not stop"""
TRIED = 3
"""steps by which the length of a round is set"""
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}


class Asked(Protocol):
    """A side of the comparison, wherever it computes."""

    who: str

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Have it done, and what it answers."""


@dataclass(frozen=True)
class Cell:
    """A size at which all are compared."""

    batch: int
    d_sae: int
    k: int


@dataclass(frozen=True)
class Row:
    """What was found of one side at one size."""

    who: str
    version: str
    cell: Cell
    rates: tuple[float, ...]
    """images a second in each round"""
    ratio: float | None = None
    """the median over that of the fastest peer"""
    fvu: float | None = None
    """after one epoch"""
    l0: float | None = None
    fvu_in_time: float | None = None
    """after the time in which the fastest peer does an epoch"""
    seconds: float | None = None
    """what it took of that time"""

    @property
    def images_per_s(self) -> float:
        return median(self.rates)

    def told(self) -> dict[str, Any]:
        """As --json gives it."""
        return {
            "who": self.who,
            "batch": self.cell.batch,
            "d_sae": self.cell.d_sae,
            "k": self.cell.k,
            "images_per_s": round(self.images_per_s, 1),
            "ratio_to_fastest_peer": None if self.ratio is None else round(self.ratio, 3),
            "fvu": None if self.fvu is None else round(self.fvu, 5),
        }


class Process:
    """A side in a process of its own: one line to it, one line back."""

    def __init__(self, who: str, process: subprocess.Popen[str], said: Path) -> None:
        self.who, self._process, self._said = who, process, said

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """RuntimeError with the end of what the process said, where it ends instead of answering."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            last = self._said.read_text("utf-8", "replace").strip().splitlines()[-12:]
            raise RuntimeError(f"{self.who} ended when it was to {do}:\n" + "\n".join(last))
        found: dict[str, Any] = json.loads(answer)
        return found


@contextmanager
def started(who: str, spec: str, python: Path, images: Path, threads: int) -> Iterator[Process]:
    """A side's process, which ends with the block."""
    said = images.with_name(f"{who.replace(os.sep, ' ')}.txt")
    environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment.pop("PYTHONPATH", None)
    with said.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(python), str(SIDES), spec, str(images), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    try:
        yield Process(who, process, said)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def peers_python(folder: Path) -> Path:
    """The interpreter of the peers' environment; it is made where it is not what peers.txt says now."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, release = folder / "installed.txt", torch.__version__.split("+")[0]
    wanted = f"{sys.version}\ntorch=={release}\n{PEERS.read_text('utf-8')}"
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return python
    say(f"Installing into {folder} what {PEERS.name} says, and PyTorch {release}: about 6 GB with CUDA's libraries.")
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    cpu_build = torch.version.cuda is None and sys.platform == "linux"
    if uv:
        make, install = [uv, "venv", "--python", sys.executable], [uv, "pip", "install", "--python", str(python)]
        install += ["--torch-backend", "cpu"] if cpu_build else []
    else:
        make, install = [sys.executable, "-m", "venv"], [str(python), "-m", "pip", "install"]
        install += ["--extra-index-url", "https://download.pytorch.org/whl/cpu"] if cpu_build else []
    for command in ([*make, str(folder)], [*install, f"torch=={release}", "-r", str(PEERS)]):
        subprocess.run(command, check=True, stdout=sys.stderr)
    stamp.write_text(wanted, "utf-8")
    return python


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def whole(steps: int) -> int:
    """So many steps, or a few less, that ours ends on a log."""
    return steps - steps % LOGGED if steps > LOGGED else steps


def steps_of_a_round(seconds: Sequence[float]) -> int:
    """So many that the middle one of the sides, by their seconds a step, takes about ROUND_S."""
    return whole(max(1, round(ROUND_S / median(seconds))))


def speeds(sides: Sequence[Asked], cell: Cell, rounds: int, steps: int | None) -> list[Row]:
    """Each side's images a second: in each round every side has its turn, one after the other."""
    shape = vars(cell)
    if steps is None:
        taken = []
        for side in sides:  # all of them first: one that is still importing its library would disturb the others
            side.ask("make", **shape, steps=2 * TRIED, log_every=TRIED)
        for side in sides:
            side.ask("run", steps=TRIED)
            taken.append(side.ask("run", steps=TRIED)["seconds"] / TRIED)
        steps = steps_of_a_round(taken)
    steps = whole(steps)
    planned = {"steps": (1 + rounds) * steps, "log_every": min(LOGGED, steps)}
    versions = [side.ask("make", **shape, **planned)["version"] for side in sides]
    for side in sides:
        side.ask("run", steps=steps)  # to warm up
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for rates, side in zip(found, sides, strict=True):
            took = side.ask("run", steps=steps)
            rates.append(took["images"] / took["seconds"])
    return [Row(s.who, v, cell, tuple(rates)) for s, v, rates in zip(sides, versions, found, strict=True)]


def compared(rows: Sequence[Row], peers: set[str]) -> list[Row]:
    """The rows of one size with their ratios to the fastest peer; None where there is no peer."""
    fastest = max((row.images_per_s for row in rows if row.who in peers), default=None)
    return [replace(row, ratio=None if fastest is None else row.images_per_s / fastest) for row in rows]


def fvu(side: Asked, held_out: np.ndarray, folder: Path) -> tuple[float, float]:
    """Our FVU of what a side makes of the held-out images, and how many latents it used for one of them."""
    given, found = folder / "held_out.npy", folder / "reconstructed.npy"
    if not given.exists():
        np.save(given, held_out)
    l0 = side.ask("reconstruct", x=str(given), to=str(found))["l0"]
    running = RunningMetrics()
    running.update(torch.from_numpy(np.load(given)), torch.from_numpy(np.load(found)), torch.zeros(len(held_out), 1))
    return running.compute().fvu, l0


def with_quality(
    sides: Sequence[Asked], rows: Sequence[Row], peers: set[str], n: int, held_out: np.ndarray, folder: Path
) -> list[Row]:
    """The rows with each side's FVU after one epoch of n images, and after the time of the fastest peer's epoch."""
    shape = vars(rows[0].cell)
    batch = rows[0].cell.batch
    per_epoch = -(-n // batch)
    others = [row.images_per_s for row in rows if row.who in peers] or [row.images_per_s for row in rows]
    time = n / max(others)
    found = []
    for side, row in zip(sides, rows, strict=True):
        side.ask("make", **shape, steps=per_epoch, log_every=LOGGED)
        side.ask("run", steps=per_epoch)
        epoch, l0 = fvu(side, held_out, folder)
        steps = max(1, round(time * row.images_per_s / batch))
        if side.who not in peers:
            steps = steps - steps % per_epoch if steps >= per_epoch else whole(steps)
        side.ask("make", **shape, steps=steps, log_every=min(LOGGED, steps))
        seconds = side.ask("run", steps=steps)["seconds"]
        found.append(replace(row, fvu=epoch, l0=l0, fvu_in_time=fvu(side, held_out, folder)[0], seconds=seconds))
    return found


def line(row: Row) -> str:
    """A row as people read it."""
    rates = f"{row.images_per_s:10,.0f} ({min(row.rates):,.0f}–{max(row.rates):,.0f})"
    text = f"  {row.who:38} {row.version:9} {rates:30}"
    text += "" if row.ratio is None else f" {row.ratio:6.2f}"
    if row.fvu is not None:
        text += f"   FVU {row.fvu:.4f} with L0 {row.l0:.1f}; {row.fvu_in_time:.4f} after {row.seconds:.1f} s"
    return text


def head(cell: Cell, floor: dict[str, float]) -> str:
    """What stands above the rows of one size."""
    columns = "who, version, images a second (median, least–most), ratio"
    work = f"{floor['gflop']:.2f} GFLOP at {floor['gflop_per_s']:.0f} GFLOP/s"
    traffic = f"{floor['mb']:.0f} MB at {floor['gb_per_s']:.0f} GB/s"
    return (
        f"batch {cell.batch}, d_sae {cell.d_sae}, k {cell.k}: {columns}\n"
        f"  {'floor':38} {'':9} {floor['images_per_s']:10,.0f}   {floor['ms']:.2f} ms a step: {work}, {traffic}"
    )


def compare(
    x: np.ndarray,
    held_out: np.ndarray | None,
    cells: Sequence[Cell],
    ours: Sequence[str],
    peers: Sequence[str],
    *,
    python: Path | None = None,
    threads: int,
    rounds: int,
    steps: int | None,
) -> list[Row]:
    """Every side at every size, trained on x [N, d]; with held-out images their FVU too. The table goes to stderr."""
    found: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-train-")))
        images = folder / "x.npy"
        np.save(images, x)
        sides: list[Process] = []
        for who, spec, where in [(f"ours {s}", s, sys.executable) for s in ours] + [(s, s, python) for s in peers]:
            sides.append(stack.enter_context(started(who, spec, Path(where or sys.executable), images, threads)))
        for cell in cells:
            rows = compared(speeds(sides, cell, rounds, steps), set(peers))
            floor = sides[0].ask("floor", batch=cell.batch, d_sae=cell.d_sae)  # when all have begun, and wait
            if held_out is not None:
                rows = with_quality(sides, rows, set(peers), len(x), held_out, folder)
            say("\n".join([head(cell, floor), *map(line, rows)]))
            found += rows
    return found


def main(argv: Sequence[str] | None = None) -> int:
    def several(text: str) -> list[str]:
        return [] if text in ("", "none") else text.split(",")

    def counts(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--ours", type=several, default="topk,tied_topk,batch_topk", help="variants; %(default)s")
    parser.add_argument(
        "--peers", type=several, default="overcomplete,sae_lens,dictionary_learning", help="none, or of %(default)s"
    )
    parser.add_argument("--batches", type=counts, default="128,1024")
    parser.add_argument("--d-sae", type=counts, default="1024,16384")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=None, help="of a round; as many as take about 1.5 s")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each side; all cores")
    parser.add_argument(
        "--quality", action="store_true", help="also train each for an epoch, and for as long as a peer's"
    )
    parser.add_argument("--peers-env", type=Path, default=ROOT / ".bench-venv")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if not args.ours and not args.peers:
        parser.error("there is nobody to compare: --ours and --peers are both empty")
    try:
        images = load_dataset("mnist", "train", args.data_dir).x
        rows = compare(
            images[:-HELD_OUT],
            images[-HELD_OUT:] if args.quality else None,
            [Cell(batch, d_sae, args.k) for d_sae in args.d_sae for batch in args.batches],
            args.ours,
            args.peers,
            python=peers_python(args.peers_env.absolute()) if args.peers else None,
            threads=args.threads,
            rounds=args.rounds,
            steps=args.steps,
        )
    except (DataError, RuntimeError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    if args.json:
        print(json.dumps([row.told() for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
