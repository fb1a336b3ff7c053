// What a classifier says, as one bar a class, with the probabilities before an edit as ghosts behind them.
// `root` is an element of the component; names are the classes' names. The result paints: show(p, before = null).
import { sae } from "./engine.js";

export function classBars(root, names) {
  root.classList.add("class-bars");
  root.setAttribute("role", "list");
  const rows = names.map((name) => {
    const row = document.createElement("div");
    row.className = "class-bar";
    row.dataset.testid = "class-bar";
    row.dataset.class = name;
    row.setAttribute("role", "listitem");
    row.innerHTML = '<span class="name"></span><span class="track"><i class="ghost"></i><i class="bar"></i></span><span class="share"></span>';
    row.querySelector(".name").textContent = name;
    return row;
  });
  root.replaceChildren(...rows);
  const parts = rows.map((row) => ({ row, ...Object.fromEntries([...row.querySelectorAll("*")].map((e) => [e.className, e])) }));
  return (p, before = null) => {
    let best = -1;
    if (p) for (let c = 0; c < p.length; c++) if (best < 0 || p[c] > p[best]) best = c;
    parts.forEach((part, c) => {
      const { row, bar, ghost, share } = part;
      // Most probabilities stay at 0 while somebody draws: what does not change is not touched, and bars are moved by
      // transforms, or every frame would be laid out anew.
      const now = p ? p[c].toFixed(5) : "", was = before ? before[c].toFixed(5) : "";
      if (was !== part.was) {
        part.was = was;
        ghost.hidden = !before;
        ghost.style.transform = `translateX(${before ? 100 * before[c] - 100 : -100}%)`;
      }
      row.classList.toggle("best", c === best);
      if (now === part.now && was === part.told) return;
      part.now = now;
      part.told = was;
      const percent = p ? 100 * p[c] : 0;
      bar.style.transform = `scaleX(${percent / 100})`;
      row.dataset.p = now;
      const text = p ? `${percent.toFixed(1)} %` : "";
      const words = `${names[c]}: ${text || "nothing yet"}${before ? `, before ${(100 * before[c]).toFixed(1)} %` : ""}`;
      if (words === part.words) return;
      part.words = words;
      sae.write(share, text);
      row.setAttribute("aria-label", words);
    });
  };
}
