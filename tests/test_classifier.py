"""Scrambled images, the classifier, the generator, and an SAE between them: trained, kept, loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.files import CheckpointError
from sae_core.measure import features
from sae_core.measure.metrics import evaluate, evaluate_network, validation_loss, with_scrambled
from sae_core.models.classifier import Classifier, ClassifierConfig, Generator, GeneratorConfig
from sae_core.models.sae import SAE
from sae_core.pictures.scramble import scramble
from sae_core.store import catalogue
from sae_core.store.checkpoints import load, load_classifier, load_network
from sae_core.store.train_or_load import train_or_load
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, build_network, networks, registry
from sae_core.variants.kl import KLConfig

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parent.parent


def images(n: int = 120, split: str = "train", seed: int = 0) -> ImageSet:
    """Pictures of two classes that are easy to tell apart: a bar on the left or on the right."""
    rng = np.random.default_rng(seed + (split == "test"))
    labels = rng.integers(0, 2, n)
    x = rng.uniform(0, 0.1, (n, 28, 28))
    x[labels == 0, 4:24, 4:8] += 0.8
    x[labels == 1, 4:24, 20:24] += 0.8
    return ImageSet(x.reshape(n, 784).astype(np.float32), labels.astype(np.int64), "made-up", split)


# ---- scrambling


def slow_scramble(picture: np.ndarray, order: list[int]) -> np.ndarray:
    """A picture [28, 28] whose block number p is block order[p] of the original, one block at a time."""
    out = np.zeros_like(picture)
    for place, source in enumerate(order):
        i, j, a, b = *divmod(place, 7), *divmod(source, 7)
        out[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = picture[4 * a : 4 * a + 4, 4 * b : 4 * b + 4]
    return out


def test_scrambling_permutes_blocks_as_the_slow_way() -> None:
    x = torch.rand(5, 784, generator=torch.Generator().manual_seed(0))
    mixed = scramble(x, torch.Generator().manual_seed(7))
    orders = torch.rand(5, 49, generator=torch.Generator().manual_seed(7)).argsort(1)
    for picture, found, order in zip(x.numpy(), mixed.numpy(), orders.tolist(), strict=True):
        assert sorted(order) == list(range(49))
        assert np.array_equal(found.reshape(28, 28), slow_scramble(picture.reshape(28, 28), order))


def test_every_picture_has_its_own_order_drawn_anew() -> None:
    x = torch.arange(784.0).expand(4, 784) / 784
    generator = torch.Generator().manual_seed(0)
    first, second = scramble(x, generator), scramble(x, generator)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first, second)
    assert torch.equal(first.sort(1).values, x)
    with pytest.raises(ValueError, match="cut into blocks"):
        scramble(torch.zeros(1, 100 * 100 + 1), generator)


def test_blocks_go_to_every_place_equally_often() -> None:
    x = torch.zeros(4900, 28, 28)
    x[:, :4, :4] = 1  # block 0 is marked
    mixed = scramble(x.view(-1, 784), torch.Generator().manual_seed(1)).view(-1, 7, 4, 7, 4)
    counts = mixed.amax((2, 4)).sum(0)
    assert counts.sum() == 4900
    assert counts.min() > 60 and counts.max() < 145  # 100 ± 4.5 standard deviations


def test_a_training_on_scrambled_images_sees_every_picture_twice() -> None:
    model = build_network("classifier", ClassifierConfig())
    x = torch.arange(1, 7)[:, None].expand(6, 784) / 8.0  # each picture has one level, whatever its order of blocks
    training = Training(
        model, x, TrainOptions(epochs=2, batch_size=4, scrambled=True), labels=torch.arange(6), classes=10, log_every=1
    )
    assert (training.accesses, training.per_epoch, training.steps) == (12, 3, 6)
    seen = [training._pictures(training._batch(step)) for step in range(3)]
    levels = torch.cat([p[:, 0] for p, _ in seen]) * 8
    labels = torch.cat([label for _, label in seen if label is not None])
    assert sorted(levels[labels == 10].tolist()) == sorted(levels[labels != 10].tolist()) == [1, 2, 3, 4, 5, 6]
    plain = labels != 10
    assert torch.equal(levels[plain].long() - 1, labels[plain])


def test_scrambled_images_are_drawn_anew_in_every_epoch_and_again_on_resuming() -> None:
    part = torch.tensor(images(8).x)
    opts = TrainOptions(epochs=2, batch_size=16, scrambled=True)

    def drawn(step: int) -> torch.Tensor:
        training = Training(
            build_network("classifier"), part, opts, labels=torch.zeros(8, dtype=torch.long), classes=10
        )
        training.step = step
        x, labels = training._pictures(torch.arange(16))
        return x[labels == 10]

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


# ---- the networks by hand


def test_a_classifier_by_hand() -> None:
    model = build_network("classifier", ClassifierConfig(d_in=2, d_hidden=2, classes=2))
    assert isinstance(model, Classifier)
    with torch.no_grad():
        model.W_in.copy_(torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
        model.b_in.copy_(torch.tensor([0.5, 0.0]))
        model.W_out.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        model.b_out.copy_(torch.tensor([0.0, 0.25]))
    x = torch.tensor([[1.0, 0.0]])  # 1.5 and −1 before tanh and ReLU
    h = np.tanh(1.5)
    assert model.hidden(x).tolist()[0] == pytest.approx([h, 0.0])
    assert model(x).tolist()[0] == pytest.approx([2 * h, 0.25])
    p = np.exp(2 * h) / (np.exp(2 * h) + np.exp(0.25))
    assert model.probabilities(x).tolist()[0] == pytest.approx([p, 1 - p])
    loss = model.labelled_losses(x, torch.tensor([0]))["cross_entropy"]
    assert loss.item() == pytest.approx(-np.log(p), rel=1e-5)
    layer = model.layer()
    assert np.maximum(0, np.tanh(x.numpy() @ layer.W + layer.b)) == pytest.approx(model.hidden(x).detach().numpy())


def test_a_generator_by_hand() -> None:
    classifier = build_network("classifier", ClassifierConfig(d_in=2, d_hidden=1, classes=2))
    model = build_network("generator", GeneratorConfig(d_in=2, d_hidden=1, reads="c"))
    assert isinstance(classifier, Classifier) and isinstance(model, Generator)
    with torch.no_grad():
        model.W.copy_(torch.tensor([[1.0, -2.0]]))
        model.b.copy_(torch.tensor([0.0, 0.5]))
    assert model.paint(torch.tensor([[0.5]])).tolist()[0] == pytest.approx(
        [1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(0.5))]
    )
    x = torch.tensor([[0.2, 0.7]])
    with pytest.raises(ValueError, match="not told whose"):
        model(x)
    model.attach(classifier)
    assert float(model.losses(x)["mse"]) == pytest.approx(float((model(x) - x).pow(2).mean()))
    with pytest.raises(ValueError, match="name of the classifier"):
        GeneratorConfig()
    with pytest.raises(ValueError, match=r"\[N, 1\], not \[1, 2\]"):
        model.paint(x)


def test_a_classifier_needs_labels() -> None:
    with pytest.raises(ValueError, match="labels"):
        build_network("classifier").losses(torch.zeros(1, 784))


# ---- trained, kept, loaded


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier, its generator and an SAE between them."""
    out = tmp_path_factory.mktemp("models")
    parts: dict[str, Any] = {"measure": [images(), images(60, "test")], "describe": [images()]}
    small = {"epochs": 4, "batch_size": 16, "scrambled": True}

    def make(name: str, variant: str, config: object, **more: float) -> None:
        opts = TrainOptions(**{**networks()[variant].recipe, **small, **more})
        _, cached = train_or_load(variant, images(), config, opts, out=out, name=name, device="cpu", **parts)
        assert not cached

    make("c", "classifier", ClassifierConfig(d_hidden=9), lr=0.02)
    make("g", "generator", GeneratorConfig(d_hidden=9, reads="c"), lr=0.01)
    make("s", "kl", KLConfig(d_in=9, d_sae=18, reads="c", shows="g"), lr=0.003)
    return out


