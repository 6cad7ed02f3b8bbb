// The page at the prefix: log in, upload, see what is there. No cookies: the credential lies in this tab's sessionStorage.

const $ = id => document.getElementById(id);
const prefix = document.body.dataset.prefix;
const mostBytes = Number(document.body.dataset.mostBytes);
const KEPT = "mediastore.staging";
const AT_ONCE = 2;
const LOOK_AGAIN_MS = 5000;

let session = null;
let next = null;
let looking = 0;
let asked = 0;
let sending = 0;
const waiting = [];

class Refused extends Error {
  constructor(status, code, sentence, retryAfter) {
    super(sentence);
    Object.assign(this, {status, code, retryAfter});
  }
}

// What went wrong, in sentences that say what to do next.

const AWAY = "The server does not answer. Check your connection, and try again in a moment.";
const ENDED = "Your session has ended. Log in again; what you have uploaded is still here.";
const SENTENCES = {
  upload_too_large: file => `${file} is larger than the ${size(mostBytes)} that this server takes. Split it, or ask an administrator.`,
  quota_exceeded: file => `There is no room for ${file}. Delete uploads that you no longer need, or ask an administrator for more.`,
  not_allowed: () => "Your account may look, but not upload. Ask an administrator for the role editor.",
  issuer_unavailable: () => "The service that knows your token or key does not answer. Try again in a minute.",
};

function sentence(error, file = "the file") {
  if (!(error instanceof Refused)) return AWAY;
  if (SENTENCES[error.code]) return SENTENCES[error.code](file);
  return capital(`${error.message}${/[.!?]$/.test(error.message) ? "" : "."}`);
}

const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

function refused(status, text, retryAfter) {
  let told = {};
  try { told = JSON.parse(text); } catch { /* not from this server, or cut */ }
  const words = told.error || told.detail || `The server answered ${status}. Try again, or tell an administrator.`;
  return new Refused(status, told.code || "", words, Number(retryAfter) || 0);
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text) $("trouble").scrollIntoView({block: "nearest"});
}

function news(text) {
  $("news").textContent = text;
}

// Calls.

async function call(method, path, options = {}) {
  const answer = await fetch(path, {method, redirect: "error", credentials: "omit", cache: "no-store", ...options});
  if (!answer.ok) throw refused(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  return answer;
}

async function ours(method, path, credential = session?.credential) {
  if (!credential) throw new Refused(401, "", ENDED);  // it ended while something was under way
  return call(method, prefix + path, {headers: {Authorization: `Bearer ${credential}`}});
}

// Runs what a button asks for; tells what went wrong; ends the session when it is over.
async function attempt(work, button = null) {
  trouble("");
  if (button) button.disabled = true;
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused && error.status === 401 && session) leave(ENDED);
    else trouble(sentence(error));
  } finally {
    if (button) button.disabled = false;
  }
}

// Who.

function show() {
  $("log-in").hidden = session !== null;
  $("staging").hidden = $("who").hidden = session === null;
  $("name").textContent = session ? session.name : "";
}

function leave(words = "") {
  session = null;
  sessionStorage.removeItem(KEPT);
  clearTimeout(looking);
  for (const job of waiting.splice(0)) job.fail("Not sent: log in and choose the file again.");
  $("uploads").replaceChildren();
  $("token").value = $("password").value = "";
  show();
  trouble(words);
  $("username").focus();
}

// What somebody who came with a token or a key is called; those of other services' keys are told nothing there.
async function called(credential) {
  try {
    const me = await (await call("GET", "/api/v1/auth/me", {headers: {Authorization: `Bearer ${credential}`}})).json();
    return plain(me.full_name || me.name);
  } catch {
    return "the holder of a key";
  }
}

async function enter(credential, name) {
  const answer = await ours("GET", "/upload", credential);
  session = {credential, name: name || await called(credential)};
  sessionStorage.setItem(KEPT, JSON.stringify(session));
  show();
  await fill(answer);
  $("token").value = $("password").value = "";
  news("You are logged in.");
  $("label").focus();
}

$("by-password").addEventListener("submit", event => {
  event.preventDefault();
  const username = $("username").value;
  const said = JSON.stringify({username, password: $("password").value});
  attempt(async () => {
    const headers = {"Content-Type": "application/json"};
    try {
      const answer = await call("POST", "/api/v1/auth/login", {headers, body: said});
      await enter((await answer.json()).access_token, username);
    } catch (error) {
      if (error instanceof Refused && [401, 422].includes(error.status)) {
        $("password").select();
        throw new Refused(0, "", "The name or the password is wrong. Check both and try again.");
      }
      if (error instanceof Refused && error.status === 429) {
        throw new Refused(0, "", `That was wrong too often. Wait ${error.retryAfter || 60} seconds, then try again.`);
      }
      throw error;
    }
  }, event.submitter);
});

