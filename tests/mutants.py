"""Breaks the code one place at a time and says which breaks no test saw: `make mutants`.

    python -m tests.mutants MINUTES WORKERS [PATTERN …]

A pattern is mutmut's: `sae_core.measure.spread*`. Without one all the folders of `[tool.mutmut]` are gone through, and
what an earlier run has found stands. What mutmut knows lies in mutants/; `mutmut show NAME` says what a break is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

MUTMUT = str(Path(sys.executable).with_name("mutmut"))
LAST_SECONDS = 20
"""to end in after the minutes are over"""


def half_written() -> list[Path]:
    """Of what mutmut knows of each file: where an end came while it wrote, which it does in place after each mutant."""
    found = []
    for path in Path("mutants").rglob("*.meta"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found.append(path)
    return found


def stop(run: subprocess.Popen[bytes]) -> None:
    """Interrupt mutmut while it does not write."""
    run.send_signal(signal.SIGSTOP)
    while run.poll() is None and half_written():
        run.send_signal(signal.SIGCONT)
        time.sleep(0.05)
        run.send_signal(signal.SIGSTOP)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGCONT)


def run_mutmut(minutes: float, workers: int, patterns: list[str]) -> int:
    """What mutmut ends with, or 0 where the time was over first."""
    for path in half_written():  # as nothing is known of it, it is begun anew
        path.unlink()
        path.with_suffix("").unlink()
    command = [MUTMUT, "run", "--max-children", str(workers), *patterns]
    # a group of its own, so that the mutants that are just being tested end too
    run = subprocess.Popen(command, start_new_session=True)
    try:
        return run.wait(60 * minutes)
    except subprocess.TimeoutExpired:
        stop(run)
        try:
            run.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            print("mutmut did not stop by itself")
        return 0
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def found(patterns: list[str]) -> dict[str, str]:
    """Each mutant that the patterns name, and what became of it."""
    told = subprocess.run([MUTMUT, "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    states = dict(line.strip().split(": ", 1) for line in told.splitlines() if ": " in line)
    return {name: state for name, state in states.items() if any(fnmatch(name, p) for p in patterns or ["*"])}


def main(minutes: str, workers: str, *patterns: str) -> int:
    os.nice(10)
    code = run_mutmut(float(minutes), int(workers), list(patterns))
    states = found(list(patterns))
    for name in sorted(name for name, state in states.items() if state == "survived"):
        print(f"survived  {name}")
    print(", ".join(f"{n} {state}" for state, n in Counter(states.values()).most_common()))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