def test_the_parts_of_an_experiment_are_kept_like_other_models(trained: Path) -> None:
    listed, broken = catalogue.list_checkpoints(trained)
    assert [c.name for c in listed] == ["c", "g", "s"] and not broken
    assert [c.is_sae for c in listed] == [False, False, True]
    classifier, generator, sae = load_network(trained / "c"), load_network(trained / "g"), load(trained / "s")
    assert isinstance(classifier, Classifier) and isinstance(generator, Generator)
    x = torch.tensor(images(20, "test").x)
    h = sae.read(x)
    assert h.shape == (20, 9) and torch.equal(h, classifier.hidden(x))
    assert torch.equal(sae.picture(h), generator(x)) and sae.picture(h).shape == (20, 784)
    assert listed[0].metrics["made-up/test"]["accuracy_digits"] > 0.9
    x_all, labels = with_scrambled(images(60, "test").x, images(60, "test").labels, scrambled=2)
    assert listed[0].metrics["made-up/test"] == evaluate_network(classifier, x_all, labels, scrambled=2)._asdict()
    assert listed[2].metrics["made-up/test"] == evaluate(sae, images(60, "test").x)._asdict()
    stats = features.read(trained / "s", "made-up", "train")
    assert len(stats.count) == 18 and stats.mean_picture.shape == (18, 784)


