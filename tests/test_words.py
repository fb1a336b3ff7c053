"""What is said of the documents, from reports made up: each number by the array or claim that it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sae_core.documents.report import Claim, Entry, Report, show
from sae_core.documents.words import compact, entries, remarks
from sae_core.files import CheckpointError
from sae_core.measure.lists import by_lift
from sae_core.store import catalogue
from tests import made

ENSEMBLE = (
    made.claim("MSE per pixel of the mean image, called so", 0.0681, 0.0123, 0.0672),
    made.claim("Pearson at the start", 0.9491, 0.1152, 0.9413),
    made.claim("strength correlates with frequency", 0.7771, -0.3332),
    made.claim("inactive features are re-initialised", 611, 13),
)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is read of a model, by its name; a test may change it."""
    found = {
        "ensemble-tied-topk-1024-k50": SimpleNamespace(config={"match_every": 7}),
        "exp3-kl-98-rho0.1": SimpleNamespace(metrics={"mnist/test": {"l0": 41.4}}),
        "exp3-kl-98-rho0.999": SimpleNamespace(metrics={"mnist/test": {"l0": 76.6}}),
    }

    def read(path: Path) -> Any:
        if str(path) not in found:
            raise CheckpointError(f"there is no {path}")
        return found[str(path)]

    monkeypatch.setattr(catalogue, "read", read)
    return found


def said(source: made.Made) -> dict[int, Entry]:
    return {e.number: e for e in entries(source)}


# ---- documents 000 to 002


def test_what_the_members_agree_in(models: dict[str, Any]) -> None:
    entry = said(made.ensemble([*ENSEMBLE]))[1]
    assert entry.ours == (
        "All three by name, the matching refreshed every n steps: 1 is the program’s, the bundled ensemble’s is every "
        "7 steps. After 77 steps: mmcs: Pearson 0.9111, MMCS 0.521 matched and 0.631 by row-max; codes: Pearson "
        "0.9422, MMCS 0.452 matched and 0.762 by row-max."
    )
    models["ensemble-tied-topk-1024-k50"].config["match_every"] = 1
    assert "the bundled ensemble’s is every step. After" in said(made.ensemble([*ENSEMBLE]))[1].ours


def test_numbers_of_the_ensembles_claims(models: dict[str, Any]) -> None:
    s = made.ensemble([*ENSEMBLE])
    found, lengths = said(s), np.linalg.norm(s.weights("ensemble-tied-topk-1024-k50")["W_enc"], axis=1)
    assert found[2].ours.endswith(f"The members’ rows are {lengths.min():.2f} to {lengths.max():.2f} long.")
    assert found[3].documented == "The program matches one to one (Hungarian): 0.7200 between the trained members."
    assert found[3].ours.startswith("Both, by name. Row-max gives 0.8200: ")
    assert found[4].ours.endswith(
        "of member 0 2 of 30 are never active on mnist/train, n = 12,000. One member trained anew has 611 such "
        "features without, 13 with."
    )
    assert found[5].claimed == "It starts at ~0.9413."
    assert found[5].documented.startswith("After one epoch it is 0.9491. ") and "more than 0.96" in found[5].documented
    assert found[5].ours == "Before any training it is 0.1152."
    assert found[6].claimed == "An MSE of about 0.0672."
    assert "the MSE of the mean image, here 0.0681: a baseline" in found[6].documented
    assert found[6].ours == "The trained members are at 0.0123."
    over_all, when_active = (int(s[f"use_mean_{over}"].argmax()) for over in ("all", "active"))
    assert over_all != when_active
    assert f"averaged over all images, and so contains the frequency: the strongest is #{over_all}, and the rank " in (
        found[7].documented
    )
    assert found[7].documented.endswith("rank correlation with frequency is 0.7771.")
    assert found[7].ours == (
        f"Divided by the images on which it is active: the strongest is #{when_active}, the rank correlation -0.3332."
    )


def test_key_features_of_the_seven(models: dict[str, Any]) -> None:
    s = made.ensemble([*ENSEMBLE])
    rates, base = s["class_rates"], s["frequency"]
    for f, sentence, start in (
        (int(s["class_means"][:, 7].argmax()), said(s)[8].documented, "The first of the 7 by raw mean: "),
        (int(by_lift(rates, base)[7][0]), said(s)[8].ours, "Ranked by lift over the base rate: "),
    ):
        assert (
            sentence == f"{start}#{f}, active on {100 * rates[f, 7]:.0f} % of the 7s and {100 * base[f]:.0f} % of all."
        )


