"""Where the source documents contradict themselves, and what was made of it: in words, with the numbers of a report.

Like the figures this knows no page: a `Source` in, words out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sae_core import store
from sae_core.reproduce import show
from sae_core.store import CheckpointError
from ui import report as figures
from ui.report import RHOS, Source


class Entry(NamedTuple):
    """One contradiction."""

    number: int
    """its place in the list of all, 1 to 19"""
    title: str
    claimed: str
    """what the document says"""
    documented: str
    """what its own recipe or program does, with what that gives here"""
    ours: str
    """what was chosen instead, with what that gives"""


def entries(source: Source) -> list[Entry]:
    """Those of the report's document."""
    return {"ensemble": _ensemble, "intro": _intro, "experiment3": _experiment3}[source.report.name](source)


def _ensemble(s: Source) -> list[Entry]:
    first, start = s.claimed("MSE per pixel of the mean image"), s.claimed("Pearson at the start")
    strength = s.claimed("strength correlates")
    said = s.report.info["consistency"]
    by_reading = "; ".join(
        f"{name}: Pearson {row[0]:.4f}, MMCS {row[1]:.3f} matched and {row[2]:.3f} by row-max"
        for name, row in zip(said["names"], s["consistency"], strict=True)
    )
    matched, row_max = s["mmcs_after"].mean(1)
    unused = int((s["frequency"] == 0).sum())
    seven = figures.key_features(s, by_mean=True)[7], figures.key_features(s, by_mean=False)[7]
    rate, base = s["class_rates"].astype(float), s["frequency"].astype(float)

    def fires(feature: int) -> str:
        return f"#{feature}, active on {100 * rate[feature, 7]:.0f} % of the 7s and {100 * base[feature]:.0f} % of all"

    strongest = [int(s[f"use_mean_{over}"].argmax()) for over in ("all", "active")]
    used = np.argsort(-base, kind="stable")[:100]
    least = int((base[:100] < 0.01).sum())
    return [
        Entry(
            1,
            "What the members should agree in",
            "The report: the mean squared error between the members’ codes.",
            "The program: 1 − MMCS averaged over the pairs, partners matched one to one at every step.",
            f"All three by name, the matching refreshed every n steps (n = 1 is the program’s). After {said['steps']} "
            f"steps: {by_reading}.",
        ),
        Entry(
            2,
            "What the decoder is",
            "x̂ = a Wᵀ, and an encoder without a bias.",
            "The program scales each row of W to length 1 in the decoder and has an encoder bias.",
            "As the program: without unit rows a member could shrink its codes and grow its rows at no cost.",
        ),
        Entry(
            3,
            "“MMCS” is a maximum in name",
            "Mean of the maximal cosines: the best partner of each row.",
            f"The program matches one to one (Hungarian): {matched:.4f} between the trained members.",
            f"Both, by name. Row-max gives {row_max:.4f}: one row may be the best partner of several, so it is never "
            "less.",
        ),
        Entry(
            4,
            "Who is started anew",
            "Inactive features are re-initialised.",
            "The program would re-initialise a whole member, at a threshold that is never reached.",
            f"Single dead features, dead being never active on the last n training images. Of member 0 {unused:,} of "
            f"{len(base):,} are never active on {s.on('train')}.",
        ),
        Entry(
            5,
            "Where the correlation starts",
            f"It starts at ~{show(start.claimed)}.",
            f"After one epoch it is {show(start.documented)}: that is what the number was.",
            f"Before any training it is {show(start.ours)}.",
        ),
        Entry(
            6,
            "The “theoretical minimum”",
            f"An MSE of about {show(first.claimed)}.",
            f"It is the MSE of the mean image, here {show(first.documented)}: a baseline that has not looked.",
            f"The trained members are at {show(first.ours)}.",
        ),
        Entry(
            7,
            "How strong a feature is",
            "“Mean strength when active”.",
            f"It was averaged over all images, and so contains the frequency: the strongest is #{strongest[0]}, and "
            f"the rank correlation with frequency is {show(strength.documented)}.",
            f"Divided by the images on which it is active: the strongest is #{strongest[1]}, the rank correlation "
            f"{show(strength.ours)}.",
        ),
        Entry(
            8,
            "What is key to a digit",
            "The features with the largest mean are the digit’s key features; one is named for the 7.",
            f"The first of the 7 by raw mean: {fires(int(seven[0][0]))}.",
            f"Ranked by lift over the base rate: {fires(int(seven[1][0]))}.",
        ),
        Entry(
            9,
            "The first 100 features",
            "The first 100 features are shown.",
            f"They are the first by number: {least} of them are active on less than 1 % of the images.",
            f"The order is yours to choose. The 100 most used are active on at least {100 * base[used[-1]]:.1f} %.",
        ),
    ]


