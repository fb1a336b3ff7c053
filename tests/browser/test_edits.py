"""What the strips keep of a person's edits, by itself: ui/steer/edits.js in an empty page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import import_modules

EMPTY = "{ edits: [], rules: [], added: [], solo: null }"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    import_modules(page, "steer/edits")
    yield page
    page.close()


def run(page: Page, steps: str) -> Any:
    """What `steps` return, where e holds the edits of a picture that uses features 1 (at 2) and 4 (at 0.5)."""
    made = f"const e = new ours.Edits({EMPTY}); e.natural = new Map([[1, 2], [4, 0.5]]);"
    return page.evaluate(f"() => {{ {made} {steps} }}")


def test_nothing_edited_is_the_code_itself(page: Page) -> None:
    assert run(page, "return [e.code([1, 4]), e.touched]") == [{"index": [1, 4], "value": [2, 0.5]}, False]


def test_others_come_after_the_code_in_order(page: Page) -> None:
    got = run(page, "e.set(9, 1); e.set(3, -2); e.set(4, 0); return e.code([1, 4])")
    assert got == {"index": [1, 4, 3, 9], "value": [2, 0, -2, 1]}


def test_a_value_that_comes_back_is_no_edit(page: Page) -> None:
    assert run(page, "e.set(1, 3); e.set(1, 2 + 1e-15); return e.touched") is False
    assert run(page, "e.set(1, 2 + 1e-6); return e.touched") is True
    assert run(page, "e.set(9, 0); return e.touched") is False


def test_on_brings_the_last_value_and_its_rule_back(page: Page) -> None:
    rule = "{ mode: 'scale', value: 3 }"
    got = run(
        page, f"e.set(1, 6, {rule}); e.off(1); const off = e.own(1); e.on(1); return [off, e.own(1), e.snap().rules]"
    )
    assert got == [0, 6, [[1, {"mode": "scale", "value": 3}]]]
    assert run(page, "e.on(9, 0.25); return e.own(9)") == 0.25
    assert run(page, "e.off(4); e.last.clear(); e.on(4, 7); return e.own(4)") == 0.5
    assert run(page, f"e.set(1, 6, {rule}); e.on(1); return e.snap().rules.length") == 1


def test_moving_a_slider_ends_its_rule(page: Page) -> None:
    assert run(page, "e.set(1, 6, { mode: 'scale', value: 3 }); e.set(1, 5); return e.snap().rules") == []


def test_alone(page: Page) -> None:
    assert run(page, "e.alone(1); return [e.value(1), e.value(4), e.own(4)]") == [2, 0, 0.5]
    assert run(page, "e.alone(1); e.alone(1); return e.solo") is None
    assert run(page, "e.alone(1); e.set(4, 1); return e.value(4)") == 1, "what is moved stays"


def test_undo_brings_solo_and_rules_back(page: Page) -> None:
    got = run(
        page,
        """e.alone(1); e.remember(); e.set(4, 1.5, { mode: 'scale', value: 3 }); e.remember(); e.remember();
           const all = e.snap(); e.undo(); const one = e.snap(); e.undo(); const none = e.snap();
           const end = e.undo(); e.redo(); e.redo();
           return [none, one, end, JSON.stringify(all) === JSON.stringify(e.snap()), e.redo()]""",
    )
    none, one, end, same, more = got
    assert none == {"edits": [], "rules": [], "added": [], "solo": None}
    assert one == {"edits": [], "rules": [], "added": [], "solo": [1]}
    assert (end, same, more) == (False, True, False)


def test_a_change_after_undo_ends_redo(page: Page) -> None:
    got = run(
        page, "e.set(1, 3); e.remember(); e.undo(); e.set(4, 1); e.remember(); return [e.future.length, e.past.length]"
    )
    assert got == [0, 1]


def test_keys_on_one_slider_are_one_step(page: Page) -> None:
    key = "e.set(1, e.own(1) + 0.1); e.remember('1');"
    assert run(page, key * 5 + "return e.past.length") == 1
    assert run(page, key + "e.set(4, 1); e.remember('4');" + key + "return e.past.length") == 3
    assert run(page, "for (const v of [3, 4]) { e.set(1, v); e.remember(); } return e.past.length") == 2
    assert run(page, key + "e.typed.at -= 2000;" + key + "return e.past.length") == 2


def test_the_past_is_bounded(page: Page) -> None:
    assert run(page, "for (let i = 0; i < 150; i++) { e.set(1, i + 3); e.remember(); } return e.past.length") == 100


def test_edits_of_another_picture_are_made_here(page: Page) -> None:
    other = """{ edits: [[1, 9], [4, 8], [7, 0.3]], added: [7], solo: null,
                 rules: [[1, { mode: 'scale', value: 3 }], [4, { mode: 'clamp', low: 0, high: 0.2 }]] }"""
    got = run(page, f"e.adopt({other}); return e.snap()")
    assert got["edits"] == [[1, 6], [4, 0.2], [7, 0.3]]
    assert [f for f, _ in got["rules"]] == [1, 4]
    assert got["solo"] is None
    # Of a feature that this picture does not use, a scale changes nothing.
    assert (
        run(
            page,
            "e.adopt({ edits: [[5, 4]], rules: [[5, { mode: 'scale', value: 2 }]], added: [], solo: [1] });"
            "return [e.snap().edits, [...e.solo]]",
        )[0]
        == []
    )


def test_the_key_does_not_depend_on_the_order(page: Page) -> None:
    a = "{ edits: [[1, 2], [4, 3]], rules: [[1, { mode: 'scale', value: 2 }]], added: [], solo: [4, 1] }"
    rule = "{ value: 2, mode: 'scale', low: null, high: null }"
    b = f"{{ edits: [[4, 3], [1, 2]], rules: [[1, {rule}]], added: [], solo: [1, 4] }}"
    assert page.evaluate(f"() => ours.Edits.key({a}) === ours.Edits.key({b})")
    assert not page.evaluate(f"() => ours.Edits.key({a}) === ours.Edits.key({a.replace('[4, 3]', '[4, 3.5]')})")
