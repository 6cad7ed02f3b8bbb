// Two changes of the same metadata, side by side: for each value, whose it is to be.

import {$, $$, el} from "./dom.js";
import {pathText} from "./json_changes.js";
import {differenceLine, valueTold} from "./metadata_told.js";
import {visible} from "./told.js";

// Resolves with the changes to keep of mine, as {path, after}; null when that is not to be decided now.
export function askAbout({conflicts, others}) {
  return new Promise(resolve => {
    const dialog = el("dialog", {class: "conflict", "aria-labelledby": "conflict-title"}, el("form", {method: "dialog"},
      el("h2", {id: "conflict-title"}, "Somebody else changed this meanwhile"),
      el("p", {}, conflicts.length ? "You both changed the same values. Say for each which one is to stay; nothing of yours is lost until you do." : "They changed other values than you did: both stay."),
      conflicts.map(choice),
      others.length > 0 && el("details", {open: !conflicts.length}, el("summary", {}, "What else they changed"), el("ul", {class: "differences"}, others.map(one => el("li", {}, differenceLine(one))))),
      el("div", {class: "row"},
        el("button", {class: "first", value: "save"}, "Save it so"),
        conflicts.length > 1 && el("button", {type: "button", onclick: () => all(dialog, "mine")}, "Keep all mine"),
        conflicts.length > 1 && el("button", {type: "button", onclick: () => all(dialog, "theirs")}, "Take all theirs"),
        el("button", {class: "quiet", value: "later"}, "Not now"))));
    dialog.addEventListener("close", () => {
      const kept = conflicts.filter((_, place) => $(`[name="of-${place}"]:checked`, dialog).value === "mine");
      dialog.remove();
      resolve(dialog.returnValue === "save" ? kept.map(({path, mine}) => ({path, after: mine})) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function all(dialog, whose) {
  for (const input of $$(`input[value="${whose}"]`, dialog)) input.checked = true;
}

function choice({path, base, mine, theirs}, place) {
  const option = (whose, words, value) => el("label", {class: "side"},
    el("span", {}, el("input", {type: "radio", name: `of-${place}`, value: whose, checked: whose === "mine"}), ` ${words}`), valueTold(value));
  return el("fieldset", {class: "choice"},
    el("legend", {}, ...visible(pathText(path))),
    el("p", {class: "hint"}, "It was ", valueTold(base)),
    el("div", {class: "sides"}, option("mine", "Keep mine", mine), option("theirs", "Take theirs", theirs)));
}
