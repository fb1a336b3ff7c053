"""The notebooks run from top to bottom, and end where they say."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(notebook: Path) -> tuple[dict[str, Any], list[Any]]:
    """The names after the last cell, and what each cell ends with, as a notebook would show it."""
    space: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"], "outputs are not kept in the repository"
        body = ast.parse("".join(cell["source"])).body
        last = body[-1]
        if isinstance(last, ast.Expr):
            body.pop()
        exec(compile(ast.Module(body, []), str(notebook), "exec"), space)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), str(notebook), "eval"), space))
    return space, shown


@pytest.mark.slow
def test_the_tour_runs_with_the_library_alone() -> None:
    space, shown = run(EXAMPLES / "tour.ipynb")
    assert "streamlit" not in (EXAMPLES / "tour.ipynb").read_text(encoding="utf-8")
    assert space["metrics"].l0 <= 10 and space["metrics"].fvu < 0.25
    figures = [s for s in shown if isinstance(s, go.Figure)]
    assert len(figures) == 3 and all(f.layout.title.text and "n" in f.layout.title.subtitle.text for f in figures)
