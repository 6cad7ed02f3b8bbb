// Small forms in the place of a line of the tree: a value of some kind, or a name.

import {$, el, trouble} from "./dom.js";
import {isNumber} from "./json_text.js";
import {visible} from "./told.js";

const HIGHEST_PX = 240;
const KINDS = [["string", "text"], ["number", "number"], ["true", "true"], ["false", "false"], ["null", "null"], ["object", "members { }"], ["array", "items [ ]"]];

// Calls `done` with the value, with {name, value} where a name is asked for, or with undefined.
export function valueForm({value: known, name, label = "", taken = null, done}) {
  const value = known ?? {kind: "string", text: ""};
  const named = taken && el("input", {"aria-label": "Name", placeholder: "name", dir: "auto"});
  const kind = el("select", {"aria-label": `Kind of ${name}`}, KINDS.map(([each, words]) => el("option", {value: each, selected: each === value.kind}, words)));
  const text = el("textarea", {"aria-label": `Value of ${name}`, rows: 1, dir: "auto", spellcheck: "false"});
  text.value = value.text ?? "";
  const fit = () => {
    text.hidden = !["string", "number"].includes(kind.value);
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight + 2, HIGHEST_PX)}px`;
  };
  // Whoever types a number as a new value most likely means one.
  let chosen = known !== undefined;
  kind.addEventListener("change", () => { chosen = true; fit(); if (!text.hidden) text.focus(); });
  text.addEventListener("input", () => {
    if (!chosen) kind.value = isNumber(text.value) ? "number" : "string";
    fit();
  });
  const read = () => {
    if (named && taken.has(named.value)) throw new FormTrouble(named, `there is a member ${JSON.stringify(named.value)} already: change that one, or write another name.`);
    const made = {kind: kind.value};
    if (made.kind === "string") made.text = text.value;
    if (made.kind === "number") {
      made.text = text.value.trim();
      if (!isNumber(made.text)) throw new FormTrouble(text, `${JSON.stringify(made.text)} is no number; one is written like 12, -0.5 or 1e6. Or choose the kind text.`);
    }
    if (made.kind === "object") made.members = value.members ?? new Map();
    if (made.kind === "array") made.items = value.items ?? [];
    return named ? {name: named.value, value: made} : made;
  };
  const form = small([label && el("span", {class: "name"}, ...visible(label)), named, kind, text], read, done);
  form.begin = () => { fit(); (named ?? (text.hidden ? kind : text)).focus(); if (!named) text.select(); };
  return form;
}

// Calls `done` with another name, or with undefined.
export function nameForm({name, taken, done}) {
  const input = el("input", {"aria-label": `New name of ${name}`, dir: "auto", value: name});
  const form = small([input], () => {
    if (input.value !== name && taken.has(input.value)) throw new FormTrouble(input, `there is a member ${JSON.stringify(input.value)} already: write another name.`);
    return input.value === name ? undefined : input.value;
  }, done);
  form.begin = () => input.select();
  return form;
}

class FormTrouble extends Error {
  constructor(field, message) { super(message.charAt(0).toUpperCase() + message.slice(1)); this.field = field; }
}

// Enter is done, but in a text of several lines; Escape leaves it.
function small(fields, read, done) {
  const wrong = el("p", {class: "trouble", role: "alert", hidden: true});
  const form = el("form", {method: "dialog", class: "small"}, fields, el("button", {class: "first"}, "Done"), el("button", {class: "quiet", type: "button", onclick: () => done(undefined)}, "Cancel"), wrong);
  form.addEventListener("submit", event => {
    event.preventDefault();
    try {
      done(read());
    } catch (error) {
      if (!(error instanceof FormTrouble)) throw error;
      trouble(wrong, error.message);
      error.field.focus();
    }
  });
  form.addEventListener("keydown", event => {
    if (event.key === "Escape") { event.stopPropagation(); done(undefined); }
    if (event.key === "Enter" && event.target === $("textarea", form) && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
  });
  return form;
}
