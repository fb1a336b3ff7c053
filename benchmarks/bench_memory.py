"""How much memory the server takes for many visitors at once, measured on a server that just started: one JSON line.

    python benchmarks/bench_memory.py [--visitors 30] [--pages Draw,Steer]

Each visitor is a session by Streamlit's own protocol, without a browser, that opens the pages one after the other. A
server of its own is started for one visitor and for many; *_mb: resident set of the server's process when all pages are
there, and the most it was (Linux; the code of libraries, which processes share, is in it). ratio: of many to one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.browser import dashboard

PAGES = "Draw,Steer,Features,Digits"


async def visit(address: str, pages: list[str], together: asyncio.Barrier) -> int:
    """Open the pages, one after the other; how many messages came."""
    came = 0
    stream = address.replace("http", "ws") + "/_stcore/stream"
    spoken = [Subprotocol("streamlit")]
    async with websockets.connect(stream, subprotocols=spoken, max_size=None, ping_timeout=None) as socket:
        await together.wait()
        for page in pages:
            asked = BackMsg()
            asked.rerun_script.page_name = page
            await socket.send(asked.SerializeToString())
            while True:
                message = ForwardMsg()
                message.ParseFromString(await socket.recv())
                came += 1
                assert message.delta.new_element.WhichOneof("type") != "exception", message
                if message.WhichOneof("type") == "script_finished":
                    assert message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY, message
                    break
        await together.wait()
        await together.wait()  # while it is measured nobody leaves
    return came


def memory(pid: int) -> dict[str, float]:
    """MB of a process now, and the most it had."""
    lines = Path(f"/proc/{pid}/status").read_text().split("\n")
    kb = {line.split(":")[0]: float(line.split()[1]) for line in lines if line.endswith(" kB")}
    return {"now_mb": kb["VmRSS"] / 1024, "most_mb": kb["VmHWM"] / 1024}


async def measure(visitors: int, pages: list[str]) -> dict[str, float]:
    """Start a server, have so many visit it at once, and see what it takes."""
    with dashboard() as (address, pid):
        together = asyncio.Barrier(visitors + 1)
        visits = [asyncio.create_task(visit(address, pages, together)) for _ in range(visitors)]
        await together.wait()
        began = time.monotonic()
        await together.wait()
        found = {**memory(pid), "seconds": time.monotonic() - began}
        await together.wait()
        found["messages"] = sum(await asyncio.gather(*visits))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--pages", default=PAGES, help="that each opens, one after the other")
    args = parser.parse_args()
    one, many = (asyncio.run(measure(n, args.pages.split(","))) for n in (1, args.visitors))
    ratio = {f"ratio_{name}": many[f"{name}_mb"] / one[f"{name}_mb"] for name in ("now", "most")}
    result = {**{f"one_{k}": v for k, v in one.items()}, **{f"many_{k}": v for k, v in many.items()}, **ratio}
    print(json.dumps({k: round(v, 3 if "ratio" in k else 1) for k, v in result.items()}))


if __name__ == "__main__":
    main()
