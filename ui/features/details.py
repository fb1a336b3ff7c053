"""One feature in depth: its pictures, its numbers, the images it responds to, and its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from sae_core.datasets import dataset_info
from sae_core.measure.usage import RARE
from ui.base import chosen, models, shell, state, words
from ui.base.cache import shared
from ui.base.widgets import chart, over
from ui.base.words import percent
from ui.features.wall import notes
from ui.live import stepper
from ui.live.tiles import Tile, levels, picked, tiles

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats


TOP_IMAGES = 12
NEAREST = 6
STEP = "feature-number"
"""of the stepper through the features"""


def nothing_open(stats: FeatureStats | None) -> None:
    """What stands in the detail's place until a feature is opened."""
    from sae_core.figures import charts
    from sae_core.measure.usage import PER_1000

    st.subheader("No feature open", anchor=False)
    st.markdown(
        "Each tile is one feature: its weights as a picture. **Click a tile** to see how often it is "
        "active, for which digits and on which images. With the keyboard: tab to the wall, move with the "
        "arrow keys, open with Enter."
    )
    st.button("Open feature 0", on_click=_open, args=(0,))
    if stats is not None:
        use, split = stats.usage.said(), f"{stats.dataset}/{stats.split}"
        chart("feature-chart", charts.frequencies(stats.frequency, PER_1000 / 1000, use, split, stats.n))


def feature(choice: state.Choice, f: int, stats: FeatureStats | None) -> None:
    """Everything that is known of one feature."""
    from sae_core.figures import charts  # after the wall: importing plotly takes as long as painting all else

    encoder, decoder = _rows(choice.model)
    layer = choice.model.sae.reader is not None
    _head(f, len(decoder))
    if stats is not None:
        _numbers(f, stats)
    pictures = [
        Tile("encoder", f"Encoder: what feature {f} looks for", rows="encoder", feature=f),
        Tile("decoder", f"Decoder: what feature {f} adds to the picture", rows="decoder", feature=f),
    ]
    if stats is not None:
        pictures.append(_mean_picture(f, stats))
    tiles("feature-detail", choice.model, pictures, label=f"Feature {f}", size=96)
    st.caption(
        "Weights: orange is positive, blue negative, each picture over its own largest."
        + (" They are a hidden layer's, taken to the pixels through classifier and generator." if layer else "")
        + (" Mean: of the images on which it is active, weighted by its activation." if stats is not None else "")
    )
    if stats is not None and not stats.dead[f]:
        names = dataset_info(stats.dataset).class_names
        where, rates = f"{stats.dataset}/{stats.split}", stats.class_rates[f]
        chart("feature-chart", charts.class_rates(f, rates, stats.class_n, names, float(stats.frequency[f]), where))
    with words.explained():
        _top_images(choice, f, choice.model.stats(choice.data))
    said = notes(choice.model, stats.dataset) if stats is not None else []
    for name, rows in (("decoder", decoder), ("encoder", encoder)):
        _nearest(choice, f, name, rows, said)


def table(choice: state.Choice, stats: FeatureStats | None) -> None:
    """All features with their numbers, to sort and search: the wall in words."""
    if stats is None:
        return
    # Filled only when it is opened: a page of pictures does not wait for a table.
    box = st.expander("All features as a table", key="feature-table", on_change="rerun")
    if not box.open:
        return
    names = np.array(dataset_info(stats.dataset).class_names)
    top = stats.lift.argmax(1)
    columns = {
        "feature": np.arange(len(stats.count)),
        "active on (%)": 100 * stats.frequency,
        "mean when active": stats.mean_active,
        "maximum": stats.maximum,
        "top class": np.where(stats.dead, "", names[top]),
        "lift": stats.lift.max(1),
        "use": stats.usage.words,
    }
    number = st.column_config.NumberColumn
    with box:
        st.caption(f"On {over(stats)}. Click a heading to sort; tick a row to open the feature.")
        st.dataframe(
            columns,
            hide_index=True,
            key="features-as-table",
            on_select=_open_row,
            selection_mode="single-row",
            column_config={
                "active on (%)": number(format="%.3f", help="images on which it is not zero / n"),
                "mean when active": number(format="%.3f", help="sum of its activations / images on which it is active"),
                "maximum": number(format="%.3f", help="its largest activation on any of the n images"),
                "top class": st.column_config.TextColumn(help="the class with the largest lift"),
                "lift": number(format="%.2f", help="share of that class's images on which it is active / share of all"),
                "use": st.column_config.TextColumn(
                    help=f"in use: active on {RARE} of the n images or more; rare: on fewer; dead: on none"
                ),
            },
        )


def _head(f: int, d_sae: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"Feature {f}", anchor=False, width="stretch")
        stepper.stepper(
            STEP,
            str(d_sae),
            f,
            d_sae - 1,
            f"Feature number, 0 to {d_sae - 1}",
            kind="arrows",
            titles=("The feature before", "The feature after"),
        )


