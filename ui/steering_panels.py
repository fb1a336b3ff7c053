"""The parts of the Steer page below the strips: the classifier's numbers, another opinion, many images, recipes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from sae_core import recipes
from sae_core.datasets import DataError, dataset_info, dataset_names, default_data_dir
from sae_core.recipes import Recipe
from ui import state
from ui.components.classifier import Judge
from ui.components.steer import Steering, set_edits, statistics, steering

if TYPE_CHECKING:
    from torch import Tensor

    from sae_core.steering import Edit, MindChange

IMAGES = 1000
"""images over which an edit is measured"""
TRIALS = 100
"""random edits of the control"""
_CHART = {"displayModeBar": False}


def _batch(choice: state.Choice) -> Tensor:
    import torch

    return torch.from_numpy(np.array(choice.picture.x))[None]


# ---- what the classifier says


def opinion(choice: state.Choice, now: Steering, asked: Judge | None) -> None:
    """The probability of each class before and after the edits, as Python computes them."""
    if asked is None:
        st.info("The classifier is not at hand, so nothing is said of classes here.", icon=":material/info:")
        return
    from sae_core import steering

    p = steering.opinion(choice.model.sae, asked.network, _batch(choice), now.edits, now.mode, now.solo)
    before, after = (q[0].tolist() for q in p)
    best, names = int(np.argmax(after)), asked.names
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
        seen = "the hidden layer itself" if asked.same_layer else "the picture as shown, clipped to [0, 1]"
        st.caption(f"Softmax of its logits on {seen}. Before: the same mode with nothing edited. {asked.said}")


# ---- another opinion


def change_mind(choice: state.Choice, asked: Judge | None) -> None:
    """Few edits after which the classifier says what a person wants, and how often random ones do as well."""
    st.subheader("Change its mind", anchor=False)
    if asked is None:
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
            range(len(asked.names)),
            index=_second(choice, asked),
            format_func=lambda c: asked.names[c],
            key=key,
            width=190,
        )
        st.button("Find edits", key="find_edits", on_click=_find, args=(choice, asked, key))
    if found is not None and found["place"] == place:
        _mind(found["result"], found["random"], asked.names, found["target"], found["mode"])


def _second(choice: state.Choice, asked: Judge) -> int:
    import torch

    with torch.no_grad():
        p = asked.network.probabilities(_batch(choice))[0]
    return int(p[: min(10, len(p))].argsort(descending=True)[1])


def _find(choice: state.Choice, asked: Judge, key: str) -> None:
    import torch

    from sae_core import steering as core

    now, target = steering(choice), int(st.session_state[key])  # takes what the browser just sent
    sae, x, stats = choice.model.sae, _batch(choice)[0], statistics(choice)
    found = core.change_mind(sae, asked.network, x, target, mode=now.mode, stats=stats)
    generator = torch.Generator().manual_seed(0)
    random = None
    if found.edits:
        n = len(found.edits)
        random = core.random_edits(
            sae, asked.network, x, target, n, generator, mode=now.mode, stats=stats, trials=TRIALS
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


# ---- over many images


def over_many(choice: state.Choice, now: Steering, asked: Judge | None) -> None:
    """The same edit of many images: what the classifier says of them then."""
    st.subheader("Over many images", anchor=False)
    if asked is None:
        st.caption("This needs the classifier, which is not at hand.")
        return
    if now.untouched:
        st.caption("There is no edit yet. Move a strip, and see here what the same edit does to other images.")
        return
    st.caption(
        f"The same edit of up to {IMAGES:,} test images of {choice.data}: each edited feature is set to the value of "
        "its strip, whatever it was on that image."
    )
    wanted = (choice.model.id, choice.data, asked.id, tuple(sorted(now.edits.items())), now.mode, _solo(now))
    if st.button("Measure", key="measure_many", icon=":material/query_stats:"):
        with state.explained(), st.spinner("Measuring …"):
            st.session_state["many"] = (wanted, *_measure(choice, now, asked))
    kept = st.session_state.get("many")
    if kept is None:
        return
    if kept[0] != wanted:
        st.caption("What was measured last was another edit: measure this one.")
        return
    from ui import steer_figures as figures

    _, found, where = kept
    names = asked.names
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
            place.plotly_chart(figure, key=key, config=_CHART)
    st.caption(
        f"{now.said}, {now.mode} mode. Before: the same mode with nothing edited. Interval: mean ± 1.96 standard "
        "errors over the images. Strength t: code + t · (edited code − code)."
    )


def _solo(now: Steering) -> tuple[int, ...] | None:
    return None if now.solo is None else tuple(now.solo)


def _measure(choice: state.Choice, now: Steering, asked: Judge) -> tuple[Any, str]:
    from sae_core.steering import apply_to_many

    images = choice.images("test")
    which = np.sort(np.random.default_rng(0).permutation(len(images))[:IMAGES])
    x, labels = images.x[which], images.labels[which]
    found = apply_to_many(choice.model.sae, asked.network, x, labels, now.edits, now.mode, now.solo)
    drawn = " (drawn with seed 0)" if len(which) < len(images) else ""
    return found, f"{images.name}/{images.split}{drawn}"


# ---- recipes


def take_recipe() -> None:
    """Before the page is set up: make the recipe in the address the chosen model, picture and edits, once."""
    packed = st.query_params.get("recipe")
    if not packed or packed == st.session_state.get("recipe_taken"):
        return
    st.session_state["recipe_taken"] = packed
    try:
        use(recipes.unpack(packed))
    except (ValueError, DataError) as e:
        _problem(f"The recipe in this address cannot be used: {e}")


def _problem(text: str) -> None:
    st.session_state["recipe_problem"] = text if text.endswith(".") else f"{text}."


def after_recipe(choice: state.Choice) -> None:
    """Say what was wrong with the last recipe; one that was left for another picture leaves the address too."""
    place = (choice.model.id, choice.picture.ref)
    if "recipe" in st.query_params and st.session_state.get("recipe_place") != place:
        del st.query_params["recipe"]
    if problem := st.session_state.pop("recipe_problem", None):
        st.warning(problem, icon=":material/warning:")


def use(recipe: Recipe) -> None:
    """Choose the recipe's model and picture, and make its edits theirs. ValueError or DataError in words."""
    from sae_core.steering import checked, checked_features

    model = state.models()[0].get(recipe.sae)
    if model is None:
        raise ValueError(f"its model {recipe.sae} is not here")
    if model.hash != recipe.hash:
        raise ValueError(f"it was made for {recipe.model}, and {recipe.sae} has other weights here ({model.hash})")
    d_sae = model.info.config["d_sae"]
    edits, solo = checked(recipe.edits, d_sae), recipe.solo
    if solo is not None:
        checked_features(solo, d_sae)
    ref, data = recipe.picture or _now("image"), _now("data")
    if recipe.picture is None:
        ref = _example(ref, data)
    assert ref is not None
    picture = state.find_picture(ref)
    if not ref.startswith("px-"):
        data = ref.partition("-")[0]
    state.choose(model=model.name, data=data, image=ref, feature=_now("feature"))
    st.session_state["recipe_place"] = (model.id, ref)
    set_edits(model.id, ref, _values(model, picture, edits), recipe.mode, None if solo is None else list(solo))


