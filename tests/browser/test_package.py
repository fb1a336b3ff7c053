"""The dashboard of an installed package, started by its command from any folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import playwright.sync_api as playwright

from benchmarks.browser import dashboard
from tests.test_package import site

__all__ = ["site"]  # a fixture


def test_the_dashboard_command_opens_from_any_folder(browser: playwright.Browser, site: Path, tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("SAE_CHECKPOINTS", "SAE_DATA")}
    env |= {"PYTHONPATH": str(site), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "sae_core", "dashboard", "--port", "PORT", "--", "--server.headless", "true"]
    log = tmp_path / "log.txt"
    with dashboard(log, command=command, cwd=tmp_path, env=env) as (address, _):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{address}/Draw")
        playwright.expect(page.get_by_test_id("reconstruction")).to_be_visible(timeout=60_000)
        playwright.expect(page.get_by_test_id("pearson").or_(page.locator(".pearson"))).to_contain_text("Pearson")
        assert page.get_by_test_id("stException").count() == 0
        context.close()
    said = log.read_text()
    assert "Traceback" not in said, said
    assert "http://127.0.0.1" in said and "Network URL" not in said, "open to other machines"
