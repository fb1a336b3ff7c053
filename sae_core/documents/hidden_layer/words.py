"""Where document 004 contradicts itself."""

from __future__ import annotations

import numpy as np

from sae_core.documents.report import Entry, show
from sae_core.documents.source import RHOS, Source
from sae_core.files import CheckpointError
from sae_core.store import catalogue


def _l0(s: Source, rho: float) -> str:
    try:
        found = catalogue.read(s.model(f"exp3-kl-98-rho{rho:g}")).metrics["mnist/test"]
    except (CheckpointError, KeyError):
        return ""
    return f", {found['l0']:.0f} of 98 active on a digit"


def _same(s: Source, rho: float) -> float:
    """Share of features that a class's list by the notebook and its list by reconstruction have in common, mean."""
    lists = zip(s[f"rho{rho:g}/tops_notebook"][:11], s[f"rho{rho:g}/tops_closed"][:11], strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in lists]))


def entries(s: Source) -> list[Entry]:
    """Each with the numbers of a report."""
    rho = RHOS[-1]
    means = {r: float(s[f"rho{r:g}/mean_acts"][-1].mean()) for r in RHOS}
    away = s.claimed(f"mean distance of an importance share from 1/98, ρ = {rho:g}")
    union, everything = (s[f"rho{rho:g}/correlations_{which}"] for which in ("union", "all"))
    pictures = s.claimed(f"digits whose class picture from 30 features the classifier reads, ρ = {rho:g}")
    tops = s[f"rho{rho:g}/tops_notebook"]
    two, three = (len(np.unique(tops[:, :n])) for n in (2, 3))
    lists = s[f"rho{rho:g}/lists"]
    both, digits = float(s["accuracy"][-1]), float(s["accuracy_digits"][-1])
    share = s.claimed(f"share of features that two classes' top-30 lists have in common, ρ = {rho:g}")
    few = s.claimed("how few features carry a digit")
    ninety = np.percentile(s[f"rho{rho:g}/share"][-1], 90)
    return [
        Entry(
            10,
            "Which ρ is the sparse one",
            "The code’s comments call 0.001 dense and 0.999 sparse; the prose expects few active neurons at 0.1 and "
            "many at 0.999.",
            f"ρ is the target of a feature’s mean activation: 0.1 asks for less. Here the mean is {means[0.1]:.2f} at "
            f"ρ = 0.1{_l0(s, 0.1)}, and {means[0.999]:.2f} at ρ = 0.999{_l0(s, 0.999)}. The prose has the direction "
            "right, the comments are reversed. By the notebook’s own importance a digit’s shares are spread "
            f"{'more' if few.documented[0] < few.documented[1] else 'less'} at 0.1: Gini {few.documented[0]:.2f} "
            f"against {few.documented[1]:.2f}.",
            f"By reconstruction alone the conclusion {'holds' if few.ours[0] > few.ours[1] else 'fails'}: Gini "
            f"{few.ours[0]:.2f} at 0.1 and {few.ours[1]:.2f} at 0.999. Both are shown everywhere.",
        ),
        Entry(
            11,
            "Importance with a constant",
            "The increase of the loss when a feature is set to 0.",
            "The class’s baseline has one KL term where the ablated loss has 98: nearly the same is added to every "
            f"feature (its own KL term differs). Mean distance of a share from 1/98 at ρ = {rho:g}: "
            f"{show(away.documented)}.",
            f"Reconstruction error alone, in closed form: {show(away.ours)}. The notebook’s formula stays as an "
            f"option: of a class’s two lists of 30 features {100 * _same(s, rho):.0f} % are the same (ρ = {rho:g}).",
        ),
        Entry(
            12,
            "The histogram’s axis",
            "“activation level”.",
            "What is counted are shares of importance, which sum to 1 over the features.",
            f"The axis says so. 90 % of the features have a share under {ninety:.4f} (all classes, ρ = {rho:g}).",
        ),
        Entry(
            13,
            "One correlation, three ways",
            "0.655 between the hidden layer’s geometry and the pictures’.",
            f"Over both triangles and the diagonal’s zeros: {union[0]:.3f} for the top features, {everything[0]:.3f} "
            "for all.",
            f"Each pair once: {union[1]:.3f} and {everything[1]:.3f}. Without the decoder’s bias, which every row "
            f"shares: {union[2]:.3f} and {everything[2]:.3f}.",
        ),
        Entry(
            14,
            "A panel with the axes of two maps",
            "A t-SNE map of the pictures.",
            "Its x are the pictures’, its y those of the hidden layer’s map: near points need not be alike.",
            "Each map has both of its own axes.",
        ),
        Entry(
            15,
            "Whose mean a class picture is",
            "A picture of a class from its top 30 features.",
            f"The features are the class’s, their activations averaged over all images: the classifier reads "
            f"{pictures.documented} right at ρ = {rho:g}.",
            f"Averaged over the class’s own images it reads {pictures.ours}.",
        ),
        Entry(
            16,
            "Two or three features a class, and what t-SNE is fed",
            "The top 2 features of each class.",
            f"The code takes 3: {three} different features instead of {two} (ρ = {rho:g}). t-SNE gets the rows of a "
            "distance matrix as if they were features.",
            "3 as in the code, and also a t-SNE of the distances themselves.",
        ),
        Entry(
            17,
            "Lists that overlap",
            "A list of 30 important features for each class. How far they overlap is not said.",
            f"Two classes’ lists have {100 * float(share.documented):.0f} % in common on average (ρ = {rho:g}).",
            f"Shared against distinctive: {int((2 * lists >= 11).sum())} features are in the lists of at least half of "
            f"the classes, {int((lists == 1).sum())} in one only, {int((lists == 0).sum())} in none.",
        ),
        Entry(
            18,
            "Accuracy with an easy class",
            "0.9815 after 10 epochs.",
            f"Half of the test images are scrambled, and easily told: {both:.4f} with them.",
            f"{digits:.4f} on the digits alone.",
        ),
    ]