def _now(key: str) -> str | None:
    """What is chosen, also before a page has read its address."""
    return st.session_state.get(f"chosen_{key}") or st.query_params.get(key)


def _example(ref: str | None, data: str | None) -> str:
    """The picture of a recipe that names none: the chosen one, else an example."""
    try:
        if ref is not None:
            state.find_picture(ref)
            return ref
    except (ValueError, DataError):
        pass
    here = [n for n in dataset_names() if dataset_info(n).is_here(default_data_dir())]
    return f"{data if data in here else 'mnist' if 'mnist' in here else here[0]}-test-{state.EXAMPLE}"


def _values(model: state.Model, picture: state.Picture, edits: Mapping[int, float | Edit]) -> dict[int, float]:
    """The edits as values: a scale or a clamp becomes what it gives for this picture."""
    if all(isinstance(e, float) for e in edits.values()):
        return {f: e for f, e in edits.items() if isinstance(e, float)}
    import torch

    from sae_core.steering import edit_code

    sae = model.sae
    with torch.no_grad():
        acts = sae.encode(sae.read(torch.from_numpy(np.array(picture.x))[None]))[0]
    changed = edit_code(acts, edits)
    return {f: float(changed[f]) for f in edits}


def recipe_panel(choice: state.Choice, now: Steering) -> None:
    """Keep the edits under a name, take them along as JSON, Python or a link, and bring others here."""
    st.subheader("Recipes", anchor=False)
    st.caption(
        "A recipe is a name, the model, the picture and the edits: keep it while this page is open, take it along, or "
        "share it as a link."
    )
    left, right = st.columns(2, gap="large")
    with left:
        _keep_panel(choice, now)
    with right:
        st.file_uploader(
            "Open a recipe (JSON)",
            type=["json"],
            key="recipe_upload",
            on_change=_take_upload,
            help="Its model must be here, with the same weights. A scale or clamp becomes the value it gives here.",
        )
        kept: dict[str, Recipe] = st.session_state.get("recipes", {})
        if kept:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.selectbox("Kept recipes", list(kept), key="recipe_kept")
                st.button("Use", key="recipe_use", on_click=_use_kept)


def _keep_panel(choice: state.Choice, now: Steering) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", "my-recipe", key="recipe_name", max_chars=recipes.NAME_CHARS)
        try:
            recipe = Recipe(name, choice.model.id, now.edits, now.mode, _solo(now), choice.picture.ref)
        except ValueError as e:
            recipe, why = None, str(e)
        st.button("Keep", key="recipe_keep", on_click=_keep, args=(recipe,), disabled=recipe is None or now.untouched)
    if now.untouched:
        st.caption("Nothing is edited yet, so there is nothing to keep.")
        return
    if recipe is None:
        st.caption(f"This cannot be kept: {why}.")
        return
    text = json.dumps(recipes.to_json(recipe), indent=2)
    code = recipes.to_code(recipe)
    with st.container(horizontal=True):
        st.download_button("JSON", text, f"{name}.json", "application/json", key="recipe_json", on_click="ignore")
        st.download_button("Python", code, f"{name}.py", "text/x-python", key="recipe_py", on_click="ignore")
    with st.expander("The link"):
        address = (st.context.url or "").partition("?")[0]
        st.code(f"{address}?recipe={recipes.pack(recipe)}", language=None, wrap_lines=True)
    with st.expander("The Python"):
        st.code(code, language="python")


def _keep(recipe: Recipe) -> None:
    st.session_state.setdefault("recipes", {})[recipe.name] = recipe


def _use_kept() -> None:
    _try(lambda: st.session_state["recipes"][st.session_state["recipe_kept"]])


def _take_upload() -> None:
    upload = st.session_state["recipe_upload"]
    if upload is not None:
        _try(lambda: recipes.from_text(upload.getvalue().decode()))


def _try(find: Callable[[], Recipe]) -> None:
    try:
        use(find())
    except UnicodeDecodeError:
        _problem("That file is no recipe: it is not text")
    except (ValueError, DataError) as e:
        _problem(f"That recipe cannot be used: {e}")