def take_step(model: models.Model) -> None:
    """Go to the feature that was asked for by number, before the page looks at which one is open."""

    def go(of: str, value: int | None, _: int) -> None:
        if value is not None and of == str(model.info.config["d_sae"]) and 0 <= value < int(of):
            _open(value)

    stepper.take(STEP, go)


def _numbers(f: int, stats: FeatureStats) -> None:
    if stats.dead[f]:
        st.info(
            f"Dead: never active on {over(stats)}. All there is to see of it are its weights.",
            icon=":material/bedtime:",
        )
        return
    low = float(stats.minimum[f])
    rare = f"**rare** (on under {RARE}): " if stats.usage.rare[f] else ""
    st.markdown(
        f"{rare}active on **{percent(stats.frequency[f])}** · mean **{stats.mean_active[f]:.2f}** · "
        f"max **{stats.maximum[f]:.2f}**"
        + (f" · min **{low:.2f}**" if low < 0 else "")
        + f"  \n:small[:gray[on {over(stats)}]]",
        help=f"Active on: images on which its activation is not 0 / n ({int(stats.count[f]):,} of {stats.n:,}). "
        "Mean: sum of its activations / images on which it is active. Max: its largest activation"
        + (", min: its smallest." if low < 0 else "."),
    )


def _mean_picture(f: int, stats: FeatureStats) -> Tile:
    from sae_core.measure.features import FEW

    if stats.count[f] < FEW:
        return Tile(f"no mean: under {FEW} images", f"Active on {int(stats.count[f])} images: too few for a mean")
    label = f"Mean of the images on which feature {f} is active, weighted by its activation"
    return Tile("mean image", label, levels=levels(stats.mean_picture[f]))


def _top_images(choice: state.Choice, f: int, stats: FeatureStats) -> None:
    st.markdown(f"**Top images** · {over(stats)}", help="The images on which its activation is largest.")
    if stats.dead[f]:
        st.caption("None of these images activates it. Choose other pictures in the sidebar.")
        return
    images = choice.images(stats.split)
    names = dataset_info(stats.dataset).class_names
    taken_ref, shown = chosen.get("image"), []
    for i, value in zip(stats.top_indices[f, :TOP_IMAGES].tolist(), stats.top_values[f], strict=False):
        if 0 <= i < len(images):
            ref, name = f"{stats.dataset}-{stats.split}-{i}", names[int(images.labels[i])]
            label = f"Image {i} of {stats.dataset}/{stats.split}, a {name}: activation {value:.2f}"
            shown.append(
                Tile(
                    f"{name} · {value:.2f}",
                    label,
                    levels=levels(images.x[i]),
                    value=ref,
                    chosen=ref == taken_ref,
                )
            )
    tiles("top-images", choice.model, shown, _take_image, label=f"Top images of feature {f}", size=50)
    taken = next((t for t in shown if t.chosen), None)
    if taken is None:
        st.caption("Below each: its label and the activation. Click one to take it to Draw or Steer.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(taken.label, width="stretch")
        shell.link("pages/1_Draw.py", "Draw", icon=":material/draw:", help="See its code")
        shell.link("pages/3_Steer.py", "Steer", icon=":material/tune:", help="Change it")


def _nearest(choice: state.Choice, f: int, name: str, rows: np.ndarray, said: list[str]) -> None:
    from sae_core.measure.neighbours import nearest

    st.markdown(
        f"**Nearest by {name}** · cosine",
        help=f"Cosine of the two features' {name} rows u, v over all that the SAE reads: ⟨u, v⟩ / (‖u‖ ‖v‖).",
    )
    shown = [
        Tile(
            f"#{g}\n{cosine:.2f}",
            f"Feature {g}, cosine {cosine:.3f}" + (f", {said[g]}" if said else ""),
            rows=name,
            feature=g,
            value=g,
        )
        for g, cosine in zip(*(a.tolist() for a in nearest(rows, f, NEAREST)), strict=True)
    ]
    key = f"nearest-{name}"
    tiles(
        key,
        choice.model,
        shown,
        lambda: _open_picked(key),
        label=f"Nearest to feature {f} by {name}",
        size=50,
    )


@shared(4)
def _rows(model: models.Model) -> tuple[np.ndarray, np.ndarray]:
    """A model's encoder rows (columns of W) and decoder rows, each [d_sae, d_in]: over what it reads."""
    form = model.sae.inference_form()
    return np.ascontiguousarray(form.W.T), form.D


def _open(f: int) -> None:
    state.choose(feature=f)


def _open_picked(key: str) -> None:
    value = picked(key)
    if value is not None:
        state.choose(feature=value)


def _take_image() -> None:
    value = picked("top-images")
    if value is not None:
        state.choose(image=value)


def _open_row() -> None:
    rows = st.session_state["features-as-table"]["selection"]["rows"]
    if rows:
        state.choose(feature=rows[0])
