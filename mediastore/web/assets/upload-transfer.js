// One file on its way: begun, sent in parts, completed, compared. It can stop anywhere, and go on from what the server has.

import {Refused, call} from "./api.js";
import {sha256Of} from "./upload-digests.js";
import {keep} from "./upload-kept.js";
import {sendPart} from "./upload-part.js";
import {StoreRefused, patiently, pause} from "./upload-patience.js";

const MIB = 1024 * 1024;
const WHOLE = 16 * MIB;  // up to here in one request, whose checksum the store compares before anybody sees the bytes
const PART = 8 * MIB;  // the most that is sent twice after a reload
const MOST_PARTS = 1000;
const PARTS_AT_ONCE = 4;  // of all files: browsers have six connections to a host
const QUICK_MS = 4000;  // a part that takes less lets its file have one more at once; one that takes longer than SLOW_MS, one less,
const SLOW_MS = 15_000;  // so that on a slow line what a reload costs is not spread over four unfinished parts
const SOON_MS = 60_000;
const CHECK_MS = 1500;
const ENDED = new Set(["upload_unknown", "upload_ended", "upload_superseded", "upload_not_found", "record_gone"]);

export class FileChanged extends Error {
  constructor() { super("The file was changed since it was chosen"); }
}

export class UploadGone extends Error {
  constructor() { super("The server gave this upload up in the meantime"); }
}

// Turns for parts, whichever file they are of.
class Turns {
  constructor(count) { this.free = count; this.waiting = []; }
  async take() { if (this.free > 0) this.free -= 1; else await new Promise(good => this.waiting.push(good)); }
  give() { const next = this.waiting.shift(); if (next) next(); else this.free += 1; }
}

const turns = new Turns(PARTS_AT_ONCE);

// Raises FileChanged where the file is not the one that was chosen: browsers refuse to read it then.
export async function check(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new FileChanged();
  }
}

// Sends an item and resolves with its record. `item` is told how far it is: `sent`, `note`, `upload`, `sha256`.
export async function transfer(item, {signal, changed}) {
  const told = (note, seconds = 0) => { item.note = note; item.again = seconds ? Date.now() + seconds * 1000 : 0; changed(item); };
  const patient = work => patiently(work, {signal, told});
  await check(item.file);
  if (item.size <= WHOLE) item.sha256 ??= await sha256Of(item.file, signal);
  // The sum belongs to the file, and goes on while the transfer stands still.
  else item.summing ??= sha256Of(item.file, item.life.signal).then(sha256 => { item.sha256 = sha256; changed(item); });
  if (signal.aborted) throw new DOMException("stopped", "AbortError");
  if (item.upload?.parts) await refresh(item, patient, signal);
  else if (item.upload) await look(item, patient, signal);
  else await begin(item, patient, signal);
  for (let round = 0; ; round += 1) {
    await sendMissing(item, {signal, patient, changed});
    item.state = "verifying";
    changed(item);
    try {
      return await complete(item, patient, signal);
    } catch (error) {
      if (error.code !== "upload_incomplete" || round > 2) throw error;
      item.state = "sending";
      await look(item, patient, signal);
    }
  }
}

async function begin(item, patient, signal) {
  const {file, name, size} = item;
  const parts = size > WHOLE ? {method: "multipart", ...(size <= PART * MOST_PARTS ? {part_size: PART} : {})} : {method: "put"};
  const {metadata, ...fields} = item.over ? {pid: item.asked.pid} : item.asked;
  const said = JSON.stringify({
    ...fields,
    size,
    filename: name.replace(/[\u0000-\u001f]/g, "_").slice(-255),
    media_type: /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream",
    checksums: item.size <= WHOLE && item.sha256 ? {sha256: item.sha256} : {},
    ...parts,
  });
  // Metadata goes as it was typed: a number of it can be more exact than JavaScript's.
  const body = new Blob([metadata ? `${said.slice(0, -1)},"metadata":${metadata}}` : said], {type: "application/json"});
  const headers = item.over ? {} : {"If-None-Match": "*"};
  take(item, await patient(() => call("POST", "/uploads", {body, headers, signal})));
  item.pid = item.upload.pid;
  await keep([item]);
}

