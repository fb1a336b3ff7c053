"""What every sparse autoencoder here is: the base class, its results, and the registry of variants."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sae_core import options
from sae_core.options import option

PIXELS = "pixels"


@dataclass(frozen=True)
class SAEConfig:
    """What changes a model's shape or its inference. The device is in no config."""

    d_in: int = option(784, "inputs: the pixels of a 28×28 picture", low=1, high=1_000_000)
    d_sae: int = option(1024, "latents: the size of the dictionary", low=1, high=1_000_000)
    reads: str = option(PIXELS, "what it reads: pixels, or the name of the classifier whose hidden layer it reads")
    shows: str = option(PIXELS, "how that becomes a picture: pixels (as it is), or the name of an image generator")

    def __post_init__(self) -> None:
        options.check(self)


@dataclass(frozen=True)
class RevivalConfig(SAEConfig):
    """What the ways of bringing dead latents back need; which of them is used is an option of the training."""

    aux_weight: float = option(0.25, "weight of the auxiliary loss that revives dead latents", low=0.0, high=10.0)
    aux_k: int = option(256, "dead latents that share the residual in that loss", low=1, high=100_000)
    dead_after: int = option(4_000, "training images without activity after which a latent is dead", low=1)


class SAEOutput(NamedTuple):
    """One forward pass."""

    x_hat: Tensor
    """reconstruction [N, d_in], not clipped"""
    acts: Tensor
    """code [N, d_sae], dense; zero where a latent is not active"""


class SparseCode(NamedTuple):
    """A code as pairs, the largest magnitude first; m is the largest L0 of the batch."""

    indices: Tensor
    """latents [N, m], int64; 0 where the value is 0"""
    values: Tensor
    """activations [N, m]; a row with fewer than m active latents ends in zeros"""


