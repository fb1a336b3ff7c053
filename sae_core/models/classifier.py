"""The small classifier whose hidden layer an SAE can read, and the generator that turns that layer into a picture.

Both are one layer wide and kept like every other model: trained, cached, listed and loaded by name.
Source: document 004, phases 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core import options
from sae_core.models.forms import Layer, Reader
from sae_core.models.network import Network, check_input, to_numpy
from sae_core.models.registry import register
from sae_core.options import option


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape of `classifier`."""

    d_in: int = option(784, "inputs: the pixels of a 28×28 picture", low=1, high=1_000_000)
    d_hidden: int = option(49, "units of the hidden layer", low=1, high=100_000)
    classes: int = option(11, "classes; the documents' eleventh is that of the scrambled images", low=2, high=10_000)

    def __post_init__(self) -> None:
        options.check(self)


@register
class Classifier(Network):
    """One hidden layer, tanh, ReLU: which digit is it?

    ```
    hidden = max(0, tanh(x @ W_in + b_in))          [N, 49]
    logits = hidden @ W_out + b_out                 [N, 11]
    loss   = cross-entropy of the logits
    ```

    Classes 0 to 9 are the digits; class 10 are images whose 49 blocks of 4×4 pixels are in a random order.
    Source: document 004, phase 1.
    """

    variant = "classifier"
    Config = ClassifierConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 10, "batch_size": 64, "lr": 1e-3, "scrambled": True}
    config: ClassifierConfig

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.W_in, self.b_in = _linear(config.d_in, config.d_hidden)
        self.W_out, self.b_out = _linear(config.d_hidden, config.classes)

    def hidden(self, x: Tensor) -> Tensor:
        """Pictures [N, d_in] → hidden layer [N, d_hidden] in [0, 1). ValueError for a wrong shape or NaN."""
        self._check(x)
        return (x @ self.W_in + self.b_in).tanh().relu()

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden layer [N, d_hidden], as it is or edited → logits [N, classes]."""
        return hidden @ self.W_out + self.b_out

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [N, d_in] → logits [N, classes]."""
        return self.logits(self.hidden(x))

    def probabilities(self, x: Tensor) -> Tensor:
        """Pictures [N, d_in] → probability of each class [N, classes]."""
        return self(x).softmax(-1)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        raise ValueError("a classifier learns from labels: there are none")

    def labelled_losses(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": nn.functional.cross_entropy(self(x), labels)}

    def layer(self) -> Layer:
        """What the hidden layer is, as one formula."""
        return Layer(to_numpy(self.W_in), to_numpy(self.b_in), "tanh-relu")


@dataclass(frozen=True)
class GeneratorConfig:
    """Shape of `generator`."""

    d_in: int = option(784, "pixels of a 28×28 picture", low=1, high=1_000_000)
    d_hidden: int = option(49, "units of the hidden layer it starts from", low=1, high=100_000)
    reads: str = option("", "name of the classifier whose hidden layer it turns into pictures")

    def __post_init__(self) -> None:
        options.check(self)
        if not self.reads:
            raise ValueError("a generator needs `reads`: the name of the classifier whose hidden layer it shows")


@register
class Generator(Network):
    """From a classifier's hidden layer back to the picture.

    ```
    picture = sigmoid(hidden @ W + b)               [N, 784]
    loss    = mean over pixels and images of (picture − x)²
    ```

    Source: document 004, phase 3.
    """

    variant = "generator"
    Config = GeneratorConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 10, "batch_size": 64, "lr": 1e-4, "scrambled": True}
    config: GeneratorConfig
    reader: Reader | None

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.W, self.b = _linear(config.d_hidden, config.d_in)
        self.__dict__["reader"] = None  # not a submodule: its weights are not ours

    def attach(self, reader: Reader | None) -> None:
        """Say whose hidden layer it turns into pictures; it must be on the same device."""
        self.__dict__["reader"] = reader

    def paint(self, h: Tensor) -> Tensor:
        """Hidden layer [N, d_hidden] → pictures [N, d_in] in (0, 1)."""
        check_input(h, self.config.d_hidden, "this generator")
        return (h @ self.W + self.b).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [N, d_in] → what their hidden layer says they look like [N, d_in]."""
        if self.reader is None:
            raise ValueError("this generator was not told whose hidden layer it shows")
        with torch.no_grad():
            h = self.reader.hidden(x)
        return self.paint(h)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        return {"mse": (self(x) - x).pow(2).mean()}

    def layer(self) -> Layer:
        """From the hidden layer to the picture, as one formula."""
        return Layer(to_numpy(self.W), to_numpy(self.b), "sigmoid")


def _linear(n_in: int, n_out: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight [n_in, n_out] and bias [n_out] as PyTorch's linear layers start: uniform within ± 1/√n_in."""
    reach = n_in**-0.5
    return tuple(nn.Parameter(torch.empty(*shape).uniform_(-reach, reach)) for shape in ((n_in, n_out), (n_out,)))  # type: ignore[return-value]
