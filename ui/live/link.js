/** The way to Python for what a person does, and back: link.py is its other end. */

import { Gate, PAGE_CLOCK, leaving } from "./gate.js";
import { shared } from "./shared.js";

/**
 * What Python's end says with each run of the page: the number of the last message it took, of which session it is, the
 * number of the last change it made itself, and why it refused the last message where it did.
 * @typedef {{ seq: number, epoch: string, pushed: number, refused?: { seq: number, why: string } | null }} Answer
 */

/**
 * An element of the component in the page. `send` sets a state of the component, which Streamlit brings to Python.
 * @typedef {{ send: (name: string, value: object | null) => void, alive?: () => boolean }} Mount
 */

/**
 * What a message is when it goes: the name of the component's state and its value; null when there is nothing to say any
 * more.
 * @typedef {() => [string, object] | null} Message
 */

/**
 * A thing that both sides have (a picture, a picture's edits): kept with what is here of it.
 * seq: the message in which it was last said. push: Python's last change of it that came here, in that epoch.
 * @typedef {{ seq: number, push: number, epoch: string | null }} About
 */

/**
 * Where Python's thing is from: the message it was made of, or else Python's own change of that number; neither is what
 * it begins with.
 * @typedef {{ from?: number | null, push?: number | null }} Origin
 */

/**
 * What is to be done with Python's thing:
 * take: it is newer than what is here, or the first: it takes its place.
 * passed: Python changed it, but what is here was changed after that and is on its way: Undo may keep it.
 * tell: Python does not have what is here, and nothing is on its way: say it, unless it is the same.
 * keep: nothing.
 * @typedef {"take" | "passed" | "tell" | "keep"} Verdict
 */

/** @typedef {{ anew: boolean, answered: boolean, refused: string | null, verdict: Verdict }} News */

export const PATIENCE_MS = 5000; // until a message without an answer counts as lost; then twice as long each time,
export const MOST_PATIENCE_MS = 30_000; // up to this, so that it goes soon after a network is back
const EPOCHS = 20; // sessions of before whose late answers are known as such

/** @returns {About} */
export const about = () => ({ seq: 0, push: 0, epoch: null });

/**
 * One message under way to Python, numbered, acknowledged and sent again; the newest wins.
 *
 *   const link = linkOf(id);                      // it outlives the elements of the component
 *   link.say(() => ["drawing", pixels()], thing); // something was done: it goes when it can, as it is then
 *   const news = link.hear(data, mount, thing, data.picture); // in every update: data is { seq, epoch, pushed, .. }
 *   link.leave(mount);                            // the element is gone: what Python has not taken waits for the next
 *
 * A message goes when Python has taken the one before. Without an answer it goes again: after some patience, by the next
 * mount, and when another session of the server answers. hear says what Python has taken or refused, and of a thing that
 * Python may change too whether to take over Python's, say one's own again, or neither (see Verdict).
 */
export class Link {
  #seq = 0;
  /** @type {{ seq: number, make: Message, about: About } | null} */
  #newest = null; // what Python has not taken
  /** @type {{ seq: number, at: number, timer: any } | null} */
  #sent = null; // what is under way; its number is 0 as long as it waits at the gate
  #patience = PATIENCE_MS;
  /** @type {Mount | null} */
  #mount = null;
  /** @type {Answer} */
  #answer = { seq: 0, epoch: "", pushed: 0 };
  /** @type {string[]} */
  #past = [];

  /** @param {Gate} gate */
  constructor(gate) {
    this.gate = gate;
    this.clock = gate.clock;
  }

