"""The browser's engine by itself, against Python on 200 real images: every inference form, every registered variant.

Each on pixels and on the hidden layer of a classifier, with a generator that shows it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from sae_core.datasets import dataset_info, default_data_dir, load_dataset
from sae_core.measure.metrics import pearson
from sae_core.models.classifier import GeneratorConfig
from sae_core.models.forms import InferenceForm, Layer, Selection
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.variants import build, build_network, registry
from tests.browser.conftest import import_modules
from ui.live.model import pack

PLACES = ("pixels", "hidden")
D_HIDDEN = 49
SHAPES = {"pixels": (784, 1024, 50), "hidden": (D_HIDDEN, 98, 20)}
"""d_in, d_sae and k"""
NEAR = 1e-5
"""Python sums in float32 and the browser in float64: a value so near to the limit may fall on either side of it"""
_numbers = count()
"""the engine keeps models by their id"""
RUN = """([bytes, levels]) => {
  const pictures = ours.fromBase64(levels), model = ours.putModel(ours.fromBase64(bytes));
  const text = (numbers) => ours.toBase64(new Uint8Array(new Float32Array(numbers).buffer));
  const found = [];
  for (let at = 0; at < pictures.length; at += 784) {
    const h = ours.read(model, ours.fromLevels(pictures.subarray(at, at + 784)));
    const code = ours.encode(model, h), h_hat = ours.decode(model, code);
    found.push({ ...code, h: text(h), h_hat: text(h_hat), pearson: ours.pearson(h, h_hat),
      whole: text(ours.picture(model, h)), picture: text(ours.picture(model, h_hat)) });
  }
  const rows = ["encoder", "decoder"].map((name) => {
    const at = ours.rowPictures(model, name), out = new Float32Array(model.d_sae * 784);
    for (let j = 0; j < out.length; j++) out[j] = at(Math.floor(j / 784), j % 784);
    return text(out);
  });
  return { found, rows };
}"""


class Expected(NamedTuple):
    """What Python makes of the images."""

    h: np.ndarray
    acts: np.ndarray
    h_hat: np.ndarray
    whole: np.ndarray
    """the picture of h"""
    picture: np.ndarray
    """the picture of h_hat"""


@pytest.fixture(scope="module")
def engine(browser: Browser) -> Iterator[Page]:
    """An empty page with the engine in it."""
    page = browser.new_page()
    import_modules(page, "live/arithmetic", "live/bytes", "live/models", "live/rows")
    yield page
    page.close()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    here = dataset_info("mnist").is_here(default_data_dir())
    return load_dataset("mnist" if here else "digits", "test").x[:200]


def run(engine: Page, form: InferenceForm, images: np.ndarray) -> dict[str, Any]:
    levels = np.round(images * 255).astype(np.uint8).tobytes()
    sent = [base64.b64encode(b).decode() for b in (pack(form, f"form {next(_numbers)}"), levels)]
    found: dict[str, Any] = engine.evaluate(RUN, sent)
    return found


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def near_limit(form: InferenceForm, h: np.ndarray) -> np.ndarray:
    """Which latents' values before the selection, in float64, are at the limit that they have to pass in the last pass;
    of an image of which one was at its limit in an earlier pass, all."""
    W, D = form.W.astype(float), form.D.astype(float)
    first = form.step * (h.astype(float) @ W) + form.b
    codes, earlier = np.zeros_like(first), np.zeros((len(h), 1), bool)
    for _ in range(form.passes):
        left = first - form.step * (codes @ D @ W)
        pre = left if form.pursuit else codes + left
        limit = np.asarray(0 if form.select.thresholds is None else form.select.thresholds)
        if form.select.by == "topk":
            limit = np.sort(pre, axis=1)[:, -form.select.k :][:, :1]
        # Top-k is undecided only where the next one is near too.
        at = abs(pre - limit) < NEAR
        near = (at & (at.sum(1, keepdims=True) > (form.select.by == "topk"))) | (
            (abs(pre) < NEAR) & (pre > limit - NEAR)
        )
        at_limit, earlier = near | earlier, earlier | near.any(1, keepdims=True)
        codes = codes + form.select(left) if form.pursuit else form.select(pre)
    assert form.passes == 1 or earlier.mean() < 0.25, "too few images are held to anything"
    return np.asarray(at_limit)


def check(found: dict[str, Any], form: InferenceForm, expected: Expected) -> None:
    """The same active latents, values, Pearson and pictures on every image."""
    at_limit = near_limit(form, expected.h)
    correlations = pearson(torch.tensor(expected.h), torch.tensor(expected.h_hat)).tolist()
    assert (expected.acts != 0).any(), "nothing is active: this would show nothing"
    for i, row in enumerate(found["found"]):
        index, value = np.array(row["index"], int), np.array(row["value"])
        acts = np.zeros(len(form.b))
        acts[index] = value
        other = (acts != 0) != (expected.acts[i] != 0)
        assert not (other & ~at_limit[i]).any(), f"image {i}: other latents are active"
        assert (np.diff(abs(value)) <= 0).all(), "not the largest first"
        np.testing.assert_allclose(acts[~other], expected.acts[i][~other], rtol=1e-3, atol=NEAR)
        np.testing.assert_allclose(floats(row["h"]), expected.h[i], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(floats(row["whole"]), expected.whole[i], rtol=1e-3, atol=1e-6)
        if not other.any():
            np.testing.assert_allclose(floats(row["h_hat"]), expected.h_hat[i], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(floats(row["picture"]), expected.picture[i], rtol=1e-3, atol=1e-4)
            assert abs(row["pearson"] - correlations[i]) < 1e-4


# ---- each inference form, with random weights; Python's side is written out here


def _matrix(rng: np.random.Generator, *shape: int, scale: float) -> np.ndarray:
    return (scale * rng.standard_normal(shape)).astype(np.float16).astype(np.float32)


def _vector(rng: np.random.Generator, n: int, scale: float) -> np.ndarray:
    return (scale * rng.standard_normal(n)).astype(np.float32)


def form_of(kind: str, place: str) -> InferenceForm:
    """One form with random weights; a pre-bias is folded into b."""
    rng = np.random.default_rng(3)
    d_in, d_sae, k = SHAPES[place]
    W = _matrix(rng, d_in, d_sae, scale=0.2)
    D, c = _matrix(rng, d_sae, d_in, scale=0.2), _vector(rng, d_in, 0.1)
    b = _vector(rng, d_sae, 0.2)
    reader = painter = None
    if place == "hidden":
        reader = Layer(_matrix(rng, 784, d_in, scale=0.1), _vector(rng, d_in, 0.3), "tanh-relu")
        painter = Layer(_matrix(rng, d_in, 784, scale=0.5), _vector(rng, 784, 0.5), "sigmoid")
    if kind == "topk, tied":
        D = (W / np.linalg.norm(W, axis=0)).T.astype(np.float16).astype(np.float32)
        return InferenceForm(W, b, D, 0 * c, Selection("topk", relu=False, k=k), reader, painter)
    if kind in ("iterated", "pursuit"):
        W = (W / np.linalg.norm(W, axis=0)).astype(np.float16).astype(np.float32)
        if kind == "pursuit":
            select = Selection("topk", relu=False, k=1)
            return InferenceForm(W, 0 * b, W.T, c, select, reader, painter, passes=k, pursuit=True)
        select = Selection("topk", relu=True, k=k)
        return InferenceForm(W, b, W.T, c, select, reader, painter, passes=3, step=0.5)
    if kind == "topk, ReLU, pre-bias":
        b = (b - c.astype(float) @ W.astype(float)).astype(np.float32)
        # So many that not all of the k largest are positive: the ReLU has something to do.
        return InferenceForm(W, b, D, c, Selection("topk", relu=True, k=3 * d_sae // 4), reader, painter)
    if kind == "relu":
        return InferenceForm(W, b, D, c, Selection("all", relu=True), reader, painter)
    # One for each latent, of both signs: without a ReLU negative values stay that are over theirs.
    thresholds = np.full(d_sae, 0.75, np.float32) if kind == "threshold" else _vector(rng, d_sae, 0.75)
    select = Selection("threshold", relu="no ReLU" not in kind, thresholds=thresholds)
    return InferenceForm(W, b, D, c, select, reader, painter)


def by_hand(form: InferenceForm, x: np.ndarray) -> Expected:
    """The formula, by the reference in NumPy."""

    def picture(h: np.ndarray) -> np.ndarray:
        if form.painter is None:
            return h
        return np.asarray(1 / (1 + np.exp(-(h @ form.painter.W + form.painter.b))))

    h = x if form.reader is None else np.maximum(0, np.tanh(x @ form.reader.W + form.reader.b))
    acts = form.encode(h)
    h_hat = form.decode(acts)
    return Expected(h, acts, h_hat, picture(h), picture(h_hat))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "kind",
    [
        "topk, tied",
        "topk, ReLU, pre-bias",
        "relu",
        "threshold",
        "thresholds",
        "thresholds, no ReLU",
        "iterated",
        "pursuit",
    ],
)
def test_every_inference_form(engine: Page, images: np.ndarray, kind: str, place: str) -> None:
    form = form_of(kind, place)
    expected = by_hand(form, images)
    active = (expected.acts != 0).sum(1)
    if kind in ("topk, tied", "iterated"):
        assert (active == form.select.k).all()
    elif kind == "pursuit":
        assert (active <= form.passes).all() and active.max() > 1
    else:
        assert len(set(active.tolist())) > 1, "the selection does nothing"
    if kind == "thresholds, no ReLU":
        assert (expected.acts < 0).any(), "no negative value stays"
    check(run(engine, form, images), form, expected)


# ---- every registered variant; Python's side is the variant itself


@torch.no_grad()
def _shaken(network: Network) -> Any:
    """With something in every weight and bias, rounded as before it is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    network.round_weights()
    return network.eval().requires_grad_(False)


