"""Feature statistics against a slow reference with loops."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.files import CheckpointError
from sae_core.measure import features
from sae_core.measure.describe import describe
from sae_core.measure.features import FEW, TOP, FeatureStats, most_lift
from sae_core.measure.lists import key_features
from sae_core.measure.neighbours import nearest
from sae_core.models.sae import SAE
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig
from sae_core.variants.topk import TopKConfig

N, D_IN, D_SAE, CLASSES = 130, 16, 30, 4


def model(variant: str) -> SAE:
    """A small model one of whose latents is never active."""
    Config = TopKConfig if variant == "topk" else TiedTopKConfig
    sae = build(variant, Config(d_in=D_IN, d_sae=D_SAE, k=3), seed=2)
    with torch.no_grad():
        if variant == "tied_topk":
            sae.b_enc -= 0.7  # so that some of the k largest are negative
        sae.b_enc[5] = -100
        sae.b_enc[6] = 0.4  # often active, and with little
    return sae.eval()


def images(n: int = N) -> ImageSet:
    rng = np.random.default_rng(0)
    x = (rng.random((n, D_IN)) * (rng.random((n, D_IN)) > 0.5)).astype(np.float32)
    return ImageSet(x, rng.integers(0, CLASSES, n), "made-up", "train")


def slow(sae: SAE, data: ImageSet) -> dict[str, np.ndarray]:
    """The same statistics from the dense codes, a latent and an image at a time."""
    with torch.no_grad():
        acts = sae(torch.tensor(data.x)).acts.numpy()
    r: dict[str, np.ndarray] = {
        "count": np.zeros(D_SAE, int),
        "mean_active": np.zeros(D_SAE),
        "maximum": np.zeros(D_SAE),
        "minimum": np.zeros(D_SAE),
        "class_rates": np.zeros((D_SAE, CLASSES)),
        "class_means": np.zeros((D_SAE, CLASSES)),
        "class_n": np.array([sum(int(y) == c for y in data.labels) for c in range(CLASSES)]),
        "top_indices": np.full((D_SAE, TOP), -1),
        "top_values": np.zeros((D_SAE, TOP)),
        "mean_picture": np.zeros((D_SAE, D_IN)),
        "importance": np.zeros((D_SAE, CLASSES)),
    }
    for f in range(D_SAE):
        active = [(float(acts[i, f]), i) for i in range(len(data)) if acts[i, f] != 0]
        r["count"][f] = len(active)
        if not active:
            continue
        r["mean_active"][f] = sum(a for a, _ in active) / len(active)
        r["maximum"][f] = max(0.0, *(a for a, _ in active))
        r["minimum"][f] = min(0.0, *(a for a, _ in active))
        for c in range(CLASSES):
            r["class_rates"][f, c] = sum(data.labels[i] == c for _, i in active) / r["class_n"][c]
            r["class_means"][f, c] = sum(a for a, i in active if data.labels[i] == c) / r["class_n"][c]
        for place, (a, i) in enumerate(sorted(active, reverse=True)[:TOP]):
            r["top_indices"][f, place], r["top_values"][f, place] = i, a
        if len(active) >= FEW:
            weighted = sum(abs(a) * data.x[i].astype(float) for a, i in active)
            r["mean_picture"][f] = np.round(255 * weighted / sum(abs(a) for a, _ in active))
        for _, i in active:
            without = acts[i].copy()
            without[f] = 0
            x_hat, less = sae.decode(torch.tensor(np.stack([acts[i], without]))).detach().numpy()
            worse = np.mean((less - data.x[i]) ** 2) - np.mean((x_hat - data.x[i]) ** 2)
            r["importance"][f, data.labels[i]] += worse / r["class_n"][data.labels[i]]
    return r


@pytest.mark.parametrize("variant", ["tied_topk", "topk"])
@pytest.mark.parametrize("batch_size", [1000, 17, 1])
def test_describe_by_a_slow_reference(variant: str, batch_size: int) -> None:
    sae, data = model(variant), images()
    stats, wanted = describe(sae, data, batch_size=batch_size), slow(sae, data)
    assert (stats.dataset, stats.split, stats.n) == ("made-up", "train", N)
    for name in ("count", "class_n", "top_indices"):
        assert np.array_equal(getattr(stats, name), wanted[name]), name
    for name in ("mean_active", "maximum", "minimum", "class_rates", "class_means", "top_values", "importance"):
        assert np.allclose(getattr(stats, name), wanted[name], atol=1e-5), name
    assert stats.mean_picture.dtype == np.uint8
    assert np.abs(stats.mean_picture - wanted["mean_picture"]).max() <= 1  # a half may round either way
    assert np.allclose(stats.frequency, wanted["count"] / N)
    assert np.array_equal(stats.dead, wanted["count"] == 0) and stats.dead[5]
    # the case is worth its name: latents with few, with some and with more than TOP images, and negative codes
    assert (wanted["count"] > TOP).any() and ((wanted["count"] > 0) & (wanted["count"] < TOP)).any()
    assert (stats.minimum < 0).any() == (variant == "tied_topk")


def test_describe_by_hand() -> None:
    """A pixel a latent: ten images of class 0 with a twentieth of the first, one of class 2 with all of the others."""
    sae = build("topk", TopKConfig(d_in=4, d_sae=4, k=3)).eval().requires_grad_(False)
    for p, value in ((sae.W_enc, 0.05 * torch.eye(4)), (sae.W_dec, torch.eye(4)), (sae.b_enc, 0), (sae.b_dec, 0)):
        p.copy_(torch.as_tensor(value))
    x = np.array([[1.0, 0, 0, 0]] * FEW + [[0, 1, 1, 1]], np.float32)
    stats = describe(sae, ImageSet(x, np.array([0] * FEW + [2]), "made-up", "train"))
    assert stats.class_n.tolist() == [FEW, 0, 1] and stats.count.tolist() == [FEW, 1, 1, 1]
    assert stats.class_rates.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(stats.class_means, 0.05 * stats.class_rates)
    assert stats.mean_picture.tolist() == [[255, 0, 0, 0]] + [[0] * 4] * 3
    assert stats.importance is not None  # (1 − 0.05)² + … of a quarter: what 0.05 of a pixel takes away
    np.testing.assert_allclose(stats.importance, (1 - 0.95**2) / 4 * stats.class_rates, rtol=1e-5)


def test_a_latent_active_on_few_images_has_no_mean_picture() -> None:
    sae, data = model("topk"), images(60)
    stats = describe(sae, data)
    few = (stats.count > 0) & (stats.count < FEW)
    assert few.any() and (stats.count >= FEW).any()
    assert not stats.mean_picture[few | stats.dead].any()
    assert all(stats.mean_picture[f].any() for f in np.flatnonzero(stats.count >= FEW))


def test_lift_by_hand() -> None:
    stats = describe(model("topk"), images())
    hand = replace(
        stats,
        n=10,
        count=np.array([5, 0]),
        class_rates=np.array([[1.0, 0.25], [0.0, 0.0]], np.float32),
    )
    assert hand.lift.tolist() == [[2.0, 0.5], [0.0, 0.0]]


def test_the_class_of_most_lift_by_hand() -> None:
    rates = np.array([[0.5, 0.1], [0.1, 0.4], [0.0, 0.9]])
    assert most_lift(rates, np.array([FEW, 50, FEW - 1]), 100).tolist() == [0, 1, -1]


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    describe(model("topk"), images(), lambda done, of: told.append((done, of)), batch_size=50)
    assert told == [(50, N), (100, N), (130, N)]


def test_an_ensemble_is_refused() -> None:
    sae = build("tied_topk", TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=3, members=2))
    with pytest.raises(ValueError, match="choose a member"):
        describe(sae, images())
    assert describe(sae.member(1).eval(), images()).n == N


def test_saved_statistics_come_back(tmp_path: Path) -> None:
    stats = describe(model("tied_topk"), images())
    features.save(stats, tmp_path)
    again = features.read(tmp_path, "made-up", "train")
    for f in fields(FeatureStats):
        before, after = getattr(stats, f.name), getattr(again, f.name)
        if isinstance(before, np.ndarray):
            assert after.shape == before.shape
            assert np.allclose(after, before, rtol=2**-10)  # some are kept as float16
        else:
            assert after == before
    stored = {
        name: a.dtype.name for name, a in files.read_tensors(tmp_path / "features-made-up-train.safetensors")[0].items()
    }
    assert stored == {
        **dict.fromkeys(("count", "class_n", "top_indices"), "int32"),
        **dict.fromkeys(("top_values", "class_rates", "class_means"), "float16"),
        **dict.fromkeys(("mean_active", "maximum", "minimum"), "float32"),
        "mean_picture_zlib": "uint8",
    }
    assert np.array_equal(again.top_indices, stats.top_indices)
    assert np.array_equal(again.dead, stats.dead)


def test_statistics_are_called_by_data_and_member(tmp_path: Path) -> None:
    stats = replace(describe(model("topk"), images()), dataset="features-of")
    features.save(stats, tmp_path, member=2)
    ends = "features-of-train-member2.safetensors"
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"features-{ends}", f"importance-{ends}"]
    again = features.read(tmp_path, "features-of", "train", member=2)
    assert again.importance is not None and np.array_equal(again.count, stats.count)
    with pytest.raises(CheckpointError, match=r"features-features-of-train\.safetensors is missing"):
        features.read(tmp_path, "features-of", "train")


def test_damaged_statistics_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"features-made-up-train\.safetensors is missing"):
        features.read(tmp_path, "made-up", "train")
    features.save(describe(model("topk"), images()), tmp_path)
    path = features.stats_path(tmp_path, "made-up", "train")
    arrays, header = files.read_tensors(path)
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"train\.safetensors is damaged"):
        features.read(tmp_path, "made-up", "train")
    for wrong_arrays, wrong_header in (
        ({k: v for k, v in arrays.items() if k != "count"}, header),
        ({**arrays, "more": arrays["count"]}, header),
        (arrays, {"of": header["of"].replace("130", '"many"')}),
        (arrays, {"of": '{"n": 130}'}),
        (arrays, {"of": "not JSON"}),
        (arrays, {}),
        ({**arrays, "maximum": arrays["maximum"][:-1]}, header),
        ({**arrays, "count": arrays["count"][:, None]}, header),
        ({**arrays, "mean_active": arrays["mean_active"] * np.float32("nan")}, header),
    ):
        files.write_tensors(path, wrong_arrays, wrong_header)
        with pytest.raises(CheckpointError, match=r"train\.safetensors does not hold feature statistics"):
            features.read(tmp_path, "made-up", "train")


def test_pictures_larger_than_they_say_are_refused(tmp_path: Path) -> None:
    features.save(replace(describe(model("topk"), images()), importance=None), tmp_path)
    path = features.stats_path(tmp_path, "made-up", "train")
    arrays, header = files.read_tensors(path)
    files.write_tensors(path, arrays, {"of": header["of"].replace('"pixels": 16', '"pixels": 8')})
    with pytest.raises(CheckpointError, match="does not hold feature statistics"):
        features.read(tmp_path, "made-up", "train")


def test_importance_is_kept_apart_and_belongs_to_its_statistics(tmp_path: Path) -> None:
    stats = describe(model("topk"), images())
    features.save(stats, tmp_path)
    path = tmp_path / "importance-made-up-train.safetensors"
    arrays, header = files.read_tensors(path)
    assert arrays["importance"].shape == (D_SAE, CLASSES)
    whole = path.read_bytes()
    for wrong_arrays, wrong_header in (
        ({"importance": arrays["importance"][1:]}, header),
        ({"other": arrays["importance"]}, header),
        (arrays, {"of": header["of"].replace("130", "131")}),
        ({"importance": np.full_like(arrays["importance"], np.inf)}, header),
    ):
        files.write_tensors(path, wrong_arrays, wrong_header)
        with pytest.raises(CheckpointError, match="does not hold feature statistics"):
            features.read(tmp_path, "made-up", "train")
    path.write_bytes(whole[:40])
    with pytest.raises(CheckpointError, match=r"importance-made-up-train\.safetensors is damaged"):
        features.read(tmp_path, "made-up", "train")
    path.unlink()  # as models that were described before
    older = features.read(tmp_path, "made-up", "train")
    assert older.importance is None and np.array_equal(older.count, stats.count)
    with pytest.raises(ValueError, match="importance was not measured on made-up/train"):
        key_features(older, "importance")
    features.save(older, tmp_path)
    assert not path.exists()


def test_key_features_by_importance() -> None:
    stats = describe(model("topk"), images())
    assert stats.importance is not None
    for c, order in enumerate(key_features(stats, "importance")):
        assert set(order) == set(np.flatnonzero(stats.class_rates[:, c] > 0))
        assert (np.diff(stats.importance[order, c]) <= 0).all() and len(order) > 3


def test_nearest_by_hand() -> None:
    rows = np.array([[1, 0], [2, 2], [0, -1], [0, 0], [5, 0], [-1, 0]], np.float32)
    order, cosine = nearest(rows, 0, top=3)
    assert order.tolist() == [4, 1, 2] and cosine.tolist() == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)
    order, cosine = nearest(rows, 1, top=2)
    assert order.tolist() == [0, 4] and cosine.tolist() == pytest.approx([0.5**0.5] * 2), "ties by number"
    assert len(nearest(np.eye(14), 0)[0]) == 12, "as many as are shown where nothing is said"
    order, cosine = nearest(rows, 0)
    assert order.tolist() == [4, 1, 2, 3, 5], "the feature itself is never among them"
    assert cosine[-1] == pytest.approx(-1)
    assert np.isfinite(nearest(rows, 3)[1]).all(), "a row of zeros is near to nothing"
