"""What every sparse autoencoder here is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from sae_core.models import dead, sparse
from sae_core.models.codes import SAEOutput, SparseCode, largest, to_sparse
from sae_core.models.configs import RevivalConfig, SAEConfig
from sae_core.models.forms import InferenceForm, Painter, Reader, Selection
from sae_core.models.network import Network, check_input, to_numpy
from sae_core.models.sparse import Pairs, Passes


class SAE(Network):
    """A sparse autoencoder, whatever its selection is.

    ```
    pre_acts = x @ W_enc + b_enc                       (of x − b_dec with a `pre_bias`)
    acts     = selection(pre_acts)
    x_hat    = acts @ W_dec + b_dec
    loss     = error(x_hat, x)  +  the auxiliary loss, where it was chosen  +  penalties(pre_acts, acts)
    ```

    An encoder of more than one pass looks again at what the code z so far leaves over, as often as `passes` says:

    ```
    pre_acts = z + step · (x − (z @ W_dec + b_dec)) @ W_enc + b_enc,     acts = selection(pre_acts)
    ```

    A variant gives the tensors, its `selection`, its `penalties` and what else of the hooks it needs; the trainer never
    asks which variant it has. W_enc is [d_in, d_sae], W_dec [d_sae, d_in], as the field writes them.
    """

    pre_bias: ClassVar[bool] = False
    """the decoder's bias is subtracted from what is read"""
    passes: int = 1
    """how often the encoder looks; more than once only with a `pre_bias`"""
    step_size: float = 1.0
    """how much of what it sees is added to the code, each time"""
    sparse_step: bool = True
    """train by pairs of image and latent where that is possible: the same gradients, faster; on a CPU"""

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

    def pairs(self, pre_acts: Tensor) -> Pairs:
        """The same as pairs of image and latent; their activations are their pre_acts (after ReLU, if that selects)."""
        k = self.selection().k
        return Pairs.of(largest(pre_acts, k), pre_acts.shape[-1])

    def error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The scalar that training brings down first; it is logged as "mse"."""
        return mse_loss(x_hat, x)

    def penalties(self, pre_acts: Tensor, acts: Tensor) -> dict[str, Tensor]:
        """Named scalars that the loss adds for a training batch [B, d_sae], or for the weights."""
        return {}

    def penalty(self, mean: Tensor) -> Tensor | None:
        """What the loss adds for each latent's mean activation [.., d_sae], elementwise; None: nothing."""
        return None

    # ---- what is the same for all

    def _pre_acts(self, x: Tensor) -> Tensor:
        """x [N, d_in] → what the first pass selects from [N, d_sae]."""
        seen = (x - self.b_dec if self.pre_bias else x) @ self.W_enc
        return (seen if self.step_size == 1 else self.step_size * seen) + self.b_enc

    def _pre_acts_after(self, x: Tensor, acts: Tensor) -> Tensor:
        """x [N, d_in], and the code [N, d_sae] of the pass before → what the next one selects from [N, d_sae]."""
        seen = (x - self.b_dec - acts @ self.W_dec) @ self.W_enc
        return acts + (seen if self.step_size == 1 else self.step_size * seen) + self.b_enc

    def codes(self, x: Tensor) -> Iterator[Tensor]:
        """x [N, d_in] → the code [N, d_sae] after each pass of the encoder."""
        select = self.selection()
        yield (acts := select.on(self._pre_acts(x)))
        for _ in range(1, self.passes):
            yield (acts := select.on(self._pre_acts_after(x, acts)))

    def encode(self, x: Tensor) -> Tensor:
        """x [N, d_in] → acts [N, d_sae]; the code of an image never depends on its batch-mates."""
        for acts in self.codes(x):
            code = acts
        return code

    def decode(self, acts: Tensor) -> Tensor:
        """acts [N, d_sae] → x_hat [N, d_in] = acts @ W_dec + b_dec, not clipped."""
        return acts @ self.W_dec + self.b_dec

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        if self.by_pairs(x):
            return self._losses_by_pairs(x)
        pre_acts = self._pre_acts(x)
        acts = self.select_batch(pre_acts)
        for _ in range(1, self.passes):
            pre_acts = self._pre_acts_after(x, acts)
            acts = self.select_batch(pre_acts)
        return self._losses(x, pre_acts, acts, self.decode(acts))

    def by_pairs(self, x: Tensor) -> bool:
        """Whether a training step on x goes by pairs: on a CPU, where few latents are kept and no loss is of a dense
        code."""
        few = self.selection().by == "topk" or type(self).pairs is not SAE.pairs
        return self.sparse_step and x.device.type == "cpu" and few and type(self).penalties is SAE.penalties

    def _losses_by_pairs(self, x: Tensor) -> dict[str, Tensor]:
        """The same losses and gradients with as few dense products as there are passes."""
        W_enc, W_dec, scale = self._rows()
        relu, told = self.selection().relu, self._told(self.idle, len(x))
        how = Passes(self.pairs, self.passes, self.step_size, relu, told, self._aux_k)
        bias = self.b_dec if self.pre_bias else None
        x_hat, e_hat = sparse.autoencode(x, W_enc, self.b_enc, W_dec, how, scale, bias)
        if bias is None:
            x_hat = x_hat + self.b_dec
        return {"mse": self.error(x_hat, x), **self._aux_of(e_hat, x - x_hat if e_hat.numel() else x)}

    def _rows(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The rows [d_sae, d_in] that read and those that write (None: the same, times the third [d_sae] if given)."""
        return self.W_enc.t(), self.W_dec, None

    @property
    def _aux_k(self) -> int:
        """So many dead latents are to explain an image's residual; 0: none, also where that was not chosen."""
        config = self.config
        if self.revival != "aux" or not isinstance(config, RevivalConfig) or config.aux_weight == 0:
            return 0
        return config.aux_k

    def _told(self, idle: Tensor, n: int) -> Callable[[Tensor], Tensor | None]:
        """What is to be told the latents that n images activate: it counts, and says which dead ones are to explain."""

        def told(active: Tensor) -> Tensor | None:
            if self.training:
                dead.watch_latents(idle, active, self.ranks.images(n))
                self.ranks.least(idle)
            found = self._dead(idle).nonzero()[:, 0] if self._aux_k else idle[:0]
            return found if len(found) else None

        return told

    def _aux_of(self, e_hat: Tensor, residual: Tensor) -> dict[str, Tensor]:
        """The auxiliary loss, where it was chosen, of what dead latents explain (nothing, where none is dead)."""
        if self.revival != "aux" or not isinstance(self.config, RevivalConfig):
            return {}
        if e_hat.numel() == 0 or self._aux_k == 0:
            return {"aux": residual.new_zeros(())}
        return {"aux": self.config.aux_weight * dead.unexplained(e_hat, residual)}

    def _losses(self, x: Tensor, pre_acts: Tensor, acts: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
        self.watch(acts)
        return {"mse": self.error(x_hat, x), **self.aux_loss(pre_acts, x - x_hat), **self.penalties(pre_acts, acts)}

    def inference_form(self) -> InferenceForm:
        """This model as the one formula that the browser computes, with what it reads and how it is shown."""
        b, select = self.b_enc, self.selection()
        if self.pre_bias:
            # In float64: it then differs from subtracting b_dec first by float32's rounding only.
            b = b.detach().double() - self.step_size * (self.b_dec.detach().double() @ self.W_enc.detach().double())
        if isinstance(select.thresholds, Tensor):
            select = replace(select, thresholds=to_numpy(select.thresholds))
        return InferenceForm(
            W=to_numpy(self.W_enc),
            b=to_numpy(b),
            D=to_numpy(self.W_dec),
            c=to_numpy(self.b_dec.expand(self.config.d_in)),
            select=select,
            passes=self.passes,
            step=self.step_size,
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
        return self._dead(self.idle)

    def _dead(self, idle: Tensor) -> Tensor:
        config = self.config
        return idle >= (config.dead_after if isinstance(config, RevivalConfig) else float("inf"))

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
            dead.watch(self.idle, acts, self.ranks.images(acts.shape[-2]))
            self.ranks.least(self.idle)

    def aux_loss(self, pre_acts: Tensor, residual: Tensor) -> dict[str, Tensor]:
        """Where it was chosen, the loss by which the strongest dead latents are to explain the residual [B, d_in]."""
        e_hat, which = pre_acts[:0], self.dead
        if pre_acts.is_cuda and self._aux_k:  # without asking the device how many are dead
            e_hat = dead.explained(*self._among_all(pre_acts, which), self._aux_k)
            return {name: loss * which.any() for name, loss in self._aux_of(e_hat, residual).items()}
        if self._aux_k and which.any():
            e_hat = dead.explained(*self._of_dead(pre_acts, which), self._aux_k)
        return self._aux_of(e_hat, residual)

    def _of_dead(self, pre_acts: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The dead latents' pre_acts and decoder rows."""
        return pre_acts[:, which], self.W_dec[which]

    def _among_all(self, pre_acts: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The same with all latents, of which those that are not dead have −∞."""
        return pre_acts.masked_fill(~which.unsqueeze(-2), -torch.inf), self.W_dec

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
