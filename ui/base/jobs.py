"""What runs beside the server, in a process of its own: a command of `python -m sae_core` that takes long.

A job is a folder, and the folder is the truth, not an object of this server: whoever looks into it (another page or
tab, a server that starts anew) sees the same and can stop it.

    config.json   what was asked for, and the process that does it: its number and when that began
    log.jsonl     what the command tells (`--progress`); its last line says how it ended
    stderr.txt    what it had to say besides
    stopped       somebody stopped it
    result/       what it makes, unless that goes elsewhere
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import filelock

from sae_core import files
from sae_core.progress import Progress, read_progress
from ui.base import processes

State = Literal["running", "done", "failed", "stopped", "gone"]
COMMAND = (sys.executable, "-m", "sae_core")
KEPT = 8
"""ended jobs whose folders are kept"""
_LINES = 12
"""of stderr that are shown of a job that is gone"""


class Busy(Exception):
    """One job at a time: which one is going on is in the message."""


@dataclass(frozen=True)
class Config:
    """What a job's config.json holds."""

    name: str
    """what it is: "reproduce-intro"; jobs of one name do the same"""
    title: str
    """how people call it: "the quick run of the introduction" """
    arguments: list[str]
    """of `python -m sae_core`"""
    out: str
    """the folder of what it makes"""
    asked: float
    """when, in seconds since 1970"""
    pid: int
    began: str
    """what tells its process from a later one with the same number"""


@dataclass(frozen=True)
class Job:
    """One job. Everything is read from its folder when it is asked for."""

    folder: Path
    config: Config

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def out(self) -> Path:
        return Path(self.config.out)

    @property
    def log(self) -> Path:
        """What the command tells, a line of JSON each time; see `sae_core.progress`."""
        return self.folder / "log.jsonl"

    def progress(self) -> Progress:
        return read_progress(self.log)

    def state(self) -> State:
        """ "gone" is a job whose process ended without a word: killed, crashed, or lost with the computer's power."""
        if (self.folder / "stopped").exists():
            return "stopped"
        alive = processes.began(self.config.pid) == self.config.began  # before the log: it may end in between
        ended = self.progress().ended
        if ended in ("done", "failed", "stopped"):
            return ended  # type: ignore[return-value]
        return "running" if alive and self.config.began else "gone"

    def last_words(self) -> str:
        """The last lines of its stderr, without bars."""
        try:
            text = (self.folder / "stderr.txt").read_bytes()[-100_000:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
        return "\n".join([line for line in lines if line][-_LINES:])

    def stop(self) -> None:
        """End it; what it has done so far stays. One that has ended stays as it is."""
        if self.state() == "running":
            (self.folder / "stopped").touch()
            processes.end(self.config.pid, self.config.began)

    def remove(self) -> None:
        """Forget one that has ended, with what it left in its own folder."""
        if self.state() != "running":
            shutil.rmtree(self.folder, ignore_errors=True)


class Jobs:
    """The jobs of a folder; any number of these objects, also in several processes, may look at one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def all(self) -> list[Job]:
        """Every job that is known, the newest first."""
        found = [_read(path.parent) for path in self._folder.glob("*/config.json")]
        return sorted((job for job in found if job), key=lambda job: job.config.asked, reverse=True)

    def latest(self, name: str) -> Job | None:
        """The newest job of that name."""
        return next((job for job in self.all() if job.config.name == name), None)

    def running(self) -> Job | None:
        """The job that is going on."""
        return next((job for job in self.all() if job.state() == "running"), None)

    def start(self, name: str, title: str, arguments: Sequence[str], out: Path | None = None) -> Job:
        """Start `python -m sae_core` with these arguments and `--out`: `out`, or a folder of the job.

        Busy when a job is going on, whoever started it; OSError when none can be started here.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self._folder / ".start.lock"):
            going_on = self.running()
            if going_on is not None:
                raise Busy(f"Another run is going on here: {going_on.config.title}. Try again when it is done.")
            self._forget()
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
            made = out or folder / "result"
            words = [*arguments, "--out", str(made), "--progress", str(folder / "log.jsonl")]
            pid = processes.start([*COMMAND, *words], _environment(), folder / "stderr.txt")
            began = processes.began(pid)
            job = Job(folder, Config(name, title, words, str(made), time.time(), pid, began))
            try:
                files.write_json(folder / "config.json", asdict(job.config))
            except OSError:
                processes.end(pid, began)  # nobody could see it, nor stop it
                raise
            return job

    def _forget(self) -> None:
        for job in self.all()[KEPT:]:
            job.remove()


def default_folder() -> Path:
    """SAE_JOBS, else `jobs` in the repository; of an installed package ~/.sae-explorer/jobs."""
    given = os.environ.get("SAE_JOBS")
    own = Path.home() / ".sae-explorer" if files.installed() else files.home()
    return Path(given).expanduser().absolute() if given else own / "jobs"


def _read(folder: Path) -> Job | None:
    """The job of a folder; None where that is none of ours, or is being removed."""
    try:
        found: Any = files.read_json(folder / "config.json")
        return Job(folder, Config(**{f.name: found[f.name] for f in fields(Config)}))
    except (files.CheckpointError, KeyError, TypeError):
        return None


def _environment() -> dict[str, str]:
    """Ours, and what lets the command find the library from any folder and say things that a file takes."""
    more = {"PYTHONIOENCODING": "utf-8", "TQDM_DISABLE": "1"}  # nobody sees its bars
    if not files.installed():
        more["PYTHONPATH"] = os.pathsep.join(filter(None, [str(files.home()), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **more}
