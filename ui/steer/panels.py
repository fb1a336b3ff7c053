"""The parts of the Steer page below the strips: the classifier's numbers, another opinion, many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from sae_core.steering.edits import Steering
from ui.base import state, words
from ui.base.widgets import chart
from ui.live.classifier import LiveClassifier
from ui.steer.strips import set_edits, steering

if TYPE_CHECKING:
    from sae_core.steering.mind import MindChange


IMAGES = 1000
"""images over which an edit is measured"""
TRIALS = 100
"""random edits of the control"""


def opinion(choice: state.Choice, now: Steering, classifier: LiveClassifier | None) -> None:
    """The probability of each class before and after the edits, as Python computes them."""
    if classifier is None:
        st.info("The classifier is not at hand, so nothing is said of classes here.", icon=":material/info:")
        return
    from sae_core.steering import asking

    p = asking.opinion(choice.model.sae, classifier.network, choice.picture.batch, now.meant, now.mode, now.solo)
    before, after = (q[0].tolist() for q in p)
    best, names = int(np.argmax(after)), classifier.names
    was = int(np.argmax(before))
    st.markdown(
        f"The classifier says **{names[best]}** ({100 * after[best]:.1f} %)"
        + ("." if now.untouched else f"; before the edits {names[was]} ({100 * before[was]:.1f} %).")
    )
    with st.expander("The probability of each class"):
        lines = ["| class | before | after | change |", "|:--|--:|--:|--:|"]
        for name, b, a in zip(names, before, after, strict=True):
            lines.append(f"| {name} | {100 * b:.2f} % | {100 * a:.2f} % | {100 * (a - b):+.2f} |")
        st.markdown("\n".join(lines))
        seen = "the hidden layer itself" if classifier.same_layer else "the picture as shown, clipped to [0, 1]"
        st.caption(f"Softmax of its logits on {seen}. Before: the same mode with nothing edited. {classifier.said}")


def change_mind(choice: state.Choice, classifier: LiveClassifier | None) -> None:
    """Few edits after which the classifier says what a person wants, and how often random ones do as well."""
    st.subheader("Change its mind", anchor=False)
    if classifier is None:
        st.caption("This needs the classifier, which is not at hand.")
        return
    st.caption(
        "Looks for few edits after which the classifier says another class. It starts from the untouched picture, in "
        "the mode chosen above, and takes at each step the change of one feature that helps most: few edits, not "
        "provably the fewest."
    )
    place = (choice.model.id, choice.picture.ref)
    key = f"mind-{choice.model.name}-{choice.picture.ref[:60]}"
    found = st.session_state.get("mind")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "The classifier should say",
            range(len(classifier.names)),
            index=_second(choice, classifier),
            format_func=lambda c: classifier.names[c],
            key=key,
            width=190,
        )
        st.button("Find edits", key="find_edits", on_click=_find, args=(choice, classifier, key))
    if found is not None and found["place"] == place:
        _mind(found["result"], found["random"], classifier.names, found["target"], found["mode"])


def _second(choice: state.Choice, classifier: LiveClassifier) -> int:
    """The likeliest class that the classifier does not say already; not that of scrambled pictures."""
    import torch

    with torch.no_grad():
        p = classifier.network.probabilities(choice.picture.batch)[0]
    best = int(p.argmax())
    return next(c for c in p[: classifier.own].argsort(descending=True).tolist() if c != best)


def _find(choice: state.Choice, classifier: LiveClassifier, key: str) -> None:
    import torch

    from sae_core.steering import mind

    now, target = steering(choice), int(st.session_state[key])  # takes what the browser just sent
    sae, x, stats = choice.model.sae, choice.picture.batch[0], choice.widest  # as the sliders
    found = mind.change_mind(sae, classifier.network, x, target, mode=now.mode, stats=stats)
    generator = torch.Generator().manual_seed(0)
    random = None
    if found.edits:
        n = len(found.edits)
        random = mind.random_edits(
            sae, classifier.network, x, target, n, generator, mode=now.mode, stats=stats, trials=TRIALS
        )
    place = (choice.model.id, choice.picture.ref)
    st.session_state["mind"] = {
        "place": place,
        "result": found,
        "random": random,
        "target": target,
        "mode": now.mode,
    }
    if found.success and found.edits:
        set_edits(*place, found.edits, now.mode)


def _mind(found: MindChange, random: float | None, names: list[str], target: int, mode: str) -> None:
    name, p = names[target], found.probabilities_before[target]
    if found.success and not found.path:
        st.info(f"The classifier says {name} already ({100 * p:.1f} %). Your edits stay.", icon=":material/info:")
        return
    n = len(found.path)
    edits = f"{n} edit{'s' * (n != 1)}"
    reached = 100 * found.probabilities_after[target]
    if found.success:
        st.success(
            f"After {edits} the classifier says {name} ({reached:.1f} %). The strips above show them; Undo there "
            "brings back what you had.",
            icon=":material/check:",
        )
    else:
        st.warning(
            f"Not found: {edits} took {name} from {100 * p:.1f} % to {reached:.1f} %, which is not the "
            "largest probability. Your edits stay as they were.",
            icon=":material/warning:",
        )
    lines, before = [], p
    for i, step in enumerate(found.path, 1):
        lines.append(
            f"{i}. feature {step.feature} from {step.was:.3g} to {step.value:.3g}: "
            f"P({name}) {100 * before:.1f} → {100 * step.probability:.1f} %"
        )
        before = step.probability
    st.markdown("\n".join(lines))
    if random is not None:
        st.caption(
            f"Control: {edits} at random, of the same features and values that were tried, did it in "
            f"{100 * random:.0f} % of {TRIALS} trials ({mode} mode, one image, n = 1, seed 0)."
        )


def over_many(choice: state.Choice, now: Steering, classifier: LiveClassifier | None) -> None:
    """The same edit of many images: what the classifier says of them then."""
    st.subheader("Over many images", anchor=False)
    if classifier is None:
        st.caption("This needs the classifier, which is not at hand.")
        return
    if now.untouched:
        st.caption("There is no edit yet. Move a strip, and see here what the same edit does to other images.")
        return
    st.caption(
        f"The same edit of up to {IMAGES:,} test images of {choice.data}: each edited feature is set to the value of "
        "its strip, whatever it was on that image; one that is scaled (×) is scaled there from its own activation."
    )
    wanted = (choice.model.id, choice.data, classifier.id, tuple(sorted(now.meant.items())), now.mode, now.alone)
    if st.button("Measure", key="measure_many", icon=":material/query_stats:"):
        with words.explained(), st.spinner("Measuring …"):
            st.session_state["many"] = (wanted, *_measure(choice, now, classifier))
    kept = st.session_state.get("many")
    if kept is None:
        return
    if kept[0] != wanted:
        st.caption("What was measured last was another edit: measure this one.")
        return
    from sae_core.figures import steering as figures

    _, found, where = kept
    names = classifier.names
    for row in (
        {
            "many-before": figures.confusion(found.confusion_before, names, "Before", where),
            "many-after": figures.confusion(found.confusion_after, names, "After", where),
        },
        {
            "many-changes": figures.changes(found.mean_change, found.interval, names, where, found.n),
            "many-dose": figures.dose(found.dose, found.scales, names, where, found.n),
        },
    ):
        for place, (key, figure) in zip(st.columns(2), row.items(), strict=True):
            with place:
                chart(key, figure)
    st.caption(
        f"{now.said}, {now.mode} mode. Before: the same mode with nothing edited. Interval: mean ± 1.96 standard "
        "errors over the images. Strength t: code + t · (edited code − code)."
    )


def _measure(choice: state.Choice, now: Steering, classifier: LiveClassifier) -> tuple[Any, str]:
    from sae_core.steering.many import apply_to_many

    images = choice.images("test")
    which = np.sort(np.random.default_rng(0).permutation(len(images))[:IMAGES])
    x, labels = images.x[which], images.labels[which]
    found = apply_to_many(choice.model.sae, classifier.network, x, labels, now.meant, now.mode, now.solo)
    drawn = " (drawn with seed 0)" if len(which) < len(images) else ""
    return found, f"{images.name}/{images.split}{drawn}"