def test_the_first_hundred_features(models: dict[str, Any]) -> None:
    s = made.ensemble([*ENSEMBLE])
    frequency = np.linspace(0.9, 0.2, 130)  # the hundredth most used is the hundredth in line
    frequency[[3, 5, 8]] = 0.0099, 0.01, 0.001
    s.report.arrays["frequency"] = frequency
    s.report.arrays |= {"class_rates": made.numbers(130, 10), "class_means": made.numbers(130, 10)}
    hundredth = sorted(frequency)[-100]
    found = said(s)[9]
    assert found.documented == "They are the first by number: 2 of them are active on less than 1 % of the images."
    assert found.ours.endswith(f"The 100 most used are active on at least {100 * hundredth:.1f} %.")


# ---- document 003


def test_the_fair_comparison_names_the_point_that_it_speaks_of() -> None:
    claims = [made.claim("FVU of ReLU + L1 and of BatchTopK at about 50", 0.1301, 0.0502)]
    (found,) = entries(made.intro(claims))
    assert found.number == 19
    assert found.ours.endswith("ReLU + L1 reaches FVU 0.1301 with 49.0 active latents, BatchTopK 0.0502 with 50.0.")


def test_smaller_slips_are_those_of_the_introduction() -> None:
    assert len(remarks(made.intro())) == 3 and remarks(made.ensemble()) == []
    assert f"12,288 × 4 is {12288 * 4:,}." in remarks(made.intro())[2]


# ---- document 004


def experiment3(few: tuple[list[float], list[float]] = ([0.24, 0.34], [0.64, 0.42])) -> made.Made:
    """With the claims that its words need, of both targets where they name one."""
    of_both = [
        claim
        for rho, d in (("0.1", 0), ("0.999", 1))
        for claim in (
            made.claim(f"mean distance of an importance share from 1/98, ρ = {rho}", 0.00121 + d, 0.00562 + d),
            made.claim(
                f"digits whose class picture from 30 features the classifier reads, ρ = {rho}", f"1 {d}", f"2 3 {d}"
            ),
            made.claim(f"share of features that two classes' top-30 lists have in common, ρ = {rho}", 0.4 + d / 9, 0.3),
        )
    ]
    return made.experiment3([*of_both, made.claim("how few features carry a digit: Gini coefficient", *few)])


@pytest.mark.parametrize(
    ("few", "spread", "conclusion"),
    [
        (
            ([0.24, 0.34], [0.64, 0.42]),
            "more at 0.1: Gini 0.24 against 0.34",
            "holds: Gini 0.64 at 0.1 and 0.42 at 0.999",
        ),
        (
            ([0.36, 0.35], [0.41, 0.43]),
            "less at 0.1: Gini 0.36 against 0.35",
            "fails: Gini 0.41 at 0.1 and 0.43 at 0.999",
        ),
    ],
)
def test_the_main_conclusion_follows_its_numbers(
    few: Any, spread: str, conclusion: str, models: dict[str, Any]
) -> None:
    """A small Gini coefficient is a wide spread; the conclusion is a larger one at the lower target."""
    s = experiment3(few)
    means = {rho: float(s[f"rho{rho}/mean_acts"][-1].mean()) for rho in ("0.1", "0.999")}
    found = said(s)[10]
    assert (
        f"Here the mean is {means['0.1']:.2f} at ρ = 0.1, 41 of 98 active on a digit, and {means['0.999']:.2f} at ρ = "
        "0.999, 77 of 98 active on a digit. The prose"
    ) in found.documented
    assert found.documented.endswith(f"By the notebook’s own importance a digit’s shares are spread {spread}.")
    assert found.ours == f"By reconstruction alone the conclusion {conclusion}. Both are shown everywhere."


def test_a_model_that_is_not_here_is_left_out_of_the_sentence(models: dict[str, Any]) -> None:
    del models["exp3-kl-98-rho0.1"], models["exp3-kl-98-rho0.999"].metrics["mnist/test"]
    s = experiment3()
    means = [float(s[f"rho{rho}/mean_acts"][-1].mean()) for rho in ("0.1", "0.999")]
    assert f"is {means[0]:.2f} at ρ = 0.1, and {means[1]:.2f} at ρ = 0.999. The prose" in said(s)[10].documented


