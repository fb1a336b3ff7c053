"""The link between browser and Python as a state machine: the real link.js in a Node process, the real link.py on a
session that may end a run at any use of it, and between them a network that loses, delays, doubles and reorders.

Both ends hold one text. A person changes it in the browser (b1, b2, ..), or has Python change it (p1, p2, ..).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.conftest import missing
from ui.live import link

PAGE = Path(__file__).parent / "js" / "link_page.js"
PATIENCE, MOST_PATIENCE = 5000, 30_000
KEY = "it"


class Ended(BaseException):
    """As Streamlit ends a run when a newer message waits."""


class Session(dict[str, Any]):
    """A session's state; the run ends at the `ends`-th use of it from now."""

    ends: int | None = None

    def _used(self) -> None:
        if self.ends is not None:
            self.ends -= 1
            if self.ends < 0:
                self.ends = None
                raise Ended

    def get(self, key: str, default: Any = None) -> Any:
        self._used()
        return super().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._used()
        return super().setdefault(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self._used()
        super().__setitem__(key, value)


class Browser:
    """The page, in a process of its own that many tests share."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def do(self, what: str, **more: Any) -> dict[str, Any]:
        if self.process is None:
            node = shutil.which("node") or missing("Node is not installed: it runs the browser's end of the link")
            self.process = subprocess.Popen([node, PAGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        print(json.dumps({"do": what, **more}), file=self.process.stdin, flush=True)
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said


class World:
    """Browser, network and server; what the person did last is `newest`, where it is certain which act that is."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.up: list[dict[str, Any]] = []
        self.down: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.handled: list[tuple[str, int]] = []
        self.acts = 0
        self.here: dict[str, Any] = {"epoch": ""}
        self.newest: str | None = None
        self.mounted = False
        self.serve("from the address")
        self.do("new")
        self.mount()

    # ---- the browser

    def do(self, what: str, **more: Any) -> Any:
        self.here = self.browser.do(what, **more)
        for message in self.here["sent"]:
            self.up.append(message)
            if message["value"] is not None:
                self._check_one_under_way(message)
                self.sent.append({**message, "epoch": self.here["epoch"]})
        return self.here["news"]

    def _check_one_under_way(self, message: dict[str, Any]) -> None:
        if not self.sent:
            return
        before = self.sent[-1]
        assert message["value"]["seq"] >= before["value"]["seq"], "an older message goes after a newer one"
        assert (
            self.here["taken"] >= before["value"]["seq"]
            or message["at"] - before["at"] >= PATIENCE
            or message["mount"] != before["mount"]
            or self.here["epoch"] != before["epoch"]
        ), "two messages are under way"

    def say(self) -> str:
        self.acts += 1
        self.newest = f"b{self.acts}"
        self.do("say", text=self.newest)
        return self.newest

    def mount(self) -> None:
        """The page shows the component, with what a run of the page says."""
        self.mounted = True
        self.do("mount")
        self.run()
        self.hear(len(self.down) - 1)

    def leave(self) -> None:
        self.mounted = False
        self.do("leave")

    def hear(self, i: int = 0, again: bool = False) -> Any:
        data = self.down[i] if again else self.down.pop(i)
        return self.do("hear", data=data) if self.mounted else None

    # ---- the server

    def serve(self, text: str) -> None:
        """A server that starts anew, with what the page's address says. Of those before, the page has what it heard."""
        self.down = [data for data in self.down if data["epoch"] == self.here["epoch"]]
        self.session = Session(text={"text": text, "from": None, "push": None})
        link.st = SimpleNamespace(session_state=self.session)  # type: ignore[assignment]
        self.blind = True  # in its first run a session does not know the component's values yet
        self.came: dict[str, Any] | None = None

    def arrive(self, i: int = 0, again: bool = False) -> None:
        message = self.up[i] if again else self.up.pop(i)
        self.came = {message["name"]: message["value"]}

    def run(self, change: bool = False, ends: int | None = None, refuse: bool = False) -> str | None:
        """One run of the page, with `change` after a click that has Python change the text. What it cannot read."""
        session = self.session
        if self.came is not None and not self.blind:
            dict.__setitem__(session, KEY, self.came)
        self.blind = False
        session.ends = ends
        problem = None
        try:
            if change:
                self._change()
            problem = self._take(refuse)
            self.down.append({**link.answer(KEY), "thing": session.get("text")})
        except Ended:
            pass
        session.ends = None
        return problem

    def _change(self) -> None:
        self.acts += 1
        text, session = f"p{self.acts}", self.session
        came = (dict.get(session, KEY) or {}).get("said", {"seq": 0, "epoch": None})
        reached = max(self._taken(), came["seq"] if came["epoch"] == dict.get(session, "link-epoch") else 0)
        self.newest = None  # a click whose run is ended may be lost, as Streamlit's are
        with link.push(KEY) as made:
            session["text"] = {"text": text, "from": None, "push": made}
        # Of a message that has not come yet nobody can say which of the two is newer.
        self.newest = text if reached >= self.here["seq"] else None

    def _take(self, refuse: bool) -> str | None:
        before, handled = self._taken(), []

        def handle(message: link.Message) -> None:
            seq = message["seq"]
            assert seq > before, "a message is taken twice"
            if refuse:
                raise link.Refused("too wild")
            self.session["started"] = seq  # other state that a handler may set
            self.session["text"] = {"text": message["text"], "from": seq, "push": self._text["push"]}
            self.session["done"] = seq
            handled.append(seq)
            self.handled.append((dict.get(self.session, "link-epoch", ""), seq))

        try:
            return link.take(KEY, said=handle)
        except Ended:
            assert self._taken() in (before, *handled), "a message counts as taken before it is"
            raise

    def _taken(self) -> int:
        found: link._Link = dict.get(self.session, f"link-{KEY}", link._Link())
        return found.taken

    @property
    def text(self) -> str:
        """What Python has."""
        return str(self._text["text"])

    @property
    def _text(self) -> dict[str, Any]:
        found: dict[str, Any] = dict.__getitem__(self.session, "text")
        return found

    # ---- in the end

    def settle(self) -> None:
        """The network is whole again: what is on its way arrives, in order, and both ends have the same, the newest."""
        self.do("leaving", **{"is": False})
        if not self.mounted:
            self.mount()
        calm = 0
        for _ in range(200):
            while self.up:
                self.arrive()
                self.run()
            while self.down:
                self.hear()
            calm = calm + 1 if self.here["quiet"] and not self.up else 0
            if calm > 1:
                break
            self.do("go", ms=1000)
            if not self.up:
                self.run()
        assert self.here["quiet"], "something waits for ever"
        assert self.here["text"] == self.text
        assert self.newest in (None, self.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    if browser.process:
        assert browser.process.stdin
        browser.process.stdin.close()
        assert browser.process.wait(10) == 0


@pytest.fixture
def world(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(link, "st", None)  # each world puts its own there; afterwards it is Streamlit again
    return World(browser)


# ---- schedules that once lost something


def settled(world: World, text: str) -> None:
    world.settle()
    assert world.here["text"] == text


def test_a_message_is_sent_and_taken_once(world: World) -> None:
    text = world.say()
    assert [m["value"] for m in world.up] == [{"seq": 1, "epoch": world.here["epoch"], "text": text}]
    world.arrive()
    world.run()
    assert world.hear()["verdict"] == "keep"
    assert world.here["quiet"] and not world.up and world.text == text
    world.do("go", ms=100_000)
    world.run()
    assert not world.up and len(world.handled) == 1


def test_the_run_ended_before_the_number_was_noted(world: World) -> None:
    text = world.say()
    world.arrive()
    uses = 0
    while not world.handled or world._taken() == 0:  # at each use of the session's state in turn
        world.run(ends=uses)
        uses += 1
    assert uses > 5 and world.text == text
    assert {seq for _, seq in world.handled} == {1}
    settled(world, text)


def test_what_was_begun_is_not_undone_by_an_older_message(world: World) -> None:
    world.say()
    world.do("go", ms=PATIENCE)
    text = world.say()
    world.do("go", ms=2 * PATIENCE)
    old, _, new = world.up
    assert (old["value"]["seq"], new["value"]["seq"]) == (1, 2)
    world.came = {"said": new["value"]}
    for ends in range(30):
        world.run(ends=ends)
        if world.handled:
            break
    assert world._taken() == 0, "this would show nothing"
    world.came = {"said": old["value"]}
    world.run()
    assert world.text == text
    settled(world, text)


def test_a_message_that_was_lost_goes_again_with_growing_patience(world: World) -> None:
    text, times = world.say(), []
    for _ in range(7):
        times.append(world.up.pop()["at"])
        while not world.up:
            world.do("go", ms=100)
    assert times == [0, 5000, 15_000, 35_000, 65_000, 95_000, 125_000]
    settled(world, text)


@pytest.mark.case(8)
def test_after_minutes_without_network_it_goes_soon(world: World) -> None:
    """The server has forgotten the session by then, and the first message of a new one is not seen by its first run."""
    text = world.say()
    world.do("go", ms=190_000)
    world.up.clear()
    world.serve("from the address")
    world.do("go", ms=MOST_PATIENCE)
    assert len(world.up) == 1
    world.arrive()
    world.run()
    assert world.text != text
    world.hear()
    assert len(world.up) == 1, "it waits though the server is there"
    world.arrive()
    world.run()
    assert world.text == text


def test_a_server_that_answers_late_without_it_gets_it_at_once(world: World) -> None:
    world.say()
    world.do("go", ms=120_000)
    world.up.clear()
    world.run()
    world.hear()
    assert len(world.up) == 1


def test_a_server_that_starts_anew_gets_what_was_under_way(world: World) -> None:
    text = world.say()
    world.up.clear()
    world.serve("from the address")
    world.run()
    assert world.hear()["verdict"] == "keep", "the address' older text would take the place of a newer one"
    world.do("go", ms=100)
    assert world.here["text"] == text and len(world.up) == 1
    settled(world, text)


@pytest.mark.parametrize("address", ["from the address", "b1"])
def test_a_server_that_starts_anew_gets_what_the_one_before_had(world: World, address: str) -> None:
    text = world.say()
    world.arrive()
    world.run()
    world.hear()
    world.serve(address)
    world.run()
    assert world.hear()["verdict"] == "tell"
    world.do("go", ms=100)
    assert len(world.up) == (text != address), "it is told what it knows"
    settled(world, text)


def test_a_message_to_the_server_before_is_not_taken_by_the_next(world: World) -> None:
    """The browser has it in the component's state still, and every message brings it along."""
    world.say()
    world.arrive(again=True)
    world.run()
    world.hear()
    world.serve("b1")
    world.run(change=True)
    world.hear()
    world.arrive()
    world.run()
    assert world.text == "p2"
    settled(world, "p2")


def test_the_element_is_made_anew_in_mid_flight(world: World) -> None:
    text = world.say()
    first = world.up[0]
    world.mount()
    world.do("go", ms=100)
    second = world.up[1]
    assert first["value"] == second["value"] and second["mount"] == 2
    settled(world, text)
    assert len(world.handled) == 1


def test_a_page_that_is_left_keeps_what_was_done(world: World) -> None:
    world.say()
    world.up.clear()
    world.leave()
    text = world.say()
    world.do("go", ms=100_000)
    assert not world.up, "it is sent through an element that is gone"
    world.mount()
    assert [m["value"]["text"] for m in world.up] == [text]
    settled(world, text)


def test_nothing_goes_while_a_link_to_another_page_was_clicked(world: World) -> None:
    world.do("leaving", **{"is": True})
    text = world.say()
    world.do("go", ms=10_000)
    assert not world.up
    world.do("leaving", **{"is": False})
    world.do("go", ms=100)
    assert len(world.up) == 1
    settled(world, text)


def test_values_go_apart_from_each_other(world: World) -> None:
    """Of one for the page and one for a fragment that come together, Streamlit forgets the page's."""
    world.do("clear", name="said")
    world.say()
    world.do("clear", name="said")
    world.do("go", ms=1000)
    assert [(m["at"], m["value"] is None) for m in world.up] == [(0, True), (25, False), (50, True)]


def test_the_newest_goes_next_as_it_is_then(world: World) -> None:
    world.say()
    world.say()
    text = world.say()
    assert [m["value"]["seq"] for m in world.up] == [1]
    world.arrive()
    world.run()
    world.hear()
    world.do("go", ms=100)
    assert [m["value"] for m in world.up] == [{"seq": 3, "epoch": world.here["epoch"], "text": text}]


def test_a_change_by_python_is_taken_over(world: World) -> None:
    world.say()
    world.arrive()
    world.run()
    world.run(change=True)
    world.hear(1)  # the first answer is overtaken
    assert world.here["text"] == "p2"
    assert world.hear() is None and world.here["text"] == "p2"
    world.run()
    assert world.hear()["verdict"] == "keep"
    settled(world, "p2")


def test_a_change_by_python_is_newer_than_what_came_with_its_click(world: World) -> None:
    """A click's message brings the component's state along, and its callback runs before that is looked at."""
    world.say()
    world.arrive()
    world.run(change=True)
    assert world.text == "p2" and not world.handled
    settled(world, "p2")


def test_a_change_by_python_while_a_message_is_under_way(world: World) -> None:
    """What was done after the click is newer; what the click asked for is there for Undo."""
    world.run(change=True)
    text = world.say()
    assert world.hear()["verdict"] == "passed"
    assert world.here["passed"] == ["p1"] and world.here["text"] == text
    settled(world, text)
    assert world.here["passed"] == ["p1"]


def test_what_two_changes_by_python_left_is_taken_over(world: World) -> None:
    world.run(change=True)
    world.hear()
    assert world.here["text"] == "p1"
    world.run(change=True)
    world.hear()
    assert world.here["text"] == "p2"


def test_a_change_by_a_server_that_starts_anew_is_taken_over(world: World) -> None:
    world.serve("from the address")
    world.run(change=True)
    assert world.hear()["verdict"] == "take"
    settled(world, "p1")


def test_a_change_by_python_whose_answer_was_lost(world: World) -> None:
    world.say()
    world.arrive()
    world.run()
    world.run(change=True)
    world.down.clear()
    world.run()
    world.hear()
    assert world.here["text"] == "p2"


def test_a_doubled_answer(world: World) -> None:
    world.run(change=True)
    world.hear(again=True)
    text = world.say()
    world.arrive()
    world.run()
    world.hear(1)
    for _ in range(3):
        world.hear(again=True)  # the first, once more
    assert world.here["text"] == text
    settled(world, text)


def test_a_refusal_is_heard_and_not_repeated(world: World) -> None:
    world.say()
    world.arrive()
    world.run(refuse=True)
    assert world.hear()["refused"] == "too wild"
    for _ in range(3):
        world.do("go", ms=100_000)
        world.run()
        assert world.hear()["refused"] == "too wild"
    assert not world.up and world.here["quiet"]
    text = world.say()
    world.run()
    assert world.hear()["refused"] is None
    settled(world, text)


def test_a_refusal_is_over_when_python_changes_the_thing(world: World) -> None:
    world.say()
    world.arrive()
    world.run(refuse=True)
    assert world.down[-1]["refused"]
    world.run(change=True)
    assert not world.down[-1]["refused"]


def test_an_answer_of_the_server_before_counts_no_more(world: World) -> None:
    world.run()
    world.hear(again=True)
    world.serve("from the address")
    world.run()
    world.hear(1)
    assert world.hear() is None


def test_a_page_that_is_loaded_again_goes_on_with_its_sessions_numbers(world: World) -> None:
    for _ in range(3):
        world.say()
        world.arrive()
        world.run()
        world.hear()
        world.do("go", ms=100)
    text, world.sent = world.text, []
    world.do("new")
    world.mount()
    assert world.here["text"] == text
    text = world.say()
    assert [m["value"]["seq"] for m in world.up] == [4]
    settled(world, text)


@pytest.mark.parametrize(
    "value", [None, 7, "x", [1], {"seq": "1"}, {"seq": True}, {"seq": None}, {"seq": -1}, {"n": 1}]
)
def test_what_is_no_message_is_left_alone(world: World, value: Any) -> None:
    dict.__setitem__(world.session, KEY, {"said": value, "other": {"seq": 9, "text": "x"}})
    assert world.run() is None and not world.handled and world._taken() == 0
    dict.__setitem__(world.session, KEY, value)
    assert world.run() is None and not world.handled


def test_what_cannot_be_read_is_said_and_counts_as_taken(world: World) -> None:
    dict.__setitem__(world.session, KEY, {"said": {"seq": 3}})  # no text
    assert world.run() == "'text'"
    assert world.down[-1]["refused"] == {"seq": 3, "why": ""} and world.down[-1]["seq"] == 3
    assert world.run() is None, "it is said again in each run"


def test_of_two_states_the_newer_message_is_taken(world: World) -> None:
    taken: list[str] = []
    dict.__setitem__(world.session, KEY, {"said": {"seq": 4}, "dropped": {"seq": 5}})
    for _ in range(2):
        link.take(KEY, said=lambda m: taken.append("said"), dropped=lambda m: taken.append("dropped"))
    assert taken == ["dropped"]


# ---- any schedule


class Schedules(RuleBasedStateMachine):
    """Whatever the network does, in the end both sides have the newest; each message is taken at most once, and none
    after a newer one."""

    browser: Browser

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.browser)

    @rule()
    def change_in_the_browser(self) -> None:
        self.world.say()

    @rule(ends=st.one_of(st.none(), st.integers(0, 20)))
    def change_by_python(self, ends: int | None) -> None:
        self.world.run(change=True, ends=ends)

    @precondition(lambda self: self.world.up)
    @rule(data=st.data(), again=st.booleans(), ends=st.one_of(st.none(), st.integers(0, 15)))
    def a_message_arrives(self, data: st.DataObject, again: bool, ends: int | None) -> None:
        self.world.arrive(data.draw(st.integers(0, len(self.world.up) - 1)), again)
        self.world.run(ends=ends)

    @precondition(lambda self: self.world.up)
    @rule(data=st.data())
    def a_message_waits_for_the_next_run(self, data: st.DataObject) -> None:
        self.world.arrive(data.draw(st.integers(0, len(self.world.up) - 1)))

    @precondition(lambda self: self.world.up)
    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        self.world.up.pop(data.draw(st.integers(0, len(self.world.up) - 1)))

    @precondition(lambda self: self.world.down)
    @rule(data=st.data(), again=st.booleans())
    def an_answer_arrives(self, data: st.DataObject, again: bool) -> None:
        self.world.hear(data.draw(st.integers(0, len(self.world.down) - 1)), again)

    @precondition(lambda self: self.world.down)
    @rule(data=st.data())
    def an_answer_is_lost(self, data: st.DataObject) -> None:
        self.world.down.pop(data.draw(st.integers(0, len(self.world.down) - 1)))

    @rule(ends=st.one_of(st.none(), st.integers(0, 15)))
    def the_page_runs(self, ends: int | None) -> None:
        self.world.run(ends=ends)

    @rule(ms=st.sampled_from([10, 100, 1000, 6000, 40_000]))
    def time_goes_by(self, ms: int) -> None:
        self.world.do("go", ms=ms)

    @rule(is_left=st.booleans())
    def a_link_to_another_page_is_clicked(self, is_left: bool) -> None:
        self.world.do("leaving", **{"is": is_left})

    @rule()
    def the_element_is_made_anew(self) -> None:
        self.world.mount()

    @precondition(lambda self: self.world.mounted)
    @rule()
    def the_page_is_left(self) -> None:
        self.world.leave()

    @rule(addressed=st.booleans())
    def the_server_starts_anew(self, addressed: bool) -> None:
        """With an address that has followed the last change, or one from before."""
        world = self.world
        if world.newest and world.newest.startswith("p") and world.here["text"] != world.newest:
            world.newest = None  # nobody but that server knew of it
        world.serve(world.text if addressed else "from the address")

    @invariant()
    def none_after_a_newer_one(self) -> None:
        by_server: dict[str, int] = {}
        for epoch, seq in self.world.handled:
            assert seq >= by_server.get(epoch, 0)
            by_server[epoch] = seq

    def teardown(self) -> None:
        self.world.settle()
        self.none_after_a_newer_one()


@pytest.mark.slow
def test_any_schedule(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "st", None)
    monkeypatch.setattr(Schedules, "browser", browser, raising=False)
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=200,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
