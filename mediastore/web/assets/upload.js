// The page Upload: what is chosen, what is said of it, and how far it is.

import {said} from "./api.js";
import {$, $$, confirm, el, news, trouble} from "./dom.js";
import {count, size, span, visible} from "./told.js";
import {fromDrop, fromInput} from "./upload-choice.js";
import {fieldsOf, remember, wrongFields} from "./upload-form.js";
import {left} from "./upload-kept.js";
import {pidOf, wrongPattern, wrongPid} from "./upload-names.js";
import {hurry} from "./upload-patience.js";
import {Queue} from "./upload-queue.js";
import {Rows} from "./upload-rows.js";
import {there} from "./upload-transfer.js";

const form = $("#about");
const place = $("#upload-trouble");
const DRAW_MS = 150;
const PREVIEWED = 3;

const queue = new Queue({changed: draw, loggedOut: error => trouble(place, `${said(error)} Everything waits until then: press “Go on”.`)});
const lists = {
  needs: new Rows($("#needs"), act),
  active: new Rows($("#active"), act),
  ready: new Rows($("#ready"), act),
  waiting: new Rows($("#waiting"), act),
  stored: new Rows($("#stored"), act),
};
const STATES = {needs: ["interrupted", "failed"], active: ["sending", "verifying", "paused"], ready: ["chosen"], waiting: ["waiting"], stored: ["stored"]};
let stored = [];  // of files of this visit and the one before: what need not be sent again
let wanted = null;

// Drawing: at most every DRAW_MS, whatever happens in between.
let drawing = 0;
function draw() { drawing ||= setTimeout(() => { drawing = 0; show(); }, DRAW_MS); }

let attention = 0;
let busy = false;

function show() {
  for (const [name, states] of Object.entries(STATES)) {
    const items = queue.in(...states);
    lists[name].show(name === "stored" ? items.reverse() : items);
    $("h2 .count", lists[name].section).textContent = items.length.toLocaleString("en");
  }
  const {files, stored: done, size: bytes, sent} = queue.total();
  const rate = queue.rate();
  const waits = queue.in("sending", "verifying", "waiting", "paused").length;
  $("#total").hidden = files === 0;
  $("#total progress").max = Math.max(1, bytes);
  $("#total progress").value = bytes ? sent : done;
  $("#total .how").textContent = `${done.toLocaleString("en")} of ${count(files, "file")}, ${size(sent)} of ${size(bytes)}`
    + (rate && waits ? `, ${size(rate)} a second, about ${span((bytes - sent) / rate)} left` : "");
  const stands = queue.paused || (waits > 0 && !queue.running.size);
  $("#pause-all").hidden = !waits || stands;
  $("#go-on").hidden = !waits || !stands;
  $("#cancel-all").hidden = !waits;
  const clashes = queue.in("failed").filter(item => item.trouble.clash);
  const again = queue.in("failed").filter(item => item.trouble.choices.some(what => ["again", "fields"].includes(what)));
  $("#over-all").hidden = clashes.length < 2;
  $("#over-all").textContent = `New versions of all ${clashes.length.toLocaleString("en")} records`;
  $("#again-all").hidden = again.length < 2;
  $("#leave-all").hidden = queue.in(...STATES.needs).length < 2;
  $("#choose-again").hidden = queue.in("interrupted").length === 0;
  $("#interrupted").textContent = `${count(queue.in("interrupted").length, "upload was", "uploads were")} interrupted: choose the same files again to go on, all at once if you like. Only what is missing is sent.`;
  say(files, done, waits);
}

// To who listens: what needs them, and that all is done; not every percent.
function say(files, done, waits) {
  const needs = queue.in("failed");
  if (needs.length > attention) news(needs.length === 1 ? `${needs[0].name} needs you.` : `${needs.length} files need you.`);
  attention = needs.length;
  if (busy && !waits && !needs.length && done) news(done === 1 ? "The file is stored." : `All ${count(done, "file")} are stored.`);
  busy = waits > 0;
}

