"""The figures of the Experiments page by subject, each with the switches between its readings."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from ui import report as figures
from ui import state
from ui.experiments import kept
from ui.report import Source

READINGS = {"closed": "reconstruction alone", "notebook": "with the notebook’s constant"}
ALL_OR_TOP = {"top": "top 3 of each class", "all": "all 98 features"}
FED = {"distances": "t-SNE of the distances", "rows": "of the rows of distances, as documented"}
_CHART = {"displayModeBar": False}


def _chart(key: str, figure: go.Figure) -> None:
    st.plotly_chart(figure, key=f"chart-{key}", config=_CHART)


def _pair(key: str, left: Callable[[], go.Figure], right: Callable[[], go.Figure]) -> None:
    """Two figures beside each other; one that cannot be drawn is said in words."""
    for i, (column, build) in enumerate(zip(st.columns(2), (left, right), strict=True)):
        with column, state.explained():
            _chart(f"{key}-{i}", build())


def _rho(key: str) -> float:
    return float(kept(f"{key}-rho", "ρ", {"0.1": "ρ = 0.1", "0.999": "ρ = 0.999"}, "0.999"))


def _examples(s: Source, key: str) -> None:
    _chart(f"{key}-pairs", figures.reconstructions(s))
    images = s.images()
    index = st.number_input(f"Test image, 0 to {len(images) - 1}", 0, len(images) - 1, 0, key=f"{key}-index", width=200)
    _chart(f"{key}-one", figures.one_image(s, int(index)))


def _encoder_rows(s: Source, key: str) -> None:
    order = kept(f"{key}-order", "Order", {"first": "first 100 features", "used": "100 most used"})
    _chart(f"{key}-rows", figures.encoder_rows(s, order == "used"))


def _encoders(s: Source, key: str) -> None:
    _encoder_rows(s, key)
    _pair(key, lambda: figures.locality(s), lambda: figures.nearest(s))


def _start(s: Source, key: str) -> None:
    start = kept(f"{key}-start", "From", {"epoch": "from the first epoch", "zero": "from before training"})
    _chart(f"{key}-epochs", figures.pearson_by_epoch(s, start == "zero"))


def _first_losses(s: Source, key: str) -> None:
    _chart(f"{key}-losses", figures.first_losses(s))


def _training(s: Source, key: str) -> None:
    _start(s, key)
    _pair(key, lambda: figures.first_losses(s), lambda: figures.pearson_by_digit(s))


def _strength(s: Source, key: str) -> None:
    over = kept(
        f"{key}-over", "Mean", {"active": "mean over the images where it is active", "all": "mean over all images"}
    )
    _pair(key, lambda: figures.strongest(s, over == "all"), lambda: figures.frequency_strength(s, over == "all"))


def _use(s: Source, key: str) -> None:
    _chart(f"{key}-frequent", figures.most_frequent(s))
    _strength(s, key)


def _key_features(s: Source, key: str) -> None:
    by = kept(f"{key}-by", "Rank by", {"lift": "lift over the base rate", "mean": "raw mean"})
    _chart(f"{key}-key", figures.key_feature_rates(s, by == "mean"))


def _digits(s: Source, key: str) -> None:
    _chart(f"{key}-codes", figures.mean_codes(s))
    _key_features(s, key)


def _feature_maps(s: Source, key: str) -> None:
    by = kept(f"{key}-ranking", "The first by", figures.RANKINGS)
    _chart(f"{key}-map", figures.feature_map(s, by))


def _agreement(s: Source, key: str) -> None:
    _chart(f"{key}-mmcs", figures.agreement(s))


def _consistency(s: Source, key: str) -> None:
    said, found = s.report.info["consistency"], s["consistency"]
    names = ["reading", "Pearson", "MMCS, matching", "MMCS, row-max", "dead on the test images"]
    st.dataframe(
        dict(zip(names, [said["names"], *found.T.astype(float)], strict=True)),
        hide_index=True,
        key=f"{key}-readings",
        column_config={n: st.column_config.NumberColumn(format="%.4f") for n in names[1:4]},
    )
    _chart(f"{key}-consistency", figures.consistency(s))


def _members(s: Source, key: str) -> None:
    _agreement(s, key)
    _consistency(s, key)


def _curve(s: Source, key: str) -> None:
    _chart(f"{key}-curve", figures.fvu_l0(s))
    _chart(f"{key}-norms", figures.decoder_norms(s))


def _l0(s: Source, key: str) -> None:
    _pair(key, lambda: figures.l0_of_images(s), lambda: figures.l0_by_digit(s))


def _decoder_rows(s: Source, key: str) -> None:
    which = kept(f"{key}-which", "Trained", {"dense": "without a sparsity term", "sparse": "with L1"})
    _chart(f"{key}-rows", figures.decoder_rows(s, which == "dense"))


def _phases(s: Source, key: str) -> None:
    _pair(f"{key}-13", lambda: figures.phase(s, 1), lambda: figures.phase(s, 3))
    _pair(f"{key}-2", lambda: figures.phase(s, 2, 0.1), lambda: figures.phase(s, 2, 0.999))


def _accuracy(s: Source, key: str) -> None:
    _chart(f"{key}-accuracy", figures.phase(s, 1))


def _targets(s: Source, key: str) -> None:
    _chart(f"{key}-means", figures.mean_activations(s))


def _importance(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-all", figures.importance(s, rho, notebook))
    _chart(f"{key}-classes", figures.importance_by_class(s, rho, notebook))


def _constant(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-classes", figures.importance_by_class(s, rho, notebook))


def _axis(s: Source, key: str) -> None:
    _chart(f"{key}-all", figures.importance(s, _rho(key)))


def _geometry(s: Source, key: str) -> None:
    rho, union = _rho(key), kept(f"{key}-which", "Features", ALL_OR_TOP) == "top"
    _pair(
        f"{key}-cosines",
        lambda: figures.cosine_matrix(s, rho, False, union),
        lambda: figures.cosine_matrix(s, rho, True, union),
    )
    documented = kept(f"{key}-fed", "t-SNE", FED) == "rows"
    _pair(
        f"{key}-maps",
        lambda: figures.feature_points(s, rho, False, union, documented),
        lambda: figures.feature_points(s, rho, True, union, documented),
    )
    _chart(f"{key}-pictures", figures.picture_map(s, rho, union, documented))
    _correlation(s, f"{key}-r", rho, union)


def _correlation(s: Source, key: str, rho: float | None = None, union: bool | None = None) -> None:
    rho = _rho(key) if rho is None else rho
    if union is None:
        union = kept(f"{key}-which", "Features", ALL_OR_TOP) == "top"
    with state.explained():
        reading = kept(f"{key}-reading", "Pairs", figures.CORRELATIONS)
        _chart(f"{key}-scatter", figures.correlation(s, rho, reading, union))


def _mixed(s: Source, key: str) -> None:
    rho = _rho(key)
    how = kept(f"{key}-axes", "Axes", {"own": "both axes of the pictures’ map", "mixed": "axes of two maps"})
    _chart(f"{key}-map", figures.feature_points(s, rho, True, False, True, how == "mixed"))


def _fed(s: Source, key: str) -> None:
    rho, documented = _rho(key), kept(f"{key}-fed", "t-SNE", FED) == "rows"
    _pair(
        key,
        lambda: figures.feature_points(s, rho, False, True, documented),
        lambda: figures.feature_points(s, rho, True, True, documented),
    )


def _class_pictures(s: Source, key: str) -> None:
    rho = _rho(key)
    own = kept(f"{key}-mean", "Mean", {"own": "mean over the class’s own", "all": "mean over all images"}) == "own"
    notebook = kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    n = st.slider("Features kept of each class", 1, 98, figures.TOP, key=f"{key}-n")
    _chart(f"{key}-pictures", figures.class_pictures(s, rho, n, own, notebook))


def _lists(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-lists", figures.top_lists(s, rho, notebook))
    _pair(key, lambda: figures.overlap(s, rho, notebook), lambda: figures.sharing(s, rho))


def _sharing(s: Source, key: str) -> None:
    rho = _rho(key)
    _pair(key, lambda: figures.overlap(s, rho, True), lambda: figures.sharing(s, rho))


def _kept_accuracy(s: Source, key: str) -> None:
    _chart(f"{key}-kept", figures.kept_accuracy(s, _rho(key)))


Panel = Callable[[Source, str], None]
PANELS: dict[str, dict[str, Panel]] = {
    "ensemble": {
        "Training": _training,
        "Images": _examples,
        "Encoder rows": _encoders,
        "Use": _use,
        "Digits": _digits,
        "Map": _feature_maps,
        "Members": _members,
    },
    "intro": {"Sparsity and scale": _curve, "Active latents": _l0, "Decoder rows": _decoder_rows},
    "experiment3": {
        "Training": _phases,
        "Importance": _importance,
        "Class pictures": _class_pictures,
        "Top features": _lists,
        "Geometry": _geometry,
        "From few features": _kept_accuracy,
    },
}
SWITCHES: dict[int, Panel] = {
    1: _consistency,
    3: _agreement,
    5: _start,
    6: _first_losses,
    7: _strength,
    8: _key_features,
    9: _encoder_rows,
    10: _targets,
    11: _constant,
    12: _axis,
    13: _correlation,
    14: _mixed,
    15: _class_pictures,
    16: _fed,
    17: _sharing,
    18: _accuracy,
}
"""what shows both readings of a contradiction, by its number"""
