"""Models too large to send: the browser asks Python for the rows that a picture needs, one question at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from benchmarks.browser import dashboard
from sae_core import load
from sae_core.datasets import load_dataset
from sae_core.measure.metrics import pearson
from sae_core.store import catalogue
from sae_core.store.train_or_load import train_or_load
from sae_core.training.loop import TrainOptions
from sae_core.variants import registry
from tests.browser.conftest import STATE, import_modules, of_ours
from tests.browser.test_draw import DRAW, SEVEN, numbers, picture_in_url, python_pearson, ready, same_picture, stroke
from tests.browser.test_steer import answered, grab, live, pixels, same_numbers
from tests.browser.waiting import painted
from ui.base import models
from ui.live.model import MOST, part

D_SAE = MOST + 104
CONFIGS: dict[str, Any] = {name: cls.Config for name, cls in registry().items()}
MODELS = {"topk": CONFIGS["topk"](d_sae=D_SAE, k=20), "relu_l1": CONFIGS["relu_l1"](d_sae=D_SAE)}
IMAGE = "digits-test-3"
# Writes down every question to Python and every answer, in the order in which they come.
LISTEN = f"""() => {{
  globalThis.__heard = [];
  for (const [id, link] of {STATE}.links) if (id.startsWith("part-")) {{
    const {{ hear }} = Object.getPrototypeOf(link);
    link.hear = (answer, mount) => {{
      const {{ send }} = mount;
      mount.send = (name, value) => {{ __heard.push(["asked", value.seq]); send(name, value); }};
      __heard.push(["answered", answer.seq]);
      return hear.call(link, answer, mount);
    }};
  }}
}}"""
KNOWN = f"""name => {{
  const {{ models, questions }} = {STATE}, id = [...models.keys()].find((id) => id.startsWith(name));
  return [Array.from(questions.get(id).answered.x), models.get(id).n];
}}"""

HAS_PICTURE = """img => {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  return context.getImageData(0, 0, 28, 28).data.some((v, i) => i % 4 < 3 && v > 0);
}"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one model of each kind, hardly trained."""
    out = tmp_path_factory.mktemp("large")
    for variant, config in MODELS.items():
        images = load_dataset("digits", "train")
        train_or_load(variant, images, config, TrainOptions(epochs=1), out=out, name=f"large-{variant}")
    return out