def test_the_loss_on_held_out_images_is_in_the_history(trained: Path) -> None:
    lines = [line for line in files.read_lines(trained / "s" / "history.jsonl") if "validation" in line]
    assert len(lines) == 4
    sae = load(trained / "s")
    x, labels = with_scrambled(images(60, "test").x, images(60, "test").labels, scrambled=2)
    again = validation_loss(sae, x, labels, 16)  # of the rounded weights
    assert lines[-1]["validation"]["made-up/test"] == pytest.approx(again, rel=1e-2)
    slow, total = 0.0, 0
    for start in range(0, len(x), 16):
        part = x[start : start + 16]
        slow += len(part) * float(sum(sae.losses(sae.read(part)).values()))
        total += len(part)
    assert again == pytest.approx(slow / total, rel=1e-6)


def test_they_are_found_again_by_the_name_of_what_they_read(trained: Path) -> None:
    opts = TrainOptions(**{**networks()["generator"].recipe, "epochs": 4, "batch_size": 16, "lr": 0.01})
    found, cached = train_or_load(
        "generator", images(), GeneratorConfig(d_hidden=9, reads="c"), opts, out=trained, name="g", device="cpu"
    )
    assert cached and found.config["reads"] == f"c@{catalogue.read(trained / 'c').hash}"


def test_a_row_picture_goes_through_both_networks(trained: Path) -> None:
    sae = load(trained / "s")
    encoder, decoder = sae.row_pictures()
    form = sae.inference_form()
    assert form.reader is not None and form.painter is not None
    assert encoder.shape == decoder.shape == (18, 784)
    assert np.allclose(encoder[3], form.reader.W @ form.W[:, 3], atol=1e-6)
    assert np.allclose(decoder[3], form.D[3] @ form.painter.W, atol=1e-6)
    # Near the middle of the sigmoid, a quarter of the decoder's picture is what a small activation adds.
    h = torch.zeros(1, 9)
    step = sae.picture(h + 1e-3 * sae.W_dec[3]) - sae.picture(h)
    p = sae.picture(h)
    assert np.allclose((step / 1e-3).numpy(), (p * (1 - p)).numpy() * decoder[3], atol=1e-3)


