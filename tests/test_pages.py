"""Every page, run by Streamlit itself without a browser: no exception, one h1, from a cold start and by a deep link."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sae_core.steering.recipes import Recipe, to_json
from ui.base import state, words

pytestmark = pytest.mark.without_mnist
ROOT = Path(__file__).parent.parent
PAGES = ["app.py", *sorted(f"pages/{p.name}" for p in (ROOT / "pages").glob("*.py"))]


def open_page(page: str, **query: str) -> AppTest:
    """A page as the first one of a session."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    if page != "app.py":
        at.switch_page(page)
    return at.run()


@pytest.mark.parametrize("page", PAGES)
def test_opens_without_mnist(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    at = open_page(page)
    assert not at.exception, at.exception
    assert len(at.title) == 1
    assert not at.error


@pytest.mark.parametrize("page", PAGES)
def test_opens_with_mnist(page: str, mnist_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAE_DATA", str(mnist_dir))
    at = open_page(page, model="tied-topk-1024-k50", data="mnist", image="mnist-test-3", feature="17")
    assert not at.exception, at.exception
    assert at.session_state["chosen_model"] == "tied-topk-1024-k50"
    assert at.query_params["image"] in ("mnist-test-3", ["mnist-test-3"])
    assert not at.warning and not at.error


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "query",
    [
        {"model": "../../etc/passwd", "image": "px-%%%", "feature": "-1"},
        {"model": "nothing", "image": "px-eJwDAAAAAAE", "feature": "99999999"},
        {"data": "nothing", "image": "mnist-test-99999999", "feature": "1e3"},
        {"image": "digits-nowhere-1"},
    ],
)
def test_a_hostile_address_is_explained(page: str, query: dict[str, str]) -> None:
    at = open_page(page, **query)
    assert not at.exception, at.exception
    if any(p in page for p in ("app", "Draw", "Steer", "Digits")):  # which show the chosen image
        assert any("cannot be shown" in w.value for w in at.warning)
    for key, what in (("model", "model"), ("data", "data set")):
        if key in query:
            assert any(f"There is no {what} {query[key]!r} here; this is" in w.value for w in at.warning)
    assert at.session_state["chosen_model"] == state.DEFAULT_MODEL


IMAGE = "![x](http://evil.example/x.png)"
"""which Markdown makes the browser ask a stranger's host for"""


@pytest.mark.parametrize("page", PAGES)
def test_an_address_is_never_read_as_markdown(page: str) -> None:
    mode = json.dumps(to_json(Recipe("r", "m@0123456789ab", {})) | {"mode": IMAGE})
    packed = base64.urlsafe_b64encode(zlib.compress(mode.encode())).decode().rstrip("=")
    at = open_page(page, model=IMAGE, data=f"*{IMAGE}", image=IMAGE, feature=IMAGE, recipe=packed)
    assert not at.exception, at.exception
    bodies = [e.value for e in (*at.markdown, *at.warning, *at.caption, *at.info, *at.error)]
    assert not [b for b in bodies if re.search(r"(?<!\\)!\[|(?<!\\)\]\(\S*evil", b)]
    said = [w.value for w in at.warning]
    assert sum("evil" in s for s in said) == 3 + page.endswith("Steer.py")  # model, data, feature, and the recipe


@pytest.mark.parametrize("feature", ["9" * 5000, "٣", "²", "3.0", " 3", "+3", "12345678"])
def test_a_feature_is_up_to_seven_digits(feature: str) -> None:
    at = open_page("pages/2_Features.py", feature=feature)
    assert not at.exception, at.exception
    assert any("There is no feature '" in w.value for w in at.warning)
    assert "feature" not in at.query_params


def test_a_picture_that_is_none_leaves_the_address() -> None:
    at = open_page("pages/1_Draw.py", image="digits-test-99999", data="digits")
    assert any("cannot be shown" in w.value for w in at.warning)
    assert "image" not in at.query_params and "".join(at.query_params["data"]) == "digits"
    assert not at.run().warning


def test_what_comes_from_outside_stands_as_it_is() -> None:
    assert words.plain("k: :red[v] a_b*c\n# $e$ [f](g) <h> `i`") == (
        r"k: \:red\[v\] a\_b\*c \# \$e\$ \[f\]\(g\) \<h\> \`i\`"
    )
    assert words.plain("!" * 70, 60) == r"\!" * 60 + "…"


@pytest.mark.parametrize("page", PAGES)
def test_without_any_model_it_says_so(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sae_core.store.catalogue.stores", lambda: [tmp_path])
    at = open_page(page)
    assert not at.exception, at.exception
    assert "no model here yet" in at.info[0].value


def test_a_damaged_model_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cfg.json").write_text("{not json")
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    at = open_page("app.py")
    assert not at.exception
    assert any("broken" in w.value and "cfg.json" in w.value for w in at.warning)
    assert at.session_state["chosen_model"] == state.DEFAULT_MODEL


@pytest.mark.case(15)
def test_the_dashboard_says_why_mnist_is_not_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path / "nowhere"))
    at = open_page("app.py")
    said = [c.value.replace("\\", "") for c in at.sidebar.caption]
    assert any(f"The folder {tmp_path / 'nowhere'} does not exist ({tmp_path} does)." in c for c in said), said


def test_getting_mnist_fails_in_words_and_the_page_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server answers here: a port nobody listens on stands for a machine without a network."""
    from torchvision.datasets import MNIST

    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    at = open_page("pages/1_Draw.py")
    at.button("get_mnist").click().run()
    assert not at.exception
    assert at.error and len(at.title) == 1
    assert list(tmp_path.iterdir()) == []


def test_start_says_dead_rare_and_in_use_with_the_split() -> None:
    at = open_page("app.py")
    table = at.dataframe[0].value.set_index("model")
    for name, row in table.iterrows():
        model, _, member = str(name).partition("/")
        stored = json.loads((ROOT / "checkpoints" / model / "metrics.json").read_text())
        found = stored["mnist/test" + (f"#{member}" if member not in ("", "0") else "")]
        assert [row[c] for c in ("in use", "rare", "dead")] == [found[k] for k in ("in_use", "rare", "dead")], name
        assert row["in use"] + row["rare"] + row["dead"] == row["latents"], name
        assert row["measured on"] == "mnist/test, n = 10,000"
        smooth = stored["readability"]["mnist/test" + (f"#{member}" if member not in ("", "0") else "")]["smooth_dec"]
        assert row["smooth strokes"] == smooth or (smooth is None and row["reads"] != "pixels"), name
        assert (smooth is None) == (row["reads"] != "pixels"), name
    assert len(table) >= 7


def test_start_says_why_its_model_was_chosen_in_numbers_of_the_models() -> None:
    at = open_page("app.py")
    (said,) = [c.value for c in at.caption if "opens first" in c.value]
    names = [state.DEFAULT_MODEL, "iterated-topk-1024-k50"]  # of the models with k = 50 the best code
    first, other = (json.loads((ROOT / "checkpoints" / name / "metrics.json").read_text()) for name in names)
    ours, theirs = (of["readability"]["mnist/test"] for of in (first, other))
    assert said.startswith(f"**{state.DEFAULT_MODEL}** opens first because its features can be read")
    assert f"Their smoothness is {ours['smooth_dec']:.2f} (1 an even stroke, 0 noise), and {ours['in_use']}" in said
    assert f"At k = 50 ({names[1]})" in said and said.endswith("On mnist/test, n = 10,000.")
    assert f"FVU {other['mnist/test']['fvu']:.3f}, not {first['mnist/test']['fvu']:.3f}" in said
    assert f"smoothness {theirs['smooth_dec']:.2f}, {theirs['in_use']} of 1,024 in use" in said
    assert ours["smooth_dec"] > theirs["smooth_dec"] and other["mnist/test"]["fvu"] < first["mnist/test"]["fvu"]


def test_start_claims_nothing_of_a_model_that_was_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a damaged file is named."""
    shutil.copytree(ROOT / "checkpoints" / state.DEFAULT_MODEL, tmp_path / state.DEFAULT_MODEL)
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    file = tmp_path / state.DEFAULT_MODEL / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics.pop("readability")
    file.write_text(json.dumps(metrics))
    at = open_page("app.py")
    assert not at.exception and not [c for c in at.caption if "opens first" in c.value] and not at.info
    table = at.dataframe[0].value.set_index("model")
    assert pd.isna(table.loc[state.DEFAULT_MODEL, "smooth strokes"]) and table.loc[state.DEFAULT_MODEL, "in use"] > 0
    for damage in ({"n": 3}, {"in_use": 0, "rare": 0, "dead": 0, "n": 10}):
        file.write_text(json.dumps(metrics | {"readability": {"mnist/test": damage}}))
        at = open_page("app.py")
        assert not at.exception and str(file) in at.info[0].value and "readability" in at.info[0].value