@dataclass(frozen=True)
class KConfig(RevivalConfig):
    """Shape and sparsity of an SAE that keeps k latents."""

    k: int = option(50, "active latents per example", low=1, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d_sae:
            raise ValueError(f"k must be at most d_sae = {self.d_sae}, not {self.k}")


class Layer(NamedTuple):
    """One layer of a network around an SAE, as NumPy float32 arrays: squash(x @ W + b)."""

    W: np.ndarray
    """[n_in, n_out]"""
    b: np.ndarray
    """[n_out]"""
    squash: str
    """"tanh-relu": max(0, tanh(·)); "sigmoid": 1 / (1 + exp(−·))"""


@dataclass(frozen=True)
class InferenceForm:
    """All that inference needs, as NumPy float32 arrays: codes = select(h @ W + b), h_hat = codes @ D + c.

    h is x itself, or `reader` of it; the picture of h_hat is h_hat itself, or `painter` of it. The browser's engine is
    given exactly these numbers.
    """

    W: np.ndarray
    """[d_in, d_sae]"""
    b: np.ndarray
    """[d_sae], a subtracted pre-bias folded in"""
    D: np.ndarray
    """[d_sae, d_in]"""
    c: np.ndarray
    """[d_in]"""
    select: str
    """"topk": the k largest of each row stay; "relu": all; "threshold": those strictly over theirs"""
    k: int
    """for "topk", else 0"""
    threshold: float
    """for "threshold", else 0"""
    relu: bool
    """negative values that were selected become 0"""
    reader: Layer | None = None
    """from 784 pixels to h [d_in]; None: h is the pixels"""
    painter: Layer | None = None
    """from h to 784 pixels; None: h is a picture"""


class Reader(Protocol):
    """What an SAE may read instead of pixels: a layer of another network."""

    def hidden(self, x: Tensor) -> Tensor:
        """pictures [N, 784] → [N, d_in]"""

    def layer(self) -> Layer:
        """the same as one formula"""


class Painter(Protocol):
    """How what such an SAE reads becomes a picture again."""

    def paint(self, h: Tensor) -> Tensor:
        """[N, d_in] → pictures [N, 784]"""

    def layer(self) -> Layer:
        """the same as one formula"""


class Network(nn.Module):
    """What the trainer and the checkpoints know of a model: its config, its losses, and a few hooks."""

    variant: ClassVar[str]
    """the name on the command line"""
    Config: ClassVar[type[Any]]
    recipe: ClassVar[dict[str, Any]] = {}
    """the training options that suit it, where they differ from `TrainOptions`"""
    revival: str = "none"
    """how dead latents come back in the training that is going on: none | reinit | aux"""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def read(self, x: Tensor) -> Tensor:
        """Pictures [N, 784] → what this network reads; here the pixels themselves."""
        return x

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised, for a training batch of what it reads."""
        raise NotImplementedError

    def labelled_losses(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The same with the classes [B] of the batch, for a network that learns them."""
        return self.losses(x)

    def start(self, x: Tensor) -> None:
        """Once before training, with all that it will read, on the device."""

    def after_step(self) -> None:
        """After each optimiser step (for example: decoder rows back to unit norm)."""

    @property
    def dead(self) -> Tensor:
        """Which of its latents are dead, where it has any: bool."""
        return torch.zeros(0, dtype=torch.bool)

    def revive(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Start dead latents anew; returns which they were."""
        return self.dead

    def finish(self, x: Tensor) -> None:
        """Once after training and rounding, with all that it read (for example: an exact threshold)."""

    @torch.no_grad()
    def round_weights(self) -> None:
        """Round every parameter to float16 and back, once, before anything is measured.

        Python and the browser then compute with the same numbers; with float32 here and float16 there, about
        one image in a hundred would get another set of active latents.
        """
        for p in self.parameters():
            if not p.abs().max() <= 65504:  # float16's largest number; NaN is not below it either
                raise ValueError("a weight is too large for float16; the training has probably diverged")
            p.copy_(p.half().float())

    def _check(self, x: Tensor) -> None:
        check_input(x, self.config.d_in, "this network")


def check_input(x: Tensor, d_in: int, who: str) -> None:
    """ValueError in words unless x is a finite float32 [N, d_in]."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{who} reads a torch tensor, not {type(x).__name__}: torch.from_numpy(x)")
    if x.ndim != 2 or x.shape[1] != d_in:
        raise ValueError(f"{who} reads [N, {d_in}], not {list(x.shape)}")
    if x.dtype != torch.float32:
        raise ValueError(f"{who} reads float32 in [0, 1], not {x.dtype}; divide 8-bit pixels by 255")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the input has NaN or infinite values")


class SAE(Network):
    """A sparse autoencoder: acts = encode(x), x_hat = acts @ W_dec + b_dec.

    A variant gives `encode`, `losses` and what else of the hooks it needs; the trainer never asks which
    variant it has. W_enc is [d_in, d_sae], W_dec [d_sae, d_in], as the field writes them.
    """

    Config: ClassVar[type[SAEConfig]] = SAEConfig

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    """[d_sae, d_in]: what each latent adds to the reconstruction"""
    b_dec: Tensor
    """the reconstruction of the empty code"""
    idle: Tensor
    """[d_sae] training images since each latent was last active: part of a training, not of the model"""

    def __init__(self, config: SAEConfig) -> None:
        super().__init__(config)
        self.config: SAEConfig
        self.__dict__["reader"] = self.__dict__["painter"] = None  # not submodules: their weights are not ours
        self.register_buffer("idle", torch.zeros(config.d_sae), persistent=False)

    reader: Reader | None
    painter: Painter | None

    # ---- what a variant gives: the tensors above as parameters or properties, `losses`, and these

    def encode(self, x: Tensor) -> Tensor:
        """x [N, d_in] → acts [N, d_sae]; the code of an image never depends on its batch-mates."""
        raise NotImplementedError

    def inference_form(self) -> InferenceForm:
        """This model as the one formula that the browser computes."""
        raise NotImplementedError

    # ---- what is the same for all

    def decode(self, acts: Tensor) -> Tensor:
        """acts [N, d_sae] → x_hat [N, d_in] = acts @ W_dec + b_dec, not clipped."""
        return acts @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> SAEOutput:
        """x [N, d_in] float32 → code and reconstruction. ValueError for a wrong shape or NaN."""
        self._check(x)
        acts = self.encode(x)
        return SAEOutput(self.decode(acts), acts)

    def sparse_code(self, x: Tensor) -> SparseCode:
        """x [N, d_in] → the non-zero activations as pairs, the largest magnitude first."""
        self._check(x)
        return to_sparse(self.encode(x))

    def attach(self, reader: Reader | None, painter: Painter | None) -> None:
        """Say what it reads instead of pixels, and how that becomes a picture; both must be on its device."""
        self.__dict__["reader"], self.__dict__["painter"] = reader, painter

    def read(self, x: Tensor) -> Tensor:
        """Pictures [N, 784] → what this SAE reads [N, d_in]: the pixels, or the hidden layer of a classifier."""
        return x if self.reader is None else self.reader.hidden(x)

    def picture(self, h: Tensor) -> Tensor:
        """What this SAE reads or reconstructs [N, d_in] → pictures [N, 784]: the same, or by an image generator.

        ValueError for an SAE that reads a hidden layer and was given no generator.
        """
        if self.painter is not None:
            return self.painter.paint(h)
        if self.reader is not None:
            raise ValueError("this SAE reads a hidden layer, and no image generator was named that shows it")
        return h

    def row_pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's and the decoder's row of every latent as pictures, each [d_sae, 784].

        For an SAE on pixels these are its weights. On a hidden layer the encoder's row is taken back through the
        classifier's first weights, the decoder's on through the generator's, both without the squashing between.
        """
        form = self.inference_form()
        encoder = form.W.T if form.reader is None else (form.reader.W @ form.W).T
        decoder = form.D if form.painter is None else form.D @ form.painter.W
        return np.ascontiguousarray(encoder), np.ascontiguousarray(decoder)

    def member(self, index: int) -> SAE:
        """The model at that place of an ensemble; a single model is its own member 0."""
        if index != 0:
            raise ValueError(f"there is no member {index}: this {self.variant} is a single model, member 0")
        return self

    # ---- parts that untied variants share

    def _untied(self) -> None:
        """Parameters of its own for encoder and decoder: W_dec random unit rows, W_enc their transpose, biases 0."""
        d_in, d_sae = self.config.d_in, self.config.d_sae
        D = nn.functional.normalize(torch.randn(d_sae, d_in), dim=-1)
        self.W_enc = nn.Parameter(D.t().contiguous())
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(D)
        self.b_dec = nn.Parameter(torch.zeros(d_in))

    @torch.no_grad()
    def _start_among(self, x: Tensor) -> None:
        """b_dec at the mean of x, rows in random directions among those that x has.

        An input that never changes has no gradient and would show its initial noise for ever.
        """
        self.b_dec.copy_(x.mean(0))
        self.W_dec.copy_(nn.functional.normalize(self.W_dec * x.std(0, correction=0), dim=-1))
        self.W_enc.copy_(self.W_dec.t())

    @torch.no_grad()
    def _unit_rows(self) -> None:
        self.W_dec.copy_(nn.functional.normalize(self.W_dec, dim=-1))

    def _form(
        self, W: Tensor, b: Tensor, D: Tensor, c: Tensor, select: str, *, relu: bool, k: int = 0, threshold: float = 0.0
    ) -> InferenceForm:
        """These tensors as an inference form, with what the SAE reads and how it is shown."""
        return InferenceForm(
            W=to_numpy(W),
            b=to_numpy(b),
            D=to_numpy(D),
            c=to_numpy(c),
            select=select,
            k=k,
            threshold=threshold,
            relu=relu,
            reader=None if self.reader is None else self.reader.layer(),
            painter=None if self.painter is None else self.painter.layer(),
        )

    def _folded_bias(self) -> Tensor:
        """b_enc − b_dec @ W_enc: what a subtracted pre-bias makes of the encoder's bias.

        In float64: it then differs from subtracting b_dec first by float32's rounding only.
        """
        return self.b_enc.detach().double() - self.b_dec.detach().double() @ self.W_enc.detach().double()

    def _check(self, x: Tensor) -> None:
        check_input(x, self.config.d_in, "this SAE")

    # ---- dead latents

    @property
    def dead(self) -> Tensor:
        """[d_sae] bool: not active on the last `dead_after` training images."""
        return self.idle >= getattr(self.config, "dead_after", float("inf"))

    @torch.no_grad()
    def watch(self, acts: Tensor) -> None:
        """Count, in training, how long each latent has not been active; acts [.., B, d_sae]."""
        if self.training:
            self.idle += acts.shape[-2]
            self.idle[(acts != 0).any(-2)] = 0

    def aux_loss(self, pre_acts: Tensor, residual: Tensor) -> dict[str, Tensor]:
        """The auxiliary loss where it was chosen: the strongest dead latents are to explain the residual [B, d_in].

        ```
        aux = aux_weight · mean (e_hat − e)²,   e_hat = ReLU(the aux_k largest dead pre_acts) @ W_dec
        ```

        Without the decoder's bias, which would otherwise be learned twice. Source: Gao et al. 2024.
        """
        config = self.config
        if self.revival != "aux" or not isinstance(config, RevivalConfig):
            return {}
        dead = self.dead
        n_dead = int(dead.sum())
        if n_dead == 0 or config.aux_weight == 0:
            return {"aux": pre_acts.new_zeros(())}
        if dead.ndim == 1:
            acts, rows = keep_topk(pre_acts[:, dead], min(config.aux_k, n_dead)).relu(), self.W_dec[dead]
        else:  # an ensemble: each member has its own dead ones
            of_dead = pre_acts.masked_fill(~dead.unsqueeze(-2), -torch.inf)
            acts, rows = keep_topk(of_dead, min(config.aux_k, config.d_sae)).relu(), self.W_dec
        missed = (acts @ rows - residual.detach()).pow(2).mean(dim=(-2, -1)).sum()
        return {"aux": config.aux_weight * missed}

    @torch.no_grad()
    def revive(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Start dead latents anew from what x [N, d_in] is reconstructed worst in; returns which: bool like `idle`.

        An image is drawn with a probability proportional to its squared error; its residual, at unit length, is the
        latent's decoder row and, at a fifth of the mean length of the living ones, its encoder's; its bias is 0.
        Source: Bricken et al. 2023 ("neuron resampling").
        """
        dead = self.dead
        if not dead.any():
            return dead
        residual = x - self.decode(self.encode(x))  # [.., N, d_in], with a leading dimension for an ensemble
        single = dead.ndim == 1
        for i in range(1 if single else len(dead)):
            mine, missed = (dead, residual) if single else (dead[i], residual[i])
            n_dead = int(mine.sum())
            if n_dead == 0:
                continue
            W, b = (self.W_enc, self.b_enc) if single else (self.W_enc[i], self.b_enc[i])
            weights = missed.pow(2).sum(-1).cpu().double() + 1e-12
            drawn = torch.multinomial(weights, n_dead, replacement=True, generator=generator)
            rows = nn.functional.normalize(missed[drawn.to(x.device)], dim=-1)
            length = W[:, ~mine].norm(dim=0).mean() if n_dead < len(mine) else W.new_ones(())
            W[:, mine] = 0.2 * length * rows.t()
            b[mine] = 0
            if isinstance(self.W_dec, nn.Parameter):
                self.W_dec[mine] = rows
        self.idle[dead] = 0
        return dead


def to_numpy(t: Tensor) -> np.ndarray:
    """A tensor's numbers as a float32 array of its own shape, wherever it is."""
    return t.detach().cpu().float().contiguous().numpy()


def keep_topk(pre_acts: Tensor, k: int) -> Tensor:
    """Keep the k largest values of each row [.., d_sae] and set the rest to 0."""
    top = pre_acts.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre_acts).scatter(-1, top.indices, top.values)


