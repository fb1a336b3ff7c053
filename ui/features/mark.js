/**
 * Says which feature is open, from within the column of its detail; draws nothing there. The wall's own data hardly ever
 * change, so that they are sent once.
 */

import { settings } from "./settings.js";

/** @import { Component } from "../live/mount.js" */

/**
 * The open feature changed, here or elsewhere: ring it. When its detail begins outside the window, go there.
 * @param {Component<{ wall: string, feature: number | null }>} component
 */
export default function ({ data: { wall, feature }, parentElement }) {
  const set = settings(wall), before = set.told;
  set.open = set.told = feature;
  set.show?.(before !== feature);
  if (feature === null || before === undefined || before === feature) return;
  const host = parentElement instanceof ShadowRoot ? parentElement.host : parentElement;
  const place = host.closest(".st-key-detail-place")?.parentElement;
  const column = /** @type {HTMLElement} */ (place ?? host);
  requestAnimationFrame(() => {
    column.scrollTop = 0;
    const { top } = column.getBoundingClientRect();
    if (top > -60 && top < innerHeight * 0.6) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    column.style.scrollMarginTop = "4rem"; // Streamlit's own header lies over the top
    column.scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
  });
}
