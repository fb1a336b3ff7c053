"""docs/quality.md says what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench_quality import BASE, KS, WAYS, figure

DOCS = Path(__file__).parent.parent / "docs"
ROWS: list[dict[str, Any]] = json.loads((DOCS / "quality.json").read_text("utf-8"))
AT = {(row["k"], row["way"]): row for row in ROWS}
TEXT = (DOCS / "quality.md").read_text("utf-8").replace("\N{MINUS SIGN}", "-")


def cells(name: str) -> list[str]:
    """What stands behind that name in the first table: a cell for each k."""
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_every_way_was_measured_at_every_k() -> None:
    assert sorted(AT) == sorted((k, way) for k in KS for way in WAYS) and len(ROWS) == len(AT)
    assert all(row.items() >= (BASE | WAYS[row["way"]]).items() for row in ROWS)


def test_the_table_is_what_was_measured() -> None:
    assert cells("base: FVU") == [f"{AT[k, 'base']['fvu']:.4f}" for k in KS]
    for name, key in (("values refitted", "refit"), ("OMP, same dictionary", "omp")):
        assert cells(name) == [f"{100 * (AT[k, 'base'][key] - 1):+.0f} %" for k in KS], name
    for way in list(WAYS)[1:]:
        for k, cell in zip(KS, cells(way), strict=True):
            row = AT[k, way]
            assert cell == f"{row['fvu']:.4f} ({100 * (row['fvu'] / AT[k, 'base']['fvu'] - 1):+.0f} %)", (k, way)
    of = ("base", "one pass", "four times the latents")
    assert cells("dead: base, one pass, 4,096 latents") == [
        ", ".join(f"{AT[k, way]['dead']:,}" for way in of) for k in KS
    ]


def test_its_sentences_are_those_of_the_table() -> None:
    base = [AT[k, "base"] for k in KS]

    def less(ratios: list[float]) -> list[int]:
        return [round(abs(100 * (ratio - 1))) for ratio in ratios]

    def said(pattern: str) -> list[int]:
        found = re.search(pattern, " ".join(TEXT.split()))
        assert found, pattern
        return [int(number) for number in found.groups()]

    assert said(r"leave (\d+) % less at k = 10, (\d+) % at 20, (\d+) % at 50") == less([b["refit"] for b in base])
    assert said(r"dictionary leave (\d+), (\d+) and (\d+) % less") == less([b["omp"] for b in base])
    longer = [AT[k, "four times as long"]["fvu"] / AT[k, "base"]["fvu"] for k in KS]
    assert said(r"Four times as long leaves (\d+), (\d+) and (\d+) % less") == less(longer)
    once = [AT[k, "one pass"]["fvu"] / AT[k, "base"]["fvu"] for k in KS]
    assert said(r"costs (\d+), (\d+) and (\d+) %") == less(once)


def test_the_figure_shows_it() -> None:
    made = figure(ROWS)
    assert [trace.name for trace in made.data] == ["values refitted", "OMP, same dictionary", *list(WAYS)[1:]]
    assert len({trace.marker.color for trace in made.data}) == len(made.data)
    for trace in made.data[2:]:
        assert list(trace.y) == pytest.approx([100 * (AT[k, trace.name]["fvu"] / AT[k, "base"]["fvu"] - 1) for k in KS])
    assert "n = 10,000" in made.layout.title.subtitle.text.replace("<br>", " ").replace("\xa0", " ")
