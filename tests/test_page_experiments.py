"""The Experiments page: each document's section with and without MNIST, its switches, and another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sae_core.documents import words
from sae_core.documents.report import BUNDLED, NAMES, read_report
from tests.conftest import missing, until
from ui.base.jobs import Jobs
from ui.experiments import claims, report
from ui.experiments.panels import PANELS, SWITCHES

ROOT = Path(__file__).parent.parent
NUMBERS = {"ensemble": range(1, 10), "experiment3": range(10, 19), "intro": range(19, 20)}


def _open(name: str, subject: str | None = None, **session: Any) -> AppTest:
    """The page with a document chosen, and what else the session holds."""
    if not (BUNDLED / name / "report.json").is_file():
        missing(f"there is no bundled report of {name}")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["chosen_experiment"] = name
    if subject:
        at.session_state[f"chosen_subject-{name}"] = subject
    for key, value in session.items():
        at.session_state[key.replace("__", "-")] = value
    return at.switch_page("pages/7_Experiments.py").run()


def _charts(at: AppTest) -> list[str]:
    """What each chart on the page was given, as JSON."""
    return [c.proto.spec for c in at.get("plotly_chart")]


def _html(at: AppTest) -> str:
    return " ".join(h.proto.body for h in at.get("html"))


# ---- what it shows


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("with_mnist", [True, False])
def test_every_subject_of_every_document_is_shown(
    name: str, with_mnist: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("SAE_DATA", str(request.getfixturevalue("mnist_dir") if with_mnist else tmp_path))
    for subject in PANELS[name]:
        at = _open(name, subject)
        assert not at.exception, (subject, at.exception)
        assert not at.error and not at.warning
        assert not at.info, (subject, [i.value for i in at.info])
        specs = _charts(at)
        assert specs, subject
        assert any("n = " in spec or " pairs" in spec for spec in specs), subject
        if subject == "Images":
            assert ("embedded digits" in specs[0]) == (not with_mnist)


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_is_in_the_table(name: str) -> None:
    from html import escape

    at = _open(name)
    table = _html(at)
    found = read_report(BUNDLED / name)
    for claim in found.claims:
        assert escape(claim.what) in table and escape(claim.note) in table
        assert f"{claim.split}, n = {claim.n:,}" in table
    assert "results" not in " ".join(c.value for c in at.caption)


def _shown(at: AppTest) -> int:
    """Figures and tables."""
    return len(_charts(at)) + len(at.dataframe)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_contradiction_opens(name: str) -> None:
    for number in NUMBERS[name]:
        at = _open(name, None, **{f"contradiction-{number}": True})
        assert not at.exception, (number, at.exception)
        assert not at.info, (number, [i.value for i in at.info])
        words = " ".join(m.value for m in at.markdown)
        assert all(part in words for part in ("**claimed**", "**as documented**", "**ours**")), number
        more = _shown(at) - _shown(_open(name))
        assert (more > 0) == (number in SWITCHES), number


def test_it_opens_with_the_first_document_and_remembers_another() -> None:
    at = _open("experiment3")
    assert at.session_state["widget_experiment"] == "experiment3"
    at.switch_page("pages/2_Features.py").run()
    at.switch_page("pages/7_Experiments.py").run()
    assert at.session_state["widget_experiment"] == "experiment3"
    assert report.ABOUT["experiment3"] in [c.value for c in at.caption]


# ---- switches


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number", "key", "value"),
    [
        ("ensemble", 5, "start", "zero"),
        ("ensemble", 7, "over", "all"),
        ("ensemble", 8, "by", "mean"),
        ("ensemble", 9, "order", "used"),
        ("experiment3", 11, "reading", "notebook"),
        ("experiment3", 11, "rho", "0.1"),
        ("experiment3", 13, "reading", "bias-free"),
        ("experiment3", 13, "which", "all"),
        ("experiment3", 14, "axes", "mixed"),
        ("experiment3", 15, "mean", "all"),
        ("experiment3", 16, "fed", "rows"),
        ("experiment3", 17, "rho", "0.1"),
    ],
)
def test_a_switch_changes_the_figure(name: str, number: int, key: str, value: str) -> None:
    opened = {f"contradiction-{number}": True}
    before = _charts(_open(name, None, **opened))
    after = _charts(_open(name, None, **opened, **{f"chosen_contradiction-{number}-{key}": value}))
    assert len(before) == len(after) and before != after


def test_a_switch_works_by_its_widget() -> None:
    at = _open("experiment3", "Importance")
    before = _charts(at)
    at.segmented_control("widget_experiment3-importance-rho").set_value("0.1").run()
    assert not at.exception
    assert at.session_state["chosen_experiment3-importance-rho"] == "0.1"
    assert _charts(at) != before


def test_the_number_of_features_is_yours() -> None:
    at = _open("experiment3", "Class pictures")
    before = _charts(at)
    assert "top 30 features" in before[0]
    at.slider("slider-experiment3-class-pictures-n").set_value(5).run()
    assert not at.exception
    assert "top 5 features" in _charts(at)[0]


# ---- another run


@pytest.fixture
def mnist(mnist_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that is pretended needs none, but the page asks for it."""
    monkeypatch.setenv("SAE_DATA", str(mnist_dir))


