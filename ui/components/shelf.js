// Invisible: keeps Python's texts in this browser, and tells Python once what an earlier visit left. Where the browser
// keeps nothing (a private window, say), nothing is lost but that.
export default function ({ data, setStateValue }) {
  const name = `sae-explorer-${data.id}`;
  try {
    if (data.texts !== null) {
      localStorage.setItem(name, JSON.stringify(data.texts));
      return;
    }
    const kept = data.read ? null : localStorage.getItem(name);
    if (kept === null) return;
    let texts = null;
    try { texts = JSON.parse(kept); } catch { /* Python says that it is damaged */ }
    if (texts?.length !== 0) sae.toPython(() => setStateValue("found", { texts }));
  } catch { /* no storage */ }
}
