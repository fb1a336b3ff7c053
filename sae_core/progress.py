"""How far a command is: bars for a person, and a file for another program, a line of JSON each time.

    {"time": 1764115200.1, "what": "training", "done": 150, "of": 1407, "loss/mse": 0.021, "epoch": 0.32, …}

`time` is in seconds since 1970, `done` and `of` count whatever `what` counts; a training adds its numbers. The last
line says how it ended: {"time": …, "ended": "done"}, "failed" with its sentence under "error", or "stopped" by Ctrl-C.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sae_core import files

if TYPE_CHECKING:
    from sae_core.training.loop import TrainLog

_EVERY = 0.2
"""seconds between two lines of one thing"""
_TAIL = 1 << 16
"""bytes at a file's end in which its last whole line is looked for"""


class ProgressFile:
    """Writes such a file, anew: what an earlier command left there is gone. OSError where that cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._what, self._told = "", 0.0
        path.write_text("", encoding="utf-8")

    def tell(self, what: str, done: int, of: int, **more: Any) -> None:
        """So much is done; `more` stands in the line too. Not each call is a line, but the first of each thing, the
        last, and one with a note."""
        now = time.monotonic()
        if what == self._what and done < of and now - self._told < _EVERY and not more.get("note"):
            return
        self._what, self._told = what, now
        self._write(what=what, done=done, of=of, **more)

    def end(self, how: str, error: str = "") -> None:
        """It has ended: "done", "failed", with why, or "stopped". On a full disk only the exit code says so."""
        with suppress(OSError):
            self._write(ended=how, **({"error": error} if error else {}))

    def _write(self, **values: Any) -> None:
        files.append_line(self._path, {"time": round(time.time(), 2), **plain(values)})


class Bars:
    """A bar for the training, then one for each stage after it, all on stderr; the same in a file that is asked for."""

    def __init__(self, file: ProgressFile | None = None) -> None:
        self._file = file
        self._bar: tqdm[Any] | None = None
        self._what = ""

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def log(self, log: TrainLog) -> None:
        from sae_core.training.loggers import numbers  # needs torch

        self._show("training", log.step, log.steps).set_postfix({name: f"{v:.5f}" for name, v in log.losses.items()})
        if log.note:
            self.say(log.note)
        if self._file:
            self._file.tell("training", log.step, log.steps, **numbers(log), note=log.note)

    def stage(self, what: str, done: int, of: int) -> None:
        self._show(what, done, of)
        if self._file:
            self._file.tell(what, done, of)

    def say(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def _show(self, what: str, done: int, of: int) -> tqdm[Any]:
        if self._bar is None or what != self._what:
            if self._bar is not None:
                self._bar.close()
            self._bar, self._what = (
                tqdm(total=of, desc=what, initial=0, file=sys.stderr, dynamic_ncols=True),
                what,
            )
        self._bar.n = done
        self._bar.refresh()
        return self._bar


@dataclass(frozen=True)
class Progress:
    """How far a command is, as the last line of its file says."""

    what: str = ""
    done: int = 0
    of: int = 0
    ended: str = ""
    """ "done", "failed", "stopped", or "" as long as it has not said so"""
    error: str = ""
    """why it failed"""

    @property
    def share(self) -> float:
        """How much of `what` is done, in [0, 1]."""
        return min(1.0, self.done / max(self.of, 1))


def read_progress(path: Path) -> Progress:
    """How far a command is; nothing yet where there is no file or no whole line in it."""
    try:
        with open(path, "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - _TAIL))
            lines = f.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return Progress()
    for line in reversed(lines):
        try:
            found = dict(json.loads(line))
            return Progress(**{k: type_(found[k]) for k, type_ in _READ.items() if k in found})
        except (ValueError, TypeError):
            continue
    return Progress()


_READ = {"what": str, "done": int, "of": int, "ended": str, "error": str}


def plain(value: Any) -> Any:
    """The same as JSON can say it: it has no NaN, which becomes null, and a path is its text."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
