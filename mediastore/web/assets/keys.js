// The page of one's own API keys and password.

import {Refused, call, pathOf, said, tokenNow} from "./api.js";
import {ask, doing} from "./asking.js";
import {$, $$, attempt, confirm, el, news} from "./dom.js";
import {showOnce} from "./once.js";
import {redraw} from "./redraw.js";

const you = document.body.dataset.user;
const {lasts, day} = $("#create form").elements;

doing({
  create() {
    ask($("#create"), create);
    lasts.dispatchEvent(new Event("change"));
  },
  async revoke(button, row) {
    const {key: id, name} = row.dataset;
    const details = [el("p", {}, "What uses it is refused from this moment on. A revoked key can’t be brought back.")];
    if (!await confirm({title: `Revoke the key “${name}”?`, details, yes: "Revoke", danger: true})) return;
    await call("DELETE", `/auth/keys/${id}`);
    await redraw("#list");
    $("[data-do=create]").focus();
    news(`The key “${name}” is revoked.`);
  },
}, $("#trouble"));

lasts.addEventListener("change", () => {
  const chosen = lasts.value === "day";
  $("[data-day]").hidden = !chosen;
  day.required = chosen;
  day.min = new Date().toISOString().slice(0, 10);
});

function endOf() {
  if (lasts.value === "") return null;
  if (lasts.value === "day") return new Date(`${day.value}T23:59:59`).toISOString();  // where one is, the day is over then
  return new Date(Date.now() + Number(lasts.value) * 86_400_000).toISOString();
}

async function create(fields, dialog) {
  const scopes = $$("[name=scopes]:checked", dialog).map(box => box.value);
  if (!scopes.length) throw new Refused(422, {detail: "a key that may do nothing is of no use; choose what it may do"});
  const made = await call("POST", "/auth/keys", {body: {name: fields.name.value, scopes, expires_at: endOf()}});
  dialog.close();
  await showOnce({
    title: `Your key “${made.name}”`,
    note: "Copy it now: it is shown this once, and can do in your name what it may do. Keep it as you keep a password.",
    things: [
      {name: "The key", text: made.key},
      {name: "For the command line and Python", text: `export MEDIASTORE_URL=${location.origin}\nexport MEDIASTORE_API_KEY=${made.key}\nmediastore whoami`},
      {name: "With curl", text: `curl -H 'Authorization: Bearer ${made.key}' ${location.origin}/api/v1/auth/me`},
    ],
  });
  await redraw("#list");
  $("[data-do=create]").focus();
}

$("#password")?.addEventListener("submit", event => {
  event.preventDefault();
  const {present, password, again} = event.target.elements;
  attempt(async () => {
    if (password.value !== again.value) {
      again.focus();
      throw new Refused(422, {detail: "the new password was not written the same twice"});
    }
    await call("PATCH", `/users/${pathOf(you)}`, {body: {current_password: present.value, password: password.value}, once: true});
    await logInWith(password.value);
    event.target.reset();
    news("Your password is changed.");
    present.focus();
  }, {button: event.submitter, place: $(".trouble", event.target), said});
});

// A new password ends every session, this one too: it goes on as a new one.
async function logInWith(password) {
  const body = new URLSearchParams({name: you, password});
  const answer = await fetch("/login", {method: "POST", headers: {Accept: "application/json"}, body, redirect: "error"});
  if (answer.ok) await tokenNow(true); else location.reload();
}
