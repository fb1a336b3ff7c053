"""Recipes on the Steer page: edits with a name, kept in the visitor's browser, shared as links, JSON and Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from sae_core import reference
from sae_core.datasets import DataError, dataset_info, dataset_names, default_data_dir
from sae_core.steering import recipes
from sae_core.steering.edits import Steering
from sae_core.steering.recipes import Recipe
from ui.base import chosen, models, state, url, words
from ui.live.component import component
from ui.steer.shelf import drop, put, refused, shelf
from ui.steer.strips import set_edits, steering

if TYPE_CHECKING:
    from sae_core.steering.edits import Edit


KEPT = 50
"""recipes that a browser keeps"""
SHELF = "recipe-shelf"
EDITED = "edited"
"""the name of the recipe that is in the address"""
_address = component("steer/address")


def take_recipe() -> None:
    """Before the page is set up: make the recipe in the address the chosen model, picture and edits.

    Once in a session, and after a step back or forward: any other message brings the address along as it was when that
    was sent, and what was edited since is newer.
    """
    packed = st.query_params.get("recipe")
    if packed and (not st.session_state.get("recipe_looked") or url.by_history(unknown=False)):
        _no_problem()
        try:
            use(recipes.unpack(packed))
        except (ValueError, DataError) as e:
            _problem(f"The recipe in this address cannot be used: {e}")
    st.session_state["recipe_looked"] = True  # last: a run may be ended before it came here


def _problem(text: str) -> None:
    said = words.plain(text)
    st.session_state["recipe_problem"] = (said if said.endswith(".") else f"{said}."), None


def _no_problem() -> None:
    st.session_state.pop("recipe_problem", None)


def after_recipe(choice: state.Choice) -> None:
    """Say what was wrong with the last recipe, and have the address say the edits as they are: loaded again, or shared,
    it brings them back. That is no step of the browser's history: so many edits would have to be gone back through.
    """
    place, now = (choice.model.id, choice.picture.ref), steering(choice)
    try:
        packed = None if now.untouched else recipes.pack(_recipe(EDITED, choice, now))
    except ValueError:
        packed = None  # it cannot be shared, as the panel below says
    _address(key="recipe-address", data={"page": "Steer", "recipe": packed}, height=1)
    if problem := st.session_state.get("recipe_problem"):
        # It stays until something else is shown: a run may be ended before its words are sent, or followed by another.
        text, shown = problem
        if shown in (None, about := (place, _what(now))):
            st.session_state["recipe_problem"] = text, about
            st.warning(text, icon=":material/warning:")
        else:
            _no_problem()


def _what(now: Steering) -> tuple[Any, ...]:
    """All that a recipe says of the edits."""
    return dict(now.meant), dict(now.edits), now.mode, None if now.solo is None else sorted(now.solo)


def use(recipe: Recipe) -> None:
    """Choose the recipe's model and picture, and make its edits theirs. ValueError or DataError in words."""
    from sae_core.steering.edits import check_reach, checked, checked_features

    model = models.listed()[0].get(recipe.sae)
    if model is None:
        raise ValueError(f"its model {recipe.sae} is not here")
    if model.hash != recipe.hash:
        raise ValueError(f"it was made for {recipe.model}, and {recipe.sae} has other weights here ({model.hash})")
    d_sae = model.info.config["d_sae"]
    edits, solo = checked(recipe.edits, d_sae), recipe.solo
    check_reach(edits)
    if solo is not None:
        checked_features(solo, d_sae)
    ref, data = recipe.picture or _now("image"), _now("data")
    if recipe.picture is None:
        ref = _example(ref, data)
    assert ref is not None
    picture = reference.find_picture(ref)
    if not ref.startswith("px-"):
        data = ref.partition("-")[0]
    values = _values(model, picture, edits)
    check_reach(values)
    state.choose(model=model.name, data=data, image=ref, feature=_now("feature"))
    rules = {f: e for f, e in edits.items() if not isinstance(e, float)}
    kept = None if solo is None else list(solo)
    set_edits(model.id, ref, values, recipe.mode, kept, rules)


def _now(key: str) -> str | None:
    """What is chosen, also before a page has read its address."""
    return chosen.get(key) or st.query_params.get(key)


def _example(ref: str | None, data: str | None) -> str:
    """The picture of a recipe that names none: the chosen one, else an example."""
    try:
        if ref is not None:
            reference.find_picture(ref)
            return ref
    except (ValueError, DataError):
        pass
    here = [n for n in dataset_names() if dataset_info(n).is_here(default_data_dir())]
    return f"{data if data in here else 'mnist' if 'mnist' in here else here[0]}-test-{state.EXAMPLE}"


