"""The comparison of trainings: who has a turn when, what a row says, and our own side. The peers are not here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import bench_train
from benchmarks.bench_train import Cell, Row, compare, compared, fvu, speeds, steps_of_a_round
from benchmarks.training_sides import Batches, Shape, make, parse
from sae_core.datasets import DataError

KEYS = ["who", "batch", "d_sae", "k", "images_per_s", "ratio_to_fastest_peer", "fvu"]
CELL = Cell(batch=8, d_sae=16, k=3)


class Told:
    """A side that takes the seconds it is given, and writes down when it was asked."""

    def __init__(self, who: str, seconds: list[float], asked: list[str]) -> None:
        self.who, self._seconds, self._asked = who, iter(seconds), asked

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        self._asked.append(f"{self.who} {do} {more['steps']}")
        return {"version": "1"} if do == "make" else {"images": 8 * more["steps"], "seconds": next(self._seconds)}


def test_sides_take_turns_and_a_row_is_the_median_of_its_rounds() -> None:
    asked: list[str] = []
    sides = [Told("ours", [9.0, 1.0, 4.0, 2.0], asked), Told("peer", [9.0, 8.0, 8.0, 1.0], asked)]
    rows = speeds(sides, CELL, rounds=3, steps=5)
    assert asked[:2] == ["ours make 20", "peer make 20"]
    assert asked[2:] == ["ours run 5", "peer run 5"] * 4
    assert [row.rates for row in rows] == [(40.0, 10.0, 20.0), (5.0, 5.0, 40.0)]
    assert [row.images_per_s for row in rows] == [20.0, 5.0]


def test_nobody_is_timed_while_another_begins() -> None:
    asked: list[str] = []
    sides = [Told(who, [1.0, 3.0, 1.0, 1.0], asked) for who in ("ours", "peer")]  # a second a step: rounds of two
    speeds(sides, CELL, rounds=1, steps=None)
    assert asked[:6] == ["ours make 6", "peer make 6", "ours run 3", "ours run 3", "peer run 3", "peer run 3"]
    assert asked[6:] == ["ours make 4", "peer make 4"] + ["ours run 2", "peer run 2"] * 2


def test_ratios_are_to_the_fastest_peer_and_not_to_our_own() -> None:
    rows = [Row(who, "1", CELL, (rate,)) for who, rate in [("ours", 30.0), ("slow", 5.0), ("fast", 20.0)]]
    assert [row.ratio for row in compared(rows, {"slow", "fast"})] == [1.5, 0.25, 1.0]
    assert [row.ratio for row in compared(rows, set())] == [None, None, None]


def test_a_round_takes_about_as_long_as_it_should() -> None:
    assert steps_of_a_round([0.001, 0.010, 9.0]) == 150
    assert steps_of_a_round([0.0101]) == 100  # of 149: ours stops where it logs
    assert steps_of_a_round([0.2]) == 8  # fewer than there are between two logs
    assert steps_of_a_round([60.0]) == 1


def test_fvu_by_hand(tmp_path: Path) -> None:
    class Half:
        who = "half"

        def ask(self, do: str, **more: Any) -> dict[str, Any]:
            np.save(more["to"], np.load(more["x"]) / 2)
            return {"l0": 3.0}

    # Two images, (0, 2) and (2, 0): variance 4, and half of each is 1 + 1 away.
    assert fvu(Half(), np.array([[0, 2], [2, 0]], np.float32), tmp_path) == (0.5, 3.0)


def test_a_side_is_named_with_its_options() -> None:
    assert parse("topk") == ("topk", {})
    assert parse("topk:revival=none:lr=0.01:aux=true") == ("topk", {"revival": "none", "lr": 0.01, "aux": True})
    with pytest.raises(ValueError, match="no OPTION=VALUE"):
        parse("topk:lr")


def test_an_epoch_feeds_every_image_once() -> None:
    batches = Batches(torch.arange(10.0)[:, None], 4)
    first, second = ([next(batches) for _ in range(3)] for _ in range(2))
    assert [len(part) for part in first] == [4, 4, 2]
    assert sorted(torch.cat(first)[:, 0].tolist()) == sorted(torch.cat(second)[:, 0].tolist()) == list(range(10))
    assert not torch.equal(torch.cat(first), torch.cat(second))
    assert batches.seen == 20


def test_our_side_counts_the_images_that_it_saw() -> None:
    x = torch.rand(20, 12, generator=torch.Generator().manual_seed(0))
    side = make("topk:lr=0.01", x, Shape(batch=8, d_sae=16, k=3, steps=7, log_every=1))
    assert [side.run(1), side.run(2), side.run(4)] == [8, 12, 28]  # an epoch is 8 + 8 + 4
    assert (side.reconstruct(x)[1] != 0).sum(1).tolist() == [3] * 20
    with pytest.raises(ValueError, match="there is no side 'nobody'"):
        make("nobody", x, Shape(8, 16, 3, 7, 1))
    with pytest.raises(ValueError, match="has no k"):
        make("relu_l1", x, Shape(8, 16, 3, 7, 1))


def test_our_side_alone_gives_the_rows_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Images:
        x = np.random.default_rng(0).random((120, 12), np.float32)

    monkeypatch.setattr(bench_train, "HELD_OUT", 20)
    monkeypatch.setattr(bench_train, "load_dataset", lambda *_: Images)
    sizes = ["--batches", "16,32", "--d-sae", "24", "--k", "3", "--rounds", "2", "--steps", "2", "--threads", "1"]
    command = ["--ours", "topk,batch_topk:lr=0.01", "--peers", "none", *sizes, "--quality", "--json"]
    assert bench_train.main(command) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert out.count("\n") == 1 and "floor" in err
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [(row["who"], row["batch"]) for row in rows] == [
        ("ours topk", 16),
        ("ours batch_topk:lr=0.01", 16),
        ("ours topk", 32),
        ("ours batch_topk:lr=0.01", 32),
    ]
    assert all(row["images_per_s"] > 0 and row["ratio_to_fastest_peer"] is None and row["fvu"] > 0 for row in rows)


def test_without_quality_there_is_no_fvu_and_a_side_that_ends_says_why() -> None:
    x = np.random.default_rng(0).random((40, 12), np.float32)

    def only(spec: str) -> list[Row]:
        return compare(x, None, [CELL], [spec], [], python=Path(sys.executable), threads=1, rounds=1, steps=1)

    assert only("tied_topk")[0].told()["fvu"] is None
    with pytest.raises(RuntimeError, match="there is no side 'nobody'"):
        only("nobody")


def test_without_mnist_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none(*_: object) -> None:
        raise DataError("MNIST is not here.")

    monkeypatch.setattr(bench_train, "load_dataset", none)
    assert bench_train.main(["--peers", "none"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: MNIST is not here.\n")