def test_without_mnist_a_run_is_refused_in_words(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    at = _open("experiment3")
    _button(at, "Run again (quick)").click().run()
    assert not at.exception
    assert at.info and "MNIST" in at.info[0].value
    assert _charts(at), "the bundled report stays"
    assert jobs.all() == []


def test_a_quick_run_is_shown_and_left_again(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _started("experiment3", jobs, monkeypatch)
    assert _charts(at) and not at.warning, "meanwhile the bundled report stays"
    _let_go(jobs)
    at.run()
    _is_quick(at)
    _button(at, "Back to the full run").click().run()
    assert not at.warning
    assert any(c.value.startswith("bundled run, seed 42") for c in at.caption)
    at.run()
    assert not at.warning, "it is not put back"
    _button(at, "Show the quick run").click().run()
    _is_quick(at)


def _is_quick(at: AppTest) -> None:
    assert not at.exception, at.exception
    assert any("quick run" in w.value for w in at.warning)
    assert any(c.value.startswith("quick run, seed 7") for c in at.caption)
    assert "n = 4,000" in _charts(at)[0] or "n = 1,000" in _charts(at)[0]


def _started(name: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, how: str = "wait") -> AppTest:
    """The page of somebody who has started a quick run, which has told how far it is."""
    monkeypatch.setenv("PRETEND", how)
    at = _open(name)
    _button(at, "Run again (quick)").click().run()
    assert not at.exception, at.exception
    job = jobs.latest(f"reproduce-{name}")
    assert job is not None
    until(lambda: job.progress().what or job.state() != "running")
    return at.run()


def _let_go(jobs: Jobs) -> None:
    job = jobs.running()
    assert job is not None
    (job.folder / "go").touch()
    until(lambda: job.state() == "done")


def _progress(at: AppTest) -> list[Any]:
    return [p.proto for p in at.get("progress")]


def test_a_run_goes_on_while_other_pages_are_looked_at(
    jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = _started("experiment3", jobs, monkeypatch)
    assert [(p.text, p.value) for p in _progress(at)] == [("training", 25)]
    at.switch_page("pages/2_Features.py").run()
    assert not at.exception and not _progress(at)
    _let_go(jobs)
    at.switch_page("pages/7_Experiments.py").run()
    _is_quick(at)


def test_another_tab_follows_a_run_and_stops_it(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _started("experiment3", jobs, monkeypatch)
    second = _open("experiment3")
    assert [(p.text, p.value) for p in _progress(second)] == [("training", 25)]
    _button(second, "Stop").click().run()
    for at in (second, first.run()):
        assert not at.exception and not _progress(at)
        assert any("stopped" in i.value for i in at.info)
        assert _charts(at) and not at.warning
    _button(second, "Close").click().run()
    for at in (second, first.run()):
        assert not at.exception and not at.info
    assert jobs.all() == []


def test_a_reload_finds_what_was_done_meanwhile(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _started("experiment3", jobs, monkeypatch)
    _let_go(jobs)
    at = _open("experiment3")
    assert not at.warning, "nobody is shown another's run unasked"
    _button(at, "Show the quick run").click().run()
    _is_quick(at)


def test_one_run_at_a_time(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _started("experiment3", jobs, monkeypatch)
    for name in ("experiment3", "intro"):
        at = _open(name)
        _button(at, "Run again (quick)").click().run()
        assert not at.exception, at.exception
        assert any("going on" in i.value and "Hidden layer" in i.value for i in at.info)
        assert len(jobs.all()) == 1, "a second run was started"


def test_a_run_that_fails_lets_the_next_one_in(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _started("experiment3", jobs, monkeypatch, "fail")
    until(lambda: jobs.running() is None)
    at.run()
    assert any("it is damaged" in i.value for i in at.info)
    _button(at, "Run again (quick)").click().run()
    assert len(jobs.all()) == 2


def test_a_run_that_dies_is_said_with_its_last_words(jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _started("experiment3", jobs, monkeypatch, "die")
    until(lambda: jobs.running() is None)
    at.run()
    assert any("process is gone" in i.value for i in at.info)
    assert at.code[0].value.endswith("Killed by a test")


def test_where_no_run_can_be_started_it_is_said(
    jobs: Jobs, mnist: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAE_JOBS", str(tmp_path / "file" / "jobs"))
    at = _open("experiment3")
    _button(at, "Run again (quick)").click().run()
    assert not at.exception
    assert any("cannot be started" in i.value for i in at.info)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_missing_or_damaged_report_is_said(damaged: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if damaged:
        (tmp_path / "ensemble").mkdir()
        (tmp_path / "ensemble" / "report.json").write_text("{no json")
    monkeypatch.setattr("sae_core.documents.report.BUNDLED", tmp_path)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).switch_page("pages/7_Experiments.py").run()
    assert not at.exception
    assert "python -m sae_core reproduce ensemble" in at.info[0].value
    assert ("report.json" in at.info[0].value) == damaged
    assert _button(at, "Run again (quick)")


def _button(at: AppTest, label: str) -> Any:
    return next(b for b in at.button if b.label.startswith(label))


# ---- words


def test_compact_values_by_hand() -> None:
    assert words.compact([0.1, 0.3, 0.2, 0.4], by_epoch=True) == "0.1 → 0.4"
    assert words.compact([0.3, 0.1, 0.4, 0.2], by_epoch=False) == "0.1 – 0.4"
    assert words.compact([0.8219, 0.5611], by_epoch=False) == "0.8219, 0.5611"
    assert words.compact(None, by_epoch=False) == words.compact(float("nan"), by_epoch=False) == "–"
    assert words.compact("in words", by_epoch=True) == "in words"


def test_what_a_report_says_cannot_become_markup() -> None:
    from sae_core.documents.report import Claim

    row = claims._claim(Claim("<b>a</b>", "<i>", [1.0] * 4, None, "s&t", 3, "<script>"))
    assert "<b>" not in row and "<i>" not in row and "<script>" not in row and "s&amp;t" in row
    assert row.count("<details>") == 1
