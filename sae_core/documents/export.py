"""Every figure of a report as files."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import plotly.graph_objects as go

from sae_core.datasets import DataError
from sae_core.documents.ensemble import figures as ensemble
from sae_core.documents.hidden_layer import figures as hidden_layer
from sae_core.documents.intro import figures as intro
from sae_core.documents.report import Report
from sae_core.documents.source import Builder, Source
from sae_core.files import CheckpointError
from sae_core.stage import Stage


def builders(name: str) -> dict[str, Builder]:
    """Every figure of an experiment by its file name."""
    return {"ensemble": ensemble, "intro": intro, "experiment3": hidden_layer}[name].builders()


def figures(report: Report, data_dir: Path | None = None) -> dict[str, go.Figure]:
    """Every figure of a report that can be drawn here, by its file name."""
    return _drawn(report, data_dir)[0]


def _drawn(report: Report, data_dir: Path | None) -> tuple[dict[str, go.Figure], list[str]]:
    """The figures, and a sentence for each that could not be drawn."""
    source = Source(report, data_dir)
    found: dict[str, go.Figure] = {}
    missing: list[str] = []
    for name, build in builders(report.name).items():
        try:
            found[name] = build(source)
        except (CheckpointError, DataError) as e:
            missing.append(f"{name} was left out: {e}")
    return found, missing


_CHROMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "chromium-headless-shell",
)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
WIDTH = 900
"""pixels of a PNG"""
_PAGE = """<!doctype html><meta charset="utf-8"><title>figures</title>
<script src="plotly.min.js"></script><body><script>
(async () => {
  for (const [name, figure] of Object.entries(FIGURES)) {
    const made = document.createElement("pre");
    made.dataset.name = name;
    try {
      made.textContent = await Plotly.toImage(figure, {format: "png", width: WIDTH, height: figure.layout.height});
    } catch (e) { made.textContent = "failed: " + e; }
    document.body.append(made);
  }
})();
</script></body>"""


def write_figures(report: Report, on_stage: Stage | None = None, data_dir: Path | None = None) -> list[str]:
    """Write each figure into report.folder/"figures": NAME.html, which holds plotly itself and opens anywhere, and
    NAME.png where a Chrome or Chromium is. Returns a sentence for each thing that could not be written."""
    tell = on_stage or (lambda what, done, of: None)
    tell("figures", 0, 1)
    found, missing = _drawn(report, data_dir)
    folder = report.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, figure) in enumerate(found.items()):
        # A file has no page behind it: on a dark one the text could not be read.
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
        html = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
        title = figure.layout.title.text
        (folder / f"{name}.html").write_text(html.replace("<head>", f"<head><title>{title}</title>", 1), "utf-8")
        tell("figures", i + 1, len(found))
    return missing + write_pngs(found, folder, tell)


def write_pngs(found: dict[str, go.Figure], folder: Path, on_stage: Stage | None = None) -> list[str]:
    """All figures as NAME.png by one headless browser: a page draws them and writes them down as text. Returns a
    sentence where it could not."""
    tell = on_stage or (lambda what, done, of: None)
    named = os.environ.get("SAE_BROWSER")
    chrome = named or next((path for name in _CHROMES if (path := shutil.which(name))), None)
    if chrome is None:
        return ["no PNG was written: there is no Chrome or Chromium here (or name it in SAE_BROWSER)"]
    from plotly.offline import get_plotlyjs

    names, several = list(found), 10
    written, why = 0, ""
    with tempfile.TemporaryDirectory(prefix="sae-figures-", ignore_cleanup_errors=True) as place:
        aside = Path(place)
        (aside / "plotly.min.js").write_text(get_plotlyjs(), "utf-8")
        for start in range(0, len(names), several):
            tell("figures as PNG", start, len(names))
            part = ", ".join(f'"{n}": {found[n].to_json()}' for n in names[start : start + several])
            page = _PAGE.replace("FIGURES", f"({{{part}}})".replace("</", "<\\/")).replace("WIDTH", str(WIDTH))
            (aside / "page.html").write_text(page, "utf-8")
            dump = ["--virtual-time-budget=120000", "--dump-dom", (aside / "page.html").as_uri()]
            command = [chrome, *_FLAGS, f"--user-data-dir={aside / 'profile'}", *dump]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            except (OSError, subprocess.TimeoutExpired) as e:
                why = f": {type(e).__name__}"
                break
            pattern = r'<pre data-name="([\w.-]+)">data:image/png;base64,([A-Za-z0-9+/=]+)</pre>'
            for name, png in re.findall(pattern, done.stdout):
                (folder / f"{name}.png").write_bytes(base64.b64decode(png))
                written += 1
    tell("figures as PNG", len(names), len(names))
    if written == len(names):
        return []
    return [f"{len(names) - written} of {len(names)} figures have no PNG: {Path(chrome).name} did not draw them{why}"]