@pytest.fixture(scope="module")
def app(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard that has those models."""
    log = tmp_path_factory.mktemp("large-server") / "log.txt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAE_CHECKPOINTS", str(large))
        with dashboard(log) as (address, _):
            yield address
    assert "Traceback" not in of_ours(log.read_text()), log.read_text()


def code(large: Path, variant: str, x: np.ndarray) -> tuple[set[int], float]:
    """What Python finds active in a picture, and its Pearson."""
    sae = load(large / f"large-{variant}")
    batch = torch.tensor(x, dtype=torch.float32)[None]
    out = sae(batch)
    return set(out.acts[0].nonzero()[:, 0].tolist()), float(pearson(batch, out.x_hat)[0])


def settled(page: Page) -> None:
    painted(page)  # what was just drawn may have more to ask for
    expect(page.locator(f"{DRAW}[data-waits=false]")).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("variant", MODELS)
def test_draw(page: Page, app: str, large: Path, variant: str) -> None:
    page.goto(f"{app}/Draw?model=large-{variant}&data=digits&image={IMAGE}")
    ready(page)
    settled(page)
    expect(page.get_by_test_id("in-parts")).to_contain_text(f"{D_SAE:,} latents, too many to send")
    page.evaluate(LISTEN)
    page.get_by_test_id("clear").click()
    expect(page.get_by_text("There is nothing drawn yet")).to_be_visible(timeout=15_000)
    stroke(page, *SEVEN, release=False)
    settled(page)
    # While the pointer is down, all is of the picture that Python answered last, which is now this one.
    for _ in range(20):  # an answer may come between a look at what is known and one at the numbers
        x, here = page.evaluate(KNOWN, f"large-{variant}")
        active, r = code(large, variant, x)
        same = numbers(page) == (pytest.approx(r, abs=1e-3), len(active))
        if same:
            break
        settled(page)
    assert same and 0 < len(active) <= here < D_SAE
    assert page.get_by_test_id("tile").filter(visible=True).count() == len(active)
    page.mouse.up()
    same_picture(page)
    active, r = code(large, variant, picture_in_url(page))
    assert set(json.loads(page.locator(DRAW).get_attribute("data-active") or "[]")) == active
    expect(python_pearson(page)).to_have_text(f"{r:.4f}")


def test_one_question_is_under_way(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=large-topk&data=digits&image={IMAGE}")
    ready(page)
    settled(page)
    page.evaluate(LISTEN)
    stroke(page, *((0.2 + 0.6 * (i % 2), 0.1 + 0.08 * i) for i in range(10)), release=False)
    settled(page)
    page.mouse.up()
    same_picture(page)
    heard = page.evaluate("__heard")
    asked = [seq for what, seq in heard if what == "asked"]
    assert len(asked) > 3
    for i, seq in enumerate(asked):
        at = heard.index(["asked", seq])
        assert all(["answered", before] in heard[:at] for before in asked[1:i]), heard


ROWS = """(parts) => {
  const { decode, fromBase64, putModel } = ours;
  const model = parts.map((part) => putModel(fromBase64(part))).at(-1), { names } = model.parts;
  const row = (f) => [...decode(model, { index: [f], value: [1] }, false).subarray(380, 420)].map(Math.fround);
  return [names, names.map(row), [...model.b], [...model.W].slice(400 * model.n, 401 * model.n)];
}"""


def test_the_browser_keeps_the_rows_that_came_last(page: Page, app: str, large: Path) -> None:
    page.goto(f"{app}/Draw?model=large-topk&data=digits&image={IMAGE}")
    ready(page)
    settled(page)
    c = catalogue.read(large / "large-topk")
    model, form = models.Model(c.name, c.hash, c.path), load(large / "large-topk").inference_form()
    came = [
        list(range(0, 1300)),
        list(range(2000, 2900)),
        [*range(100, 400), *range(3000, 3500)],
        list(range(2, 4200, 300)),
    ]
    messages = [base64.b64encode(part(model, features)).decode() for features in came]
    import_modules(page, "live/arithmetic", "live/bytes", "live/models")
    names, rows, b, w = page.evaluate(ROWS, messages)
    wanted = set(came[3])
    age = {f: turn for turn, features in enumerate(came) for f in features}
    older = sorted(age.keys() - wanted, key=lambda f: (-age[f], f))[:1024]
    assert names == sorted({*wanted, *older})
    D, W = (m.astype(np.float16).astype(np.float32) for m in (form.D, form.W))
    np.testing.assert_array_equal(np.array(rows, np.float32), D[names, 380:420])
    np.testing.assert_array_equal(np.array(w, np.float32), W[400, names])
    np.testing.assert_array_equal(np.array(b, np.float32), form.b[names])


def test_start(page: Page, app: str, large: Path) -> None:
    page.goto(f"{app}/?model=large-topk&data=digits&image={IMAGE}")
    root = page.locator("[data-testid=apart][data-terms]")
    expect(root).to_be_visible(timeout=60_000)
    page.get_by_role("slider", name="How many features are added").fill("20")
    sae = load(large / "large-topk")
    x = load_dataset("digits", "test").x[3:4]
    levels = np.round(np.clip(sae(torch.tensor(x)).x_hat[0].detach().numpy(), 0, 1) * 255)
    assert abs(np.array(pixels(page, "reconstruction")) - levels).max() <= 1


def test_steer(page: Page, app: str, large: Path) -> None:
    page.goto(f"{app}/Steer?model=large-topk&data=digits&image={IMAGE}")
    strips = page.get_by_test_id("strip")
    strips.first.wait_for(timeout=60_000)
    expect(page.get_by_test_id("in-parts")).to_contain_text("asks Python for others")
    active, _ = code(large, "topk", load_dataset("digits", "test").x[3])
    assert {int(f or "") for f in strips.evaluate_all("all => all.map(e => e.dataset.feature)")} == active
    same_numbers(page)
    other = next(f for f in range(D_SAE - 1, 0, -1) if f not in active)
    page.get_by_role("spinbutton", name="Add feature").fill(str(other))
    page.get_by_role("spinbutton", name="Add feature").press("Enter")
    mine = page.locator(f"[data-testid=strip][data-feature='{other}']")
    page.wait_for_function(HAS_PICTURE, arg=mine.locator("img").element_handle())
    answered(page, 1)
    grab(page, mine.get_by_test_id("strip-slider"), 0.9)
    page.wait_for_function("root => root.dataset.change > 0", arg=page.get_by_test_id("steer").element_handle())
    page.mouse.up()
    answered(page, 2)
    assert int(live(page)["l0"]) == 21
    same_numbers(page)


def test_the_wall_has_every_row(page: Page, app: str) -> None:
    page.goto(f"{app}/Features?model=large-topk&data=digits")
    expect(page.locator(f"[data-testid=wall][data-features='{D_SAE}']")).to_be_visible(timeout=60_000)
    # With all its rows in the page, nothing is asked any more.
    page.get_by_test_id("stSidebar").get_by_role("link", name="Draw").click()
    ready(page)
    expect(page.get_by_test_id("in-parts")).to_be_hidden()
    settled(page)
