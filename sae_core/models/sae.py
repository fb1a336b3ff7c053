"""What every sparse autoencoder here is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sae_core.models import dead
from sae_core.models.codes import SAEOutput, SparseCode, to_sparse
from sae_core.models.configs import RevivalConfig, SAEConfig
from sae_core.models.forms import InferenceForm, Painter, Reader, Selection
from sae_core.models.network import Network, check_input, to_numpy


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

    def penalty(self, mean: Tensor) -> Tensor | None:
        """What the loss adds for each latent's mean activation [.., d_sae], elementwise; None: nothing."""
        return None

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

    def _form(self, W: Tensor, b: Tensor, D: Tensor, c: Tensor, select: Selection) -> InferenceForm:
        """These tensors as an inference form, with what the SAE reads and how it is shown."""
        return InferenceForm(
            W=to_numpy(W),
            b=to_numpy(b),
            D=to_numpy(D),
            c=to_numpy(c),
            select=select,
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
        config = self.config
        return self.idle >= (config.dead_after if isinstance(config, RevivalConfig) else float("inf"))

    def watch(self, acts: Tensor) -> None:
        """Count, in training, how long each latent has not been active; acts [B, d_sae]."""
        if self.training:
            dead.watch(self.idle, acts)

    def aux_loss(self, pre_acts: Tensor, residual: Tensor) -> dict[str, Tensor]:
        """Where it was chosen, the loss by which the strongest dead latents are to explain the residual [B, d_in]."""
        config, which = self.config, self.dead
        if self.revival != "aux" or not isinstance(config, RevivalConfig):
            return {}
        if config.aux_weight == 0 or not which.any():
            return {"aux": pre_acts.new_zeros(())}
        return {"aux": config.aux_weight * dead.missed(*self._of_dead(pre_acts, which), residual, config.aux_k)}

    def _of_dead(self, pre_acts: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The dead latents' pre_acts and decoder rows."""
        return pre_acts[:, which], self.W_dec[which]

    @torch.no_grad()
    def revive(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Start dead latents anew from what x [N, d_in] is reconstructed worst in; returns which: bool like `idle`."""
        which = self.dead
        if which.any():
            self._start_anew(which, x - self.decode(self.encode(x)), generator)
            self.idle[which] = 0
        return which

    def _start_anew(self, which: Tensor, residual: Tensor, generator: torch.Generator) -> None:
        W_dec = self.W_dec if isinstance(self.W_dec, nn.Parameter) else None
        dead.start_anew(which, residual, self.W_enc, self.b_enc, W_dec, generator)
