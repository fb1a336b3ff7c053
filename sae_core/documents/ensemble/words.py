"""Where documents 000 to 002 contradict themselves."""

from __future__ import annotations

import numpy as np

from sae_core.documents.ensemble import figures
from sae_core.documents.report import Entry, show
from sae_core.documents.source import Source


def _match_every(s: Source) -> str:
    """How often the bundled ensemble looked for partners, in words."""
    from sae_core.store import catalogue

    every = int(catalogue.read(s.model(figures.ENSEMBLE)).config["match_every"])
    return "every step" if every == 1 else f"every {every} steps"


def _lengths(s: Source) -> str:
    """Shortest and longest encoder row of the members: "0.62 to 1.41"."""
    lengths = np.linalg.norm(s.weights(figures.ENSEMBLE)["W_enc"], axis=-2)
    return f"{lengths.min():.2f} to {lengths.max():.2f}"


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
    revival = s.claimed("inactive features are re-initialised")
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
            "All three by name, the matching refreshed every n steps: 1 is the program’s, the bundled ensemble’s is "
            f"{_match_every(s)}. After {said['steps']} "
            f"steps: {by_reading}.",
        ),
        Entry(
            2,
            "What the decoder is",
            "x̂ = a Wᵀ, and an encoder without a bias.",
            "The program scales each row of W to length 1 in the decoder and has an encoder bias.",
            "As the program. With tied weights a row’s length would count twice, in the code and in the picture: a row "
            "twice as long would add four times as much; with unit rows it adds twice. The members’ rows are "
            f"{_lengths(s)} long.",
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
            "Single features, where it is asked for (`--revival reinit`). The bundled ensemble was trained without, as "
            f"the program’s: of member 0 {unused:,} of {len(base):,} are never active on {s.on('train')}. One "
            f"member trained anew has {show(revival.documented)} such features without, {show(revival.ours)} with.",
        ),
        Entry(
            5,
            "Where the correlation starts",
            f"It starts at ~{show(start.claimed)}.",
            f"After one epoch it is {show(start.documented)}. Which state is meant is not said; document 001 also "
            "claims more than 0.96 in the first epoch.",
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
            "The features that a digit activates most strongly are its key features; several are listed for the 7.",
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
