"""What a person waits for, measured in a real browser on the running dashboard: one JSON line.

    python benchmarks/bench_ui.py [--url http://127.0.0.1:8501] [--json]

Without --url it starts a dashboard of its own. draw_* and steer_*: from the event's own time stamp to the first task
after the animation frame that shows its result (p50, p95), and our own work within that frame (work_p95).
wall_ms: from the click on the link to the wall painted; select_ms: from a click on a tile to that feature's detail;
release_p95_ms: from letting the pointer go to Python's new number on the page. server_cpu_share: processor time of the
server while somebody draws without letting go, as a share of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.browser import dashboard, launch


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


def frames(page: Page, since: int = 0) -> list[dict[str, float]]:
    return page.evaluate(f"globalThis.__saeEngine.frames.slice({since}).filter((f) => f.painted)")


def summary(name: str, found: list[dict[str, float]]) -> dict[str, float]:
    shown = [f["painted"] - f["event"] for f in found]
    work = [f["end"] - f["start"] for f in found]
    return {
        f"{name}_p50_ms": percentile(shown, 0.5),
        f"{name}_p95_ms": percentile(shown, 0.95),
        f"{name}_work_p50_ms": percentile(work, 0.5),
        f"{name}_work_p95_ms": percentile(work, 0.95),
        f"{name}_frames": len(found),
    }


def scribble(page: Page, seconds: float) -> None:
    """Move in a figure of eight over the pad, as fast as the browser takes it (the pointer stays down)."""
    box = page.get_by_test_id("pad").bounding_box()
    assert box
    began = time.monotonic()
    while (t := time.monotonic() - began) < seconds:
        x, y = 0.5 + 0.22 * math.sin(2.1 * t), 0.5 + 0.32 * math.sin(4.2 * t + 0.5)
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        time.sleep(0.004)


def bench_draw(page: Page, url: str, pid: int | None, seconds: float) -> dict[str, Any]:
    page.goto(f"{url}/Draw")
    page.locator("[data-testid=draw][data-l0]").wait_for()
    page.wait_for_timeout(1500)
    box = page.get_by_test_id("pad").bounding_box()
    assert box
    page.get_by_test_id("clear").click()
    page.wait_for_timeout(800)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.65 * box["height"])
    page.mouse.down()
    scribble(page, 0.5)  # the first frames compile the engine
    start = page.evaluate("globalThis.__saeEngine.frames.length")
    cpu, clock = cpu_seconds(pid), time.monotonic()
    scribble(page, seconds)
    spent = cpu_seconds(pid)
    share = None if cpu is None or spent is None else (spent - cpu) / (time.monotonic() - clock)
    result: dict[str, Any] = summary("draw", frames(page, start))
    page.mouse.up()
    page.wait_for_timeout(1000)
    waits = []
    for i in range(12):
        spot = 0.3 + 0.03 * i
        page.mouse.move(box["x"] + spot * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + spot * box["width"], box["y"] + 0.8 * box["height"], steps=4)
        page.evaluate(
            """() => {
                 const value = () => document.querySelector('[data-testid=stMetricValue]')?.innerText;
                 const before = value();
                 globalThis.__wait = new Promise((done) => window.addEventListener('pointerup', (event) => {
                   const look = () => value() !== before
                     ? done(performance.now() - event.timeStamp) : requestAnimationFrame(look);
                   look();
                 }, { once: true }));
               }"""
        )
        page.mouse.up()
        waits.append(page.evaluate("() => globalThis.__wait"))
        page.wait_for_timeout(250)
    return {**result, "release_p95_ms": percentile(waits, 0.95), "server_cpu_share": share}


def bench_steer(page: Page, url: str, seconds: float) -> dict[str, Any]:
    page.goto(f"{url}/Steer")
    page.get_by_test_id("strip-slider").first.wait_for()
    page.wait_for_timeout(1500)
    box = page.get_by_test_id("strip-slider").first.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    start, began = 0, time.monotonic()
    while (t := time.monotonic() - began) < seconds + 0.5:
        if t > 0.5 and not start:
            start = page.evaluate("globalThis.__saeEngine.frames.length")
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.45 * math.sin(3 * t)), middle)
        time.sleep(0.004)
    result = summary("steer", frames(page, start))
    page.mouse.up()
    return result


# Watches for what a condition waits for, frame by frame, from the click that leads to it.
WATCH = """(condition) => {
  const met = new Function(`return ${condition}`);
  globalThis.__watch = new Promise((done) => window.addEventListener('click', (event) => {
    const look = () => met() ? done(performance.now() - event.timeStamp) : requestAnimationFrame(look);
    look();
  }, { once: true, capture: true }));
}"""


def bench_features(page: Page, url: str) -> dict[str, Any]:
    page.goto(f"{url}/")
    page.locator("[data-testid=apart][data-terms]").wait_for()
    walls, selections = [], []
    for _ in range(3):
        page.evaluate(WATCH, "globalThis.__wallPainted()")
        page.evaluate(
            """() => {
                 const find = (root) => root.querySelector('[data-testid=wall]')
                   ?? [...root.querySelectorAll('*')].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
                 globalThis.__wallPainted = () => find(document)?.dataset.features === '1024';
               }"""
        )
        page.get_by_test_id("stSidebar").get_by_role("link", name="Features").click()
        walls.append(page.evaluate("() => globalThis.__watch"))
        page.wait_for_timeout(1500)
        for feature in (5, 33, 60):
            spot = page.get_by_test_id("wall").evaluate(
                "(c, f) => [(f % +c.dataset.columns + 0.5) * 29, (Math.floor(f / +c.dataset.columns) + 0.5) * 29]",
                feature,
            )
            page.evaluate(
                WATCH,
                f"[...document.querySelectorAll('h2, h3')].some((h) => h.innerText.trim() === 'Feature {feature}')",
            )
            page.get_by_test_id("wall").click(position={"x": spot[0], "y": spot[1]})
            selections.append(page.evaluate("() => globalThis.__watch"))
            page.wait_for_timeout(700)
        page.get_by_test_id("stSidebar").get_by_role("link", name="Start").click()
        page.locator("[data-testid=apart][data-terms]").wait_for()
        page.wait_for_timeout(500)
    return {
        "wall_ms": percentile(walls, 0.5),
        "select_ms": percentile(selections, 0.5),
        "select_max_ms": max(selections),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a dashboard that runs already")
    parser.add_argument("--seconds", type=float, default=8.0, help="of drawing and of dragging")
    parser.add_argument("--throttle", type=float, default=1.0, help="slow the browser's processor down by this factor")
    parser.add_argument("--json", action="store_true", help="one line")
    args = parser.parse_args()
    running = nullcontext((args.url.rstrip("/"), None)) if args.url else dashboard()
    with running as (url, pid), sync_playwright() as p:
        browser = launch(p)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        if args.throttle != 1:
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": args.throttle})
        result = {
            **bench_draw(page, url, pid, args.seconds),
            **bench_steer(page, url, args.seconds),
            **bench_features(page, url),
        }
        browser.close()
    result = {k: round(v, 4 if "share" in k else 1) if isinstance(v, float) else v for k, v in result.items()}
    print(json.dumps(result, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