$("by-token").addEventListener("submit", event => {
  event.preventDefault();
  attempt(async () => {
    const token = $("token").value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Refused(0, "", "That can’t be a token or a key. Paste it again, all of it.");
    try {
      await enter(token, "");
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      $("token").select();
      throw new Refused(0, "", "This token or key is not valid, or not any more. Get a new one and paste it here.");
    }
  }, event.submitter);
});

$("log-out").addEventListener("click", () => {
  leave();
  news("You are logged out.");
});

// What is there.

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return `${unit ? bytes.toFixed(bytes < 10 ? 1 : 0) : bytes} ${bytes === 1 && !unit ? "byte" : units[unit]}`;
}

const moment = text => new Date(text).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});

// A name could turn the text around it, and look like another one.
const plain = name => name.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

function expiry(text) {
  const days = Math.round((new Date(text) - Date.now()) / 86_400_000);
  return `${moment(text)} (${days < 1 ? "within a day" : days === 1 ? "in 1 day" : `in ${days} days`})`;
}

function card(report) {
  const item = $("upload").content.firstElementChild.cloneNode(true);
  const part = name => item.querySelector(`.${name}`);
  item.classList.add(report.status);
  item.dataset.id = report.id;
  part("label").textContent = plain(report.label);
  part("status").textContent = {success: "Stored", pending: "On its way", failure: "Failed"}[report.status];
  part("reason").textContent = report.reason ? `${capital(report.reason)}.` : "";
  part("reason").hidden = !report.reason;
  const facts = [
    ["File", report.filename && report.filename !== report.label ? plain(report.filename) : null],
    ["Size", report.size === null ? null : size(report.size)],
    [report.uploaded_at ? "Uploaded" : "Begun", moment(report.uploaded_at || report.created_at)],
    ["Kept until", report.expires_at ? expiry(report.expires_at) : null],
    ["SHA-1", report.sha1, "code"],
    ["MD5", report.md5, "code"],
  ];
  for (const [name, value, kind] of facts) {
    if (value === null) continue;
    const term = document.createElement("dt"), said = document.createElement("dd"), text = document.createElement(kind || "bdi");
    term.textContent = name;
    text.textContent = value;
    said.append(text);
    item.querySelector("dl").append(term, said);
  }
  for (const [name, action, verb] of [["download", download, "Download"], ["link", copyLink, "Copy link to"], ["delete", remove, "Delete"]]) {
    part(name).setAttribute("aria-label", `${verb} ${plain(report.label)}`);
    part(name).addEventListener("click", event => action(report, item, event.currentTarget));
  }
  part("download").hidden = part("link").hidden = report.status !== "success";
  return item;
}

// Shows the newest page of the list; the cards of uploads that did not change stay, with the focus that may be on them.
async function fill(answer) {
  const reports = await answer.json();
  const link = /<([^>]*)>; rel="next"/.exec(answer.headers.get("Link") || "");
  const old = new Map([...$("uploads").children].map(item => [item.dataset.id, item]));
  $("uploads").replaceChildren(...reports.map(report => {
    const kept = old.get(report.id);
    return kept && kept.classList.contains(report.status) ? kept : card(report);
  }));
  page(link, reports);
}

function page(link, reports) {
  next = link ? link[1] : null;
  $("more").hidden = next === null;
  $("empty").hidden = $("uploads").childElementCount > 0;
  clearTimeout(looking);
  if (reports.some(report => report.status === "pending")) looking = setTimeout(lookAgain, LOOK_AGAIN_MS);
}

// Of several that are under way only what was asked last is shown: an older answer may come later.
async function refresh() {
  if (!session) return;
  const mine = asked += 1;
  const answer = await ours("GET", "/upload");
  if (session && mine === asked) await fill(answer);
}

// By itself: nothing that goes wrong here interrupts anybody, but a session that has ended.
async function lookAgain() {
  try {
    await refresh();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) leave(ENDED);
    else looking = setTimeout(lookAgain, LOOK_AGAIN_MS);
  }
}

$("more").addEventListener("click", event => attempt(async () => {
  const answer = await ours("GET", `/upload${next}`);
  const reports = await answer.json();
  const cards = reports.map(card);
  $("uploads").append(...cards);
  page(/<([^>]*)>; rel="next"/.exec(answer.headers.get("Link") || ""), reports);
  cards[0]?.querySelector("button:not([hidden])")?.focus();
}, event.currentTarget));

function download(report, _, button) {
  attempt(async () => {
    const {url} = await (await ours("GET", `/upload/${encodeURIComponent(report.id)}/link`)).json();
    const anchor = document.createElement("a");
    Object.assign(anchor, {href: url, download: report.filename || "", rel: "noreferrer"});
    anchor.click();
    news(`${plain(report.label)} is being downloaded.`);
  }, button);
}

async function copyLink(report, _, button) {
  try {
    await navigator.clipboard.writeText(report.data_url);
    news("The link is copied; whoever follows it has to log in.");
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  } catch {  // not allowed here, for instance without https
    $("linking-url").value = report.data_url;
    $("linking").showModal();
    $("linking-url").select();
  }
}

