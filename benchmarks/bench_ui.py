"""What a person waits for, measured in a real browser on the running dashboard: one JSON line.

    python benchmarks/bench_ui.py [--url http://127.0.0.1:8501] [--model NAME] [--throttle 4] [--json]

Without --url it starts a dashboard of its own, and then cold_start_s is the time from its start until the first page is
painted in a browser that is there already. The pointer moves as a mouse does, 125 times a second whether or not the
page keeps up (--rate). draw_* and steer_*: from the event's own time stamp to the first task after the animation frame
that shows its result (p50, p95), and our own work within that frame (work_p95). floor_*: the same of a bare page, one
canvas that follows the pointer, before and after those two; *_ratio: they as a multiple of it, which differs less from
machine to machine than milliseconds do.
wall_ms: from the click on the link to the wall painted; select_ms: from a click on a tile to that feature's detail;
release_*_ms: from letting the pointer go to Python's new numbers on the page. server_cpu_share: processor time of the
server while somebody draws without letting go, as a share of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from playwright.async_api import FloatRect, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.browser import dashboard, options

FRAMES = "globalThis[Symbol.for('sae-explorer')].state.frames"
"""in the page: when each frame was asked for, computed and painted (see ui/live/frames.js)"""
FLOOR = Path(__file__).with_name("floor.html")
START = "[data-testid=apart][data-terms]"
"""what stands on the first page when it is painted"""
WAIT_MS = 60_000
"""after which something that was waited for counts as never come"""


def percentile(values: list[float], share: float) -> float:
    """The smallest value with at least that share of the values at or below it."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def cpu_seconds(pid: int | None) -> float | None:
    """Processor time of a process so far; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


Frame = dict[str, float]
"""event, start, end, painted: ms on the page's clock"""


async def painted(page: Page, seconds: float, move: Callable[[float], Awaitable[None]], where: str) -> list[Frame]:
    """The frames of so many seconds of moving, after one that is not counted: the first frames compile the engine."""
    await move(1)
    since = await page.evaluate(f"{where}.length")
    await move(seconds)
    return await page.evaluate(f"{where}.slice({since}).filter((f) => f.painted)")


def summary(found: list[Frame], name: str) -> dict[str, Any]:
    shown = [f["painted"] - f["event"] for f in found]
    work = [f["end"] - f["start"] for f in found]
    return {
        f"{name}_p50_ms": percentile(shown, 0.5),
        f"{name}_p95_ms": percentile(shown, 0.95),
        f"{name}_work_p50_ms": percentile(work, 0.5),
        f"{name}_work_p95_ms": percentile(work, 0.95),
        f"{name}_frames": len(found),
    }