// PIDs as they would be: shown while the pattern is typed.
function preview() {
  const pattern = form.elements.pattern.value;
  const minted = form.elements.naming.value === "minted";
  form.elements.pattern.disabled = minted;
  const wrong = minted ? "" : wrongPattern(pattern);
  trouble($("#pattern-trouble"), wrong);
  const ready = queue.in("chosen");
  const seen = new Map();
  ready.forEach((item, number) => {
    item.shownPid = minted || wrong ? "" : pidOf(pattern, item, number);
    item.wrong = minted || wrong ? "" : wrongPid(item.shownPid);
    seen.set(item.shownPid, (seen.get(item.shownPid) ?? 0) + 1);
  });
  if (!minted && !wrong) for (const item of ready) if (!item.wrong && seen.get(item.shownPid) > 1) item.wrong = `${count(seen.get(item.shownPid), "file")} would get this PID: put {path}, {folder} or {number} into the pattern.`;
  const bad = ready.filter(item => item.wrong).length;
  $("#preview").replaceChildren(...(minted || wrong ? [] : ready.slice(0, PREVIEWED).map(item => el("li", {class: "mono"}, visible(item.shownPid)))));
  $("#preview-hint").hidden = minted || Boolean(wrong) || ready.length > 0;
  $("#begin").textContent = ready.length ? `Upload ${count(ready.length, "file")}, ${size(ready.reduce((sum, item) => sum + item.size, 0))}` : "Upload";
  trouble($("#ready-trouble"), bad ? `${count(bad, "file")} can't get ${bad === 1 ? "its" : "their"} PID by this pattern. Change the pattern, or remove ${bad === 1 ? "it" : "them"}.` : "");
  $("#begin").disabled = Boolean(bad || wrong);
  draw();
}

const same = (one, other) => one.path === other.path && one.folder === other.folder && one.name === other.name;
const unchanged = (one, other) => one.size === other.size && one.modified === other.modified;

// Files came in: those that were interrupted go on, those that are stored are left, the others are to be sent.
function take(files) {
  const fresh = [];
  const go = [];
  let there = 0;
  const lacking = queue.in("interrupted", "failed").filter(item => item.state === "interrupted" || item.trouble.choices.includes("choose"));
  for (const file of files) {
    const alike = lacking.filter(item => same(item, file) && !go.includes(item));
    const open = wanted && files.length === 1 ? wanted : alike.find(item => unchanged(item, file)) ?? alike[0];
    if (open) again(open, file, go);
    else if (stored.some(one => same(one, file) && unchanged(one, file))) there += 1;
    else fresh.push(file);
  }
  wanted = null;
  if (go.length) { queue.wait(go); news(`${count(go.length, "upload goes", "uploads go")} on.`); }
  if (fresh.length) queue.add(fresh);
  trouble($("#chosen-trouble"), files.length ? "" : "There is no file in what you chose.");
  if (there) news(`${count(there, "file is", "files are")} stored already, and not sent again.`);
  preview();
  show();
  if (fresh.length) $("#begin").focus();
}

function again(item, file, go) {
  const {file: bytes, size: now, modified} = file;
  if (unchanged(item, file) && (same(item, file) || item.name === file.name)) {
    item.file = bytes;
    go.push(item);
    return;
  }
  const what = item.name === file.name ? "was changed since its upload began" : `is not ${item.name}`;
  Object.assign(item, {
    state: "failed",
    fresh: {file: bytes, size: now, modified},
    trouble: {text: `${file.name} ${what} (${size(item.size)} then, ${size(now)} now), so the two are not mixed. Begin again with the file as it is now, or choose the one from then.`, choices: ["anew", "choose", "leave"]},
  });
}

// What buttons of rows ask for.
function act(what, item, value) {
  if (what === "pause") queue.pause(item);
  else if (what === "again") { hurry(); queue.wait([item]); }
  else if (what === "over") { item.over = true; queue.wait([item]); }
  else if (what === "anew") { const {fresh} = item; item.fresh = null; queue.anew(item, fresh ?? {}); }
  else if (what === "resend") queue.anew(item, {over: true, asked: {pid: item.record.pid}, record: null});
  else if (what === "fields") refill(item);
  else if (what === "rename") rename(item, value.normalize("NFC"));
  else if (what === "choose") { wanted = item; $("#one").click(); }
  else if (what === "leave") { queue.remove([item]); preview(); }
}

function rename(item, pid) {
  const wrong = wrongPid(pid);
  if (wrong) item.trouble = {...item.trouble, text: wrong};
  else Object.assign(item, {asked: {...item.asked, pid}, shownPid: pid, over: false});
  if (wrong) draw(); else queue.wait([item]);
}

