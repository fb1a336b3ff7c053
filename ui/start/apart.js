// One digit taken apart: its active features are added one by one, and the reconstruction grows.
import { sae } from "../live/engine.js";

const STEP_MS = 260, REST_MS = 2600;
const mounted = (globalThis.__saeApart ??= new WeakMap());

export default function ({ data, parentElement }) {
  if (!mounted.has(parentElement)) mounted.set(parentElement, mount(parentElement));
  mounted.get(parentElement).update(data);
  return () => sae.whenGone(parentElement, () => {
    mounted.get(parentElement)?.unmount();
    mounted.delete(parentElement);
  });
}

function mount(parent) {
  const find = (selector) => parent.querySelector(selector);
  const root = find(".apart"), slider = find(".terms"), button = find(".play");
  let model = null, x = null, h = null, code = null, terms = 0, timer = null, cancel = () => {};
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;

  function show() {
    if (!model) return;
    const part = { index: code.index.slice(0, terms), value: code.value.slice(0, terms) };
    const h_hat = sae.decode(model, part);
    sae.paint(find(".output"), sae.picture(model, h_hat));
    const n = code.index.length;
    find(".text").textContent = `${terms} of ${n} features: Pearson ${sae.pearson(h, h_hat).toFixed(3)}`;
    slider.value = terms;
    root.dataset.terms = terms;
    const width = Math.min(470, find(".wide").clientWidth || 400);
    const columns = Math.max(5, Math.ceil(Math.sqrt(n * 2))), size = width / columns;
    const context = sae.fit(find(".parts"), width, Math.ceil(n / columns) * size);
    context.clearRect(0, 0, width, Math.ceil(n / columns) * size);
    for (let j = 0; j < n; j++) {
      context.globalAlpha = j < terms ? 1 : 0.16;
      sae.drawTile(context, sae.sprite(model), sae.place(model, code.index[j]), (j % columns) * size + 1, Math.floor(j / columns) * size + 1, size - 2);
      if (j === terms - 1) {
        context.globalAlpha = 1;
        context.strokeStyle = getComputedStyle(root).getPropertyValue("--st-primary-color") || "#e69a00";
        context.lineWidth = 2;
        context.strokeRect((j % columns) * size + 1, Math.floor(j / columns) * size + 1, size - 2, size - 2);
      }
    }
  }

  function tick() {
    const whole = terms >= code.index.length;
    terms = whole ? 0 : terms + 1;
    show();
    if (playing) timer = setTimeout(tick, terms === code.index.length ? REST_MS : STEP_MS);
  }
  function play(on) {
    clearTimeout(timer);
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-label", `${button.textContent} the animation`);
    if (on && code) timer = setTimeout(tick, STEP_MS);
  }
  button.onclick = () => play(!playing);
  slider.oninput = () => { play(false); terms = +slider.value; show(); };
  slider.onkeydown = button.onkeydown = (event) => event.stopPropagation();
  const resized = new ResizeObserver(show);
  resized.observe(root);

  return {
    update(data) {
      cancel();
      x = sae.fromLevels(sae.fromBase64(data.levels));
      sae.paint(find(".input"), x);
      cancel = sae.withModel(data.model, (found) => {
        if (!sae.knows(found, x)) return;
        model = found;
        h = sae.read(model, x);
        code = sae.encode(model, h);
        sae.tell(root, model);
        slider.max = code.index.length;
        terms = playing ? 0 : code.index.length;
        show();
        play(playing);
      });
    },
    unmount() { clearTimeout(timer); cancel(); resized.disconnect(); },
  };
}
