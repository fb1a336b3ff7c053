"""How far a command is, as another program reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sae_core import cli
from sae_core.progress import Progress, ProgressFile, read_progress


def test_progress_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_progress(path) == Progress()
    told = ProgressFile(path)
    assert read_progress(path) == Progress()
    told.tell("training", 1, 4, loss=float("nan"))
    assert read_progress(path) == Progress("training", 1, 4)
    with open(path, "a") as f:
        f.write('{"what": "train')
    assert read_progress(path) == Progress("training", 1, 4), "a line that is only half there"


def test_of_many_steps_few_are_told(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    told = ProgressFile(path)
    for step in range(1, 1001):
        told.tell("training", step, 1000, note="14 revived" if step == 300 else "")
    told.tell("measuring", 0, 3)
    told.end("failed", "why")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) < 30
    assert [line.get("done") for line in lines][:1] == [1] and {300, 1000} <= {line.get("done") for line in lines}
    assert lines[-2]["what"] == "measuring" and lines[-1]["ended"] == "failed" and lines[-1]["error"] == "why"
    assert read_progress(path) == Progress(ended="failed", error="why")
    ProgressFile(path)
    assert path.read_text() == "", "a new run begins anew"


def _told(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_command_tells_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    command = ["reproduce", "intro", "--quick", "--data-dir", str(tmp_path), "--progress", str(path)]
    assert cli.main(command) == 1, "there is no MNIST"
    assert _told(path)[-1]["ended"] == "failed" and "MNIST" in str(_told(path)[-1]["error"])

    def ends_by(error: BaseException) -> None:
        def run(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("sae_core.documents.reproduce.reproduce", run)

    ends_by(KeyboardInterrupt())
    assert cli.main(command) == 130
    assert [line["ended"] for line in _told(path)] == ["stopped"], "anew, not behind what was there"
    ends_by(RuntimeError("a bug"))
    with pytest.raises(RuntimeError):
        cli.main(command)
    assert read_progress(path) == Progress(ended="failed", error="RuntimeError: a bug")


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no" / "log.jsonl"
    assert cli.main(["reproduce", "intro", "--quick", "--progress", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
