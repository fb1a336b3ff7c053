"""What every sparse autoencoder here is."""

from __future__ import annotations

from dataclasses import replace
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
    """A sparse autoencoder, whatever its selection is.

    ```
    pre_acts = x @ W_enc + b_enc                       (of x − b_dec with a `pre_bias`)
    acts     = selection(pre_acts)
    x_hat    = acts @ W_dec + b_dec
    loss     = error(x_hat, x)  +  the auxiliary loss, where it was chosen  +  penalties(pre_acts, acts)
    ```

    A variant gives the tensors, its `selection`, its `penalties` and what else of the hooks it needs; the trainer never
    asks which variant it has. W_enc is [d_in, d_sae], W_dec [d_sae, d_in], as the field writes them.
    """

    pre_bias: ClassVar[bool] = False
    """the decoder's bias is subtracted from what is read"""

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

    # ---- what a variant gives: the tensors above as parameters or properties, and of these what it needs

    def selection(self) -> Selection:
        """Which pre_acts an image's code keeps; it never depends on the image's batch-mates."""
        raise NotImplementedError

    def select_batch(self, pre_acts: Tensor) -> Tensor:
        """pre_acts [B, d_sae] → acts in training, where a batch may be looked at as a whole; here as in use."""
        return self.selection().on(pre_acts)

    def error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The scalar that training brings down first; it is logged as "mse"."""
        return (x_hat - x).pow(2).mean()

    def penalties(self, pre_acts: Tensor, acts: Tensor) -> dict[str, Tensor]:
        """Named scalars that the loss adds for a training batch [B, d_sae], or for the weights."""
        return {}

    def penalty(self, mean: Tensor) -> Tensor | None:
        """What the loss adds for each latent's mean activation [.., d_sae], elementwise; None: nothing."""
        return None

    # ---- what is the same for all

    def _pre_acts(self, x: Tensor) -> Tensor:
        """x [N, d_in] → what the selection chooses from [N, d_sae]."""
        return (x - self.b_dec if self.pre_bias else x) @ self.W_enc + self.b_enc

    def encode(self, x: Tensor) -> Tensor:
        """x [N, d_in] → acts [N, d_sae]; the code of an image never depends on its batch-mates."""
        return self.selection().on(self._pre_acts(x))

    def decode(self, acts: Tensor) -> Tensor:
        """acts [N, d_sae] → x_hat [N, d_in] = acts @ W_dec + b_dec, not clipped."""
        return acts @ self.W_dec + self.b_dec

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        pre_acts = self._pre_acts(x)
        acts = self.select_batch(pre_acts)
        return self._losses(x, pre_acts, acts, self.decode(acts))

    def _losses(self, x: Tensor, pre_acts: Tensor, acts: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
        self.watch(acts)
        return {"mse": self.error(x_hat, x), **self.aux_loss(pre_acts, x - x_hat), **self.penalties(pre_acts, acts)}

    def inference_form(self) -> InferenceForm:
        """This model as the one formula that the browser computes, with what it reads and how it is shown."""
        b, select = self.b_enc, self.selection()
        if self.pre_bias:
            # In float64: it then differs from subtracting b_dec first by float32's rounding only.
            b = b.detach().double() - self.b_dec.detach().double() @ self.W_enc.detach().double()
        if isinstance(select.thresholds, Tensor):
            select = replace(select, thresholds=to_numpy(select.thresholds))
        return InferenceForm(
            W=to_numpy(self.W_enc),
            b=to_numpy(b),
            D=to_numpy(self.W_dec),
            c=to_numpy(self.b_dec.expand(self.config.d_in)),
            select=select,
            reader=None if self.reader is None else self.reader.layer(),
            painter=None if self.painter is None else self.painter.layer(),
        )

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

    def _check(self, x: Tensor) -> None:
        check_input(x, self.config.d_in, "this SAE")

    # ---- dead latents

    @property
    def dead(self) -> Tensor:
        """[d_sae] bool: not active on the last `dead_after` training images."""
        config = self.config
        return self.idle >= (config.dead_after if isinstance(config, RevivalConfig) else float("inf"))

    @property
    def revivals(self) -> tuple[str, ...]:
        """By the auxiliary loss only where a latent that is not chosen may still have a positive pre-activation: where
        ReLU alone chooses, dead ones have a gradient of 0."""
        if not isinstance(self.config, RevivalConfig):
            return ("none",)
        return ("none", "reinit") if self.selection().by == "all" else ("none", "reinit", "aux")

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
