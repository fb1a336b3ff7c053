"""Where documents 000 to 002 contradict themselves."""

from __future__ import annotations

import numpy as np

from sae_core.documents.ensemble import figures
from sae_core.documents.report import Entry, show
from sae_core.documents.source import Source


def entries(s: Source) -> list[Entry]:
    """Each with the numbers of a report."""
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
