// Many files, a few at a time: what each of them is at, and who decides what.
//
// chosen → waiting → sending → verifying → stored; beside the way: paused, asking (a person has to decide), failed, interrupted
// (begun before the page was loaded; the file has to be chosen again).

import {Refused} from "./api.js";
import {forget, keep} from "./upload-kept.js";
import {ask, transfer} from "./upload-transfer.js";
import {trouble} from "./upload-troubles.js";

const FILES_AT_ONCE = 4;
const RATE_MS = 6000;

export class Queue {
  // `changed` hears of every change, `loggedOut` when nothing can begin before somebody logs in.
  constructor({changed, loggedOut}) {
    this.items = [];
    this.running = new Map();
    this.paused = false;
    this.moved = [];
    Object.assign(this, {changed, loggedOut});
  }

  in(...states) { return this.items.filter(item => states.includes(item.state)); }

  add(files) {
    const items = files.map(file => ({id: crypto.randomUUID(), state: "chosen", sent: 0, done: 0, note: "", life: new AbortController(), ...file}));
    this.items.push(...items);
    this.changed();
    return items;
  }

  // Chosen ones, or such as failed, take their turn.
  wait(items) {
    for (const item of items) Object.assign(item, {state: "waiting", trouble: null, note: ""});
    keep(items);
    this.pump();
  }

  // The upload is forgotten and begun again, with the file as it is now.
  async anew(item, change = {}) {
    this.drop(item.upload);
    Object.assign(item, {upload: null, sent: 0, done: 0, sha256: null, summing: null, ...change});
    item.life.abort();
    item.life = new AbortController();
    this.wait([item]);
  }

  pause(item) { this.stop(item, "paused"); }

  pauseAll() {
    this.paused = true;
    for (const item of [...this.running.keys()]) this.stop(item, "waiting");
    this.changed();
  }

  goOn() {
    this.paused = false;
    for (const item of this.in("paused")) item.state = "waiting";
    this.pump();
  }

  remove(items) {
    for (const item of items) {
      this.stop(item, "removed");
      item.life.abort();
      if (item.state !== "stored") this.drop(item.upload);
    }
    this.items = this.items.filter(item => !items.includes(item));
    forget(items.map(item => item.id));
    this.pump();
  }

  stop(item, state) {
    this.running.get(item)?.abort();
    this.running.delete(item);
    Object.assign(item, {state, note: "", sent: item.done});
    this.changed();
  }

  drop(upload) {
    if (upload) ask(upload, "DELETE").catch(() => {});  // else it ends by itself in a day
  }

  pump() {
    const turn = this.items.filter(item => item.state === "waiting");
    while (!this.paused && this.running.size < FILES_AT_ONCE && turn.length) this.begin(turn.shift());
    this.changed();
  }

  async begin(item) {
    const stop = new AbortController();
    this.running.set(item, stop);
    item.state = "sending";
    try {
      item.record = await transfer(item, {signal: stop.signal, changed: one => this.progressed(one)});
      if (!stop.signal.aborted) this.stored(item);
    } catch (error) {
      if (!stop.signal.aborted) this.failed(item, error);
    } finally {
      if (this.running.get(item) === stop) this.running.delete(item);
      this.pump();
    }
  }

  stored(item) {
    Object.assign(item, {state: "stored", sent: item.size, done: item.size, note: ""});
    keep([item]);
    item.upload = null;
    if (!this.in("waiting", "sending", "verifying", "paused", "asking", "failed", "interrupted").length) forget(this.items.map(one => one.id));
  }

  failed(item, error) {
    Object.assign(item, {note: "", sent: item.done});
    if (error instanceof Refused && error.code === "login_required") {
      item.state = "waiting";
      this.pauseAll();
      this.loggedOut(error);
      return;
    }
    Object.assign(item, {state: "failed", trouble: trouble(error, item)});
  }

  progressed(item) {
    const now = Date.now();
    const total = this.total().sent;
    this.moved.push([now, total]);
    while (this.moved.length > 2 && this.moved[0][0] < now - RATE_MS) this.moved.shift();
    this.changed(item);
  }

  // Bytes a second over the last seconds; 0 where too little is known.
  rate() {
    if (this.moved.length < 2 || !this.running.size) return 0;
    const [[begun, before], [ended, after]] = [this.moved[0], this.moved.at(-1)];
    return Date.now() - ended > RATE_MS ? 0 : Math.max(0, (after - before) / Math.max(0.25, (ended - begun) / 1000));
  }

  total() {
    const sum = {files: 0, stored: 0, size: 0, sent: 0};
    for (const item of this.items) {
      if (item.state === "chosen" || item.state === "interrupted") continue;
      sum.files += 1;
      sum.size += item.size;
      sum.sent += item.sent;
      if (item.state === "stored") sum.stored += 1;
    }
    return sum;
  }
}
