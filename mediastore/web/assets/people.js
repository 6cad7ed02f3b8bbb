// The page of people: add, change, new passwords, switch off and on, delete.

import {Refused, call, pathOf, said} from "./api.js";
import {ask, doing} from "./asking.js";
import {$, $$, confirm, el, news, trouble} from "./dom.js";
import {newPassword, showOnce} from "./once.js";
import {redraw} from "./redraw.js";
import {count} from "./told.js";

const you = document.body.dataset.user;
const search = $("#search");
const rowOf = name => $(`tr[data-key="${CSS.escape(name)}"]`);

function namesIn(text) {
  const names = text.split(",").map(name => name.trim()).filter(Boolean);
  const odd = names.find(name => !/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}$/.test(name));
  if (odd !== undefined) {
    const detail = `“${odd}” can’t be the name of a group: that is letters, digits and . _ @ + -, with a letter or digit first, at most 63 in all`;
    throw new Refused(422, {detail});
  }
  return names;
}

// The list as it is now; `name` is who it was about, and where the focus goes.
async function listAgain(name) {
  try {
    await redraw("#list");
  } catch (error) {
    return trouble($("#trouble"), said(error));
  }
  filter();
  ($("[data-do=change]", rowOf(name) ?? undefined) ?? search).focus();
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = $$("#list tbody tr");
  let shown = 0;
  for (const row of rows) {
    const {key, called, role, groups, issuer, disabled} = row.dataset;
    const text = `${key} ${called} ${role} ${groups} ${issuer} ${disabled ? "switched off" : "active"}`.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
    if (!row.hidden) shown += 1;
  }
  $("#none").hidden = shown > 0;
  $("#list").hidden = shown === 0;
  $("#shown").textContent = words.length ? `${shown} of ${count(rows.length, "account")}` : count(rows.length, "account");
  const url = new URL(location.href);
  if (search.value) url.searchParams.set("q", search.value); else url.searchParams.delete("q");
  history.replaceState(null, "", url);
}

// As `ask`, with a new password where the form has a field for one.
function askFor(id, name, work) {
  const form = ask($(id), work, {who: name});
  if (form.elements.password) form.elements.password.value = newPassword();
  return form;
}

const keepIt = (name, password) => showOnce({
  title: `The password of ${name}`,
  note: "Hand it over now: it is shown this once. They can change it under “API keys and password”.",
  things: [{name: "Name", text: name}, {name: "Password", text: password}],
});

const does = {
  add() {
    askFor("#add", "", async (fields, dialog) => {
      const [name, password] = [fields.name.value, fields.password.value];
      await call("POST", "/users", {body: {name, password, role: fields.role.value, groups: namesIn(fields.groups.value)}});
      dialog.close();
      await keepIt(name, password);
      search.value = "";
      await listAgain(name);
      news(`${name} can log in.`);
    });
  },
  change(button, row) {
    const {key: name, role, groups, issuer} = row.dataset;
    const form = askFor("#change", name, async (fields, dialog) => {
      await call("PATCH", `/users/${pathOf(name)}`, {body: {role: fields.role.value, groups: namesIn(fields.groups.value)}});
      dialog.close();
      await listAgain(name);
      news(`${name} was changed.`);
    });
    form.elements.role.value = role;
    form.elements.groups.value = groups;
    $("[data-foreign]", form).hidden = !issuer;
    $("[data-issuer]", form).textContent = issuer;
  },
  reset(button, row) {
    const name = row.dataset.key;
    askFor("#reset", name, async (fields, dialog) => {
      const password = fields.password.value;
      await call("PATCH", `/users/${pathOf(name)}`, {body: {password}});
      dialog.close();
      await keepIt(name, password);
      if (name === you) location.reload();  // one's own session has ended with it
      else await listAgain(name);
    });
  },
  async switch(button, row) {
    const {key: name, disabled} = row.dataset;
    const details = [el("p", {}, "They can’t log in any more, and their sessions and API keys stop at once. Their records stay as they are."),
      name === you && el("p", {class: "caution"}, "This is your own account: you would be logged out.")];
    if (!disabled && !await confirm({title: `Switch off ${name}?`, details, yes: "Switch off", danger: true})) return;
    await call("PATCH", `/users/${pathOf(name)}`, {body: {disabled: !disabled}});
    await listAgain(name);
    news(disabled ? `${name} can log in again.` : `${name} is switched off.`);
  },
  async delete(button, row) {
    const name = row.dataset.key;
    const owned = await call("GET", `/media?owner=${encodeURIComponent(name)}&count=true&limit=1`);
    const details = [
      el("p", {}, "They can’t log in any more, their API keys stop, and they leave their groups. This can’t be taken back, and the name is never given out again. To let somebody back in later, switch the account off instead."),
      el("p", {}, owned.count.value ? `${owned.count.exact ? "" : "About "}${count(owned.count.value, "record")} ${owned.count.value === 1 ? "belongs" : "belong"} to ${name}. They stay, with who may read and write them; administrators can hand them on to another owner.` : `No record belongs to ${name}.`)];
    if (!await confirm({title: `Delete ${name}?`, details, yes: "Delete", danger: true})) return;
    await call("DELETE", `/users/${pathOf(name)}`);
    await listAgain(name);
    news(`${name} was deleted.`);
  },
  generate(button) {
    const field = button.form.elements.password;
    field.value = newPassword();
    field.focus();
  },
  everybody() { search.value = ""; filter(); search.focus(); },
};

doing(does, $("#trouble"));
search.addEventListener("input", filter);
search.value = new URL(location.href).searchParams.get("q") ?? "";
filter();
