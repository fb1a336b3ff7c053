"""What Python finds of the drawn picture beside its code: the classifier's verdict, and how exact the sum is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from sae_core.files import CheckpointError
from ui.base import likeness, state
from ui.live.classifier import LiveClassifier, classifier_for, put_classifier

if TYPE_CHECKING:
    import numpy as np


def ask(choice: state.Choice) -> LiveClassifier | None:
    """The classifier for this page, put into it; None, said in words where it is damaged, when there is none."""
    classifier = classifier_for(choice.model)
    try:
        put_classifier(classifier)
    except CheckpointError as e:
        st.info(str(e), icon=":material/info:")
        return None
    return classifier


def probabilities(choice: state.Choice, classifier: LiveClassifier) -> np.ndarray:
    """[2, classes]: what the classifier says of the chosen picture, and of its reconstruction as it is shown.

    The classifier whose hidden layer the SAE reads is asked of that layer and of its reconstruction.
    """
    import torch

    from sae_core.steering.asking import logits_of

    sae = choice.model.sae
    with torch.no_grad():
        h = sae.read(choice.picture.batch)
        return logits_of(sae, classifier.network, torch.cat([h, sae(h).x_hat])).softmax(-1).numpy()


def show_verdict(choice: state.Choice, classifier: LiveClassifier) -> None:
    """The classifier's most likely class of input and reconstruction, and all of its probabilities as a table."""
    p = probabilities(choice, classifier)
    with st.container(horizontal=True, gap="large"):
        for row, what in zip(p, ("input", "reconstruction"), strict=True):
            c = int(row.argmax())
            st.metric(
                f"Classifier on the {what}",
                f"{classifier.names[c]}, {100 * row[c]:.1f} %",
                help=f"Its most likely class of the {what}, and the probability (softmax of its logits).",
                width="content",
            )
    st.caption(classifier.said)
    with st.expander("The classifier's probabilities as a table"):
        columns = {"class": classifier.names, "input": p[0].tolist(), "reconstruction": p[1].tolist()}
        shown = st.column_config.NumberColumn(format="%.4f")
        st.dataframe(columns, hide_index=True, width=360, column_config={"input": shown, "reconstruction": shown})


def show_likeness(choice: state.Choice) -> None:
    """How unlike the training images the chosen picture is: error and code against theirs."""
    most, said = likeness.sentence(choice)
    if not said:
        st.caption(
            f"How like its training images a picture is was not measured for {choice.model.name}. "
            f"`python -m sae_core features {choice.model.name.partition('/')[0]}` measures it."
        )
        return
    (st.info if most >= likeness.UNUSUAL else st.caption)(said)
    st.caption(
        "A classifier is confident of anything: it only knows its classes.",
        help="Unusual: how seldom what is active in the code is active on the images of the class that fits it best, "
        "min over classes of Σ w·−log₂ p, w a feature's share of the code's energy a²‖d‖², p the share of the class's "
        "images on which it is active. Both are the model's own, without the classifier.",
    )


def largest_difference(choice: state.Choice) -> tuple[int, float]:
    """How many terms the chosen picture's reconstruction has, and the largest absolute difference between their sum
    with the bias, added one by one in float32, and the SAE's own reconstruction."""
    import torch

    sae, form = choice.model.sae, choice.model.sae.inference_form()
    with torch.no_grad():
        h = sae.read(choice.picture.batch)
        x_hat, code = sae(h).x_hat[0].numpy(), sae.sparse_code(h)
    total = form.c.copy()
    n = 0
    for f, a in zip(code.indices[0].tolist(), code.values[0].numpy(), strict=True):
        if a != 0:
            total += a * form.D[f]
            n += 1
    return n, float(abs(total - x_hat).max())


def show_sum(choice: state.Choice) -> None:
    """A line on how exactly bias and terms make up the reconstruction."""
    n, worst = largest_difference(choice)
    hat = "x̂" if choice.model.sae.reader is None else "ĥ"
    st.caption(
        f"The bias and all {n} terms a·d, added one by one in float32, differ from the model's {hat} by at most "
        f"{worst:.1e}.",
        help="Largest absolute difference over all entries. Another order of adding rounds differently.",
    )
