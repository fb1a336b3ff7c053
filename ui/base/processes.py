"""A process that outlives who started it: known again by its number and its start, and ended with all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_NICE = 10
_PATIENCE = 3.0
"""seconds that a process has to end by itself"""


def start(command: Sequence[str], env: Mapping[str, str], errors: Path) -> int:
    """Start a command in a session of its own, at low priority, so that pages stay live; its number.

    What it writes to stderr goes to the file `errors`. OSError where it cannot be started.
    """
    apart = 0
    if sys.platform == "win32":
        apart = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    with open(errors, "wb") as file:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
            creationflags=apart,
        )
    if sys.platform != "win32":
        with suppress(OSError):  # it is done already
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    # Who started it has to take note of its end, or it stays in the system's table as a zombie.
    threading.Thread(target=process.wait, daemon=True, name=f"end of {process.pid}").start()
    return process.pid


def began(pid: int) -> str:
    """What tells a running process from a later one with its number: when it began. "" when there is none, or only a
    zombie."""
    if sys.platform == "win32":
        return _began_on_windows(pid)
    try:
        # The name in parentheses can hold anything; behind it come the state and, as the 20th, the start.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    said = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return "" if said.startswith("Z") else said.partition(" ")[2].strip()


def end(pid: int, start: str) -> None:
    """End the process that began then, and what it started: by request, then by force. Any other is left alone."""
    if not start or began(pid) != start:
        return
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True)
        return
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
        until = time.monotonic() + _PATIENCE
        while began(pid) == start and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)  # what it started may not have listened


def _began_on_windows(pid: int) -> str:
    if sys.platform != "win32":
        return ""
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32")
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = wintypes.HANDLE(kernel.OpenProcess(0x1000, False, pid))  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return ""
    times = [wintypes.FILETIME() for _ in range(4)]
    code = wintypes.DWORD()
    known = kernel.GetProcessTimes(handle, *(ctypes.byref(t) for t in times))
    known = known and kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    still_active = 259
    return f"{times[0].dwHighDateTime}-{times[0].dwLowDateTime}" if known and code.value == still_active else ""