function refill(...items) {
  const wrong = wrongFields(form);
  trouble(place, wrong);
  if (wrong) return;
  for (const item of items) {
    item.asked = {...fieldsOf(form), ...(item.asked.pid ? {pid: item.asked.pid} : {})};
    item.over = false;
  }
  queue.wait(items);
}

function begin() {
  const wrong = wrongFields(form);
  trouble(place, wrong);
  if (wrong) return;
  const items = queue.in("chosen");
  for (const item of items) item.asked = {...fieldsOf(form), ...(item.shownPid ? {pid: item.shownPid} : {})};
  queue.paused = false;
  queue.wait(items);
  preview();
  show();
  $("#total h2").focus();
}

// After a reload: what was under way, and how much of it is there.
async function recall() {
  const all = await left();
  stored = all.filter(one => one.stored);
  const open = all.filter(one => !one.stored).map(one => ({...one, state: "interrupted", shownPid: one.pid ?? one.asked.pid ?? ""}));
  if (!open.length) return;
  queue.add([]);
  for (const one of open) queue.items.push({sent: 0, done: 0, note: "", file: null, life: new AbortController(), ...one});
  show();
  for (const item of queue.in("interrupted").filter(one => one.upload).slice(0, 100)) {
    try {
      const bytes = await there(item.upload);
      if (bytes === null) item.upload = null;
      if (item.state === "interrupted") item.sent = bytes ?? 0;
    } catch (error) {
      trouble(place, said(error));
      break;
    }
    item.record = null;
    draw();
  }
}

const drop = $("#drop");
let inside = 0;
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, event => { event.preventDefault(); if (kind === "dragenter") inside += 1; drop.classList.add("over"); });
drop.addEventListener("dragleave", () => { inside -= 1; if (inside <= 0) drop.classList.remove("over"); });
drop.addEventListener("drop", async event => {
  event.preventDefault();
  inside = 0;
  drop.classList.remove("over");
  try { take(await fromDrop(event.dataTransfer)); } catch { trouble($("#chosen-trouble"), "Something of what was dropped can't be read. Choose the files by the button."); }
});
for (const input of $$("#files, #folder, #one")) {
  input.addEventListener("change", () => { const files = fromInput(input); input.value = ""; take(files); });
  input.addEventListener("cancel", () => { wanted = null; });
}
// Beside the zone a file would take the page's place.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, event => event.preventDefault());

form.addEventListener("input", preview);
form.addEventListener("submit", event => { event.preventDefault(); begin(); });
$("#begin").addEventListener("click", begin);
$("#remove-all").addEventListener("click", () => { queue.remove(queue.in("chosen")); preview(); });
$("#pause-all").addEventListener("click", () => { queue.pauseAll(); show(); $("#go-on").focus(); });
$("#go-on").addEventListener("click", () => { trouble(place); queue.goOn(); show(); $("#pause-all").focus(); });
$("#cancel-all").addEventListener("click", async () => {
  const items = queue.in("sending", "verifying", "waiting", "paused");
  const title = `Cancel ${count(items.length, "upload")}?`;
  if (await confirm({title, details: [el("p", {}, "What was sent of them goes. Files that are stored stay.")], yes: "Cancel them", no: "Keep on", danger: true})) queue.remove(items);
});
$("#over-all").addEventListener("click", () => { const items = queue.in("failed").filter(item => item.trouble.clash); for (const item of items) item.over = true; queue.wait(items); });
$("#again-all").addEventListener("click", () => refill(...queue.in("failed").filter(item => item.trouble.choices.some(what => ["again", "fields"].includes(what)))));
$("#leave-all").addEventListener("click", async () => {
  const items = queue.in(...STATES.needs);
  if (await confirm({title: `Leave ${count(items.length, "file")} out?`, details: [el("p", {}, "What was sent of them goes.")], yes: "Leave them out", danger: true})) queue.remove(items);
});
$("#choose-again button").addEventListener("click", () => $("#files").click());
$("#clear-stored").addEventListener("click", () => { const items = queue.in("stored"); queue.items = queue.items.filter(item => !items.includes(item)); stored.push(...items); show(); $("#choose").focus(); });
$("#choose").addEventListener("click", () => $("#files").click());
$("#choose-folder").addEventListener("click", () => $("#folder").click());
window.addEventListener("beforeunload", event => { if (queue.running.size) event.preventDefault(); });
setInterval(() => { if (queue.running.size) draw(); }, 1000);

remember(form);
preview();
recall();
