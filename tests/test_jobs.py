"""What runs beside the server: real processes, their folder, their end, and what a page shows of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import PRETEND, until
from ui.base import jobs as of_jobs
from ui.base import processes
from ui.base.jobs import Busy, Job, Jobs

ROOT = Path(__file__).parent.parent


def _start(jobs: Jobs, how: str = "", name: str = "a-job") -> Job:
    os.environ["PRETEND"] = how
    try:
        return jobs.start(name, "a job", ["pretend"])
    finally:
        del os.environ["PRETEND"]


def _running(jobs: Jobs, how: str = "wait") -> Job:
    job = _start(jobs, how)
    until(lambda: job.progress().what)
    return job


# ---- one job


def test_a_job_is_started_followed_and_done(jobs: Jobs) -> None:
    assert jobs.all() == [] and jobs.running() is None and jobs.latest("a-job") is None
    job = _running(jobs)
    assert job.state() == "running" and jobs.running() == job == jobs.latest("a-job")
    assert (job.progress().what, job.progress().done, job.progress().of) == ("training", 1, 4)
    assert job.progress().share == 0.25
    (job.folder / "go").touch()
    until(lambda: job.state() == "done")
    assert (job.out / "made.txt").read_text() == "pretend"
    assert jobs.running() is None and jobs.latest("a-job") == job


def test_its_process_is_apart_and_yields_to_pages(jobs: Jobs) -> None:
    job = _running(jobs)
    assert os.getsid(job.config.pid) == job.config.pid != os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, job.config.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10


def test_a_result_can_go_elsewhere(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start("a-job", "a job", ["pretend"], out=tmp_path / "elsewhere")
    until(lambda: job.state() == "done")
    assert (tmp_path / "elsewhere" / "made.txt").is_file()
    job.remove()
    assert jobs.all() == [] and (tmp_path / "elsewhere" / "made.txt").is_file()


def test_one_that_fails_says_why(jobs: Jobs) -> None:
    job = _start(jobs, "fail")
    until(lambda: job.state() == "failed")
    assert job.progress().error == "it is damaged"
    assert jobs.running() is None


# ---- it ends otherwise


def test_it_is_stopped_with_all_that_it_started(jobs: Jobs) -> None:
    job = _running(jobs, "family")
    until(lambda: (job.folder / "child").exists() and (job.folder / "child").read_text())
    child = int((job.folder / "child").read_text())
    assert processes.began(child)
    job.stop()
    assert job.state() == "stopped"
    until(lambda: not processes.began(child) and not processes.began(job.config.pid))
    job.stop()
    assert job.state() == "stopped" and jobs.running() is None


def test_one_that_does_not_listen_is_stopped_too(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.1)
    job = _running(jobs, "deaf")
    job.stop()
    until(lambda: not processes.began(job.config.pid))
    assert job.state() == "stopped"


def test_one_that_was_killed_is_recognised(jobs: Jobs) -> None:
    job = _running(jobs)
    os.kill(job.config.pid, signal.SIGKILL)
    until(lambda: job.state() == "gone")
    assert jobs.running() is None
    assert _start(jobs).state() in ("running", "done"), "the next one is let in"


def test_the_last_words_of_one_that_died(jobs: Jobs) -> None:
    job = _start(jobs, "die")
    until(lambda: job.state() == "gone")
    words = job.last_words().splitlines()
    assert words[-2:] == ["the bar", "Killed by a test"] and words[-3] == "line 29" and len(words) == 12


def test_a_process_that_has_its_number_now_is_another(jobs: Jobs) -> None:
    job = _running(jobs)
    config = json.loads((job.folder / "config.json").read_text())
    (job.folder / "config.json").write_text(json.dumps({**config, "began": "1"}))
    later = jobs.latest("a-job")
    assert later is not None and later.state() == "gone"
    later.stop()
    processes.end(later.config.pid, later.config.began)
    (job.folder / "go").touch()
    until(lambda: job.state() == "done")  # the other one was let alone


def test_one_that_ended_is_no_zombie(jobs: Jobs) -> None:
    job = _start(jobs)
    until(lambda: job.state() == "done")
    until(lambda: not Path(f"/proc/{job.config.pid}").exists())


def test_a_zombie_is_no_running_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: not processes.began(child.pid))
    assert child.wait(5) == 0
    assert processes.began(os.getpid()) == processes.began(os.getpid()) != ""


# ---- who else looks at it


def test_another_server_sees_it_and_stops_it(jobs: Jobs, tmp_path: Path) -> None:
    """A server that has ended since started it: here a process that does only that."""
    started = (
        "import sys; from pathlib import Path; from ui.base import jobs\n"
        f"jobs.COMMAND = {PRETEND!r}\n"
        f"print(jobs.Jobs(Path({str(tmp_path / 'jobs')!r})).start('a-job', 'a job', ['pretend']).id)"
    )
    environment = {**os.environ, "PRETEND": "wait", "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", started], env=environment, capture_output=True, text=True, check=True)
    job = jobs.running()
    assert job is not None and job.id == said.stdout.strip()
    until(lambda: job.progress().what == "training")
    with pytest.raises(Busy, match="going on here: a job"):
        _start(jobs)
    job.stop()
    until(lambda: not processes.began(job.config.pid))
    assert Jobs(tmp_path / "jobs").all() == [job] and job.state() == "stopped"


def test_of_many_that_start_at_once_one_does(jobs: Jobs, tmp_path: Path) -> None:
    def ask(_: int) -> Job | None:
        try:
            return Jobs(tmp_path / "jobs").start("a-job", "a job", ["pretend"])
        except Busy:
            return None

    os.environ["PRETEND"] = "wait"
    try:
        with ThreadPoolExecutor(8) as pool:
            started = [job for job in pool.map(ask, range(8)) if job]
    finally:
        del os.environ["PRETEND"]
    assert len(started) == len(jobs.all()) == 1


def test_only_the_newest_are_kept(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_jobs, "KEPT", 2)
    made = []
    for _ in range(4):
        made.append(_start(jobs))
        until(lambda: made[-1].state() == "done")
    assert jobs.all() == made[:0:-1], "two, and the one that was started then"
    assert not made[0].folder.exists()


def test_a_job_that_runs_is_not_removed(jobs: Jobs) -> None:
    job = _running(jobs)
    job.remove()
    assert job.state() == "running" and jobs.all() == [job]


def test_what_is_no_job_is_passed_over(jobs: Jobs, tmp_path: Path) -> None:
    for name, text in {"a": "{no json", "b": "[]", "c": '{"name": 1}'}.items():
        (tmp_path / "jobs" / name).mkdir(parents=True)
        (tmp_path / "jobs" / name / "config.json").write_text(text)
    assert jobs.all() == []


def test_where_jobs_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_JOBS", str(tmp_path))
    assert of_jobs.default_folder() == tmp_path
    monkeypatch.delenv("SAE_JOBS")
    assert of_jobs.default_folder() == ROOT / "jobs"


# ---- the real command


@pytest.mark.slow
def test_a_training_is_a_job(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    plan = ["train", "topk", "--dataset", "digits", "--d-sae", "32", "--k", "4", "--epochs", "2"]
    job = jobs.start("train", "a training", plan, out=tmp_path / "models")
    until(lambda: job.state() != "running", 120)
    assert job.state() == "done", job.last_words()
    assert (tmp_path / "models" / "topk-32-k4-digits" / "cfg.json").is_file()
    lines = [json.loads(line) for line in job.log.read_text().splitlines()]
    losses = [line["loss/mse"] for line in lines if line.get("what") == "training" and "loss/mse" in line]
    assert losses and losses[-1] < losses[0]
    assert job.last_words() == "", "no bars where nobody sees them"