function remove(report, item, button) {
  const dialog = $("deleting");
  $("deleting-label").textContent = plain(report.label);
  dialog.returnValue = "keep";
  dialog.onclose = () => {
    if (dialog.returnValue !== "delete") return;
    attempt(async () => {
      try {
        await ours("DELETE", `/upload/${encodeURIComponent(report.id)}`);
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;  // it is gone already
      }
      item.remove();
      $("uploads-title").focus();
      news(`${plain(report.label)} is deleted.`);
      await refresh();
    }, button);
  };
  dialog.showModal();
}

// Uploading.

class Job {
  constructor(file, label) {
    Object.assign(this, {file, label, name: plain(file.name)});
    this.item = $("sending").content.firstElementChild.cloneNode(true);
    this.bar = this.item.querySelector("progress");
    this.item.querySelector(".label").textContent = plain(label || file.name);
    this.bar.setAttribute("aria-label", `Progress of ${this.name}`);
    this.button = this.item.querySelector(".stop");
    this.button.setAttribute("aria-label", `Cancel ${this.name}`);
    this.button.addEventListener("click", () => this.stop());
    this.tell("Waiting");
    $("under-way").append(this.item);
  }

  tell(text) {
    this.item.querySelector(".told").textContent = text;
  }

  stop() {
    const place = waiting.indexOf(this);
    if (place >= 0) waiting.splice(place, 1);
    this.stopped = true;
    this.request?.abort();
    this.item.remove();
    if (!this.failed) news(`${this.name} is cancelled.`);
    $("files").focus();
  }

  fail(text) {
    this.failed = true;
    this.item.classList.add("failed");
    this.tell(text);
    this.button.textContent = "Dismiss";
    this.button.setAttribute("aria-label", `Dismiss the message about ${this.name}`);
    news(text);
  }

  async run() {
    try {
      if (this.file.size > mostBytes) throw new Refused(413, "upload_too_large", "");
      // A refusal is only sure to be heard while no file is on its way: a session that has ended shows here.
      await ours("GET", "/upload?limit=1");
      if (this.stopped) return;
      await this.send();
      this.item.remove();
      news(`${this.name} is stored.`);
      await refresh();
    } catch (error) {
      if (this.stopped) return;
      if (error instanceof Refused && error.status === 401) {
        this.fail("Not sent: log in and choose the file again.");
        if (session) leave(ENDED);
      } else {
        this.fail(sentence(error, this.name));
        refresh().catch(() => {});
      }
    }
  }

  send() {
    const form = new FormData();
    form.append("label", this.label);
    form.append("size", this.file.size);
    form.append("file", this.file);
    return new Promise((resolve, reject) => {
      const request = this.request = new XMLHttpRequest();
      request.upload.onprogress = event => {
        if (!event.lengthComputable) return;
        this.bar.value = event.loaded / event.total;
        this.tell(event.loaded < event.total ? `${Math.floor(100 * event.loaded / event.total)} % of ${size(this.file.size)}` : "Being checked");
      };
      request.onload = () => request.status === 202
        ? resolve()
        : reject(refused(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      request.onerror = () => reject(new Refused(0, "", "The connection was lost before the whole file had come, or the server had no room for it. Try again"));
      request.onabort = () => reject(new Refused(0, "", "Cancelled"));
      request.open("POST", `${prefix}/upload`);
      request.setRequestHeader("Authorization", `Bearer ${session.credential}`);
      request.send(form);
    });
  }
}

function add(files) {
  if (!session) return;
  trouble("");
  const label = $("label").value.trim();
  for (const file of files) waiting.push(new Job(file, label));
  $("label").value = "";
  work();
}

async function work() {
  while (sending < AT_ONCE && waiting.length) {
    sending += 1;
    waiting.shift().run().finally(() => { sending -= 1; work(); });
  }
}

$("files").addEventListener("change", event => {
  add(event.currentTarget.files);
  event.currentTarget.value = "";
});

$("files").addEventListener("keydown", event => {
  if (event.key === "Enter") event.currentTarget.click();  // as buttons do; browsers know the space bar alone
});

const dragsFiles = event => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
for (const name of ["dragover", "dragleave", "drop"]) {
  window.addEventListener(name, event => {
    if (!dragsFiles(event)) return;
    event.preventDefault();  // a file that misses its place would replace the page
    $("drop").classList.toggle("over", name === "dragover" && session !== null);
  });
}
window.addEventListener("drop", event => {
  if (!dragsFiles(event) || !session) return;
  const folders = [...event.dataTransfer.items].filter(item => item.webkitGetAsEntry?.()?.isDirectory).length;
  const files = [...event.dataTransfer.items].filter(item => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory);
  add(files.map(item => item.getAsFile()).filter(file => file));
  if (folders) trouble("A folder can’t be uploaded. Choose the files in it, or pack it into one file first.");
});

window.addEventListener("beforeunload", event => {
  if (sending) event.preventDefault();
});

// At the start.

try { session = JSON.parse(sessionStorage.getItem(KEPT)); } catch { sessionStorage.removeItem(KEPT); }
show();
if (session) attempt(refresh);
else $("username").focus();
