// The page of a record.

import {Refused, call, said} from "./api.js";
import {$, $$, attempt, el, news} from "./dom.js";
import {copyFrom} from "./copying.js";
import {filled} from "./expiry_form.js";
import {savings} from "./record_forms.js";
import {path, record, refresh} from "./record_page.js";
import {visible} from "./told.js";
import "./record_history.js";
import "./record_metadata.js";
import "./record_preview.js";

const actions = {
  async download({dataset}) {
    const asked = {pid: record.pid, ...dataset.version ? {version: Number(dataset.version)} : {}};
    const {items: [issued]} = await call("POST", "/content/urls", {body: {items: [asked]}});
    if (!issued.url) throw new Refused(issued.status, issued.problem);
    el("a", {href: issued.url, download: ""}).click();
    news("The download has begun.");
  },
  async check() {
    news("Reading the bytes…");
    const found = await call("POST", path("fixity"));
    await refresh();
    const told = {ok: "The bytes are those that were stored.", missing: "The store does not have the bytes.", mismatch: "The bytes are not those that were stored.",
      error: "The store did not give the bytes; that says nothing of them."}[found.fixity];
    news(told ?? "The check is under way; look again in a while.");
  },
  async untag({dataset}) {
    await call("PATCH", path("media"), {body: {remove_tags: [dataset.tag]}});
    await refresh();
    news("The tag is removed.");
  },
  async lift({dataset}) {
    await call("DELETE", `${path("holds")}?id=${dataset.id}`);
    await refresh();
    news("The hold is lifted.");
  },
};

const troubleOf = element => $$(".trouble", element.closest("form, section")).at(-1);

document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  const {open, close, copy, days} = button.dataset;
  if (open) show(document.getElementById(open));
  if (close !== undefined) button.closest("dialog").close();
  if (copy) copyFrom(document.getElementById(copy), button);
  if (days) filled(button.form, Number(days));
  const action = actions[button.dataset.do];
  if (action) attempt(() => action(button), {button, place: troubleOf(button), said});
});

async function show(dialog) {
  dialog.showModal();
  const types = $("[data-types]", dialog);
  if (!types || types.options.length > 1) return;
  await attempt(async () => {
    const {items} = await call("GET", "/identifier-types");
    for (const {name} of items) if (!(name in record.identifiers)) types.append(el("option", {value: name}, ...visible(name)));
  }, {place: troubleOf(types), said});
}

document.addEventListener("submit", event => {
  const save = savings[event.target.dataset.save];
  if (!save) return;
  event.preventDefault();
  attempt(() => save(event.target), {button: event.submitter, place: event.target.closest("dialog") ? $(".trouble", event.target) : troubleOf(event.target.parentElement), said});
});