def _l0(s: Source, rho: float) -> str:
    try:
        found = store.read(s.model(f"exp3-kl-98-rho{rho:g}")).metrics["mnist/test"]
    except (CheckpointError, KeyError):
        return ""
    return f", {found['l0']:.0f} of 98 active on a digit"


def _experiment3(s: Source) -> list[Entry]:
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
    ninety = np.percentile(s[f"rho{rho:g}/share"][-1], 90)
    return [
        Entry(
            10,
            "Which ρ is the sparse one",
            "The “sparsity level” goes from 0.001, dense, to 0.999, sparse.",
            f"ρ is the target of a feature’s mean activation. Here it is {means[0.1]:.2f} at ρ = 0.1{_l0(s, 0.1)}, and "
            f"{means[0.999]:.2f} at ρ = 0.999{_l0(s, 0.999)}.",
            "The words are reversed: 0.1 asks for less activity. Both are shown everywhere.",
        ),
        Entry(
            11,
            "Importance with a constant",
            "The increase of the loss when a feature is set to 0.",
            "The class’s baseline has one KL term where the ablated loss has 98: every feature gets the same on top. "
            f"Mean distance of a share from 1/98 at ρ = {rho:g}: {show(away.documented)}.",
            f"Reconstruction error alone, in closed form: {show(away.ours)}. The notebook’s formula stays as an "
            "option; the order of features, and so the lists, are nearly the same.",
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
            "A list of 30 important features for each class.",
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


def _intro(s: Source) -> list[Entry]:
    fair = s.claimed("FVU of ReLU + L1 and of BatchTopK")
    return [
        Entry(
            19,
            "What the L1 coefficient means",
            "Loss = error + λ · L1 of the code.",
            "The error is averaged over the batch and the L1 summed: at a batch of 128, λ is 128 times what it is at a "
            "batch of 1.",
            f"Both are averaged, so λ means the same at every batch size. With it ReLU + L1 reaches FVU "
            f"{show(fair.documented)}, BatchTopK {show(fair.ours)} at about as many active latents.",
        ),
    ]


def remarks(source: Source) -> list[str]:
    """Smaller slips of the document, a sentence each."""
    if source.report.name != "intro":
        return []
    return [
        "The document links Gao et al. for BatchTopK; that paper’s TopK keeps k of each image, BatchTopK (Bussmann et "
        "al. 2024) k · B of a batch of B.",
        "Its example cannot run: `dict_dim`, `foward_pass` and a returned name are not defined.",
        "Its overcomplete factor: 12,288 × 4 is 49,152.",
    ]


def compact(value: Any, by_epoch: bool) -> str:
    """A claim's value in a few characters: of a long list its first and last, or its smallest and largest."""
    if isinstance(value, list) and len(value) > 3:
        if by_epoch:
            return f"{show(value[0])} → {show(value[-1])}"
        return f"{show(min(value))} – {show(max(value))}"
    if isinstance(value, list):
        return ", ".join(show(v) for v in value)
    return "–" if isinstance(value, float) and np.isnan(value) else show(value)
