/**
 * Copying where the browser offers none: over plain http from another machine `navigator.clipboard` is missing, and a copy
 * button, Streamlit's too, does nothing. This stands in for it there, and only there.
 */

/** Copy by the old way; false where that is not allowed either. @param {string} text */
function byCommand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position: fixed; opacity: 0;";
  document.body.append(area);
  area.select();
  let done = false;
  try { done = document.execCommand("copy"); } catch { /* as if it said no */ }
  area.remove();
  return done;
}

/** @param {Navigator} navigator @param {(text: string) => boolean} copy @param {(says: string, text: string) => void} ask */
export function standInForClipboard(navigator, copy = byCommand, ask = (says, text) => { window.prompt(says, text); }) {
  if (navigator.clipboard) return;
  Object.defineProperty(navigator, "clipboard", {
    configurable: true,
    value: {
      /** @param {string} text */
      async writeText(text) {
        if (!copy(text)) ask("Your browser does not let this page copy. The text is selected: press Ctrl-C (⌘-C).", text);
      },
    },
  });
}
