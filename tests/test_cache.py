"""What is computed once for everyone: by many threads at once, bounded, read-only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Lock
from typing import Any, NamedTuple

import numpy as np
import pytest

from sae_core import datasets
from sae_core.measure.batchwise import Batchwise
from sae_core.once import once
from sae_core.store import catalogue
from tests.test_nearest import chosen
from ui.base import models
from ui.base.cache import shared

ROOT = Path(__file__).parent.parent
VISITORS = 30


def at_once(ask: Callable[[], Any]) -> list[Any]:
    """What each of VISITORS threads gets that ask in the same moment."""
    together = Barrier(VISITORS)

    def visit(_: int) -> Any:
        together.wait()
        return ask()

    with ThreadPoolExecutor(VISITORS) as pool:
        return list(pool.map(visit, range(VISITORS)))


class Counted:
    """A function that takes its time, and how often it was called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._function, self._lock = function, Lock()

    def __call__(self, *args: Any) -> Any:
        with self._lock:
            self.calls.append(args)
        time.sleep(0.05)
        return self._function(*args)


def test_a_model_is_loaded_once_for_thirty_visitors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from sae_core.store import checkpoints

    load = Counted(checkpoints.load)
    monkeypatch.setattr(checkpoints, "load", load)
    found = catalogue.read("topk-1024-k50")
    model = models.Model(found.name, f"{found.hash}-anew", found.path)  # no other test has this one
    saes = at_once(lambda: model.sae)
    assert len(load.calls) == 1
    assert all(sae is saes[0] for sae in saes)


def test_images_are_loaded_once_for_thirty_visitors_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = datasets.dataset_info("digits")
    load = Counted(info.load)
    monkeypatch.setitem(datasets._REGISTRY, "digits", replace(info, load=load))
    sets = at_once(lambda: datasets.load_dataset("digits", "test", tmp_path))
    assert len(load.calls) == 1
    assert all(images is sets[0] for images in sets)


@pytest.mark.parametrize("keep", [once, shared])
def test_it_is_kept_by_its_arguments_and_bounded(keep: Callable[[int], Any]) -> None:
    made = Counted(lambda name, n: [name, n])
    kept = keep(2)(_named(made, f"bounded by {keep.__name__}"))
    assert kept("a", 1) is kept("a", 1)
    assert kept("a", 2) == ["a", 2] and kept("b", 2) == ["b", 2]
    assert made.calls == [("a", 1), ("a", 2), ("b", 2)]
    kept("b", 2), kept("a", 1)
    assert made.calls[3:] == [("a", 1)], "two are kept: the first was let go"


@pytest.mark.parametrize("keep", [once, shared])
def test_an_error_is_not_kept_and_lets_the_next_one_in(keep: Callable[[int], Any]) -> None:
    def fail() -> None:
        raise OSError("not yet")

    made = Counted(fail)
    kept = keep(2)(_named(made, f"failing by {keep.__name__}"))
    for _ in range(2):
        with pytest.raises(OSError, match="not yet"):
            kept()
    assert len(made.calls) == 2


def _named(function: Any, name: str) -> Any:
    """As a function of a module is, by whose name Streamlit keeps what it gave."""
    function.__module__, function.__qualname__ = __name__, name
    return function


def test_models_are_told_apart_by_their_weights_and_members() -> None:
    made = Counted(lambda model: model.id)
    kept = shared(8)(_named(made, "by model"))
    one = chosen("topk-1024-k50")
    others = [models.Model(one.name, "other", one.path), models.Model(one.name, one.hash, one.path, 1)]
    others.append(models.Model(one.name, one.hash, one.path.parent))
    for model in [one, *others, one]:
        kept(model)
    assert [m for (m,) in made.calls] == [one, *others]


class Pair(NamedTuple):
    a: np.ndarray
    more: dict[str, list[np.ndarray]]


def test_nobody_can_change_what_everyone_is_given() -> None:
    kept = shared(2)(_named(lambda: Pair(np.zeros(2), {"b": [np.zeros(2)]}), "read-only"))
    for array in (kept().a, kept().more["b"][0], chosen("topk-1024-k50").stats("digits").count):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_it_can_be_asked_outside_a_page_without_a_word() -> None:
    script = (
        "import threading, ui.base.cache\n"
        "kept = ui.base.cache.shared(1)(lambda: 7)\n"
        "ask = threading.Thread(target=lambda: print(kept(), kept()))\n"
        "ask.start(); ask.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("7 7\n", "")


def test_each_batch_is_made_once_by_thirty_who_wait_for_it() -> None:
    part = Counted(lambda start, stop: list(range(start, stop)))
    made = Batchwise(10, 4, part, lambda parts: [i for some in parts for i in some])
    assert all(whole == list(range(10)) for whole in at_once(made.fill))
    assert part.calls == [(0, 4), (4, 8), (8, 10)]


def test_batches_by_hand() -> None:
    part, heard = Counted(lambda start, stop: stop - start), list[float]()
    made = Batchwise(10, 4, part, sum)
    assert made.fill(heard.append) == 10 and heard == [0, 0.4, 0.8, 1]
    assert made.fill(heard.append) == 10 and heard[4:] == [1], "the whole is kept"
    full = Counted(lambda start, stop: stop - start)
    assert Batchwise(8, 4, full, sum).fill() == 8 and full.calls == [(0, 4), (4, 8)], "none that is empty"


def test_of_no_images_it_is_whole_at_once() -> None:
    heard: list[float] = []
    assert Batchwise(0, 4, lambda start, stop: 1, len).fill(heard.append) == 0
    assert heard == [1.0]


def test_a_figure_waits_for_another_visitors_import(tmp_path: Path) -> None:
    """Streamlit imports pandas for the first visitor who is shown a component; meanwhile another's figure is drawn."""
    (tmp_path / "pandas.py").write_text(
        "import time; time.sleep(0.5)\nclass Series: pass\nclass Index: pass\nclass DataFrame: pass\n"
    )
    program = (
        "import sys, threading, time, plotly.graph_objects\n"
        "other = threading.Thread(target=lambda: __import__('pandas'))\n"
        "other.start()\n"
        "while 'pandas' not in sys.modules: time.sleep(0.001)\n"
        "import numpy as np; from sae_core.figures import charts\n"
        "print(len(charts.ranked(np.arange(3), np.ones(3), 'title', 'unit', 'said').to_json()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) > 100, done.stderr
