/** At most one computation a frame, however many events come, and a record of how long each took. */

import { shared } from "./shared.js";

/** @typedef {{ event: number, start: number, end: number, painted: number }} Frame ms on the page's clock */

const KEPT = 2000;
/** @type {Frame[]} the last that were computed, which tests and benchmarks look at */
const frames = shared("frames", () => []);
const channel = new MessageChannel();
/** @type {Frame[]} */
const unpainted = [];
channel.port1.onmessage = () => {
  const now = performance.now();
  for (const frame of unpainted.splice(0)) frame.painted = now;
};

/**
 * @param {() => void} work
 * @returns {(event?: Event | null) => void} asks for work() in the next frame, once; event: what it follows
 */
export function live(work) {
  /** @type {number | null} */
  let pending = null;
  return (event) => {
    if (pending !== null) return;
    pending = event?.timeStamp ?? performance.now();
    requestAnimationFrame(() => {
      const frame = { event: pending ?? 0, start: performance.now(), end: 0, painted: 0 };
      pending = null;
      work();
      frame.end = performance.now();
      frames.push(frame);
      if (frames.length > KEPT) frames.shift();
      unpainted.push(frame);
      channel.port2.postMessage(0);
    });
  };
}
