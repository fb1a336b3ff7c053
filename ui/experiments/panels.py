"""The figures of the Experiments page by subject, each with the switches between its readings."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from sae_core.documents import source
from sae_core.documents.ensemble import figures as ensemble
from sae_core.documents.hidden_layer import figures as hidden_layer
from sae_core.documents.intro import figures as intro
from sae_core.documents.source import Source
from ui.base import words
from ui.base.widgets import chart, kept, number, reached
from ui.live import stepper

READINGS = {"closed": "reconstruction alone", "notebook": "with the notebook’s constant"}
ALL_OR_TOP = {"top": "top 3 of each class", "all": "all 98 features"}
FED = {"distances": "t-SNE of the distances", "rows": "of the rows of distances, as documented"}


def _chart(key: str, figure: go.Figure) -> None:
    chart(f"chart-{key}", figure)


def _pair(key: str, left: Callable[[], go.Figure], right: Callable[[], go.Figure]) -> None:
    """Two figures beside each other; one that cannot be drawn is said in words."""
    for i, (column, build) in enumerate(zip(st.columns(2), (left, right), strict=True)):
        with column, words.explained():
            _chart(f"{key}-{i}", build())


def _rho(key: str) -> float:
    return float(kept(f"{key}-rho", "ρ", {"0.1": "ρ = 0.1", "0.999": "ρ = 0.999"}, "0.999"))


def _examples(s: Source, key: str) -> None:
    _chart(f"{key}-pairs", ensemble.reconstructions(s))
    images = s.images()
    place, last = f"{key}-index", len(images) - 1

    def take(_: str, value: int | None, __: int) -> None:
        if value is not None and 0 <= value <= last:
            reached(place, value)

    stepper.take(place, take)
    index = number(place, "test image", last)
    stepper.stepper(place, key, index, last, f"Test image, 0 to {last}")
    _chart(f"{key}-one", ensemble.one_image(s, index))


def _encoder_rows(s: Source, key: str) -> None:
    order = kept(f"{key}-order", "Order", {"first": "first 100 features", "used": "100 most used"})
    _chart(f"{key}-rows", ensemble.encoder_rows(s, order == "used"))


def _encoders(s: Source, key: str) -> None:
    _encoder_rows(s, key)
    _pair(key, lambda: ensemble.locality(s), lambda: ensemble.nearest(s))


def _start(s: Source, key: str) -> None:
    start = kept(f"{key}-start", "From", {"epoch": "from the first epoch", "zero": "from before training"})
    _chart(f"{key}-epochs", ensemble.pearson_by_epoch(s, start == "zero"))


def _first_losses(s: Source, key: str) -> None:
    _chart(f"{key}-losses", ensemble.first_losses(s))


def _training(s: Source, key: str) -> None:
    _start(s, key)
    _pair(key, lambda: ensemble.first_losses(s), lambda: ensemble.pearson_by_digit(s))
    _devices(s, key)


def _devices(s: Source, key: str) -> None:
    """How fast the ensemble trains on the devices of the computer that made the report."""
    st.markdown("**Training speed by device**")
    rows = [
        {
            "device": f"{r['name']}, {r['threads']} threads" if r["device"] == "cpu" else r["name"],
            "numbers": r["precision"],
            "ms a step": r["ms_per_step"],
            "images a second": r["images_per_s"],
            "times the first": r["speedup"],
        }
        for r in s.report.info["devices"]
    ]
    if all(r["device"] == "cpu" for r in s.report.info["devices"]):
        rows.append({"device": "GPU", "numbers": "no GPU was there: not measured"})
    st.dataframe(
        rows,
        hide_index=True,
        key=f"{key}-devices",
        column_config={
            "ms a step": st.column_config.NumberColumn(format="%.1f"),
            "images a second": st.column_config.NumberColumn(format="%.0f"),
            "times the first": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption(
        "The documents’ ensemble of five, batches of 128, on the computer that made this report; looking for partners "
        "(matching) is left out. `python -m sae_core benchmark devices` measures it here."
    )


def _revival(s: Source, key: str) -> None:
    """One member trained without and with re-initialisation of inactive features."""
    found = s["revival"].astype(float)
    names = ["Pearson (test)", "FVU (test)", "never active (train)", "started anew"]
    st.dataframe(
        {"inactive features are": ["left alone", "re-initialised"], **dict(zip(names, found.T, strict=True))},
        hide_index=True,
        key=f"{key}-revival",
        column_config={n: st.column_config.NumberColumn(format="%.4f" if n in names[:2] else "%.0f") for n in names},
    )
    st.caption(s.claimed("inactive features are re-initialised").note)


def _strength(s: Source, key: str) -> None:
    over = kept(
        f"{key}-over", "Mean", {"active": "mean over the images where it is active", "all": "mean over all images"}
    )
    _pair(key, lambda: ensemble.strongest(s, over == "all"), lambda: ensemble.frequency_strength(s, over == "all"))


def _use(s: Source, key: str) -> None:
    _chart(f"{key}-frequent", ensemble.most_frequent(s))
    _strength(s, key)


def _key_features(s: Source, key: str) -> None:
    by = kept(f"{key}-by", "Rank by", {"lift": "lift over the base rate", "mean": "raw mean"})
    _chart(f"{key}-key", ensemble.key_feature_rates(s, by == "mean"))


def _digits(s: Source, key: str) -> None:
    _chart(f"{key}-codes", ensemble.mean_codes(s))
    _key_features(s, key)


def _feature_maps(s: Source, key: str) -> None:
    by = kept(f"{key}-ranking", "The first by", ensemble.RANKINGS)
    _chart(f"{key}-map", ensemble.feature_map(s, by))


def _agreement(s: Source, key: str) -> None:
    _chart(f"{key}-mmcs", ensemble.agreement(s))


def _consistency(s: Source, key: str) -> None:
    said, found = s.report.info["consistency"], s["consistency"]
    names = ["reading", "Pearson", "MMCS, matching", "MMCS, row-max", "dead on the test images"]
    st.dataframe(
        dict(zip(names, [said["names"], *found.T.astype(float)], strict=True)),
        hide_index=True,
        key=f"{key}-readings",
        column_config={n: st.column_config.NumberColumn(format="%.4f") for n in names[1:4]},
    )
    _chart(f"{key}-consistency", ensemble.consistency(s))


def _members(s: Source, key: str) -> None:
    _agreement(s, key)
    _consistency(s, key)


def _curve(s: Source, key: str) -> None:
    _chart(f"{key}-curve", intro.fvu_l0(s))
    _chart(f"{key}-norms", intro.decoder_norms(s))


def _l0(s: Source, key: str) -> None:
    _pair(key, lambda: intro.l0_of_images(s), lambda: intro.l0_by_digit(s))


def _decoder_rows(s: Source, key: str) -> None:
    which = kept(f"{key}-which", "Trained", {"dense": "without a sparsity term", "sparse": "with L1"})
    _chart(f"{key}-rows", intro.decoder_rows(s, which == "dense"))


def _phases(s: Source, key: str) -> None:
    _pair(f"{key}-13", lambda: hidden_layer.phase(s, 1), lambda: hidden_layer.phase(s, 3))
    _pair(f"{key}-2", lambda: hidden_layer.phase(s, 2, 0.1), lambda: hidden_layer.phase(s, 2, 0.999))


def _accuracy(s: Source, key: str) -> None:
    _chart(f"{key}-accuracy", hidden_layer.phase(s, 1))


def _spread(s: Source, key: str) -> None:
    _chart(f"{key}-spread", hidden_layer.spread(s))


def _targets(s: Source, key: str) -> None:
    _chart(f"{key}-means", hidden_layer.mean_activations(s))
    _spread(s, key)


def _importance(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-all", hidden_layer.importance(s, rho, notebook))
    _chart(f"{key}-classes", hidden_layer.importance_by_class(s, rho, notebook))
    _spread(s, key)


def _units(s: Source, key: str) -> None:
    kind = kept(f"{key}-units", "Of", hidden_layer.UNITS)
    _chart(f"{key}-responses", hidden_layer.responses(s, kind))
    _chart(f"{key}-activations", hidden_layer.activations(s, kind))


def _constant(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-classes", hidden_layer.importance_by_class(s, rho, notebook))


def _axis(s: Source, key: str) -> None:
    _chart(f"{key}-all", hidden_layer.importance(s, _rho(key)))


def _geometry(s: Source, key: str) -> None:
    rho, union = _rho(key), kept(f"{key}-which", "Features", ALL_OR_TOP) == "top"
    _pair(
        f"{key}-cosines",
        lambda: hidden_layer.cosine_matrix(s, rho, False, union),
        lambda: hidden_layer.cosine_matrix(s, rho, True, union),
    )
    documented = kept(f"{key}-fed", "t-SNE", FED) == "rows"
    _pair(
        f"{key}-maps",
        lambda: hidden_layer.feature_points(s, rho, False, union, documented),
        lambda: hidden_layer.feature_points(s, rho, True, union, documented),
    )
    _chart(f"{key}-pictures", hidden_layer.picture_map(s, rho, union, documented))
    _correlation(s, f"{key}-r", rho, union)


def _correlation(s: Source, key: str, rho: float | None = None, union: bool | None = None) -> None:
    rho = _rho(key) if rho is None else rho
    if union is None:
        union = kept(f"{key}-which", "Features", ALL_OR_TOP) == "top"
    with words.explained():
        reading = kept(f"{key}-reading", "Pairs", hidden_layer.CORRELATIONS)
        _chart(f"{key}-scatter", hidden_layer.correlation(s, rho, reading, union))


def _mixed(s: Source, key: str) -> None:
    rho = _rho(key)
    how = kept(f"{key}-axes", "Axes", {"own": "both axes of the pictures’ map", "mixed": "axes of two maps"})
    _chart(f"{key}-map", hidden_layer.feature_points(s, rho, True, False, True, how == "mixed"))


def _fed(s: Source, key: str) -> None:
    rho, documented = _rho(key), kept(f"{key}-fed", "t-SNE", FED) == "rows"
    _pair(
        key,
        lambda: hidden_layer.feature_points(s, rho, False, True, documented),
        lambda: hidden_layer.feature_points(s, rho, True, True, documented),
    )


def _class_pictures(s: Source, key: str) -> None:
    rho = _rho(key)
    own = kept(f"{key}-mean", "Mean", {"own": "mean over the class’s own", "all": "mean over all images"}) == "own"
    notebook = kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    n = number(f"{key}-n", "number of features", 98, default=source.TOP, least=1)

    def take() -> None:
        reached(f"{key}-n", st.session_state[f"slider-{key}-n"])

    st.session_state[f"slider-{key}-n"] = n
    st.slider("Features kept of each class", 1, 98, key=f"slider-{key}-n", on_change=take)
    _chart(f"{key}-pictures", hidden_layer.class_pictures(s, rho, n, own, notebook))


def _lists(s: Source, key: str) -> None:
    rho, notebook = _rho(key), kept(f"{key}-reading", "Importance", READINGS) == "notebook"
    _chart(f"{key}-lists", hidden_layer.top_lists(s, rho, notebook))
    _pair(key, lambda: hidden_layer.overlap(s, rho, notebook), lambda: hidden_layer.sharing(s, rho))


def _sharing(s: Source, key: str) -> None:
    rho = _rho(key)
    _pair(key, lambda: hidden_layer.overlap(s, rho, True), lambda: hidden_layer.sharing(s, rho))


def _kept_accuracy(s: Source, key: str) -> None:
    _chart(f"{key}-kept", hidden_layer.kept_accuracy(s, _rho(key)))


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
        "Neurons and features": _units,
        "Class pictures": _class_pictures,
        "Top features": _lists,
        "Geometry": _geometry,
        "From few features": _kept_accuracy,
    },
}
SWITCHES: dict[int, Panel] = {
    1: _consistency,
    3: _agreement,
    4: _revival,
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
