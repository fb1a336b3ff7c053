// A page for tests/test_link.py: the link with a component that has one text, a clock that stands until it is told to go
// on, and no more of a browser. One JSON command a line, one JSON line back: all messages that went meanwhile, and what
// is here now.
import readline from "node:readline";
import { Gate } from "../../ui/live/gate.js";
import { Link, about } from "../../ui/live/link.js";

class Clock {
  time = 0;
  timers = new Map();
  count = 0;
  now = () => this.time;
  later = (work, ms) => { this.timers.set(++this.count, { at: this.time + ms, work }); return this.count; };
  cancel = (timer) => this.timers.delete(timer);
  go(ms) {
    for (const end = this.time + ms; ;) {
      const [next] = [...this.timers].sort(([p, { at: a }], [q, { at: b }]) => a - b || p - q);
      if (!next || next[1].at > end) { this.time = end; return; }
      this.timers.delete(next[0]);
      this.time = next[1].at;
      next[1].work();
    }
  }
}

let clock, link, thing, text, mount, sent, leaving, passed, seq;
const message = () => ["said", { text }];
function say(value) {
  text = value;
  link.say(message, thing);
  seq = thing.seq;
}
const COMMANDS = {
  new() {
    clock = new Clock();
    leaving = false;
    link = new Link(new Gate(clock, () => leaving));
    [thing, text, mount, passed, seq] = [about(), null, null, [], 0];
  },
  say: ({ text: value }) => say(value),
  mount() {
    const me = { send: (name, value) => sent.push({ name, value, at: clock.time, mount: me.number }), number: (mount?.number ?? 0) + 1 };
    mount = me;
  },
  leave() { link.leave(mount); },
  hear({ data }) {
    const news = link.hear(data, mount, thing, data.thing);
    if (news?.verdict === "take") text = data.thing.text;
    else if (news?.verdict === "tell" && text !== data.thing.text) say(text);
    else if (news?.verdict === "passed") passed.push(data.thing.text);
    return news;
  },
  go: ({ ms }) => clock.go(ms),
  leaving: ({ is }) => { leaving = is; },
  clear: ({ name }) => link.clear(name),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  sent = [];
  const news = COMMANDS[command.do](command) ?? null;
  console.log(JSON.stringify({ sent, text, seq, quiet: link.quiet, epoch: link.epoch, taken: link.taken, now: clock.time, news, passed }));
});
