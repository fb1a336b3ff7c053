"""Training: what the seed fixes, how it goes on after a stop, and the rate of every step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, registry
from sae_core.variants.topk import TopKConfig

torch.set_num_threads(1)  # models this small only wait for a second thread
D_IN, D_SAE = 30, 20
ALL = sorted(registry())


def small(variant: str, seed: int = 0) -> SAE:
    Config: Any = registry()[variant].Config
    more = {"k": 4} if "k" in Config.__dataclass_fields__ else {}
    if "dead_after" in Config.__dataclass_fields__:
        more["dead_after"] = 40  # so that the loss that revives has something to do
    return build(variant, Config(d_in=D_IN, d_sae=D_SAE, **more), seed=seed)


def pictures(n: int = 50) -> Tensor:
    g = torch.Generator().manual_seed(1)
    return torch.rand(n, D_IN, generator=g) * (torch.rand(n, D_IN, generator=g) > 0.5)


OPTS = TrainOptions(epochs=3, batch_size=8, lr=0.01, warmup=0.2, decay_from=0.6, seed=5)


def weights(sae: Network) -> dict[str, Tensor]:
    return {**{n: p.detach().clone() for n, p in sae.named_parameters()}, **dict(sae.named_buffers())}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("variant", ALL)
def test_the_seed_fixes_the_result(variant: str) -> None:
    def run(seed: int) -> dict[str, Tensor]:
        sae = small(variant, seed=0)
        list(Training(sae, pictures(), TrainOptions(epochs=2, batch_size=8, seed=seed)))
        return weights(sae)

    first = run(5)
    torch.manual_seed(99)  # torch's own generator is not asked
    assert same(first, run(5))
    assert not same(first, run(6)), "the same first weights, but another order of the images"


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    training = Training(small("topk"), pictures(), OPTS)
    epochs = [
        torch.cat([training._batch(step) for step in range(e * 7, e * 7 + 7)]).tolist() for e in range(OPTS.epochs)
    ]
    for order in epochs:
        assert sorted(order) == list(range(50))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert len(training._batch(6)) == 50 - 6 * 8, "the last batch of an epoch is what is left"
    again = Training(small("topk"), pictures(), OPTS)
    assert again._batch(13).tolist() == epochs[1][48:], "a step's images do not depend on the steps before"


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("stop", [1, 6, 7, 8, 13, 20, 21])
def test_a_stopped_training_goes_on_to_the_same_bits(variant: str, stop: int) -> None:
    whole = small(variant)
    logs = list(Training(whole, pictures(), OPTS, log_every=1))
    assert [log.step for log in logs] == list(range(1, 22))

    first = Training(small(variant), pictures(), OPTS, log_every=1)
    for log in first:
        if log.step == stop:
            break
    state = {name: t.clone() for name, t in first.state().items()}
    sae = small(variant, seed=77)  # other weights: all must come from the state
    second = Training(sae, pictures(), OPTS, log_every=1)
    second.restore(state)
    assert same({n: t.float() for n, t in second.state().items()}, {n: t.float() for n, t in state.items()})
    rest = list(second)
    assert [(a.step, a.lr, a.losses) for a in rest] == [(b.step, b.lr, b.losses) for b in logs[stop:]]
    assert same(weights(sae), weights(whole))
    assert not sae.training


def test_a_restored_training_owns_its_numbers() -> None:
    first = Training(small("topk"), pictures(), OPTS, log_every=1)
    next(first)
    state = {name: t.clone() for name, t in first.state().items()}
    kept = {name: t.clone() for name, t in state.items()}
    second = Training(small("topk"), pictures(), OPTS, log_every=1)
    second.restore(state)
    next(second)
    assert same(state, kept), "going on must not write into the state it was given"


def test_a_state_of_another_model_is_refused() -> None:
    topk, tied = Training(small("topk"), pictures(), OPTS), Training(small("tied_topk"), pictures(), OPTS)
    with pytest.raises(ValueError, match="other parameters"):
        topk.restore(tied.state())
    next(topk)
    for lost in ("step", "adam.W_enc.exp_avg"):
        state = topk.state()
        del state[lost]
        with pytest.raises(ValueError, match="incomplete"):
            Training(small("topk"), pictures(), OPTS).restore(state)


def test_when_it_logs() -> None:
    opts = replace(OPTS, revival="aux")
    logs = list(Training(small("topk"), pictures(), opts, log_every=5))
    assert [log.step for log in logs] == [5, 7, 10, 14, 15, 20, 21], "every 5 steps and at the end of an epoch"
    assert [log.epoch for log in logs] == pytest.approx([s / 7 for s in (5, 7, 10, 14, 15, 20, 21)])
    assert all(log.steps == 21 and log.images_per_s > 0 for log in logs)
    each = list(Training(small("topk"), pictures(), opts, log_every=1))
    for name in ("mse", "aux"):
        mean = sum(log.losses[name] for log in each[:5]) / 5
        assert logs[0].losses[name] == pytest.approx(mean, rel=1e-5), "a log is the mean since the log before"
    assert set(logs[0].losses) == {"mse", "aux"}


@pytest.mark.parametrize(
    ("warmup", "decay_from", "expected"),
    [
        (0.0, 1.0, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (0.4, 1.0, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]),
        (0.0, 0.5, [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]),
        (0.2, 0.8, [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5]),
        (0.0, 0.0, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        (1.0, 0.0, [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.4, 0.3, 0.2, 0.1]),
        (0.01, 0.99, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),  # less than a step
    ],
)
def test_the_learning_rate_by_hand(warmup: float, decay_from: float, expected: list[float]) -> None:
    opts = TrainOptions(epochs=2, batch_size=10, lr=0.02, warmup=warmup, decay_from=decay_from)
    assert [opts.lr_at(s, 10) for s in range(10)] == pytest.approx([0.02 * e for e in expected])
    training = Training(small("topk"), pictures(), opts, log_every=1)
    assert [log.lr for log in training] == pytest.approx([0.02 * e for e in expected])
    assert training.optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * expected[-1]), "and Adam used it"


def test_one_step_is_adams() -> None:
    x = pictures(8)
    sae, reference = small("tied_topk"), small("tied_topk")
    (log,) = Training(sae, x, TrainOptions(epochs=1, batch_size=8, lr=0.01))
    loss = reference.train().losses(x)["mse"]
    loss.backward()
    assert log.losses["mse"] == pytest.approx(loss.item())
    g = reference.W_enc.grad
    assert g is not None
    # Adam's first step is lr · g / (|g| + eps)
    assert torch.allclose(sae.W_enc, reference.W_enc - 0.01 * g / (g.abs() + 1e-8), atol=1e-6)


@pytest.mark.parametrize("variant", ALL)
def test_a_loss_that_is_no_number_stops_with_words(variant: str) -> None:
    sae = small(variant)
    training = Training(sae, pictures(), OPTS, log_every=1)
    next(training)
    with torch.no_grad():
        sae.W_enc[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"no longer a number at step .*smaller learning rate"):
        for _ in training:
            pass


def test_nothing_or_wrong_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no image was given"):
        Training(small("topk"), pictures(0), OPTS)
    with pytest.raises(ValueError, match=r"reads \[N, 30\]"):
        Training(small("topk"), pictures()[:, :9], OPTS)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"lr": -1.0}, "lr must be at least"),
        ({"warmup": 1.5}, "warmup must be at most 1"),
        ({"precision": "float8"}, "precision must be one of auto, float32, tf32, bfloat16"),
        ({"seed": "1"}, "seed must be int"),
    ],
)
def test_an_option_names_what_is_wrong(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TrainOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", ALL)
def test_bfloat16_on_a_cpu(variant: str) -> None:
    plain, mixed = small(variant), small(variant)
    options: dict[str, Any] = {"epochs": 20, "batch_size": 25, "lr": 0.01}
    full = list(Training(plain, pictures(), TrainOptions(**options, precision="float32")))[-1]
    half = list(Training(mixed, pictures(), TrainOptions(**options, precision="bfloat16")))[-1]
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    assert not torch.equal(plain.W_enc, mixed.W_enc), "it did compute in another precision"
    assert half.losses["mse"] == pytest.approx(full.losses["mse"], rel=0.25)
    assert mixed(pictures()).x_hat.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_training_on_cuda(variant: str, precision: str) -> None:
    opts = TrainOptions(epochs=20, batch_size=25, lr=0.01, precision=precision)
    cpu, gpu = small(variant), small(variant).to("cuda")
    on_cpu = list(Training(cpu, pictures(), opts))[-1]
    training = Training(gpu, pictures().to("cuda"), opts, log_every=1)
    logs = []
    for log in training:
        logs.append(log)
        if log.step == 25:
            break
    again = small(variant).to("cuda")
    rest = Training(again, pictures().to("cuda"), opts, log_every=1)
    rest.restore({name: t.cpu() for name, t in training.state().items()})
    last = list(rest)[-1]
    assert last.losses["mse"] == pytest.approx(on_cpu.losses["mse"], rel=0.25)
    assert again.W_enc.device.type == "cuda"
    assert again(pictures().to("cuda")).x_hat.dtype == torch.float32


# ---- dead latents


def dying(revival: str, **more: Any) -> Training:
    """A training in which half of the latents are never active unless something is done."""
    config = TopKConfig(d_in=D_IN, d_sae=12, k=2, dead_after=32, aux_weight=1.0)
    sae = build("topk", config, seed=0)
    opts = TrainOptions(epochs=12, batch_size=8, lr=0.003, revival=revival, **more)
    training = Training(sae, pictures(), opts, log_every=1)
    with torch.no_grad():
        sae.W_enc[:, :6] *= 0.01
        # With the auxiliary loss they must be positive, so that they can learn, but not among the k largest.
        sae.b_enc[:6] = 0.001 if revival == "aux" else -1.0
    return training


def test_nothing_is_revived_unless_it_is_chosen() -> None:
    logs = list(dying("none"))
    assert not any(log.note for log in logs)
    assert [log.dead for log in logs[:3]] == [0, 0, 0], "not before dead_after images"
    assert logs[-1].dead >= 6


def test_reinitialised_latents_are_in_the_log_and_come_to_use() -> None:
    training = dying("reinit", revive_every=10)
    logs = list(training)
    told = [log for log in logs if "re-initialised" in log.note]
    assert told and told[0].step == 10 and told[0].note.endswith("re-initialised at step 10")
    count = int(told[0].note.split()[0])
    assert count >= 6 and logs[8].dead == count and told[0].dead == 0
    assert all(log.step % 10 == 0 and log.step <= 0.9 * log.steps for log in told)
    acts = training.model(pictures()).acts
    assert int((acts != 0).any(0)[:6].sum()) >= 3


def test_what_the_auxiliary_loss_revives_is_in_the_log() -> None:
    logs = list(dying("aux"))
    told = [log for log in logs if log.note]
    assert told and all(log.note.endswith(f" revived at step {log.step}") for log in told)
    first = told[0]
    before = next(log for log in logs if log.step == first.step - 1)
    assert int(first.note.split()[0]) >= before.dead - first.dead > 0


def test_adam_forgets_what_a_reinitialised_latent_was() -> None:
    training = dying("reinit", revive_every=10)
    for _ in range(9):
        next(training)
    training._update(training._batch(9))
    dead = training.model.dead.clone()
    assert training._revive() == int(dead.sum()) >= 6
    state = {name: training._moments(name, p) for name, p in training.model.named_parameters()}
    for key in ("exp_avg", "exp_avg_sq"):
        assert not state["W_enc"][key][:, dead].any() and not state["b_enc"][key][dead].any()
        assert not state["W_dec"][key][dead].any()
        assert state["W_enc"][key][:, ~dead].any() and state["b_dec"][key].any()


def test_a_training_that_revives_goes_on_as_if_never_stopped() -> None:
    whole = dying("reinit", revive_every=10)
    for _ in whole:
        pass
    first = dying("reinit", revive_every=10)
    for _ in range(13):
        next(first)
    second = dying("reinit", revive_every=10)
    second.restore(first.state())
    for _ in second:
        pass
    assert same(weights(second.model), weights(whole.model))
