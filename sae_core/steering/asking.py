"""What a classifier says of what an SAE reads, before and after an edit."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sae_core.models.classifier import Classifier
from sae_core.models.sae import SAE
from sae_core.steering.edits import ERROR_PRESERVING, Edits, check_mode, edit_code, rebuilt


def logits_of(sae: SAE, classifier: Classifier, h: Tensor) -> Tensor:
    """What the SAE reads, as it is or edited [N, d_in] → the classifier's logits [N, classes].

    An SAE that reads this classifier's own hidden layer hands h on to its output. Any other h becomes a picture first,
    and the classifier sees that as the screen shows it: clipped to [0, 1].
    """
    reader = sae.reader
    if isinstance(reader, Classifier) and (
        reader is classifier
        or (torch.equal(reader.W_in, classifier.W_in) and torch.equal(reader.b_in, classifier.b_in))
    ):
        return classifier.logits(h)
    return classifier(sae.picture(h).clamp(0, 1))


@torch.no_grad()
def opinion(
    sae: SAE,
    classifier: Classifier,
    x: Tensor,
    edits: Edits,
    mode: str = ERROR_PRESERVING,
    solo: Iterable[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """The classifier's probabilities [N, classes] of pictures x [N, 784] before and after an edit, see `logits_of`.

    "Before" is the same mode with nothing edited: the image itself, or in plain mode its reconstruction.
    """
    check_mode(mode)
    check_single(sae)
    h = sae.read(x)
    out = sae(h)
    before, after = (
        logits_of(sae, classifier, rebuilt(sae, h, out.x_hat, acts, mode)).softmax(-1)
        for acts in (out.acts, edit_code(out.acts, edits, solo))
    )
    return before, after


def check_single(sae: SAE) -> None:
    if sae.W_enc.ndim != 2:
        raise ValueError("an ensemble has no single code: choose a member")
