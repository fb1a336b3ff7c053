"""Stands for `python -m sae_core` where jobs are tested: a real process, that does what PRETEND says."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from sae_core.documents.report import BUNDLED, read_report
from sae_core.progress import ProgressFile


def main() -> int:
    """Like a command that is done at once; with PRETEND it waits to be let go, fails, dies, or will not be stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-figures", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--progress", type=Path)
    args = parser.parse_args()
    how = os.environ.get("PRETEND", "")
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told = ProgressFile(args.progress)
    told.tell("training", 1, 4)
    if how == "family":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (args.progress.parent / "child").write_text(str(child.pid))
    if how == "fail":
        told.end("failed", "it is damaged")
        return 1
    if how == "die":
        print(*(f"line {i}" for i in range(30)), sep="\n", file=sys.stderr)
        print("half a bar\rthe bar\nKilled by a test", file=sys.stderr)
        return 3
    until = time.monotonic() + 60
    while how and not (args.progress.parent / "go").exists() and time.monotonic() < until:
        time.sleep(0.02)
    if args.words[0] == "reproduce":
        _report(args.words[1], args.out)
    else:
        args.out.mkdir(parents=True)
        (args.out / "made.txt").write_text(" ".join(args.words))
    told.end("done")
    return 0


def _report(name: str, out: Path) -> None:
    """The bundled report, called a quick one."""
    shutil.copytree(BUNDLED / name, out, ignore=shutil.ignore_patterns("figures"))
    found = read_report(out)
    found.quick, found.seed = True, 7
    found.info["n"] = {"train": 2000, "test": 500}
    found.write()


if __name__ == "__main__":
    sys.exit(main())
