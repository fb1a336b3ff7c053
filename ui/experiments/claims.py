"""A report's claims as a table."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from sae_core.documents import report
from sae_core.documents.report import Claim, Report

_STYLE = """<style>
.claims { width: 100%; border-collapse: collapse; font-size: 0.875rem; }
.claims tr { display: grid; grid-template-columns: 5fr 3fr 3fr 3fr; gap: 0 1rem; padding: 0.5rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.claims :is(td, th) { border: 0; padding: 0; text-align: left; font-weight: 400; overflow-wrap: anywhere; }
.claims thead th, .claims .what { font-weight: 600; }
.claims .where, .claims .note, .claims summary::marker { opacity: 0.65; }
.claims :is(.where, .note) { font-size: 0.8125rem; font-weight: 400; }
.claims .note { grid-column: 1 / -1; margin-top: 0.25rem; }
.claims details > div { font-size: 0.8125rem; }
.claims summary { cursor: pointer; }
@media (max-width: 640px) {
  .claims tr { grid-template-columns: 1fr 1fr 1fr; gap: 0 0.5rem; }
  .claims th:first-child { grid-column: 1 / -1; margin-bottom: 0.25rem; }
  .claims thead th:first-child { display: none; }
}
</style>"""


def claims(found: Report) -> None:
    """Every claim beside what the recipe and what our choice give, as a table that a narrow screen can show."""
    rows = "".join(_claim(c) for c in found.claims)
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("claim", "claimed", "as documented", "ours"))
    st.html(f'{_STYLE}<table class="claims"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>')


def _claim(c: Claim) -> str:
    by_epoch = "by epoch" in c.what
    cells = "".join(f"<td>{_value(v, by_epoch)}</td>" for v in (c.claimed, c.documented, c.ours))
    where = f'<div class="where">{escape(c.split)}, n = {c.n:,}</div>'
    note = f'<td class="note">{escape(c.note)}</td>' if c.note else ""
    return f'<tr><th scope="row"><span class="what">{escape(c.what)}</span>{where}</th>{cells}{note}</tr>'


def _value(value: Any, by_epoch: bool) -> str:
    from sae_core.documents.words import compact

    short = escape(compact(value, by_epoch))
    if not isinstance(value, list) or len(value) < 4:
        return short
    return f"<details><summary>{short}</summary><div>{escape(report.show(value))}</div></details>"
