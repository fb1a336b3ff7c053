"""The page that tests take in turn: a test finds nothing of the one before, and is told what was wrong in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import KINDS, Tab

SEEN = r"""() => [localStorage.length, sessionStorage.length, /\bx=1/.test(document.cookie), innerWidth, innerHeight,
  document.scripts.length]"""


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    tab = Tab(browser, "desk")
    yield tab
    tab.context.close()


def test_nothing_is_left_of_the_test_before(tab: Tab, app: str) -> None:
    with tab.lent(app) as page:
        page.goto(f"{app}/_stcore/health")
        page.evaluate(
            """() => { localStorage.x = 1; sessionStorage.x = 1; document.cookie = "x=1";
                       document.body.append(document.createElement("script")); }"""
        )
        page.set_viewport_size({"width": 300, "height": 300})
        page.mouse.down()
        assert page.evaluate(SEEN) == [1, 1, True, 300, 300, 1]
    assert tab.clean
    with tab.lent(app) as page:
        page.goto(f"{app}/_stcore/health")
        view = KINDS["desk"]["viewport"]
        assert page.evaluate(SEEN) == [0, 0, False, view["width"], view["height"], 0]
        page.evaluate("() => addEventListener('mousemove', (e) => { globalThis.buttons = e.buttons; })")
        page.mouse.move(9, 9)
        assert page.evaluate("buttons") == 0


def test_what_a_page_never_forgets_makes_it_the_last_of_its_kind(tab: Tab, app: str) -> None:
    with tab.lent(app) as page:
        page.goto(f"{app}/_stcore/health")
        page.add_init_script("globalThis.x = 1;")
    assert not tab.clean


def test_a_second_page_too(tab: Tab, app: str) -> None:
    with tab.lent(app) as page:
        page.context.new_page()
    assert not tab.clean


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ("() => { console.error('oh'); }", "console: oh"),
        ("() => { setTimeout(() => { throw new Error('ah'); }); }", "error in the page: ah"),
        ("() => { new Image().src = 'http://127.0.0.1:9/x.png'; }", "a request to http://127.0.0.1:9/x.png"),
    ],
)
def test_what_is_wrong_fails_the_test_that_did_it(tab: Tab, app: str, done: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said), tab.lent(app) as page:
        page.goto(f"{app}/_stcore/health")
        page.evaluate(done)
        page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    assert not tab.clean and not tab.problems