  /** Whether Python has taken all that was said. */
  get quiet() { return this.#newest === null; }
  /** The number of the last message that Python took. */
  get taken() { return this.#answer.seq; }
  /** The session of the server that answered last. */
  get epoch() { return this.#answer.epoch; }

  /**
   * Something was done: `make` says it when it goes, in place of anything older that has not gone.
   * @param {Message} make
   * @param {About} thing what it is about
   */
  say(make, thing = about()) {
    thing.seq = ++this.#seq;
    this.#newest = { seq: thing.seq, make, about: thing };
    this.#go();
  }

  /**
   * Take a big value that was taken by Python out of the component's state, as every message of the page carries it along.
   * @param {string} name
   */
  clear(name) {
    const mount = this.#mount;
    this.gate.pass(() => { if (mount === this.#mount && mount?.alive?.() !== false) mount?.send(name, null); });
  }

  /**
   * @param {Answer} answer
   * @param {Mount} mount the same object for the same element
   * @param {About} thing
   * @param {Origin} origin of Python's thing, that came with this answer
   * @returns {News | null} null: this answer is older than one that came before it
   */
  hear(answer, mount, thing = about(), origin = {}) {
    if (mount !== this.#mount) {
      this.#mount = mount;
      this.#over();
    }
    const before = this.#answer, other = answer.epoch !== before.epoch, anew = other && before.epoch !== "";
    if (this.#past.includes(answer.epoch) || (!other && (answer.seq < before.seq || answer.pushed < before.pushed))) {
      this.#go();
      return null;
    }
    if (anew) {
      this.#past = [...this.#past, before.epoch].slice(-EPOCHS);
      this.#over();
    }
    this.#answer = answer;
    this.#seq = Math.max(this.#seq, answer.seq);
    const sent = this.#sent, answered = sent !== null && sent.seq > 0 && answer.seq >= sent.seq;
    // Python is there and has not had it.
    const lost = sent !== null && sent.seq > 0 && this.clock.now() - sent.at >= PATIENCE_MS;
    if (answered || lost) this.#over();
    if (this.#newest && answer.seq >= this.#newest.seq) this.#newest = null;
    const refused = answer.refused?.seq === this.#seq ? answer.refused.why : null;
    const verdict = this.#compare(thing, origin);
    this.#go();
    return { anew, answered, refused, verdict };
  }

  /** @param {Mount} mount */
  leave(mount) {
    if (mount === this.#mount) this.#mount = null;
  }

  /**
   * @param {About} thing
   * @param {Origin} origin
   * @returns {Verdict}
   */
  #compare(thing, { from = null, push = null }) {
    const { epoch, refused } = this.#answer, first = thing.epoch === null, fresh = thing.epoch !== epoch;
    if (fresh && !first && !this.quiet) return "keep"; // looked at when all that is owed to the new session is there
    const pushed = push ?? 0, newer = first || (from === null && pushed > (fresh ? 0 : thing.push));
    Object.assign(thing, { epoch, push: pushed });
    if (newer) {
      if (this.#newest?.about === thing) return "passed";
      thing.seq = 0;
      return "take";
    }
    if (from === thing.seq) return "keep";
    // Another session knows nothing of what was done.
    return fresh || (this.quiet && thing.seq > 0 && thing.seq !== refused?.seq) ? "tell" : "keep";
  }

  // What is under way counts no more: it is answered or lost.
  #over() {
    if (this.#sent) this.clock.cancel(this.#sent.timer);
    this.#sent = null;
    this.#patience = PATIENCE_MS;
  }

  #go() {
    if (!this.#mount || !this.#newest || this.#sent) return;
    /** @type {{ seq: number, at: number, timer: any }} */
    const sent = { seq: 0, at: 0, timer: null };
    this.#sent = sent;
    this.gate.pass(() => {
      if (this.#sent !== sent) return;
      this.#sent = null;
      if (!this.#mount || !this.#newest || this.#mount.alive?.() === false) return;
      const { seq, make } = this.#newest, made = make();
      if (made === null) {
        this.#newest = null;
        return;
      }
      Object.assign(sent, { seq, at: this.clock.now(), timer: this.clock.later(() => this.#again(), this.#patience) });
      this.#sent = sent;
      this.#mount.send(made[0], { seq, epoch: this.epoch, ...made[1] });
    });
  }

  #again() {
    const patience = Math.min(2 * this.#patience, MOST_PATIENCE_MS);
    this.#over();
    this.#patience = patience;
    this.#go();
  }
}

/** @type {Map<string, Link>} */
const links = shared("links", () => new Map());

/** The page's link of that id. @param {string} id @returns {Link} */
export function linkOf(id) {
  const link = links.get(id) ?? new Link(shared("gate", () => new Gate(PAGE_CLOCK, leaving(document))));
  links.set(id, link);
  return link;
}

/** @type {WeakMap<Node, Mount>} */
const mounts = shared("mounts", () => new WeakMap());

/** An element as a mount of a link: the same object as long as it is that element. @param {Node} element @param {Mount["send"]} send */
export function through(element, send) {
  const mount = mounts.get(element) ?? { send, alive: () => element.isConnected };
  mounts.set(element, Object.assign(mount, { send }));
  return mount;
}