def variant(name: str, place: str, x: torch.Tensor) -> SAE:
    d_in, d_sae, k = SHAPES[place]
    Config = registry()[name].Config
    config = Config(d_in=d_in, d_sae=d_sae)
    if hasattr(config, "k"):
        config = Config(d_in=d_in, d_sae=d_sae, k=k)  # type: ignore[call-arg]
    sae: SAE = _shaken(build(name, config))
    if place == "hidden":
        reader, painter = build_network("classifier"), build_network("generator", GeneratorConfig(reads="by hand"))
        sae.attach(_shaken(reader), _shaken(painter))
    sae.finish(sae.read(x))  # a threshold is set by what was read
    return sae


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", list(registry()))
def test_every_registered_variant(engine: Page, images: np.ndarray, name: str, place: str) -> None:
    x = torch.from_numpy(np.array(images))
    sae = variant(name, place, x)
    h = sae.read(x)
    out = sae(h)
    parts = (h, out.acts, out.x_hat, sae.picture(h), sae.picture(out.x_hat))
    form = sae.inference_form()
    assert (form.reader is None) == (place == "pixels")
    found = run(engine, form, images)
    check(found, form, Expected(*(t.numpy() for t in parts)))
    for text, rows in zip(found["rows"], sae.row_pictures(), strict=True):
        np.testing.assert_allclose(floats(text).reshape(rows.shape), rows, rtol=1e-3, atol=1e-5)