def _values(model: models.Model, picture: reference.Picture, edits: Mapping[int, float | Edit]) -> dict[int, float]:
    """The edits as values: a scale or a clamp becomes what it gives for this picture."""
    if all(isinstance(e, float) for e in edits.values()):
        return {f: e for f, e in edits.items() if isinstance(e, float)}
    import torch

    from sae_core.steering.edits import edit_code

    sae = model.sae
    with torch.no_grad():
        acts = sae.encode(sae.read(picture.batch))[0]
    changed = edit_code(acts, edits)
    return {f: float(changed[f]) for f in edits}


def panel(choice: state.Choice, now: Steering) -> None:
    """Keep the edits under a name, take them along as JSON, Python or a link, and bring others here."""
    st.subheader("Recipes", anchor=False)
    st.caption(
        "A recipe is a name, the model, the picture and the edits. Keep it in this browser, take it along, or share it "
        "as a link."
    )
    kept = _kept()
    left, right = st.columns(2, gap="large")
    with left:
        _keep_panel(choice, now)
    with right:
        st.file_uploader(
            "Open a recipe (JSON)",
            type=["json"],
            key="recipe_upload",
            on_change=_take_upload,
            help="Its model must be here, with the same weights. A scale or clamp stays one.",
        )
        if kept:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.selectbox("Kept recipes", list(kept), key="recipe_kept")
                st.button("Use", key="recipe_use", on_click=_use_kept)
                st.button("Delete", key="recipe_delete", on_click=_delete)
        if out := st.session_state.get("recipes_refused"):
            st.caption(
                f"Of what this browser kept, {out} {'is no recipe' if out == 1 else 'are no recipes'}: left out."
            )


def _kept() -> dict[str, Recipe]:
    """This session's recipes, and those that the browser had from earlier visits."""
    kept: dict[str, Recipe] = st.session_state.setdefault("recipes", {})

    def found(texts: list[str]) -> None:
        refused = 0
        for text in texts:
            try:
                recipe = recipes.from_text(text)
            except ValueError:
                refused += 1
                continue
            if len(kept) < KEPT:
                kept.setdefault(recipe.name, recipe)
        if refused:
            st.session_state["recipes_refused"] = refused

    shelf(SHELF, KEPT, found)
    return kept


def _keep_panel(choice: state.Choice, now: Steering) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = _name(st.text_input("Name", "my-recipe", key="recipe_name", max_chars=recipes.NAME_CHARS))
        try:
            recipe = _recipe(name, choice, now)
        except ValueError as e:
            recipe, why = None, str(e)
        again = name in st.session_state["recipes"]
        st.button(
            "Replace" if again else "Keep",
            key="recipe_keep",
            on_click=_keep,
            args=(choice, name),
            disabled=recipe is None or now.untouched,
        )
    if names := refused(SHELF):
        st.warning(
            f"Only until this page is left ({words.plain(', '.join(names))}): your browser has no room, or keeps "
            "nothing. Take along what you need as JSON.",
            icon=":material/warning:",
        )
    if now.untouched:
        st.caption("Nothing is edited yet, so there is nothing to keep.")
        return
    if recipe is None:
        st.caption(f"This cannot be kept: {words.plain(why)}.")
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


def _name(typed: str) -> str:
    """A name with its spaces as hyphens, since it is also a file's."""
    return "-".join(typed.split())


def _recipe(name: str, choice: state.Choice, now: Steering) -> Recipe:
    return Recipe(name, choice.model.id, now.meant, now.mode, now.alone, choice.picture.ref)


def _keep(choice: state.Choice, shown: str) -> None:
    _no_problem()
    # The name and the edits of this moment: a click may come with what was typed just before it.
    try:
        recipe = _recipe(_name(st.session_state["recipe_name"]), choice, steering(choice))
    except ValueError as e:
        _problem(f"This cannot be kept: {e}")
        return
    kept = st.session_state["recipes"]
    if recipe.name in kept and recipe.name != shown:  # the button did not say Replace yet
        _problem(f"There is a recipe {recipe.name} already, and it stays: press Replace to put this one in its place")
        return
    if len(kept) >= KEPT and recipe.name not in kept:
        _problem(f"{KEPT} recipes are kept already, and they stay: delete one first, or take this one along as JSON")
        return
    kept[recipe.name] = recipe
    put(SHELF, recipe.name, json.dumps(recipes.to_json(recipe)))


def _delete() -> None:
    _no_problem()
    name = st.session_state["recipe_kept"]
    del st.session_state["recipes"][name]
    drop(SHELF, name)


def _use_kept() -> None:
    _try(lambda: st.session_state["recipes"][st.session_state["recipe_kept"]])


def _take_upload() -> None:
    upload = st.session_state["recipe_upload"]
    if upload is not None:
        _try(lambda: recipes.from_text(upload.getvalue().decode()))


def _try(find: Callable[[], Recipe]) -> None:
    _no_problem()
    try:
        use(find())
    except UnicodeDecodeError:
        _problem("That file is no recipe: it is not text")
    except (ValueError, DataError) as e:
        _problem(f"That recipe cannot be used: {e}")
