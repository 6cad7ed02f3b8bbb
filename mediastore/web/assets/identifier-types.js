// The page of identifier types: add and change them with their pattern tried on values, delete them.

import {call, pathOf, said} from "./api.js";
import {ask, doing} from "./asking.js";
import {$, confirm, el, news, trouble} from "./dom.js";
import {redraw} from "./redraw.js";
import {visible} from "./told.js";

const PAUSE_MS = 250;
const dialog = $("#edit");
const fields = dialog ? $("form", dialog).elements : null;
let before = null;  // the type as it is, while it is changed
let asked = 0;      // only the answer to the last question counts

async function listAgain(name) {
  await redraw("#list");
  ($(`[data-key="${CSS.escape(name)}"] button`) ?? $("[data-do=add]")).focus();
}

function edit(row, work) {
  before = row?.dataset ?? null;
  ask(dialog, work);
  $("#edit-title").textContent = before ? `Change ${before.key}` : "Add an identifier type";
  fields.name.closest("label").hidden = before !== null;
  if (before) {
    fields.name.value = before.key;
    fields.pattern.value = before.pattern;
    fields.description.value = before.description;
    fields.unique.checked = before.unique !== "";
    fields.pattern.focus();
  }
  tellOfUnique();
  judge();
}

const typed = () => ({pattern: fields.pattern.value, unique: fields.unique.checked, description: fields.description.value});

doing({
  add() {
    edit(null, async () => {
      const name = fields.name.value;
      await call("POST", "/identifier-types", {body: {name, ...typed()}});
      dialog.close();
      await listAgain(name);
      news(`${name} is an identifier type.`);
    });
  },
  change(button, row) {
    const name = row.dataset.key;
    edit(row, async () => {
      await call("PUT", `/identifier-types/${pathOf(name)}`, {body: typed()});
      dialog.close();
      await listAgain(name);
      news(`${name} was changed.`);
    });
  },
  async delete(button, row) {
    const name = row.dataset.key;
    const details = [el("p", {}, "Only a type that no record uses can be deleted.")];
    if (!await confirm({title: `Delete the identifier type ${name}?`, details, yes: "Delete", danger: true})) return;
    await call("DELETE", `/identifier-types/${pathOf(name)}`);
    await listAgain(name);
    news(`${name} was deleted.`);
  },
}, $("#trouble"));

function tellOfUnique() {
  const was = before ? before.unique !== "" : null;
  const on = fields.unique.checked;
  $("#unique-hint").textContent = on
    ? was === false ? "From now on no two records can have the same value. This is refused while some share one." : "No two records can have the same value: it leads to one record."
    : was === true ? "Records may have values that others have from now on: one value can then lead to several." : "Several records may have the same value, such as all of one cruise.";
  $("#pattern-change").hidden = !before || fields.pattern.value === before.pattern;
}

// What the server's own matcher says: that of a browser knows other patterns.
async function judge() {
  const pattern = fields.pattern.value;
  const values = fields.values.value.split("\n").filter(value => value !== "").slice(0, 100);
  const question = asked += 1;
  let matches = [];
  let wrong = "";
  try {
    if (pattern) ({matches} = await call("POST", "/identifier-patterns/try", {body: {pattern, values}}));
  } catch (error) {
    wrong = said(error);
  }
  if (question !== asked) return;
  trouble($("#pattern-trouble"), wrong);
  $("#verdict").replaceChildren(...matches.map((right, at) => el("li", {},
    el("span", {class: right ? "state good" : "state bad"}, right ? "matches" : "does not match"), " ", el("code", {}, visible(values[at])))));
}

if (dialog) {
  let pause = 0;
  dialog.addEventListener("input", event => {
    tellOfUnique();
    if (!["pattern", "values"].includes(event.target.name)) return;
    clearTimeout(pause);
    pause = setTimeout(judge, PAUSE_MS);
  });
}
