"""The Experiments page in a real browser, and a figure's file opened by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sae_core import files
from sae_core.documents.report import BUNDLED, read_report
from tests.conftest import PRETEND, missing, until
from ui.base import jobs as of_jobs
from ui.base.jobs import Job, Jobs

DRAWN = "[data-testid=stPlotlyChart] .main-svg"


def _open(page: Page, app: str) -> None:
    if not (BUNDLED / "experiment3" / "report.json").is_file():
        missing("there is no bundled report of experiment3")
    page.goto(f"{app}/Experiments")
    page.get_by_role("heading", name="Claimed, as documented, ours").wait_for(timeout=60_000)
    page.get_by_role("radio", name="Hidden layer (004)").click()
    page.locator("table.claims", has_text="phase 1").wait_for()
    page.wait_for_selector(DRAWN)


def _choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).first.click()


def test_claims_and_figures_are_drawn(page: Page, app: str) -> None:
    _open(page, app)
    row = page.locator("table.claims tr", has_text="phase 1: share of right classes")
    assert "0.9643 → 0.9815" in row.inner_text()
    assert "0.9724" not in row.inner_text()
    row.locator("summary").first.click()
    assert "0.9724" in row.inner_text(), "the whole list is a click away"
    _choose(page, "Class pictures")
    page.get_by_text("Each class from its top 30 features").wait_for()
    assert page.locator("[data-testid=stPlotlyChart] .heatmaplayer image").count() == 1


def test_a_contradiction_opens_with_its_switch(page: Page, app: str) -> None:
    _open(page, app)
    page.get_by_text("13. One correlation, three ways").click()
    page.get_by_text("Hidden against picture distance").wait_for()
    title = page.get_by_text("Hidden against picture distance").first
    before = title.text_content()
    _choose(page, "each pair once")
    expect(title).not_to_have_text(before or "")


@pytest.fixture
def going_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A run that somebody else has started, in the folder that the server looks at."""
    monkeypatch.setattr(of_jobs, "COMMAND", PRETEND)
    monkeypatch.setenv("PRETEND", "wait")
    job = Jobs().start("reproduce-experiment3", "the quick run", ["reproduce", "experiment3", "--quick"])
    until(lambda: job.progress().what)
    yield job
    job.stop()
    job.remove()


def test_a_run_is_followed_without_a_hand(page: Page, app: str, going_on: Job) -> None:
    _open(page, app)
    bar = page.get_by_test_id("stProgress")
    expect(bar).to_have_text("training")
    files.append_line(going_on.log, {"what": "measuring", "done": 3, "of": 4})
    expect(bar).to_have_text("measuring")
    (going_on.folder / "go").touch()
    page.get_by_role("button", name="Show the quick run").click()
    page.get_by_text("This is a quick run").wait_for()
    expect(bar).to_have_count(0)


def test_a_run_is_stopped_from_a_tab_and_the_other_says_so(page: Page, app: str, going_on: Job) -> None:
    _open(page, app)
    with page.context.new_page() as other:
        _open(other, app)
        # not Streamlit's own "Stop", which is above the page while it runs
        other.get_by_test_id("stMainBlockContainer").get_by_role("button", name="Stop").click()
        other.get_by_text("was stopped").wait_for()
    page.get_by_text("was stopped").wait_for()
    assert going_on.state() == "stopped"
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("was stopped")).to_have_count(0)
    assert not going_on.folder.exists()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_page(page: Page, app: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    _open(page, app)
    for subject in ("Top features", "Geometry"):
        _choose(page, subject)
        page.wait_for_selector(DRAWN)
        wide, there = page.evaluate(
            "(m => [m.scrollWidth, m.clientWidth])(document.querySelector('[data-testid=stMain]'))"
        )
        assert wide <= there


def test_a_figure_opens_by_itself(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sae_core.documents import export

    if not (BUNDLED / "experiment3" / "report.json").is_file():
        missing("there is no bundled report of experiment3")
    folder = tmp_path / "experiment3"
    shutil.copytree(BUNDLED / "experiment3", folder, ignore=shutil.ignore_patterns("figures"))
    only = {"picture": export.builders("experiment3")["rho0.999-class-pictures-own"]}
    monkeypatch.setattr(export, "builders", lambda name: only)
    assert export.write_figures(read_report(folder)) == []
    context = browser.new_context(offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.goto((folder / "figures" / "picture.html").as_uri())
    page.wait_for_selector(".main-svg")
    assert "Each class from its top 30 features" in page.title()
    assert "Each class from its top 30 features" in page.locator(".gtitle").first.text_content()
    assert page.locator(".heatmaplayer image").count() == 1
    context.close()
    assert not problems
    assert (folder / "figures" / "picture.png").stat().st_size > 10_000