async def sweep(page: Page, seconds: float, rate: float, spot: Callable[[float], tuple[float, float]]) -> None:
    """Move the held pointer along spot(t), so many times a second: the next move does not wait for the page.

    By the browser's own protocol: playwright's `mouse.move` runs its script in the page at each move of a held pointer.
    """
    session = await page.context.new_cdp_session(page)
    began = time.monotonic()
    moves: list[asyncio.Task[Any]] = []
    while (t := len(moves) / rate) < seconds:
        await asyncio.sleep(max(0.0, began + t - time.monotonic()))
        x, y = spot(t)
        event = {"type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1}
        moves.append(asyncio.create_task(session.send("Input.dispatchMouseEvent", event)))
    await asyncio.gather(*moves)
    await session.detach()


def eight(box: FloatRect) -> Callable[[float], tuple[float, float]]:
    """The pointer's way through a box, by time."""

    def spot(t: float) -> tuple[float, float]:
        x, y = 0.5 + 0.22 * math.sin(2.1 * t), 0.5 + 0.32 * math.sin(4.2 * t + 0.5)
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    return spot


async def bench_floor(page: Page, url: str, args: argparse.Namespace) -> list[Frame]:
    """The frames of the bare page, from the dashboard's address, so that it is of the same process of the browser."""
    address = f"{url}/floor.html"
    await page.route(address, lambda route: route.fulfill(path=FLOOR))
    await page.goto(address)
    await page.unroute(address)
    way = eight({"x": 8, "y": 8, "width": 280, "height": 280})
    await page.mouse.move(*way(0))
    await page.mouse.down()
    found = await painted(page, args.seconds / 2, lambda s: sweep(page, s, args.rate, way), "globalThis.frames")
    await page.mouse.up()
    return found


async def bench_draw(page: Page, url: str, pid: int | None, args: argparse.Namespace) -> dict[str, Any]:
    await page.goto(f"{url}/Draw{args.query}")
    await page.locator("[data-testid=draw][data-l0]").wait_for()
    await page.wait_for_timeout(1500)
    box = await page.get_by_test_id("pad").bounding_box()
    assert box
    await page.get_by_test_id("clear").click()
    await page.wait_for_timeout(800)

    def on_pad(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    share = None

    async def move(seconds: float) -> None:
        nonlocal share
        cpu, clock = cpu_seconds(pid), time.monotonic()
        await sweep(page, seconds, args.rate, way)
        spent = cpu_seconds(pid)
        share = None if cpu is None or spent is None else (spent - cpu) / (time.monotonic() - clock)

    way = eight(box)
    await page.mouse.move(*way(0))
    await page.mouse.down()
    result = summary(await painted(page, args.seconds, move, FRAMES), "draw")
    await page.mouse.up()
    await page.wait_for_timeout(1000)
    waits = []
    for i in range(24):
        x = 0.3 + 0.015 * i
        await page.mouse.move(*on_pad(x, 0.2))
        await page.mouse.down()
        await page.mouse.move(*on_pad(x, 0.8), steps=4)
        await page.evaluate(
            """(most) => {
                 const all = () => [...document.querySelectorAll('[data-testid=stMetricValue]')];
                 const numbers = () => all().map((e) => e.innerText).join();
                 const before = numbers();
                 globalThis.__wait = new Promise((done) => window.addEventListener('pointerup', (event) => {
                   const look = () => {
                     const waited = performance.now() - event.timeStamp;
                     if (numbers() !== before || waited > most) done(waited); else requestAnimationFrame(look);
                   };
                   look();
                 }, { once: true }));
               }""",
            WAIT_MS,
        )
        await page.mouse.up()
        waits.append(await page.evaluate("() => globalThis.__wait"))
        await page.wait_for_timeout(250)
    release = {f"release_p{p}_ms": percentile(waits, p / 100) for p in (50, 95)}
    return {**result, **release, "server_cpu_share": share}


async def bench_steer(page: Page, url: str, args: argparse.Namespace) -> dict[str, Any]:
    await page.goto(f"{url}/Steer{args.query}")
    await page.get_by_test_id("strip-slider").first.wait_for()
    await page.wait_for_timeout(1500)
    await page.get_by_test_id("strip-slider").first.scroll_into_view_if_needed()  # sentences may stand above it
    box = await page.get_by_test_id("strip-slider").first.bounding_box()
    assert box
    middle, width = box["y"] + box["height"] / 2, box["width"]

    def along(t: float) -> tuple[float, float]:
        return box["x"] + width * (0.5 + 0.4 * math.sin(3 * t)), middle

    await page.mouse.move(*along(0))
    await page.mouse.down()
    found = await painted(page, args.seconds, lambda s: sweep(page, s, args.rate, along), FRAMES)
    result = summary(found, "steer")
    await page.mouse.up()
    return result


# Watches for what a condition waits for, frame by frame, from the click that leads to it.
WATCH = """([condition, most]) => {
  const met = new Function(`return ${condition}`);
  globalThis.__watch = new Promise((done) => window.addEventListener('click', (event) => {
    const look = () => {
      const waited = performance.now() - event.timeStamp;
      if (met() || waited > most) done(waited); else requestAnimationFrame(look);
    };
    look();
  }, { once: true, capture: true }));
}"""


async def bench_features(page: Page, url: str, args: argparse.Namespace) -> dict[str, Any]:
    await page.goto(f"{url}/{args.query}")
    await page.locator(START).wait_for()
    walls, selections = [], []
    for _ in range(3):
        await page.evaluate(WATCH, ["globalThis.__wallPainted()", WAIT_MS])
        await page.evaluate(
            """() => {
                 const find = (root) => root.querySelector('[data-testid=wall]')
                   ?? [...root.querySelectorAll('*')].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
                 globalThis.__wallPainted = () => +find(document)?.dataset.features > 0;
               }"""
        )
        await page.get_by_test_id("stSidebar").get_by_role("link", name="Features").click()
        walls.append(await page.evaluate("() => globalThis.__watch"))
        await page.wait_for_timeout(1500)
        for feature in (5, 33, 60):
            spot = await page.get_by_test_id("wall").evaluate(
                "(c, f) => [(f % +c.dataset.columns + 0.5) * 29, (Math.floor(f / +c.dataset.columns) + 0.5) * 29]",
                feature,
            )
            shown = f"[...document.querySelectorAll('h2, h3')].some((h) => h.innerText.trim() === 'Feature {feature}')"
            await page.evaluate(WATCH, [shown, WAIT_MS])
            await page.get_by_test_id("wall").click(position={"x": spot[0], "y": spot[1]})
            selections.append(await page.evaluate("() => globalThis.__watch"))
            await page.wait_for_timeout(700)
        await page.get_by_test_id("stSidebar").get_by_role("link", name="Start").click()
        await page.locator(START).wait_for()
        await page.wait_for_timeout(500)
    return {
        "wall_ms": percentile(walls, 0.5),
        "select_ms": percentile(selections, 0.5),
        "select_max_ms": max(selections),
    }


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    async with async_playwright() as p:
        browser = await p.chromium.launch(**options())
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        result: dict[str, Any] = {}
        began = time.monotonic()
        running = nullcontext((args.url.rstrip("/"), None)) if args.url else dashboard()
        with running as (url, pid):
            if pid is not None:
                await page.goto(f"{url}/{args.query}")
                await page.locator(START).wait_for()
                result["cold_start_s"] = time.monotonic() - began
            if args.throttle != 1:
                session = await page.context.new_cdp_session(page)
                await session.send("Emulation.setCPUThrottlingRate", {"rate": args.throttle})
            floor = await bench_floor(page, url, args)
            result |= await bench_draw(page, url, pid, args)
            result |= await bench_steer(page, url, args)
            floor += await bench_floor(page, url, args)
            result |= summary(floor, "floor")
            for name, share in itertools.product(("draw", "steer"), ("p50", "p95")):
                result[f"{name}_{share}_ratio"] = result[f"{name}_{share}_ms"] / result[f"floor_{share}_ms"]
            result |= await bench_features(page, url, args)
        await browser.close()
    return result


def digits(name: str) -> int:
    """After the point, of the figure of that name."""
    return 4 if "share" in name else 2 if name.endswith(("_ratio", "_s")) else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a dashboard that runs already")
    parser.add_argument("--model", help="another model than the one that is chosen without asking")
    parser.add_argument("--seconds", type=float, default=8.0, help="of drawing and of dragging")
    parser.add_argument("--rate", type=float, default=125.0, help="moves of the pointer a second")
    parser.add_argument("--throttle", type=float, default=1.0, help="slow the browser's processor down by this factor")
    parser.add_argument("--json", action="store_true", help="one line")
    args = parser.parse_args()
    args.query = f"?model={args.model}" if args.model else ""
    result = asyncio.run(measure(args))
    result = {k: round(v, digits(k)) if isinstance(v, float) else v for k, v in result.items()}
    print(json.dumps(result, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