def to_sparse(acts: Tensor) -> SparseCode:
    """Dense acts [N, d_sae] → pairs. Codes are kept and passed on in this form."""
    m = int((acts != 0).sum(-1).max()) if len(acts) else 0
    order = acts.abs().topk(m, dim=-1).indices
    values = acts.gather(-1, order)
    return SparseCode(torch.where(values != 0, order, 0), values)


# ---- registry

_NETWORKS: dict[str, type[Network]] = {}
S = TypeVar("S", bound=type[Network])


def register(cls: S) -> S:
    """Make a model known to the command line, the training form and the tests that run over all."""
    if cls.variant in _NETWORKS:
        raise ValueError(f"there are two models called {cls.variant}")
    _NETWORKS[cls.variant] = cls
    return cls


@cache
def _import_all() -> None:
    import_module("sae_core.classifier")
    package = import_module("sae_core.variants")
    for found in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{found.name}")


def networks() -> dict[str, type[Network]]:
    """Everything that can be trained, by name: the SAEs, and the networks around them."""
    _import_all()
    return dict(sorted(_NETWORKS.items()))


def registry() -> dict[str, type[SAE]]:
    """Every registered SAE by name: one file each under `variants/`."""
    return {name: cls for name, cls in networks().items() if issubclass(cls, SAE)}


def build_network(variant: str, config: Any = None, *, seed: int = 42) -> Network:
    """A new model with its initial weights, which the seed alone decides (the CPU draws for every device)."""
    known = networks()
    if variant not in known:
        raise ValueError(f"there is no model called {variant!r}; there is {', '.join(known)}")
    cls = known[variant]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config if config is not None else cls.Config())


def build(variant: str, config: SAEConfig | None = None, *, seed: int = 42) -> SAE:
    """A new SAE with its initial weights, as `build_network`."""
    if variant not in registry():
        raise ValueError(f"there is no SAE called {variant!r}; there is {', '.join(registry())}")
    sae = build_network(variant, config, seed=seed)
    assert isinstance(sae, SAE)
    return sae
