// What passes by itself is tried again, later each time, and at once when the connection is back or somebody asks for it.

import {Away, Refused} from "./api.js";

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;
const FAULTS = 5;
const PASSING = new Set([408, 425, 429, 502, 503, 504]);
const BUSY = new Set(["part_busy", "upload_interrupted"]);

export class StoreAway extends Error {
  // The store itself did not answer the browser, or not so that the browser may know of it.
  constructor() { super("The store does not answer this browser"); }
}

export class StoreRefused extends Error {
  constructor(status, code, text) {
    super(text || `The store answered ${status}${code ? ` ${code}` : ""}`);
    Object.assign(this, {status, code});
  }
}

const aborted = () => new DOMException("stopped", "AbortError");

// Whether it is worth to try again, after so many tries.
function passes(error, tries) {
  if (error instanceof Away) return true;
  if (error instanceof StoreAway) return tries < FAULTS || !navigator.onLine;
  if (error instanceof Refused || error instanceof StoreRefused) {
    return PASSING.has(error.status) || BUSY.has(error.code) || (error.status === 500 && tries < FAULTS);
  }
  return false;
}

// The result of `work`. `told` hears why it waits and for how many seconds, and an empty text when it goes on.
export async function patiently(work, {signal, told}) {
  for (let tries = 1; ; tries += 1) {
    try {
      const done = await work();
      if (tries > 1) told("");
      return done;
    } catch (error) {
      if (signal.aborted) throw aborted();
      if (!passes(error, tries)) throw error;
      const wait = Math.max((error.retryAfter || 0) * 1000, Math.min(LONGEST_MS, FIRST_MS * 2 ** (tries - 1)) * (0.75 + Math.random() / 2));
      told(reason(error), Math.ceil(wait / 1000));
      await pause(wait, signal);
    }
  }
}

function reason(error) {
  if (!navigator.onLine) return "No connection. It goes on by itself when you are connected again";
  if (error instanceof Away) return "The server does not answer";
  if (error instanceof StoreAway) return "The store does not answer";
  return error.message.replace(/\.$/, "");
}

export const hurry = () => window.dispatchEvent(new Event("hurry"));

export function pause(ms, signal) {
  return new Promise((good, bad) => {
    const timer = setTimeout(end, ms);
    function end(event) {
      clearTimeout(timer);
      for (const kind of ["online", "hurry"]) window.removeEventListener(kind, end);
      signal.removeEventListener("abort", end);
      if (event?.type === "abort") bad(aborted()); else good();
    }
    for (const kind of ["online", "hurry"]) window.addEventListener(kind, end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end({type: "abort"});
  });
}