function take(item, told) {
  if (told.problem && told.status !== "verifying") throw new UploadGone();
  const parts = new Map(told.parts.map(part => [part.number, part]));
  item.upload = {id: told.id, pid: told.pid, token: told.token ?? item.upload?.token, ends: Date.parse(told.urls_expire_at), parts};
  if (told.status === "verifying" || told.status === "completed") for (const part of parts.values()) part.received = true;
  item.done = [...parts.values()].filter(part => part.received).reduce((sum, part) => sum + part.size, 0);
  if (told.status !== "open" && !parts.size) item.done = item.size;
  item.sent = item.done;
}

// Its calls need no log-in once its token is known: a session that ends stops nothing that has begun.
export async function ask(upload, method, what = "", options = {}) {
  const token = upload.token ? `?token=${encodeURIComponent(upload.token)}` : "";
  try {
    return await call(method, `/uploads/${upload.id}${what}${token}`, {...options, open: Boolean(token)});
  } catch (error) {
    if (error instanceof Refused && ENDED.has(error.code)) throw new UploadGone();
    throw error;
  }
}

async function look(item, patient, signal) {
  const told = await patient(() => ask(item.upload, "GET", "", {signal}));
  if (told.status === "failed") throw new UploadGone();
  take(item, told);
}

// How many bytes of an upload are there; null where it was given up, or its record is there already.
export async function there(upload) {
  try {
    const told = await call("GET", `/uploads/${upload.id}`);
    return told.status === "open" && !told.problem ? told.parts.filter(part => part.received).reduce((sum, part) => sum + part.size, 0) : null;
  } catch (error) {
    if (error instanceof Refused && ENDED.has(error.code)) return null;
    throw error;
  }
}

const refresh = (item, patient, signal) => item.upload.ends < Date.now() + SOON_MS ? look(item, patient, signal) : undefined;

async function sendMissing(item, {signal, patient, changed}) {
  const stop = new AbortController();
  const every = AbortSignal.any([signal, stop.signal]);
  const moving = new Map();
  const count = () => { item.sent = item.done + [...moving.values()].reduce((sum, bytes) => sum + bytes, 0); changed(item); };
  const missing = [...item.upload.parts.values()].filter(part => !part.received);

  async function one(part) {
    await turns.take();
    const began = Date.now();
    try {
      await patient(() => sendOnce(item, part, {signal: every, moved: bytes => { moving.set(part.number, bytes); count(); }}));
      part.received = true;
      item.done += part.size;
    } finally {
      moving.delete(part.number);
      turns.give();
      count();
    }
    const took = Date.now() - began;
    if (took < QUICK_MS) item.width = Math.min(PARTS_AT_ONCE, item.width + 1);
    else if (took > SLOW_MS) item.width = Math.max(1, item.width - 1);
  }

  item.width ??= 2;
  const going = new Set();
  try {
    while (missing.length || going.size) {
      while (missing.length && going.size < item.width) {
        const part = one(missing.shift()).finally(() => going.delete(part));
        going.add(part);
      }
      await Promise.race(going);
    }
  } catch (error) {
    stop.abort();
    await Promise.allSettled(going);
    throw error;
  }
}

async function sendOnce(item, part, {signal, moved}) {
  if (!part.url || item.upload.ends < Date.now() + SOON_MS) await fresh(item, part, signal);
  try {
    await sendPart(part, item.file.slice(part.offset, part.offset + part.size), {signal, moved});
  } catch (error) {
    moved(0);
    if (error.name === "AbortError") throw error;
    await check(item.file);
    const dead = error instanceof StoreRefused ? [400, 403, 404].includes(error.status) : error.code === "url_token_wrong" || error.code === "upload_expired";
    if (error instanceof Refused && ENDED.has(error.code)) throw new UploadGone();
    if (!dead || part.renewed) throw error;
    part.renewed = true;  // once: a fresh URL that is refused as well has another reason
    await fresh(item, part, signal);
    await sendPart(part, item.file.slice(part.offset, part.offset + part.size), {signal, moved});
  }
}

async function fresh(item, part, signal) {
  if (item.upload.parts.size === 1) {
    const told = await ask(item.upload, "GET", "", {signal});
    if (told.status === "failed" || !told.parts.length) throw new UploadGone();
    Object.assign(part, told.parts[0]);
    return;
  }
  const told = await ask(item.upload, "POST", "/parts", {body: {parts: [{number: part.number}]}, signal});
  Object.assign(part, told.parts[0], {received: false});
}

// The record; waits while the server reads large content back.
async function complete(item, patient, signal) {
  for (;;) {
    const told = await patient(() => ask(item.upload, "POST", "/complete", {signal}));
    if (told.content !== undefined) return told;
    await pause(CHECK_MS, signal);
  }
}
