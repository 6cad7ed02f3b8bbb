// Values of metadata in words: one line each, with long ones cut.

import {el} from "./dom.js";
import {write} from "./json_text.js";
import {pathText} from "./json_changes.js";
import {visible} from "./told.js";

const LONGEST = 300;

// As it is written, or what it is for what is large.
export function valueTold(value) {
  if (value === undefined) return el("span", {class: "hint"}, "nothing");
  const text = write(value);
  const cut = text.length > LONGEST;
  return el("code", {class: `value ${value.kind}`, title: cut ? "The beginning" : null}, ...visible(cut ? `${text.slice(0, LONGEST)}…` : text));
}

// $.depth: 12.5 → 13
export function differenceLine({path, before, after}, name = path.length ? pathText(path) : "all of it") {
  const arrow = el("span", {"aria-hidden": "true"}, " → ");
  const named = el("span", {class: "path"}, ...visible(name), ": ");
  if (before === undefined) return el("span", {class: "difference"}, named, el("span", {class: "note"}, "added "), el("ins", {}, valueTold(after)));
  if (after === undefined) return el("span", {class: "difference"}, named, el("span", {class: "note"}, "removed "), el("del", {}, valueTold(before)));
  return el("span", {class: "difference"}, named, el("del", {}, valueTold(before)), arrow, el("span", {class: "visually-hidden"}, "became "), el("ins", {}, valueTold(after)));
}