@pytest.mark.parametrize("lost", ["c", "g"])
def test_a_missing_part_is_named(trained: Path, tmp_path: Path, lost: str) -> None:
    for name in {"c", "g", "s"} - {lost}:
        shutil.copytree(trained / name, tmp_path / name)
    with pytest.raises(CheckpointError, match=f"no model called '{lost}'"):
        load(tmp_path / "s")


def test_another_classifier_of_the_same_name_is_refused(trained: Path, tmp_path: Path) -> None:
    for name in "cgs":
        shutil.copytree(trained / name, tmp_path / name)
    cfg = json.loads((tmp_path / "c" / "cfg.json").read_text())
    cfg["metadata"]["sae_core"]["hash"] = "0" * 12
    (tmp_path / "c" / "cfg.json").write_text(json.dumps(cfg))
    with pytest.raises(CheckpointError, match="is not the one that was trained with"):
        load(tmp_path / "s")


def test_a_network_is_not_taken_for_an_sae(trained: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a classifier, which has no code"):
        load(trained / "c")
    with pytest.raises(CheckpointError, match="is a kl, not a classifier"):
        load_classifier(trained / "s")


@pytest.mark.parametrize("name", ["../c", "c/../../c", ""])
def test_what_is_read_cannot_be_a_path(trained: Path, name: str) -> None:
    with pytest.raises((CheckpointError, ValueError), match=r"cannot name a model|name of the classifier"):
        train_or_load(
            "generator", images(), GeneratorConfig(d_hidden=9, reads=name), TrainOptions(epochs=1), out=trained
        )


def test_weights_of_other_sizes_are_refused_before_memory_is_taken(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "c", tmp_path / "c")
    cfg = json.loads((tmp_path / "c" / "cfg.json").read_text())
    cfg["metadata"]["sae_core"]["config"]["d_hidden"] = 100_000
    cfg["metadata"]["sae_core"]["config"]["classes"] = 10_000
    (tmp_path / "c" / "cfg.json").write_text(json.dumps(cfg))
    with pytest.raises(CheckpointError, match="does not fit its config"):
        load_network(tmp_path / "c")


def test_every_sae_can_read_a_hidden_layer(trained: Path) -> None:
    classifier, generator = load_network(trained / "c"), load_network(trained / "g")
    x = torch.tensor(images(5).x)
    for name, cls in registry().items():
        Config: Any = cls.Config
        k = {"k": 3} if "k" in cls.Config.__dataclass_fields__ else {}
        sae = build(name, Config(d_in=9, d_sae=12, **k))
        with pytest.raises(ValueError, match=r"reads \[N, 9\]"):
            sae(sae.read(x))
        sae.attach(classifier, None)  # type: ignore[arg-type]
        assert sae(sae.read(x)).x_hat.shape == (5, 9)
        with pytest.raises(ValueError, match="no image generator"):
            sae.picture(sae.read(x))
        sae.attach(classifier, generator)  # type: ignore[arg-type]
        assert sae.picture(sae.read(x)).shape == (5, 784)
        assert not {"reader", "painter"} & {key.split(".")[0] for key in sae.state_dict()}, (
            "their weights are not its own"
        )


# ---- what is bundled


def test_the_bundled_experiment_is_whole() -> None:
    sae = load(ROOT / "checkpoints" / "exp3-kl-98-rho0.1")
    assert isinstance(sae, SAE)
    x = torch.rand(3, 784, generator=torch.Generator().manual_seed(0))
    assert sae.read(x).shape == (3, 49) and sae.picture(sae.read(x)).shape == (3, 784)
    dense = catalogue.read(ROOT / "checkpoints" / "exp3-kl-98-rho0.999")
    assert dense.config["rho"] == 0.999 and dense.config["reads"] == sae.config.reads
    accuracy = catalogue.read(ROOT / "checkpoints" / "exp3-classifier").metrics["mnist/test"]
    assert accuracy["n"] == 20_000 and accuracy["accuracy"] >= 0.98