def test_numbers_of_document_4(models: dict[str, Any]) -> None:
    s = experiment3()
    found, a = (
        said(s),
        {k.removeprefix("rho0.999/"): v for k, v in s.report.arrays.items() if k.startswith("rho0.999/")},
    )
    assert found[11].documented.endswith("Mean distance of a share from 1/98 at ρ = 0.999: 1.001.")
    lists = [(set(a["tops_notebook"][c]), set(a["tops_closed"][c])) for c in range(11)]
    alike = 100 * np.mean([len(one & other) / made.KEPT for one, other in lists])
    assert found[11].ours == (
        "Reconstruction error alone, in closed form: 1.006. The notebook’s formula stays as an option: of a class’s "
        f"two lists of 30 features {alike:.0f} % are the same (ρ = 0.999)."
    )
    ninety = np.quantile(a["share"][-1], 0.9)
    assert f"90 % of the features have a share under {ninety:.4f} (all classes, ρ = 0.999)." in found[12].ours
    union, everything = ([f"{v:.3f}" for v in a[f"correlations_{which}"]] for which in ("union", "all"))
    assert found[13].documented.endswith(f": {union[0]} for the top features, {everything[0]} for all.")
    assert found[13].ours == (
        f"Each pair once: {union[1]} and {everything[1]}. Without the decoder’s bias, which every row shares: "
        f"{union[2]} and {everything[2]}."
    )
    assert found[15].documented.endswith("averaged over all images: the classifier reads 1 1 right at ρ = 0.999.")
    assert found[15].ours == "Averaged over the class’s own images it reads 2 3 1."
    two, three = (len({f for top in a["tops_notebook"] for f in top[:n]}) for n in (2, 3))
    assert found[16].documented.startswith(
        f"The code takes 3: {three} different features instead of {two} (ρ = 0.999)."
    )
    assert found[17].documented == "Two classes’ lists have 51 % in common on average (ρ = 0.999)."
    # Of made lists 9 are in 6 of the 11 classes' and 3 in all; 6 in 5, which is less than half.
    assert found[17].ours == (
        "Shared against distinctive: 12 features are in the lists of at least half of the classes, 5 in one only, 4 in "
        "none."
    )
    assert found[18].documented == "Half of the test images are scrambled, and easily told: 0.8123 with them."
    assert found[18].ours == "0.6456 on the digits alone."


@pytest.mark.parametrize("make", [lambda: made.ensemble([*ENSEMBLE]), experiment3])
def test_each_contradiction_says_what_is_claimed(make: Callable[[], made.Made], models: dict[str, Any]) -> None:
    """Every entry has its number in order, and no sentence is empty or holds the name of a variable."""
    found = entries(make())
    assert [e.number for e in found] == list(range(found[0].number, found[0].number + len(found)))
    for entry in found:
        assert all(len(words) > 8 and not {"{", "}"} & set(words) for words in entry[1:]), entry


# ---- a report's numbers for people


def test_a_value_for_people() -> None:
    assert [show(v) for v in (None, 0.123456, 12, "in words", [0.5, 1.0])] == ["–", "0.1235", "12", "in words", "0.5 1"]


def test_a_value_in_a_few_characters() -> None:
    falling = [0.9, 0.3, 0.1, 0.5]
    assert compact(falling, True) == "0.9 → 0.5" and compact(falling, False) == "0.1 – 0.9"
    assert compact(falling[:3], True) == "0.9, 0.3, 0.1" == compact(falling[:3], False)
    assert [compact(v, False) for v in (float("nan"), None, 0.25, "none")] == ["–", "–", "0.25", "none"]


def test_a_report_as_text() -> None:
    claims = [Claim("a share", 0.1, 0.2, [0.3, 0.4], "mnist/test", 3000, "with a note"), made.claim("a count", 5, 6)]
    report = Report("made", 7, True, 12.34, claims, folder=Path("there"))
    assert report.text().splitlines() == [
        "made, seed 7, 12 s, quick: there",
        "  a share  (mnist/test, n = 3,000)",
        "      claimed 0.1 | documented 0.2 | ours 0.3 0.4",
        "      with a note",
        "  a count  (mnist/test, n = 3,000)",
        "      claimed – | documented 5 | ours 6",
    ]
    assert report.as_dict()["seconds"] == 12.3 and report.as_dict()["claims"][0]["note"] == "with a note"
    assert Report("made", 7, False).text() == "made, seed 7, 0 s: ."
